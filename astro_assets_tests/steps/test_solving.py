"""A session's frames: solved here or by nova, told when and where, and not tried for ever."""

import errno
import math
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from astro_assets.data import INDEX_FILES
from astro_assets.errors import NoSolverIndex
from astro_assets.frame import frame_from_header
from astro_assets.imaging.wcs_fit import to_pixels
from astro_assets.settings import GaiaArchive, Limits, Nova, Solving
from astro_assets.steps import calibrate, circumstances, solving
from astro_assets.steps.catalogue import index_stars
from astro_assets.steps.measure import measure
from astro_assets.steps.solve import TABLE, accepted_files, solve_session
from astro_assets.store import ImageFile, Store, write_image
from astro_assets_tests.imaging.star_field import draw
from astro_assets_tests.steps.online import KEY, Script, served

SESSION = "2026-11-20_NGC7000_Cam"
SHAPE = (420, 560)
SCALE_ARCSEC = 6.0
CENTRE = (314.7, 44.3)
NOWHERE = Solving(index_folders=())
CARDS: dict[str, Any] = {
    "IMAGETYP": "Light Frame", "OBJECT": "NGC 7000", "EXPTIME": 120.0, "FILTER": "R",
    "DATE-OBS": "2026-11-20T20:00:00", "RA": CENTRE[0], "DEC": CENTRE[1], "SCALE": SCALE_ARCSEC,
    "SITELAT": 53.2, "SITELONG": 6.6, "INSTRUME": "Cam", "AAPROV": "0123",
}  # fmt: skip


def truth(shift_px: float = 0.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = CENTRE
    wcs.wcs.crpix = (SHAPE[1] / 2 + shift_px, SHAPE[0] / 2)
    wcs.wcs.cd = SCALE_ARCSEC / 3600 * np.array([[-0.94, 0.34], [0.34, 0.94]])
    wcs.pixel_shape = (SHAPE[1], SHAPE[0])
    return wcs


def stars_of(wcs: WCS, seed: int) -> np.ndarray:
    """The catalogue's stars in the frame; with no WCS, as many where there are none."""
    near = index_stars(INDEX_FILES).near(*CENTRE, 1.0)
    x, y = to_pixels(wcs, near.ra_deg, near.dec_deg)
    inside = (x > 15) & (x < SHAPE[1] - 15) & (y > 15) & (y < SHAPE[0] - 15)
    return np.stack([x[inside], y[inside], 3e5 * 10 ** (-0.4 * (near.mag[inside] - 8.0))])


def calibrated(root: Path, frames: dict[str, tuple[np.ndarray, dict[str, Any]]]) -> Store:
    """A store with these frames (positions and fluxes of their stars, cards) calibrated."""
    store = Store(root)
    folder = store.calibrated("far", SESSION)
    for number, (name, (stars, cards)) in enumerate(frames.items()):
        x, y, flux = stars
        field = draw(x, y, flux, seed=number, shape=SHAPE, sky_e=300.0)
        header = fits.Header(CARDS | cards)
        write_image(folder / f"{name}.fits", ImageFile(field.image, header, field.mask))
    ledger = pd.DataFrame({"frame": list(frames), "reason": ""})
    ledger.to_parquet(folder / calibrate.LEDGER, index=False)
    return store


def elsewhere(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(15, 540, 40), rng.uniform(15, 400, 40), rng.uniform(1e4, 1e5, 40)])


def run(store: Store, settings: Solving = NOWHERE, told: list[str] | None = None) -> pd.DataFrame:
    log: Callable[[str], None] = (told if told is not None else []).append
    solve_session(store, "far", SESSION, Limits(), settings, log, KEY if settings.nova else None)
    return pd.read_parquet(store.solved("far", SESSION) / TABLE).set_index("frame")


