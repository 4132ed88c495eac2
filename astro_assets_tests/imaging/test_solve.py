"""Solving, on made-up frames of real star positions and on real frames."""

import shutil
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import astrometry
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import convolve

from astro_assets.data import INDEX_FILES
from astro_assets.errors import NotSolved
from astro_assets.imaging.catalogue import CatalogueStars
from astro_assets.imaging.solve import Hint, Solution, refine, solve
from astro_assets.imaging.stars import find_stars
from astro_assets.imaging.wcs_fit import to_pixels
from astro_assets.steps.catalogue import index_files, index_stars, open_solver

SHAPE = (800, 960)
SCALE_ARCSEC = 3.5
NGC7000 = (314.7, 44.3)
M45 = (56.75, 24.12)
REAL_FRAMES = Path(__file__).parents[3] / "shared" / "data" / "seestar_m94"
DEBIAN_INDEX = Path("/usr/share/astrometry")


@lru_cache(maxsize=1)
def sky() -> tuple[astrometry.Solver, CatalogueStars]:
    return open_solver(INDEX_FILES), index_stars(INDEX_FILES)


def pointing(
    centre: tuple[float, float],
    *,
    shape: tuple[int, int] = SHAPE,
    scale_arcsec: float = SCALE_ARCSEC,
    turn_deg: float = 20.0,
    mirrored: bool = False,
    shift_px: tuple[float, float] = (0, 0),
) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = centre
    wcs.wcs.crpix = np.add([shape[1] / 2, shape[0] / 2], shift_px)
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    side = 1 if mirrored else -1
    wcs.wcs.cd = scale_arcsec / 3600 * np.array([[side * cos, sin], [-side * sin, cos]])
    wcs.wcs.set()
    return wcs


def seen(
    truth: WCS, *, seed: int, shape: tuple[int, int] = SHAPE, noise_px: float = 0.1
) -> pd.DataFrame:
    """A star table of that pointing: nine tenths of the catalogue, and half as many strangers."""
    rng = np.random.default_rng(seed)
    catalogue = sky()[1]
    near = catalogue.near(*truth.wcs.crval, 4)
    x, y = to_pixels(truth, near.ra_deg, near.dec_deg)
    inside = (x > 3) & (x < shape[1] - 4) & (y > 3) & (y < shape[0] - 4)
    inside &= rng.uniform(size=len(x)) < 0.9
    count = int(inside.sum())
    strangers = count // 2
    flux = 10 ** (-0.4 * np.concatenate([near.mag[inside], rng.uniform(10, 13, strangers)]))
    table = pd.DataFrame(
        {
            "x": np.concatenate([x[inside], rng.uniform(0, shape[1], strangers)]),
            "y": np.concatenate([y[inside], rng.uniform(0, shape[0], strangers)]),
            "flux_e": flux * rng.lognormal(0, 0.2, count + strangers),
        }
    )
    table[["x", "y"]] += rng.normal(0, noise_px, (len(table), 2))
    return table.sort_values("flux_e", ascending=False, ignore_index=True)


def off_px(solution: Solution, truth: WCS, shape: tuple[int, int] = SHAPE) -> float:
    """Largest error of the solution over the frame."""
    x, y = (
        part.ravel() for part in np.meshgrid(np.arange(0, shape[1], 50), np.arange(0, shape[0], 50))
    )
    there = to_pixels(truth, *solution.wcs.all_pix2world(x, y, 0))
    return float(np.hypot(there[0] - x, there[1] - y).max())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_solved_near_the_hint(seed: int, mirrored: bool) -> None:
    truth = pointing(NGC7000, turn_deg=67 * seed, mirrored=mirrored)
    stars = seen(truth, seed=seed)
    hint = Hint(NGC7000[0] + 0.8, NGC7000[1] - 0.5, SCALE_ARCSEC * 1.1)
    solution = solve(stars, SHAPE, *sky(), hint)
    assert off_px(solution, truth) < 0.2
    assert solution.residual_arcsec < 0.3 * SCALE_ARCSEC
    assert solution.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-3)
    assert solution.n_matched == len(solution.matches) >= 0.8 * len(stars) * 2 / 3
    rows = stars.iloc[solution.matches["star"]]
    np.testing.assert_array_equal(rows["x"], solution.matches["x"])
    assert solution.wcs.pixel_shape == (SHAPE[1], SHAPE[0])


@pytest.mark.parametrize(
    "hint",
    [Hint(100.0, -50.0, 15.0), Hint(None, None, 15.0), Hint(*M45, None), Hint(*M45, 3.0), None],
    ids=["wrong place", "scale only", "place only", "wrong scale", "nothing"],
)
def test_solved_without_a_good_hint(hint: Hint | None) -> None:
    shape = (700, 700)
    truth = pointing(M45, shape=shape, scale_arcsec=15, turn_deg=-110)
    solution = solve(seen(truth, seed=4, shape=shape), shape, *sky(), hint)
    assert off_px(solution, truth, shape) < 0.2


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize(
    ("shift_px", "turn_deg"), [((12, -9), 0.3), ((150, 120), 0.0), ((0, 0), -0.5)]
)
def test_next_frame_of_a_pointing_is_refined(
    seed: int, shift_px: tuple[float, float], turn_deg: float
) -> None:
    first = pointing(NGC7000)
    truth = pointing(NGC7000, shift_px=shift_px, turn_deg=20 + turn_deg)
    solution = refine(seen(truth, seed=seed), first, sky()[1], SHAPE)
    assert off_px(solution, truth) < 0.2


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_another_field_is_not_refined_into_this_one(seed: int) -> None:
    stars = seen(pointing((83.8, -5.4)), seed=seed)
    with pytest.raises(NotSolved):
        refine(stars, pointing(NGC7000), sky()[1], SHAPE)


