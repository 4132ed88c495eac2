"""A whole night on four real servers: fetched once, solved, judged, stacked, all products there."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from astro_assets.sim.night import ALL, make_night
from astro_assets.sim.truth import FrameTruth
from astro_assets.steps.overview import overview
from astro_assets.steps.stack import channel_files
from astro_assets.store import read_image, sha256_of
from astro_assets_tests.figures.photometry import fluxes, rms_off
from astro_assets_tests.figures.synced import QUICK_S, SyncedNight, sync_twice

NIGHT = "2026-11-20"
TARGETS = {"itelescope": "NGC7000", "vespera": "M31", "telescope_org": "M45", "pi": "M42"}
FILTERS = {
    "itelescope": ("Blue", "Green", "Red"),
    "vespera": ("B", "G", "R"),
    "telescope_org": ("B", "R", "V"),
    "pi": ("B", "G", "R"),
}
MASTERS = {"pi": ("bias", "dark", "flat", "bad_pixels"), "vespera": ("dark", "bad_pixels")}


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> SyncedNight:
    root = tmp_path_factory.mktemp("observatory")
    return sync_twice(root, make_night(root, seed=5, size="small", truth_images=False))


def test_both_syncs_succeed(night: SyncedNight) -> None:
    assert night.first.status == 0, night.first.output
    assert night.second.status == 0, night.second.output
    for sync in (night.first, night.second):
        assert "Traceback" not in sync.output
        for source in ALL:
            assert f" {source} " in sync.output
            assert night.session(source) in sync.output


@pytest.mark.parametrize("source", ALL)
def test_every_frame_is_fetched_as_it_was_served(night: SyncedNight, source: str) -> None:
    truths = [frame for frame in night.truth.frames if frame.source == source]
    raw = night.store.root / "raw" / source
    on_disk = Counter(sha256_of(p) for p in raw.rglob("*.fit*"))
    assert on_disk == Counter(frame.fits_sha256 for frame in truths)
    all_records = [record for manifest in night.manifests(source) for record in manifest.records]
    records = [record for record in all_records if not record.path.endswith(".json")]
    sidecars = len(all_records) - len(records)
    assert sidecars == (sum(t.kind == "light" for t in truths) if source == "vespera" else 0)
    assert all(not record.reason for record in all_records)
    assert Counter(r.path for r in records) == Counter({f.remote_path for f in truths})
    if source != "telescope_org":  # its zips are made when they are asked for
        assert {r.path: r.sha256 for r in records} == {f.remote_path: f.sha256 for f in truths}
    assert Counter(f.sha256 for record in records for f in record.files) == on_disk


@pytest.mark.parametrize("source", ALL)
def test_nothing_is_fetched_twice_or_needlessly(night: SyncedNight, source: str) -> None:
    wanted = {frame.remote_path for frame in night.truth.frames if frame.source == source}
    for sync in (night.first, night.second):
        assert {path: sync.downloads[source][path] for path in wanted} == dict.fromkeys(wanted, 1)
    others = set(night.truth.others.get(source, ()))
    assert not others & set(night.second.downloads[source])


def test_a_sync_without_news_is_quick_and_runs_nothing(night: SyncedNight) -> None:
    assert night.first.runs > len(ALL)
    assert night.second.runs == night.first.runs
    assert night.second.duration_s < QUICK_S


@pytest.mark.parametrize("source", ALL)
def test_every_good_frame_is_solved_and_accepted(night: SyncedNight, source: str) -> None:
    table = night.frames(source).set_index("id")
    truths = night.truth.of(source)
    assert set(table.index) == {frame.frame_id for frame in truths}
    for frame in truths:
        row = table.loc[frame.frame_id]
        if frame.spoiled is None:
            assert row["solved"], f"{frame.frame_id}: {row['reason']}"
            assert row["accepted"], f"{frame.frame_id}: {row['reason']}"
        else:
            assert not row["accepted"]
            assert str(row["reason"]).startswith(f"{frame.spoiled}:")


def test_the_night_had_every_kind_of_spoiled_frame(night: SyncedNight) -> None:
    spoiled = {frame.spoiled for frame in night.truth.frames if frame.spoiled}
    assert spoiled == {"cloud", "trailing", "defocus"}


@pytest.mark.parametrize("source", ALL)
def test_stars_lie_where_the_solution_says(night: SyncedNight, source: str) -> None:
    stars = night.truth.stars(source)
    folder = night.store.solved(source, night.session(source))
    for row in night.frames(source).itertuples():
        if not row.solved:
            continue
        truth = stars[stars["frame"] == row.id]
        wcs = WCS(fits.getheader(folder / f"{row.frame}.fits"), relax=True)
        x, y = wcs.world_to_pixel_values(truth["ra_deg"], truth["dec_deg"])
        assert len(truth) >= 40
        assert np.sqrt(np.mean((x - truth["x"]) ** 2 + (y - truth["y"]) ** 2)) <= 0.3


@pytest.mark.parametrize("source", ALL)
def test_photometry(night: SyncedNight, source: str) -> None:
    table, every_star = night.frames(source).set_index("frame"), night.truth.stars(source)
    good = [frame for frame in night.truth.of(source) if frame.spoiled is None]
    for name, file in channel_files(night.store.stacks(source, night.session(source))).items():
        stack = read_image(file)
        reference = night.truth.frame(source, str(table.loc[stack.header["AAREF"], "id"]))
        catalogue = every_star[every_star["frame"] == reference.frame_id]
        positions = (catalogue["ra_deg"].to_numpy(), catalogue["dec_deg"].to_numpy())
        frames = ((*true_wcs(f).world_to_pixel_values(*positions), f.shape) for f in good)
        column = f"flux_{name.lower()}_e" if reference.bayer else "flux_e"
        stars = fluxes(stack, catalogue, column, frames)
        assert len(stars) >= 10
        assert rms_off(stars) <= 0.02, f"{name}: {rms_off(stars):.4f}\n{stars}"


def true_wcs(frame: FrameTruth) -> WCS:
    assert frame.wcs is not None
    header = fits.Header()
    header.update(frame.wcs)
    return WCS(header)


@pytest.mark.parametrize("source", ALL)
def test_images_of_a_session_open(night: SyncedNight, source: str) -> None:
    session = night.session(source)
    table = night.frames(source)
    for row in table.itertuples():
        calibrated = read_image(night.store.calibrated(source, session) / f"{row.frame}.fits")
        assert calibrated.mask is not None
        assert np.isfinite(calibrated.image).all()
        assert calibrated.header["BUNIT"] == "electron"
        with fits.open(night.store.solved(source, session) / f"{row.frame}.fits") as hdus:
            hdus.verify("exception")
            assert len(hdus["STARS"].data) == row.n_stars
            assert WCS(hdus[0].header, relax=True).has_celestial
    stacks, composite = night.store.stacks(source, session), night.store.composite(TARGETS[source])
    assert set(channel_files(stacks)) == set(FILTERS[source])
    for folder in (stacks, composite):
        files = channel_files(folder)
        assert len(files) == len(FILTERS[source])
        for file in files.values():
            stack = read_image(file)
            assert WCS(stack.header).has_celestial
            assert np.isfinite(stack.image).mean() > 0.8
        check_pictures(folder)


def check_pictures(folder: Path) -> None:
    """The colour picture as FITS, 16-bit TIFF and PNG of one size, with something on it."""
    rgb = read_image(folder / "color.fits").image
    assert rgb.shape[0] == 3
    tif = tifffile.imread(folder / "color.tif")
    assert tif.dtype == np.uint16
    with Image.open(folder / "color.png") as png:
        shown = np.asarray(png)
    assert tif.shape[:2] == shown.shape[:2]
    assert shown.shape[2] == 3
    assert shown.std() > 3


@pytest.mark.parametrize("source", ALL)
def test_masters_open(night: SyncedNight, source: str) -> None:
    kinds = MASTERS.get(source, ())
    for kind in ("bias", "dark", "flat", "bad_pixels"):
        folder = night.store.master(source, kind, "any").parent
        files = list(folder.glob("*.fits"))
        assert len(files) == (1 if kind in kinds else 0)
        for file in files:
            assert np.isfinite(read_image(file).image).all()


@pytest.mark.parametrize("source", MASTERS)
def test_bad_pixels_of_the_night_are_known(night: SyncedNight, source: str) -> None:
    (file,) = night.store.master(source, "bad_pixels", "any").parent.glob("*.fits")
    found, detector = read_image(file).image != 0, night.truth.detector(source)
    assert found[detector.hot].mean() >= 0.99
    assert (found[:, list(detector.columns)].mean(axis=0) >= 0.99).all()
    bad = detector.hot | detector.dead
    bad[:, list(detector.columns)] = True
    assert (found & ~bad).mean() <= 0.001
    if "flat" in MASTERS[source]:  # what is dead shows in light only
        assert found[detector.dead].mean() >= 0.99


def test_tables_and_report(night: SyncedNight) -> None:
    lights = [frame for source in ALL for frame in night.truth.of(source)]
    table = pd.read_parquet(night.store.frames_table)
    assert len(table) == len(lights)
    assert len(pd.read_csv(night.store.frames_table.with_suffix(".csv"))) == len(lights)
    assert int(table["accepted"].sum()) == sum(frame.spoiled is None for frame in lights)
    for of_session in night.store.root.glob("solved/*/*/frames.parquet"):
        assert set(pd.read_parquet(of_session).columns) <= set(table.columns)
    page = (night.store.report(NIGHT) / "index.html").read_text(encoding="utf-8")
    for source in ALL:
        assert night.session(source) in page or TARGETS[source] in page


def test_closing_rows(night: SyncedNight) -> None:
    rows = {row.source: row for row in overview(night.store)}
    assert set(rows) == set(ALL)
    for source, row in rows.items():
        truths = night.truth.of(source)
        spoiled = sum(frame.spoiled is not None for frame in truths)
        assert row.session == night.session(source)
        assert row.fetched == row.calibrated == len(truths)
        assert row.solved >= len(truths) - spoiled
        assert len(row.rejected) == len(truths) - row.accepted == spoiled
        assert row.composite == str(night.store.composite(TARGETS[source]))
        assert row.picture is not None