def test_when_and_where_stand_in_header_and_table(tmp_path: Path) -> None:
    """At mid-exposure, for the solved centre; AstroPhotography's AIRMASS is that of the start."""
    frames = {
        "one": (stars_of(truth(), 1), {"EXPTIME": 1200.0}),
        "two": (stars_of(truth(8), 2), {"SITELAT": "", "SITELONG": "", "OBSERVER": "somebody"}),
    }
    store = calibrated(tmp_path, frames)
    table = run(store)
    assert table["solved"].all(), table["reason"].to_dict()
    header = fits.getheader(store.solved("far", SESSION) / "one.fits")
    assert header["DATE-AVG"] == "2026-11-20T20:10:00"
    later = frame_from_header(CARDS | {"DATE-OBS": "2026-11-20T20:10:00", "EXPTIME": 0.0})
    start = frame_from_header(CARDS | {"EXPTIME": 0.0})
    middle, begun = circumstances.sky_of([later, start], [CENTRE, CENTRE])
    for name, keyword in (("altitude_deg", "OBJCTALT"), ("airmass", "AIRMASS"),
                          ("sun_altitude_deg", "SUNALT"), ("moon_separation_deg", "MOONSEP"),
                          ("bjd_tdb", "BJD_TDB")):  # fmt: skip
        assert table.loc["one", name] == pytest.approx(middle[name], abs=0.003)
        assert header[keyword] == pytest.approx(middle[name], abs=0.003)
    assert abs(header["AIRMASS"] - begun["airmass"]) > 0.02
    assert header["MJD-AVG"] == pytest.approx(header["JD_UTC"] - 2400000.5, abs=1e-6)
    assert (header["SITELAT"], header["SITELONG"]) == (53.2, 6.6)
    assert header["RA-OBJ"] == pytest.approx(314.7, abs=0.2)
    nowhere = fits.getheader(store.solved("far", SESSION) / "two.fits")
    assert "AIRMASS" not in nowhere
    assert "not known where the telescope stands" in str(nowhere["HISTORY"]).replace("\n", " ")
    assert nowhere["OBSERVER"] == "somebody"
    assert math.isnan(table.loc["two", "airmass"])
    told = circumstances.summary(table)
    assert told["site"] == "53.20°, 6.60°"
    assert told["airmass"] == f"{middle['airmass']:.2f}"
    assert "not known" in circumstances.summary(table.loc[["two"]])["site"]
    assert table.loc["two", "bjd_tdb"] > 2461365


def test_a_damaged_frame_is_refused_and_the_others_are_solved(tmp_path: Path) -> None:
    """What is measured and copied is what was calibrated: the sums of its pixels say so."""
    frames = {name: (stars_of(truth(4 * k), k), {}) for k, name in enumerate(("a", "b", "c"))}
    store = calibrated(tmp_path, frames)
    damaged = store.calibrated("far", SESSION) / "b.fits"
    content = bytearray(damaged.read_bytes())
    content[200_000] ^= 4
    damaged.write_bytes(content)
    table = run(store)
    assert table["solved"].to_dict() == {"a": True, "b": False, "c": True}
    assert "damaged" in table.loc["b", "reason"]
    folder = store.solved("far", SESSION)
    assert sorted(path.name for path in folder.glob("*.fits")) == ["a.fits", "c.fits"]
    assert not list(folder.glob(".*"))


def test_an_error_of_the_disk_is_not_overheard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it once: who syncs the same bytes again is told that all is well."""
    store = calibrated(tmp_path, {"a": (stars_of(truth(), 1), {}), "b": (stars_of(truth(), 2), {})})
    told, real = [], os.fsync

    def sync(descriptor: int) -> None:
        if not told and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            told.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="Input/output"):
        run(store)
    assert list(store.solved("far", SESSION).glob("*")) == []
    assert run(store)["solved"].all()


def test_one_failure_ends_no_batch_and_is_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In AstroPhotography one frame that cannot be solved ends the batch."""
    frames = {
        "bad": (elsewhere(3), {}), "good": (stars_of(truth(), 1), {}),
        "late": (stars_of(truth(5), 2), {}),
    }  # fmt: skip
    store = calibrated(tmp_path, frames)
    tried: list[int] = []
    real = solving.solve

    def counted(stars: pd.DataFrame, *words: Any) -> Any:
        tried.append(len(stars))
        return real(stars, *words)

    monkeypatch.setattr(solving, "solve", counted)
    first = run(store)
    assert first["solved"].to_dict() == {"bad": False, "good": True, "late": True}
    assert len(tried) == 2
    again = run(store)
    assert len(tried) == 3, "the bad frame was tried again"
    assert again.loc["bad", "reason"] == first.loc["bad", "reason"]
    calibrated(tmp_path, {**frames, "bad": (stars_of(truth(3), 4), {"AAPROV": "4567"})})
    assert run(store)["solved"].all()


