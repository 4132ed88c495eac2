"""Fitting a WCS through pairs, with outliers and with distortion."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.imaging.wcs_fit import Pairs, fit_wcs, residuals_arcsec, scale_arcsec, to_pixels

SHAPE = (800, 1000)


def true_wcs(ra_deg: float, dec_deg: float, *, turn_deg: float = 33.0, mirrored: int = 1) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [480.0, 390.0]
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    wcs.wcs.cd = 3.5 / 3600 * np.array([[-cos * mirrored, sin], [sin * mirrored, cos]])
    wcs.wcs.set()
    return wcs


def pairs_of(
    wcs: WCS, count: int, *, seed: int, noise_px: float = 0.1, bend: float = 0.0
) -> tuple[Pairs, Pairs]:
    """Noisy pairs, and the same without noise; ``bend`` px of distortion at the edge."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SHAPE[1], count), rng.uniform(0, SHAPE[0], count)
    u, v = (x - 499.5) / 500, (y - 399.5) / 500
    straight_x, straight_y = x + bend * u * (u**2 + v**2), y + bend * v * (u**2 + v**2)
    ra, dec = wcs.all_pix2world(straight_x, straight_y, 0)
    noisy = Pairs(x + rng.normal(0, noise_px, count), y + rng.normal(0, noise_px, count), ra, dec)
    return noisy, Pairs(x, y, ra, dec)


@pytest.mark.parametrize("place", [(83.0, -5.0), (359.99, 40.0), (120.0, 89.7), (10.0, -89.9)])
@pytest.mark.parametrize("mirrored", [1, -1])
def test_plane_is_recovered_anywhere(place: tuple[float, float], mirrored: int) -> None:
    truth = true_wcs(*place, mirrored=mirrored)
    noisy, clean = pairs_of(truth, 30, seed=1)
    wcs, keep = fit_wcs(noisy, SHAPE, truth, sip=True)
    assert keep.sum() >= 27
    assert wcs.sip is None
    assert residuals_arcsec(wcs, clean).max() < 0.15 * 3.5
    assert scale_arcsec(wcs) == pytest.approx(3.5, rel=1e-3)
    assert list(wcs.wcs.crpix) == [500.5, 400.5]


@pytest.mark.parametrize("seed", [2, 3])
def test_wrong_pairs_are_left_out(seed: int) -> None:
    truth = true_wcs(83, -5)
    noisy, clean = pairs_of(truth, 40, seed=seed)
    wrong = np.arange(40) % 4 == 0
    shifted = np.where(wrong, noisy.x + 4, noisy.x)
    wcs, keep = fit_wcs(
        Pairs(shifted, noisy.y, noisy.ra_deg, noisy.dec_deg), SHAPE, truth, sip=True
    )
    assert not keep[wrong].any()
    assert residuals_arcsec(wcs, clean).max() < 0.15 * 3.5


@pytest.mark.parametrize("seed", [4, 5])
def test_distortion_is_followed_and_inverted(seed: int) -> None:
    truth = true_wcs(56, 24)
    noisy, clean = pairs_of(truth, 200, seed=seed, bend=3.0)
    wcs, keep = fit_wcs(noisy, SHAPE, truth, sip=True)
    assert wcs.sip is not None
    assert wcs.sip.a_order == 3
    assert keep.sum() > 190
    assert np.sqrt((residuals_arcsec(wcs, clean) ** 2).mean()) < 0.05 * 3.5
    x, y = to_pixels(wcs, clean.ra_deg, clean.dec_deg)
    assert np.hypot(x - clean.x, y - clean.y).max() < 0.3
    # AP and BP serve programs that do not iterate.
    again = np.column_stack(wcs.sip_foc2pix(wcs.sip_pix2foc(
        np.column_stack([clean.x, clean.y]), 0), 0))  # fmt: skip
    np.testing.assert_allclose(again.T, np.column_stack([clean.x, clean.y]), atol=0.05)


def test_distortion_survives_a_header() -> None:
    truth = true_wcs(56, 24)
    noisy, clean = pairs_of(truth, 200, seed=6, bend=3.0)
    wcs, _ = fit_wcs(noisy, SHAPE, truth, sip=True)
    back = WCS(fits.Header.fromstring(wcs.to_header(relax=True).tostring()))
    np.testing.assert_allclose(
        back.all_pix2world(clean.x, clean.y, 0), wcs.all_pix2world(clean.x, clean.y, 0), atol=1e-7
    )


def test_no_distortion_is_invented() -> None:
    truth = true_wcs(56, 24)
    assert fit_wcs(pairs_of(truth, 200, seed=7)[0], SHAPE, truth, sip=True)[0].sip is None
    few = pairs_of(truth, 30, seed=8, bend=3.0)[0]
    assert fit_wcs(few, SHAPE, truth, sip=True)[0].sip is None
