"""Index files: which serve a field, and the stars in them."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.data import CATALOGUE, INDEX_FILES
from astro_assets.errors import NoSolverIndex
from astro_assets.steps.catalogue import index_files, index_stars, open_solver

M94 = (192.72, 41.12)


def test_own_files_serve_the_demo_fields() -> None:
    paths = index_files([], (1920, 1080), 2.37, M94)
    assert paths
    assert set(paths) <= set(INDEX_FILES)
    assert open_solver(paths) is open_solver(paths)


def test_scale_chooses_the_files() -> None:
    narrow = index_files([], (1000, 1000), 2.0)
    wide = index_files([], (700, 700), 15.0)
    assert INDEX_FILES[0] in narrow
    assert INDEX_FILES[-1] in wide
    assert INDEX_FILES[-1] not in narrow
    assert set(index_files([], (700, 700), None)) == set(INDEX_FILES)


def test_stars_are_those_of_the_catalogue_each_once() -> None:
    stars = index_stars(INDEX_FILES)
    with fits.open(CATALOGUE) as hdus:
        truth = hdus[1].data
        assert len(stars) == len(truth)
        mine, theirs = np.lexsort([stars.dec_deg, stars.mag]), np.lexsort(
            [truth["dec_deg"], truth["vt_mag"]]
        )  # fmt: skip
        np.testing.assert_allclose(stars.dec_deg[mine], truth["dec_deg"][theirs], atol=1e-6)
        np.testing.assert_allclose(stars.ra_deg[mine], truth["ra_deg"][theirs], atol=1e-5)
        np.testing.assert_allclose(stars.mag[mine], truth["vt_mag"][theirs], atol=1e-4)


def test_stars_near_a_point_brightest_first() -> None:
    near = index_stars(INDEX_FILES).near(*M94, 0.5)
    assert 5 < len(near) < 200
    assert (np.diff(near.mag) >= 0).all()
    assert (np.abs(near.dec_deg - M94[1]) <= 0.5).all()


@pytest.mark.parametrize(
    ("shape", "scale_arcsec", "position", "what"),
    [
        ((1000, 1000), 200.0, None, "astrometry-data-tycho2"),
        ((1000, 1000), 2.4, (0.0, -60.0), "astrometry-data-tycho2"),
        ((500, 500), 0.5, None, "5200 series"),
    ],
)
def test_missing_index_names_what_to_install(
    shape: tuple[int, int],
    scale_arcsec: float,
    position: tuple[float, float] | None,
    what: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(NoSolverIndex, match=what):
        index_files([tmp_path, tmp_path / "not there"], shape, scale_arcsec, position)
