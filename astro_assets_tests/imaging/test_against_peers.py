"""The same frames through ccdproc and photutils: where the method is the same, so is the result."""

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.stats import mad_std
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.background import Background2D, SExtractorBackground

from astro_assets.imaging.background import background
from astro_assets.imaging.calibrate import Masters, calibrate
from astro_assets.imaging.combine import sigma_clipped_mean
from astro_assets.imaging.stars import find_stars
from astro_assets.sim.defects import Defects
from astro_assets.sim.session import SimulatedSession, simulate_session

GAIN = 1.5


@pytest.fixture(scope="module")
def session() -> SimulatedSession:
    defects = Defects.none().with_only(
        "bias", "dark_current", "vignetting", "pixel_response", "read_noise", "shot_noise"
    )
    return simulate_session(seed=5, lights=1, bias=5, darks=5, flats=5, defects=defects)


def _ccd(image: np.ndarray, unit: str = "adu") -> CCDData:
    return CCDData(np.asarray(image, np.float64), unit=unit)


def test_a_combined_master_is_ccdprocs() -> None:
    rng = np.random.default_rng(3)
    frames = rng.normal(1000.0, 5.0, (9, 60, 70))
    frames[4, 10, 10] += 5000.0
    frames[7, 30, 60] -= 900.0
    theirs = ccdproc.combine(
        [_ccd(frame) for frame in frames],
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=100,
        sigma_clip_high_thresh=100,
        sigma_clip_func=np.ma.median,
        sigma_clip_dev_func=mad_std,
    )
    ours = sigma_clipped_mean(list(frames.astype(np.float32)), sigma=100.0)
    # A millionth of 1000: the rounding of float32.
    np.testing.assert_allclose(ours.image, theirs.data, rtol=3e-7)
    assert ours.rejected == 2


def test_a_calibrated_frame_is_ccdprocs(session: SimulatedSession) -> None:
    raw = session.lights[0].counts_adu.astype(np.float32)
    bias = np.mean(list(session.bias), axis=0, dtype=np.float32)
    dark = np.mean(list(session.darks), axis=0, dtype=np.float32) - bias
    rng = np.random.default_rng(1)
    flat = rng.uniform(0.7, 1.2, raw.shape).astype(np.float32)
    exposure_s, dark_s = 60.0, 120.0
    theirs = ccdproc.subtract_dark(
        ccdproc.subtract_bias(_ccd(raw), _ccd(bias)),
        _ccd(dark),
        dark_exposure=dark_s * u.s,
        data_exposure=exposure_s * u.s,
        scale=True,
    )
    theirs = ccdproc.flat_correct(theirs, _ccd(flat, ""), norm_value=1.0)
    theirs = ccdproc.gain_correct(theirs, GAIN * u.electron / u.adu)
    ours = calibrate(
        raw,
        masters=Masters(bias=bias, dark=dark, dark_exposure_s=dark_s, flat=flat),
        exposure_s=exposure_s,
        gain_e_per_adu=GAIN,
        saturation_adu=None,
    )
    assert theirs.unit == u.electron
    np.testing.assert_allclose(ours.image_e, theirs.data, rtol=2e-6, atol=2e-3)


def test_sky_and_star_fluxes_are_photutils(session: SimulatedSession) -> None:
    image = session.lights[0].image_e.astype(np.float32)
    image = np.random.default_rng(8).normal(image, np.sqrt(image)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    ours = background(image, mask)
    # The same estimator; the rounds of clipping before it are each library's own.
    theirs = Background2D(image, 64, bkg_estimator=SExtractorBackground())
    assert ours.median_e == pytest.approx(theirs.background_median, abs=0.1 * ours.rms_e)
    stars = find_stars(image, mask)
    border = 15
    good = stars[
        (stars["snr"] > 100)
        & stars["x"].between(border, image.shape[1] - border)
        & stars["y"].between(border, image.shape[0] - border)
    ]
    apart = [
        np.sort(np.hypot(stars["x"] - row.x, stars["y"] - row.y))[1] > 25
        for row in good.itertuples()
    ]
    good = good[apart]
    assert len(good) >= 5
    positions = np.transpose([good["x"], good["y"]])
    table = aperture_photometry(image - ours.level, CircularAperture(positions, r=10.0))
    ratio = good["flux_e"].to_numpy() / np.asarray(table["aperture_sum"])
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)
