"""The kernel of calibration against the same arithmetic, pixel by pixel, written plainly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.imaging.calibrate import Masters, calibrate
from astro_assets.imaging.convert import to_counts
from astro_assets.imaging.mask import MaskBit

FLOOR = 0.1


def plainly(raw, masters, gain, saturation, pedestal, overscan, factors):
    """One pixel after the other, in 32 bits."""
    f32 = np.float32
    image, mask = np.empty(raw.shape, f32), np.empty(raw.shape, np.uint8)
    bias_factor, dark_factor = (f32(factor) for factor in factors)
    for y, x in np.ndindex(raw.shape):
        counts = f32(raw[y, x])
        bits = 0 if masters.bad_pixels is None else int(masters.bad_pixels[y, x])
        bits |= int(MaskBit.SATURATED) if counts >= f32(saturation) else 0
        value = counts - (f32(pedestal) + f32(0 if overscan is None else overscan[y]))
        off = f32(0)
        if masters.bias is not None and bias_factor:
            off += masters.bias[y, x] * bias_factor
        if masters.dark is not None and dark_factor:
            off += masters.dark[y, x] * dark_factor
        value = (value - off) * f32(gain)
        if masters.flat is not None:
            seen = masters.flat[y, x] >= FLOOR
            value = value / masters.flat[y, x] if seen else f32(np.nan)
        if not np.isfinite(value):
            value, bits = f32(0), bits | int(MaskBit.NO_DATA)
        image[y, x], mask[y, x] = value, bits
    return image, mask


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 40)),
    counts=st.booleans(),
    with_bias=st.booleans(),
    with_dark=st.booleans(),
    with_flat=st.booleans(),
    with_bad=st.booleans(),
    with_overscan=st.booleans(),
    exposure_s=st.sampled_from([60.0, 17.0]),
)
def test_any_frame_and_masters(
    seed, shape, counts, with_bias, with_dark, with_flat, with_bad, with_overscan, exposure_s
):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 65536, shape).astype(np.uint16 if counts else np.float32)
    if not counts:
        raw[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    raw[rng.random(shape) < 0.05] = 59000  # which is the first that counts as saturated
    flat = rng.uniform(0.0, 1.2, shape).astype(np.float32)
    flat[rng.random(shape) < 0.1] = rng.choice([np.nan, 0.0, 0.1])
    with_bias = with_bias or (with_flat or with_dark)
    masters = Masters(
        bias=rng.normal(300, 5, shape).astype(np.float32) if with_bias else None,
        dark=rng.uniform(0, 60, shape).astype(np.float32) if with_dark else None,
        dark_exposure_s=60.0,
        flat=flat if with_flat else None,
        bad_pixels=rng.integers(0, 3, shape).astype(np.uint8) if with_bad else None,
    )
    overscan = rng.normal(100, 1, shape[0]).astype(np.float32) if with_overscan else None
    done = calibrate(
        raw,
        masters=masters,
        exposure_s=exposure_s,
        gain_e_per_adu=1.5,
        saturation_adu=59000.0,
        pedestal_adu=-7.0,
        overscan_adu=overscan,
    )
    with np.errstate(invalid="ignore"):
        image, mask = plainly(raw, masters, 1.5, 59000.0, 7.0, overscan, (1.0, exposure_s / 60))
    np.testing.assert_array_equal(done.mask, mask)
    np.testing.assert_array_equal(done.image_e, image)


def test_every_word_of_a_file_is_its_count():
    counts = np.arange(2**16, dtype=np.uint16)
    signed = (counts.astype(np.int32) - 32768).astype(">i2")  # as FITS has them (BZERO 32768)
    words = np.frombuffer(signed.tobytes(), np.uint16).copy()
    to_counts(words)
    np.testing.assert_array_equal(words, counts)
