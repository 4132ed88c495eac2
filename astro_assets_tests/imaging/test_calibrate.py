"""Calibration against plain arithmetic and the simulated truth, and its refusals."""

import numpy as np
import pytest

from astro_assets.errors import NoMatchingMaster
from astro_assets.imaging.calibrate import Masters, adopt, calibrate
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.masters import master_bias, master_dark, master_flat
from astro_assets.imaging.overscan import trim_overscan
from astro_assets.sim.cameras import ASI, T20
from astro_assets.sim.session import simulate_session, small_camera

SHAPE = (40, 50)
BIAS = np.random.default_rng(1).normal(300, 5, SHAPE).astype(np.float32)
DARK = np.random.default_rng(2).uniform(0, 60, SHAPE).astype(np.float32)
FLAT = np.random.default_rng(3).uniform(0.5, 1.2, SHAPE).astype(np.float32)
RAW = np.random.default_rng(4).integers(500, 60000, SHAPE).astype(np.uint16)


def run(raw=RAW, exposure_s=30.0, pedestal_adu=0.0, saturation_adu=59000.0, **masters):
    return calibrate(
        raw,
        masters=Masters(**masters),
        exposure_s=exposure_s,
        gain_e_per_adu=1.5,
        saturation_adu=saturation_adu,
        pedestal_adu=pedestal_adu,
    )


@pytest.mark.parametrize("dtype", [np.uint16, ">u2", ">i4", ">f4", np.float64])
def test_equals_plain_arithmetic(dtype):
    done = run(RAW.astype(dtype), bias=BIAS, dark=DARK, dark_exposure_s=60.0, flat=FLAT)
    expected = (RAW - BIAS.astype(float) - 0.5 * DARK) / FLAT * 1.5
    np.testing.assert_allclose(done.image_e, expected, rtol=1e-5)
    np.testing.assert_array_equal(done.mask, np.where(RAW >= 59000, MaskBit.SATURATED, 0))
    assert done.image_e.dtype == np.float32
    assert done.steps == ("bias", "dark × 0.5", "flat", "gain 1.5 e/ADU")


def test_dark_that_holds_its_bias_takes_the_bias_off_once():
    with_bias = run(bias=BIAS, dark=DARK + BIAS, dark_exposure_s=30.0, dark_has_bias=True)
    np.testing.assert_allclose(with_bias.image_e, (RAW - BIAS - DARK) * 1.5, rtol=1e-5)
    without = run(dark=DARK + BIAS, dark_exposure_s=30.0, dark_has_bias=True)
    np.testing.assert_array_equal(without.image_e, with_bias.image_e)
    assert without.steps[0] == "bias and dark"


def test_dark_with_bias_is_scaled_only_without_it():
    scaled = run(bias=BIAS, dark=DARK + BIAS, dark_exposure_s=60.0, dark_has_bias=True)
    np.testing.assert_allclose(scaled.image_e, (RAW - BIAS - 0.5 * DARK) * 1.5, rtol=1e-5)
    with pytest.raises(NoMatchingMaster, match="still holds its bias"):
        run(dark=DARK + BIAS, dark_exposure_s=60.0, dark_has_bias=True)


@pytest.mark.parametrize("sign", [1, -1])
def test_pedestal_is_taken_off_once(sign):
    plain = run(bias=BIAS, flat=FLAT, saturation_adu=None)
    raised = run(RAW + np.uint16(100), bias=BIAS, flat=FLAT, pedestal_adu=sign * 100.0)
    np.testing.assert_allclose(raised.image_e, plain.image_e, rtol=1e-5)
    assert raised.steps[0] == "pedestal 100 ADU"