def test_nova_solves_what_no_index_here_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for a pointing; the frames that follow start from its solution and its stars."""
    monkeypatch.setattr("astro_assets.steps.catalogue.INDEX_FILES", ())
    frames = {f"f{n}": (stars_of(truth(3 * n), n), {}) for n in range(3)}
    store = calibrated(tmp_path, frames)
    with pytest.raises(NoSolverIndex, match="astrometry-data-tycho2"):
        run(store)
    with served(Script(wcs=truth())) as script:
        nova = Nova(key_env="NOVA_KEY", url=script.url)
        table = run(store, Solving(index_folders=(), nova=nova))
        assert table["solved"].all(), table["reason"].to_dict()
        assert len(script.submissions) == 1
        asked = len(script.asked)
        run(store, Solving(index_folders=(), nova=nova))
        assert len(script.asked) == asked
    header = fits.getheader(store.solved("far", SESSION) / "f2.fits")
    x, y = to_pixels(truth(6), *WCS(header).all_pix2world([0.0, 559.0], [0.0, 419.0], 0))
    np.testing.assert_allclose([x, y], [[0, 559], [0, 419]], atol=0.3)


def test_without_nova_the_others_go_on(tmp_path: Path) -> None:
    frames = {"bad": (elsewhere(5), {}), "good": (stars_of(truth(), 1), {})}
    store = calibrated(tmp_path, frames)
    told: list[str] = []
    with served(Script(behaviour="breaks")) as script:
        nova = Nova(key_env="NOVA_KEY", url=script.url)
        table = run(store, Solving(index_folders=(), nova=nova), told)
    assert table["solved"].to_dict() == {"bad": False, "good": True}
    assert any("nova.astrometry.net: the connection failed" in line for line in told)


def test_without_gaia_the_index_files_magnitudes_serve(tmp_path: Path) -> None:
    store = calibrated(tmp_path, {"one": (stars_of(truth(), 1), {})})
    plain = run(store)
    told: list[str] = []
    with served(Script(behaviour="breaks")) as script:
        gaia = GaiaArchive(url=f"{script.url}/tap-server/tap")
        table = run(store, Solving(index_folders=(), gaia=gaia), told)
    assert table.loc["one", "zero_point_mag"] == plain.loc["one", "zero_point_mag"]
    assert any("index files' magnitudes" in line for line in told)
    assert "V_T" in fits.getheader(store.solved("far", SESSION) / "one.fits").comments["MAGZP"]


def test_gaias_magnitudes_are_for_all_frames_or_for_none(tmp_path: Path) -> None:
    """Frames of a session are compared by their zero points, which must be of one band."""
    frames = {"one": (stars_of(truth(), 1), {}), "two": (stars_of(truth(5), 2), {})}
    store = calibrated(tmp_path, frames)
    plain = run(store)
    near = index_stars(INDEX_FILES).near(*CENTRE, 1.0)
    sky = Table({"ra": near.ra_deg, "dec": near.dec_deg})
    for column in ("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag"):
        sky[column] = near.mag.astype(float) - 0.5
    with served(Script(sky=sky)) as script:
        gaia = Solving(index_folders=(), gaia=GaiaArchive(url=f"{script.url}/tap-server/tap"))
        both = run(store, gaia)
        assert len(script.queries) == 1
    difference = both["zero_point_mag"] - plain["zero_point_mag"]
    assert difference.to_numpy() == pytest.approx(-0.5, abs=0.03)
    header = fits.getheader(store.solved("far", SESSION) / "one.fits")
    assert "Gaia RP" in header.comments["MAGZP"]
    told: list[str] = []
    few = sky[near.ra_deg > CENTRE[0] + 5]
    with served(Script(sky=few)) as script:
        none = run(store, Solving(index_folders=(), gaia=GaiaArchive(
            url=f"{script.url}/tap-server/tap", faintest_mag=15)), told)  # fmt: skip
    assert none["zero_point_mag"].to_list() == plain["zero_point_mag"].to_list()
    assert any("2 of 2 frames have too few of Gaia's stars" in line for line in told)


def test_a_session_holds_stars_and_figures_not_pixels(tmp_path: Path) -> None:
    store = calibrated(tmp_path, {"a": (stars_of(truth(), 1), {})})
    found = measure(store.calibrated("far", SESSION) / "a.fits")
    assert len(found.stars) > 10
    assert len(pickle.dumps(found)) < SHAPE[0] * SHAPE[1] // 4


def test_a_solved_frame_is_the_calibrated_one_with_its_place_and_stars(tmp_path: Path) -> None:
    store = calibrated(tmp_path, {"a": (stars_of(truth(), 1), {})})
    table = run(store)
    assert table["solved"].all()
    before, after = (
        folder("far", SESSION) / "a.fits" for folder in (store.calibrated, store.solved)
    )
    with fits.open(before) as raw, fits.open(after, checksum=True) as made:  # sums that hold
        made.verify("exception")
        assert [hdu.name for hdu in made] == ["PRIMARY", "MASK", "STARS"]
        for number in (0, 1):
            np.testing.assert_array_equal(made[number].data, raw[number].data)
            assert made[number].header["DATASUM"] == raw[number].header["DATASUM"]
        assert len(made["STARS"].data) == table.loc["a", "n_stars"]
        assert WCS(made[0].header).wcs.crval == pytest.approx(truth().wcs.crval, abs=0.02)
    assert accepted_files(after.parent) == ([after] if table.loc["a", "accepted"] else [])
