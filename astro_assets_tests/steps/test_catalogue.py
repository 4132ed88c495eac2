"""Index files: which serve a field, and the stars in them."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.data import CATALOGUE, INDEX_FILES
from astro_assets.errors import NoSolverIndex
from astro_assets.steps.catalogue import _PACKAGES, index_files, index_stars, open_solver

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
        ((1000, 1000), None, (0.0, -60.0), "No astrometry.net index file was found.*tycho2,"),
        ((1000, 1000), 200.0, None, "3333′ × 3333′.*package astrometry-data-tycho2-10-19,"),
        ((1000, 1000), 2.4, (0.0, -60.0), "40′ × 40′.*tycho2-07 or astrometry-data-tycho2-08,"),
        ((1000, 1500), 1.0, (0.0, -60.0), "25′ × 17′.*package astrometry-data-tycho2-07,"),
        ((500, 500), 0.5, None, "4′ × 4′.*begin at 22′.*index-5200-.*index-5202-.*5200 series"),
        ((1000, 1000), 1.2, (0.0, -60.0), "20′ × 20′.*index-5200-.*index-5206-"),
        ((100, 100), 0.5, None, "none so small.*pixel scale"),
    ],
)
def test_missing_index_names_what_to_install(
    shape: tuple[int, int],
    scale_arcsec: float | None,
    position: tuple[float, float] | None,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("astro_assets.steps.catalogue.INDEX_FILES", ())
    with pytest.raises(NoSolverIndex, match=what):
        index_files([tmp_path, tmp_path / "not there"], shape, scale_arcsec, position)


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="no Debian")
def test_the_packages_that_are_named_are_debians() -> None:
    said = subprocess.run(
        ["apt-cache", "search", "--names-only", "^astrometry-data-tycho2"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    if not said:
        pytest.skip("apt's lists are empty here")
    for name, low, _ in _PACKAGES:
        assert f"{name} - Astrometry.net Tycho-2 index files ({low:g}'-" in said