@pytest.mark.parametrize("seed", [11, 12])
def test_chance_pairs_are_no_solution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = pd.DataFrame({"x": rng.uniform(0, 250, 500), "y": rng.uniform(0, 250, 500)})
    wide = pointing(M45, shape=(250, 250), scale_arcsec=30)
    with pytest.raises(NotSolved, match="catalogue stars lie where"):
        refine(crowd, wide, sky()[1], (250, 250))


def strangers() -> pd.DataFrame:
    rng = np.random.default_rng(10)
    return pd.DataFrame({"x": rng.uniform(0, 700, 300), "y": rng.uniform(0, 700, 300)})


def test_what_was_tried_is_said() -> None:
    with pytest.raises(NotSolved, match=r"No place on the sky.*314\.70.*3\.50″.*blind"):
        solve(strangers(), (700, 700), *sky(), Hint(*NGC7000, SCALE_ARCSEC))


@pytest.mark.skipif(
    not list(DEBIAN_INDEX.glob("index-tycho2-08*")), reason="no Debian index files"
)  # fmt: skip
def test_no_stars_no_solution_in_bounded_time() -> None:
    """The whole sky's index, a wide field: the costliest search there is."""
    solver = open_solver(index_files([DEBIAN_INDEX], (700, 700), 15.0))
    began_s = time.process_time()
    with pytest.raises(NotSolved):
        solve(strangers(), (700, 700), solver, sky()[1], Hint(*M45, 15.0))
    assert time.process_time() - began_s < 10


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_stars_are_said(count: int) -> None:
    few = pd.DataFrame({"x": np.arange(count) * 50.0, "y": np.arange(count) * 70.0 % 300})
    with pytest.raises(NotSolved, match=f"Only {count} stars"):
        solve(few, SHAPE, *sky(), None)


def luminance(frame: Path) -> np.ndarray:
    """A Bayer frame without its pattern: each pixel from one red, one blue and two greens."""
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / np.float32(16)
    return np.asarray(convolve(fits.getdata(frame).astype(np.float32), kernel))


def solve_field(image: np.ndarray, folder: Path) -> WCS:
    """What astrometry.net's own program says; a plane, for a dozen stars hold no more."""
    fits.writeto(folder / "frame.fits", image)
    (folder / "config").write_text(f"add_path {DEBIAN_INDEX}\nautoindex\n")
    words = (
        "solve-field --config config --no-plots --scale-units arcsecperpix --scale-low 1.9 "
        "--scale-high 2.9 --ra 193 --dec 41 --radius 3 --tweak-order 1 frame.fits"
    )
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True, timeout=120)
    header = fits.getheader(folder / "frame.wcs")
    return WCS(header, naxis=2) if header["NAXIS"] else WCS(_sized(header, image.shape))


def _sized(header: fits.Header, shape: tuple[int, ...]) -> fits.Header:
    """The program's header without its image's missing size, which astropy warns of."""
    sized = header.copy()
    sized["NAXIS"] = 2
    sized.insert("NAXIS", ("NAXIS1", shape[1]), after=True)
    sized.insert("NAXIS1", ("NAXIS2", shape[0]), after=True)
    return sized


@pytest.mark.skipif(not REAL_FRAMES.is_dir(), reason="no real frames in ../shared/data")
@pytest.mark.parametrize("number", range(11))
def test_real_frames_solve_with_the_own_index(number: int) -> None:
    frame = sorted(REAL_FRAMES.glob("*.fit"))[number]
    image = luminance(frame)
    stars = find_stars(image, np.zeros(image.shape, np.uint8))
    solution = solve(stars, image.shape, *sky(), Hint(193.0, 40.98, 2.39))
    assert 40 <= len(stars) <= 200
    assert solution.residual_arcsec < 2
    assert solution.n_matched >= 10


@pytest.mark.skipif(not REAL_FRAMES.is_dir(), reason="no real frames in ../shared/data")
@pytest.mark.skipif(shutil.which("solve-field") is None, reason="solve-field is not installed")
@pytest.mark.skipif(
    not list(DEBIAN_INDEX.glob("index-tycho2-08*")), reason="no Debian index files"
)  # fmt: skip
@pytest.mark.parametrize("number", [0, 3, 10])
def test_real_frames_agree_with_solve_field(number: int, tmp_path: Path) -> None:
    image = luminance(sorted(REAL_FRAMES.glob("*.fit"))[number])
    stars = find_stars(image, np.zeros(image.shape, np.uint8))
    paths = index_files([], image.shape, 2.39)
    solution = solve(
        stars, image.shape, open_solver(paths), index_stars(paths), Hint(193.0, 40.98, 2.39)
    )
    theirs = solve_field(image, tmp_path)
    x, y = (part.ravel() for part in np.meshgrid([0, 540, 1079], [0, 960, 1919]))
    ra, dec = solution.wcs.all_pix2world(x, y, 0)
    their_ra, their_dec = theirs.all_pix2world(x, y, 0)
    off_arcsec = 3600 * np.hypot((ra - their_ra) * np.cos(np.radians(dec)), dec - their_dec)
    assert off_arcsec[4] < 1
    assert off_arcsec.max() < 3