def test_mask_bits():
    flat, bias = FLAT.copy(), BIAS.copy()
    flat[0, 0], flat[0, 1], flat[0, 2] = 0.05, 0.0, np.nan
    bias[0, 3] = np.nan
    bad = np.zeros(SHAPE, np.uint8)
    bad[1, 1], bad[1, 2] = MaskBit.BAD, MaskBit.USER
    raw = np.full(SHAPE, 1000, np.uint16)
    raw[1, 1] = raw[2, 2] = 65535
    done = run(raw, bias=bias, flat=flat, bad_pixels=bad)
    assert (done.mask[0, :4] == MaskBit.NO_DATA).all()
    assert (done.image_e[0, :4] == 0).all()
    assert done.mask[1, 1] == MaskBit.BAD | MaskBit.SATURATED
    assert done.mask[1, 2] == MaskBit.USER
    assert done.mask[2, 2] == MaskBit.SATURATED
    assert np.count_nonzero(done.mask) == 7
    assert np.isfinite(done.image_e).all()


def test_arguments_stay_as_they_are():
    raw, bias, flat = RAW.copy(), BIAS.copy(), FLAT.copy()
    done = run(raw, bias=bias, flat=flat)
    done.image_e[:] = 0
    np.testing.assert_array_equal(raw, RAW)
    np.testing.assert_array_equal(bias, BIAS)
    np.testing.assert_array_equal(flat, FLAT)


@pytest.mark.parametrize(
    ("masters", "reason"),
    [
        ({"bias": BIAS[:-1]}, "master bias has"),
        ({"bias": BIAS, "flat": FLAT.T}, "master flat has"),
        ({"bias": BIAS, "dark": DARK}, "no exposure time"),
        ({"bias": BIAS, "dark": DARK, "dark_exposure_s": 10.0}, "shorter than the frame"),
        ({"dark": DARK, "dark_exposure_s": 30.0}, "no master bias"),
        ({"flat": FLAT}, "bias is still in the frame"),
    ],
)
def test_masters_that_do_not_fit_are_refused(masters, reason):
    with pytest.raises(NoMatchingMaster, match=reason):
        run(**masters)


def test_adopt():
    image = np.array([[10.0, -5.0, np.nan, 50000.0]])
    done = adopt(image, gain_e_per_adu=2.0, saturation_adu=40000.0, pedestal_adu=-100.0)
    np.testing.assert_array_equal(done.image_e, [[-180, -210, 0, 99800]])
    np.testing.assert_array_equal(done.mask, [[0, 0, MaskBit.NO_DATA, MaskBit.SATURATED]])
    assert done.steps[0] == "adopted as calibrated"


def test_trim_overscan():
    image = np.arange(20).reshape(4, 5)
    np.testing.assert_array_equal(trim_overscan(image, 1, 2), image[:3, :3])
    np.testing.assert_array_equal(trim_overscan(image, 0, 0), image)
    with pytest.raises(ValueError, match="cannot trim"):
        trim_overscan(image, 4, 0)


@pytest.mark.parametrize("camera", [T20, ASI])
@pytest.mark.parametrize("seed", [1, 2])
def test_against_the_simulated_truth(camera, seed):
    """Raw counts to electrons with masters of our own: no offset on the background."""
    s = simulate_session(
        small_camera(camera, (300, 400)), seed=seed, lights=1, bias=12, darks=10, flats=10
    )
    bias = master_bias(s.bias)
    dark = master_dark(s.darks, s.camera.exposure_s, bias.image)
    flat = master_flat(s.flats, bias=bias.image, bayer=camera.bayer is not None)
    light = s.lights[0]
    done = calibrate(
        light.counts_adu,
        masters=Masters(bias.image, dark.image, s.camera.exposure_s, False, flat.image),
        exposure_s=s.camera.exposure_s,
        gain_e_per_adu=s.camera.gain_e_per_adu,
        saturation_adu=65535,
    )
    good = (done.mask == 0) & ~light.cosmic_rays & ~s.detector.dead
    good &= light.image_e < np.percentile(light.image_e, 60)
    difference = (done.image_e - light.image_e)[good]
    # The median of a Poisson distribution lies 1/6 below its mean.
    assert abs(np.median(difference) + 1 / 6) <= 0.3
