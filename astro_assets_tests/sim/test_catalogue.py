"""The data that come with the package: are they the real sky, and do they solve real frames?"""

from pathlib import Path

import astrometry
import numpy as np
import pytest
import sep
from astropy.io import fits

import astro_assets
from astro_assets.data import CATALOGUE, INDEX_FILES
from astro_assets.sim.catalogue import stars_near

REAL_FRAMES = Path(astro_assets.__file__).parents[2] / "shared" / "data" / "seestar_m94"
DEBIAN_INDEX = Path("/usr/share/astrometry/index-tycho2-07.littleendian.fits")


def index_stars(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors and V_T of the stars in an index file."""
    with fits.open(path) as hdus:
        tables = {hdu.columns.names[0]: hdu.data for hdu in hdus[1:]}
        limits = np.frombuffer(tables["kdtree_range_stars"].tobytes(), "<f8")
        integers = np.frombuffer(tables["kdtree_data_stars"].tobytes(), "<u4").reshape(-1, 3)
        return limits[:3] + integers / limits[6], tables["MAG_VT"]["MAG_VT"].astype(float)


def unit_vectors(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def unmatched(xyz: np.ndarray, mag: np.ndarray, other_xyz: np.ndarray, other: np.ndarray) -> int:
    """Stars without a counterpart of the same brightness within 0.01″."""
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(other_xyz).query(xyz)
    same = (np.degrees(distance) * 3600 < 0.01) & (np.abs(mag - other[nearest]) < 1e-4)
    return int((~same).sum())


@pytest.fixture(scope="module")
def catalogue() -> tuple[np.ndarray, np.ndarray]:
    with fits.open(CATALOGUE) as hdus:
        table = hdus["STARS"].data
        return (
            unit_vectors(table["ra_deg"].astype(float), table["dec_deg"].astype(float)),
            table["vt_mag"].astype(float),
        )


def test_data_are_small() -> None:
    assert len(INDEX_FILES) >= 4
    assert sum(path.stat().st_size for path in (*INDEX_FILES, CATALOGUE)) < 6e6


@pytest.mark.parametrize("path", INDEX_FILES, ids=lambda path: path.name)
def test_index_stars_are_the_catalogue_s(
    path: Path, catalogue: tuple[np.ndarray, np.ndarray]
) -> None:
    xyz, mag = index_stars(path)
    assert len(mag) > 3000
    assert unmatched(xyz, mag, *catalogue) == 0


@pytest.mark.skipif(not DEBIAN_INDEX.exists(), reason="astrometry-data-tycho2-07 not installed")
def test_catalogue_is_tycho_2(catalogue: tuple[np.ndarray, np.ndarray]) -> None:
    assert unmatched(*catalogue, *index_stars(DEBIAN_INDEX)) == 0


@pytest.mark.skipif(not REAL_FRAMES.is_dir(), reason="no real frames beside the project")
def test_real_frames_of_m94_solve_with_the_index() -> None:
    solver = astrometry.Solver(list(INDEX_FILES))
    for path in sorted(REAL_FRAMES.glob("*.fit"))[::5]:
        raw = fits.getdata(path).astype(np.float32)
        grey = np.ascontiguousarray(raw[:-1, :-1] + raw[1:, 1:] + raw[:-1, 1:] + raw[1:, :-1]) / 4
        level = sep.Background(grey)
        stars = sep.extract(grey - level.back(), 5, err=level.globalrms, minarea=7)
        stars = stars[np.argsort(-stars["flux"])][:60]
        solution = solver.solve(
            stars=np.stack([stars["x"] + 1.5, stars["y"] + 1.5], axis=1),
            size_hint=astrometry.SizeHint(2.0, 2.8),
            position_hint=None,
            solution_parameters=astrometry.SolutionParameters(
                logodds_callback=lambda odds: astrometry.Action.STOP
            ),
        )
        assert solution.has_match(), path.name
        match = solution.best_match()
        assert match.center_ra_deg == pytest.approx(192.72, abs=0.1)
        assert match.center_dec_deg == pytest.approx(41.11, abs=0.1)
        assert match.scale_arcsec_per_pixel == pytest.approx(2.37, rel=0.03)
        assert all(4 < star.metadata["MAG_VT"] < 14 for star in match.stars)


def test_stars_near_gives_all_stars_of_a_circle_and_no_other() -> None:
    stars = stars_near(56.75, 24.12, 1.5, seed=1)
    inside = (
        unit_vectors(stars.ra_deg, stars.dec_deg)
        @ unit_vectors(np.array([56.75]), np.array([24.12])).T
    )
    wider = stars_near(56.75, 24.12, 2.0, seed=1)
    assert np.degrees(np.arccos(inside.min())) < 1.5
    assert len(wider.number) > 1.5 * len(stars.number) > 100
    assert np.all(np.diff(stars.vt_mag) >= 0)


def test_colours_belong_to_seed_and_star() -> None:
    small, wide = stars_near(56.75, 24.12, 1.0, seed=1), stars_near(56.75, 24.12, 2.0, seed=1)
    other = stars_near(56.75, 24.12, 1.0, seed=2)
    same = np.isin(wide.number, small.number)
    assert np.array_equal(wide.bv_mag[same], small.bv_mag)
    assert not np.array_equal(other.bv_mag, small.bv_mag)
    assert np.array_equal(other.vt_mag, small.vt_mag)
    assert small.bv_mag.min() > -0.4
    assert small.bv_mag.max() < 2.0


def test_red_stars_are_faint_in_blue() -> None:
    stars = stars_near(56.75, 24.12, 2.0, seed=1)
    reddest = np.argmax(stars.bv_mag)
    assert stars.magnitude("B")[reddest] > stars.magnitude("G")[reddest]
    assert stars.magnitude("R")[reddest] < stars.magnitude("G")[reddest]
