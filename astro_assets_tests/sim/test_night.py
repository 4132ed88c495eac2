"""Is the night on disk as four servers would have it, and does the truth fit it?"""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import astrometry
import numpy as np
import pytest
import sep
from astropy.io import fits

from astro_assets.data import INDEX_FILES
from astro_assets.sim.defects import Defects
from astro_assets.sim.night import ALL, make_night
from astro_assets.sim.trees.plan import sexagesimal
from astro_assets.sim.trees.telescope_org import OVERSCAN_PX
from astro_assets.sim.truth import FrameTruth, SimulatedNight, load


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> SimulatedNight:
    return make_night(tmp_path_factory.mktemp("sim") / "night", seed=1, size="small")


def fits_of(night: SimulatedNight, frame: FrameTruth) -> bytes:
    served = night.served(frame.source) / frame.file
    if served.suffix != ".zip":
        return served.read_bytes()
    with zipfile.ZipFile(served) as archive:
        assert archive.namelist() == [frame.member]
        return archive.read(frame.member)


def read(night: SimulatedNight, frame: FrameTruth) -> tuple[np.ndarray, fits.Header]:
    with fits.open(io.BytesIO(fits_of(night, frame))) as hdus:
        return hdus[0].data.astype(float), hdus[0].header.copy()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_every_frame_is_served_with_the_hash_of_the_truth(night: SimulatedNight) -> None:
    assert set(night.sources) == set(ALL)
    assert len({(frame.source, frame.frame_id) for frame in night.frames}) == len(night.frames)
    for frame in night.frames:
        served = night.served(frame.source) / frame.file
        assert sha256(served.read_bytes()) == frame.sha256
        assert sha256(fits_of(night, frame)) == frame.fits_sha256
    for source, paths in night.others.items():
        assert all((night.served(source) / path).is_file() for path in paths)
    listed = {str(night.served(f.source) / f.file) for f in night.frames}
    listed |= {str(night.served(s) / path) for s, paths in night.others.items() for path in paths}
    images = {
        str(p) for p in (night.root / "served").rglob("*") if p.suffix in (".fits", ".zip", ".fit")
    }
    assert images <= listed


def test_the_truth_comes_back_from_disk(night: SimulatedNight) -> None:
    assert load(night.root) == night
    frame = night.of("pi")[0]
    assert night.frame("pi", frame.frame_id) == frame
    assert frame.shape == night.image(frame).shape == night.detector("pi").flat.shape


@pytest.mark.parametrize("source", ALL)
def test_each_light_is_the_truth_with_noise(night: SimulatedNight, source: str) -> None:
    detector = night.detector(source)
    stars = night.stars(source)
    for frame in night.of(source)[::4]:
        counts, header = read(night, frame)
        ny, nx = frame.shape
        light = counts[:ny, :nx]
        if source in ("vespera", "pi"):
            dark = detector.dark_e_per_s * frame.exposure_s / frame.gain_e_per_adu
            light = (light - detector.bias_adu - dark) / np.maximum(detector.flat, 0.2)
        difference = light * header["EGAIN"] - night.image(frame)
        good = ~detector.dead & ~night.cosmic_rays(frame) & ~night.satellite(frame)
        assert abs(np.median(difference[good])) < 0.5
        sky = good & (night.image(frame) < 1.5 * frame.sky_e) & (detector.flat > 0.9)
        expected = np.median(np.sqrt(night.image(frame)[sky] + frame.read_noise_e**2))
        robust = 1.4826 * np.median(np.abs(difference[sky] - np.median(difference[sky])))
        assert robust == pytest.approx(expected, rel=0.08)
        assert night.cosmic_rays(frame).sum() == frame.cosmic_ray_pixels
        assert (stars["frame"] == frame.frame_id).sum() >= 40


