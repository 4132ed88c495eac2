"""Gaia's archive as an alternative for magnitudes: bounded, remembered, done without if need be."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS

from astro_assets.errors import SourceUnreachable
from astro_assets.imaging.photometry import zero_point
from astro_assets.imaging.solve import Solution
from astro_assets.settings import GaiaArchive
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.photometric import GaiaMagnitudes
from astro_assets.store import Store
from astro_assets_tests.steps.online import Script, served

CENTRE = (83.8, -5.4)
SCALE_ARCSEC = 2.0
EXPOSURE_S = 30.0
ZERO_POINTS = {"L": ("Gaia G", 22.0), "B": ("Gaia BP", 21.5), "Ha": ("Gaia RP", 19.0)}


def wcs() -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = CENTRE, (400.5, 300.5)
    wcs.wcs.cd = SCALE_ARCSEC / 3600 * np.diag([-1, 1])
    return wcs


def sky() -> Table:
    rng = np.random.default_rng(5)
    x, y, g = rng.uniform(10, 790, 80), rng.uniform(10, 590, 80), np.sort(rng.uniform(9, 14, 80))
    ra, dec = wcs().all_pix2world(x, y, 0)
    bp = MaskedColumn(g + rng.uniform(0.2, 1, 80), mask=np.arange(80) % 20 == 0)
    return Table({"ra": ra, "dec": dec, "phot_g_mean_mag": g, "phot_bp_mean_mag": bp,
                  "phot_rp_mean_mag": g - 0.6})  # fmt: skip


@pytest.fixture
def script() -> Iterator[Script]:
    with served(Script(sky=sky())) as script:
        yield script


def archive(script: Script, **bounds: Any) -> GaiaArchive:
    return GaiaArchive.model_validate({"url": f"{script.url}/tap-server/tap", **bounds})


def frame(filter_name: str) -> tuple[Solution, Any]:
    """A solved frame with all of Gaia's stars in it, and its zero point in that filter."""
    band, zero_mag = ZERO_POINTS[filter_name]
    table = sky()
    mag = table[f"phot_{band.split()[1].lower()}_mean_mag"].filled(12.0) if band == "Gaia BP" else (
        table[f"phot_{band.split()[1].lower()}_mean_mag"])  # fmt: skip
    x, y = wcs().all_world2pix(table["ra"], table["dec"], 0)
    flux_e = EXPOSURE_S * 10 ** (0.4 * (zero_mag - np.asarray(mag)))
    stars = pd.DataFrame({"x": x, "y": y, "flux_e": flux_e, "snr": 100.0, "saturated": False,
                          "missing": 0.0})  # fmt: skip
    solution = Solution(wcs(), 0.1, 20, pd.DataFrame({"star": [0], "mag": [9.0]}), SCALE_ARCSEC)
    image = np.zeros((600, 800), np.float32)
    return solution, SimpleNamespace(
        stars=stars, shape=image.shape, frame=SimpleNamespace(filter=filter_name)
    )


@pytest.mark.parametrize("filter_name", ZERO_POINTS)
def test_zero_points_are_gaias_in_the_filters_band(
    script: Script, tmp_path: Path, filter_name: str
) -> None:
    solution, measured = frame(filter_name)
    told: list[str] = []
    found = GaiaMagnitudes(archive(script), Store(tmp_path), told.append).applied(
        solution, measured
    )
    zero = zero_point(measured.stars, found.matches, EXPOSURE_S)
    assert zero is not None
    assert zero.mag == pytest.approx(ZERO_POINTS[filter_name][1], abs=0.001)
    assert zero.n >= 70
    assert (found.band, found.n_matched) == (ZERO_POINTS[filter_name][0], 20)
    assert told == []


def test_the_query_is_one_circle_with_limits(script: Script, tmp_path: Path) -> None:
    GaiaClient(archive(script, faintest_mag=15), Store(tmp_path)).around(*CENTRE, 0.278)
    (query,) = script.queries
    assert "SELECT TOP 2000 ra, dec, phot_g_mean_mag" in query
    assert "CIRCLE('ICRS', 83.8000, -5.4000, 0.3500)" in query
    assert "phot_g_mean_mag < 15" in query


def test_a_field_is_asked_for_once(script: Script, tmp_path: Path) -> None:
    """AstroPhotography asks the network for each image."""
    client = GaiaClient(archive(script), Store(tmp_path))
    first = client.around(*CENTRE, 0.3)
    client.around(CENTRE[0] + 0.01, CENTRE[1] - 0.01, 0.29)
    again = GaiaClient(archive(script), Store(tmp_path)).around(*CENTRE, 0.3)
    assert len(script.queries) == 1
    np.testing.assert_array_equal(first.g_mag, again.g_mag)
    assert np.isnan(first.bp_mag[0])


def test_a_session_asks_for_so_many_fields(script: Script, tmp_path: Path) -> None:
    client = GaiaClient(archive(script, max_fields=2), Store(tmp_path))
    client.around(10, 10, 0.3)
    client.around(20, 10, 0.3)
    with pytest.raises(SourceUnreachable, match="max_fields"):
        client.around(30, 10, 0.3)
    assert len(script.queries) == 2


@pytest.mark.parametrize("behaviour", ["breaks", "says nonsense", "is silent"])
def test_without_the_archive_the_index_files_serve_and_it_is_said(
    script: Script, tmp_path: Path, behaviour: str
) -> None:
    script.behaviour = behaviour
    solution, measured = frame("L")
    told: list[str] = []
    gaia = GaiaMagnitudes(archive(script, wait_s=0.5), Store(tmp_path), told.append)
    began_s = time.monotonic()
    assert gaia.applied(solution, measured) is solution
    assert gaia.applied(solution, measured) is solution
    assert time.monotonic() - began_s < 25
    assert len(script.asked) == 1
    assert len(told) == 1
    assert "gave no stars" in told[0]
    assert "index files' magnitudes" in told[0]


def test_nobody_there(tmp_path: Path) -> None:
    with served(Script()) as gone:
        pass
    with pytest.raises(SourceUnreachable, match="gave no stars"):
        GaiaClient(archive(gone, wait_s=1), Store(tmp_path)).around(*CENTRE, 0.3)


def test_too_few_stars_in_common_leave_the_magnitudes_alone(script: Script, tmp_path: Path) -> None:
    solution, measured = frame("L")
    measured.stars = measured.stars.assign(x=measured.stars["x"] + 20)
    found = GaiaMagnitudes(archive(script), Store(tmp_path), print).applied(solution, measured)
    assert found is solution