@pytest.mark.parametrize("source", ALL)
def test_a_light_of_each_source_solves(night: SimulatedNight, source: str) -> None:
    frame = next(f for f in night.of(source) if f.spoiled is None)
    light = night.image(frame) if frame.bayer else read(night, frame)[0]
    light = light[: frame.shape[0], : frame.shape[1]]
    if frame.bayer:
        light = light[0::2, 0::2] + light[0::2, 1::2] + light[1::2, 0::2] + light[1::2, 1::2]
    image = np.ascontiguousarray(light, dtype=np.float32)
    level = sep.Background(image, bw=32, bh=32)
    found = sep.extract(image - level.back(), 8, err=max(level.globalrms, 1.0), minarea=5)
    found = found[np.argsort(-found["flux"])][:60]
    scale = 3600 * abs(frame.wcs["CD1_1"]) * (2 if frame.bayer else 1)  # type: ignore[index,arg-type]
    solution = astrometry.Solver(list(INDEX_FILES)).solve(
        stars=np.stack([found["x"] + 1, found["y"] + 1], axis=1),
        size_hint=astrometry.SizeHint(0.9 * scale, 1.1 * scale),
        position_hint=None,
        solution_parameters=astrometry.SolutionParameters(
            logodds_callback=lambda odds: astrometry.Action.STOP
        ),
    )
    assert solution.has_match()
    match = solution.best_match()
    assert match.scale_arcsec_per_pixel == pytest.approx(scale, rel=0.005)
    assert match.center_dec_deg == pytest.approx(frame.wcs["CRVAL2"], abs=0.6)  # type: ignore[index]


def test_itelescope_names_and_headers(night: SimulatedNight) -> None:
    for frame in night.of("itelescope"):
        day, clock, filter_name = frame.frame_id.rsplit("-", 7)[1:4]
        _, header = read(night, frame)
        assert frame.remote_path.startswith("T20/NGC 7000/20261120/calibrated-T20-observer-")
        assert filter_name == header["FILTER"] == frame.filter
        utc = datetime.fromisoformat(header["DATE-OBS"] + "+00:00")
        local = utc.astimezone(ZoneInfo("America/Denver"))
        assert f"{local:%Y%m%d%H%M%S}" == day + clock
        assert utc.date() == date(2026, 11, 21)
        assert [header[key] for key in ("OBJECT", "TELESCOP", "OBSERVER")] == ["", "", ""]
        assert header["CALSTAT"] == "BDF"
        assert header["IMAGETYP"] == "Light Frame"
        assert 50000 < header["SATURATE"] < 65535
    others = night.others["itelescope"]
    assert any("/raw-T20-" in path for path in others)
    assert any(path.startswith("CALIBRATION FILES/") for path in others)


def test_telescope_org_jobs_and_headers(night: SimulatedNight) -> None:
    jobs = json.loads((night.served("telescope_org") / "jobs.json").read_text())
    complete = [job for job in jobs if job["status"] == 8]
    assert [job["status"] for job in jobs].count(3) == 2
    assert [job["status"] for job in jobs].count(20) == 1
    frames = {frame.frame_id: frame for frame in night.of("telescope_org")}
    assert set(frames) == {f"{job['jid']}-{name}" for job in complete for name in job["filters"]}
    counts, header = read(night, frames[f"{complete[0]['jid']}-V"])
    assert (header["EPOCH"], header["TELESCOP"], header["FILTER"]) == ("REAL", "undefined", "V")
    assert header["OBJCTRA"] == "03 47 00.00"
    assert header["OBJCTDEC"] == "+24 07 12.0"
    ny, nx = frames[f"{complete[0]['jid']}-V"].shape
    assert counts.shape == (ny + OVERSCAN_PX, nx + OVERSCAN_PX)
    assert counts[ny:].mean() < 10 < 40 < np.median(counts[:ny, :nx])
    assert counts[:, nx:].mean() < 10
    assert complete[0]["objectid"] == "03:47:00.00 +24:07:12.0"


def test_vespera_layout(night: SimulatedNight) -> None:
    lights, darks = night.of("vespera"), night.of("vespera", "dark")
    assert [frame.remote_path.split("/", 1)[1] for frame in darks] == ["img-0001-dark.fits"]
    for frame in lights:
        assert frame.remote_path.startswith("2026-11-20_21-04-47_observation_M31/01-images-initial")
        assert (night.served("vespera") / frame.file).with_suffix(".json").is_file()
        assert read(night, frame)[1]["BAYERPAT"] == frame.bayer == "GBRG"
    stages = {path.split("/")[2] for path in night.others["vespera"]}
    assert stages == {"01-pointing-initial", "02-images-adjust-focus"}


def test_pi_manifest_and_status(night: SimulatedNight) -> None:
    folder = night.served("pi") / "captures" / "2026-11-20"
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    status = json.loads((folder / "status.json").read_text())
    assert status["phase"] == "done"
    assert status["frames"] == len(lines) == len(list(folder.glob("*.fits")))
    truth = {frame.file.rsplit("/", 1)[1]: frame for frame in night.frames if frame.source == "pi"}
    for line in lines:
        frame = truth[line["file"]]
        assert line["sha256"] == frame.sha256
        assert line["size"] == (folder / line["file"]).stat().st_size
        assert line["facts"]["IMAGETYP"].split()[0].lower() == frame.kind
        assert line["facts"]["INSTRUME"] == "ZWO ASI294MC"
        assert all(isinstance(value, str) for value in line["facts"].values())
    assert {frame.kind for frame in truth.values()} == {"light", "bias", "dark", "flat"}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_spoiled_frames_leave_enough_good_ones(night: SimulatedNight) -> None:
    lights = [frame for frame in night.frames if frame.kind == "light"]
    assert {frame.spoiled for frame in lights} == {None, "cloud", "trailing", "defocus"}
    sets: dict[tuple[str, str | None], list[bool]] = {}
    for frame in lights:
        sets.setdefault((frame.source, frame.filter), []).append(frame.spoiled is None)
    assert all(sum(good) >= 3 for good in sets.values())
    with_satellite = [frame for frame in lights if frame.satellite]
    assert {frame.source for frame in with_satellite} == {"itelescope", "pi"}
    assert all(frame.spoiled is None for frame in with_satellite)
    assert all(night.satellite(frame).any() for frame in with_satellite)


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): sha256(path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(night: SimulatedNight, tmp_path: Path) -> None:
    two = ("telescope_org", "pi")
    first = make_night(tmp_path / "1", seed=1, size="small", sources=two)
    other = make_night(tmp_path / "2", seed=2, size="small", sources=two, truth_images=False)
    for source in two:
        assert tree(first.served(source)) == tree(night.served(source))
    assert tree(first.root / "truth" / "pi") == tree(night.root / "truth" / "pi")
    same = tree(first.root / "served").items() & tree(other.root / "served").items()
    assert {Path(path).name for path, _ in same} <= {"jobs.json", "status.json"}
    with pytest.raises(FileNotFoundError):
        other.image(other.of("pi")[0])
    with pytest.raises(FileExistsError):
        make_night(tmp_path / "1")


def test_on_arm_keeps_the_lights_back(tmp_path: Path) -> None:
    night = make_night(
        tmp_path / "n", size="small", sources=("pi",), capture="on-arm", truth_images=False,
        night=date(2027, 1, 2),
    )  # fmt: skip
    captures = night.served("pi") / "captures" / "2027-01-02"
    prepared = night.served("pi") / ".prepared" / "2027-01-02"
    assert len(list(prepared.glob("*.fits"))) == len(night.of("pi"))
    assert not list(captures.glob("light*"))
    assert "light" not in (captures / "manifest.jsonl").read_text()
    assert not (captures / "status.json").exists()


def test_reversed_frames_show_the_sky_upright(tmp_path: Path) -> None:
    night = make_night(
        tmp_path / "n", size="small", sources=("vespera",),
        defects=replace(Defects(), reversed_frames=True),
    )  # fmt: skip
    turned = [frame for frame in night.of("vespera") if frame.reversed]
    assert [frame.frame_id for frame in turned] == ["01-images-initial_img-0002r"]
    frame, plain = turned[0], night.of("vespera")[0]
    counts, header = read(night, frame)
    assert header["BAYERPAT"] == "GRBG"
    assert plain.bayer == "GBRG"
    assert abs(frame.wcs["CD1_1"] - plain.wcs["CD1_1"]) < 1e-4  # type: ignore[index,operator]
    stars = night.stars("vespera").query("frame == @frame.frame_id").nlargest(10, "flux_e")
    for star in stars.itertuples():
        row, column = round(star.y), round(star.x)
        box = counts[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
        assert box.max() > np.median(counts) + 1000
    hot = night.detector("vespera").hot[::-1, ::-1]
    assert np.median(counts[hot]) > np.median(counts) + 200


def test_unknown_source() -> None:
    with pytest.raises(ValueError, match="no source moon"):
        make_night(Path("unused"), sources=("moon",))


def test_sexagesimal() -> None:
    assert sexagesimal(83.82, -5.39) == ("05 35 16.80", "-05 23 24.0")
    assert sexagesimal(359.9999999, -0.0001) == ("24 00 00.00", "-00 00 00.4")
