"""The combination against a plain reference, against the ideal noise, and at its edges."""

import math

import numpy as np
import pytest

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Correction, sigma_clipped_mean

SHAPE = (11, 270)
"""No multiple of a block, more than one block."""


def reference(frames, weights=None, step=None, sigma=3.0, rounds=5):
    """The documented clip, pixel by pixel, in plain words."""
    n = len(frames)
    values = np.array([np.asarray(frame, np.float32) for frame in frames])
    use = np.isfinite(values)
    weight = np.ones_like(values) * np.array(weights or [1.0] * n, np.float32)[:, None, None]
    first = np.asarray(frames[0], float)
    row = first[first.shape[0] // 2]
    whole = np.isfinite(row).all() and (row == np.rint(row)).all()
    if step is None:
        step = float(np.gcd.reduce((row - row[0]).astype(int)) or 1) if whole else 0.0
    ny, nx = values.shape[1:]
    image = np.full((ny, nx), np.nan)
    count = np.zeros((ny, nx), int)
    few = {0: 0, 1: 0, 2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.2, 7: 1.14, 8: 1.129, 9: 1.107}
    for y in range(ny):
        for x0 in range(0, nx, 256):
            columns = range(x0, min(x0 + 256, nx))
            spreads = {}
            for x in columns:
                v = values[use[:, y, x], y, x].astype(float)
                factor = 1.4826 * few.get(len(v), len(v) / (len(v) - 0.8) if len(v) else 0)
                spreads[x] = factor * np.median(np.abs(v - np.median(v))) if len(v) else 0.0
            many = [spreads[x] for x in columns if use[:, y, x].sum() > 2]
            floor = max(step, float(np.median(many)) if many else 0.0)
            for x in columns:
                v = values[use[:, y, x], y, x].astype(float)
                w = weight[use[:, y, x], y, x].astype(float)
                if not len(v):
                    continue
                keep = np.ones(len(v), bool)
                centre, spread = np.median(v), spreads[x]
                for _ in range(rounds + 1 if len(v) > 2 else 0):
                    limit = sigma * max(spread, floor) * (1 + 1e-6)
                    keep = np.abs(v - centre) <= limit
                    centre, spread = v[keep].mean(), v[keep].std(ddof=1) if keep.sum() > 1 else 0
                image[y, x] = np.average(v[keep], weights=w[keep])
                count[y, x] = keep.sum()
    return image, count


def frames_with_outliers(n, seed, shape=SHAPE):
    rng = np.random.default_rng(seed)
    frames = rng.normal(500, 10, (n, *shape)).astype(np.float32)
    hit = rng.random(frames.shape) < 0.03
    frames[hit] += rng.uniform(60, 5000, hit.sum()).astype(np.float32)
    return frames


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13, 20])
def test_equals_the_plain_reference(n):
    frames = frames_with_outliers(n, seed=n)
    rng = np.random.default_rng(100 + n)
    weights = list(rng.uniform(0.5, 2, n))
    frames[:, :3][rng.random((n, 3, SHAPE[1])) < 0.1] = np.nan
    frames[0, 5] = np.nan
    frames[-1, 6] = np.inf
    combined = sigma_clipped_mean(frames, weights=weights)
    image, count = reference(frames, weights)
    np.testing.assert_array_equal(combined.count, count)
    np.testing.assert_allclose(combined.image, image, rtol=2e-6, equal_nan=True)


class FitsWords:
    """Counts that are also to be had as FITS writes them."""

    def __init__(self, counts):
        self.counts, self.shape = counts, counts.shape

    def __getitem__(self, rows):
        return self.counts[rows]

    def read_words(self, rows, into):
        into.view(np.uint8)[...] = (
            (self.counts[rows].astype(int) - 32768).astype(">i2").view(np.uint8)
        )


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20, 33])
@pytest.mark.parametrize("spread", [0.6, 40.0])
def test_counts_and_fits_words_equal_the_reference(n, spread):
    rng = np.random.default_rng(n)
    frames = rng.normal(900, spread, (n, *SHAPE))
    hit = rng.random(frames.shape) < 0.03
    frames[hit] = rng.uniform(0, 65535, hit.sum())
    counts = np.rint(frames).astype(np.uint16)
    counts[0, 3, :7] = [0, 65535, 1, 255, 256, 32767, 32768]
    image, count = reference(counts)
    for given in (list(counts), [FitsWords(frame) for frame in counts]):
        combined = sigma_clipped_mean(given)
        np.testing.assert_array_equal(combined.count, count)
        np.testing.assert_allclose(combined.image, image, rtol=2e-7)
        assert combined.rejected == n * count.size - count.sum()


@pytest.mark.parametrize("kind", ["words", "counts", "values"])
def test_what_is_corrected_equals_frames_that_were_corrected_before(kind, monkeypatch):
    monkeypatch.setattr("astro_assets.imaging.combine._STRIP_BYTES", 3 * 6 * SHAPE[1] * 4)
    rng = np.random.default_rng(5)
    counts = np.rint(frames_with_outliers(6, seed=5) * 20).astype(np.uint16)
    bias, dark = rng.normal(300, 1, SHAPE).astype(np.float32), rng.normal(20, 1, SHAPE)
    factors, scales = rng.uniform(0, 2, 6), rng.uniform(1e-4, 2e-4, (6, 2, 2))
    y, x = np.indices(SHAPE) % 2
    plain = [
        (c - bias - dark * f) * s[y, x] for c, f, s in zip(counts, factors, scales, strict=True)
    ]
    weights = list(rng.uniform(0.5, 2, 6))
    given = {"words": map(FitsWords, counts), "counts": counts, "values": counts.astype(float)}
    combined = sigma_clipped_mean(
        list(given[kind]),
        weights=weights,
        correction=Correction(bias, dark, factors.astype(np.float32), scales.astype(np.float32)),
    )
    image, count = reference(plain, weights, step=0.0)
    assert (combined.count != count).sum() <= 2  # a value on the very limit, by its rounding
    np.testing.assert_allclose(combined.image, image, rtol=2e-3)
    same = combined.count == count
    np.testing.assert_allclose(combined.image[same], image[same], rtol=2e-6)


@pytest.mark.parametrize("dtype", [np.uint16, ">u2", ">f4", np.float64, np.int32])
def test_any_number_type_equals_the_reference(dtype):
    frames = np.rint(frames_with_outliers(7, seed=3)).astype(dtype)
    combined = sigma_clipped_mean(list(frames))
    image, count = reference(frames)
    np.testing.assert_array_equal(combined.count, count)
    np.testing.assert_allclose(combined.image, image, rtol=2e-6)


@pytest.mark.parametrize("n", [5, 7, 10, 20])
def test_noise_is_near_the_ideal(n):
    frames = np.random.default_rng(n).normal(1000, 10, (n, 300, 300)).astype(np.float32)
    combined = sigma_clipped_mean(frames)
    assert np.std(combined.image) <= 1.05 * 10 / math.sqrt(n)
    assert abs(combined.image.mean() - 1000) < 0.1


def test_one_wild_value_among_five_goes():
    frames = np.random.default_rng(5).normal(100, 10, (5, 200, 200)).astype(np.float32)
    clean = sigma_clipped_mean(frames).image
    frames[3, 50:100] += 300
    combined = sigma_clipped_mean(frames)
    residual = (combined.image - clean)[50:100]
    assert abs(residual.mean()) < 0.1
    assert residual.max() < 5 * 10 / math.sqrt(5) * 3
    assert (combined.count[50:100] <= 4).mean() > 0.999
    assert (combined.count[100:] <= 4).mean() < 0.1
    assert combined.rejected == frames.size - combined.count.sum()


@pytest.mark.parametrize(("noise", "level"), [(0.3, 100.4), (0.5, 100.2), (1.0, 100.4)])
@pytest.mark.parametrize("step", [1, 16])
def test_whole_numbers_are_not_biased(noise, level, step):
    """A clip at 3·MAD would throw away every value that is not the commonest."""
    rng = np.random.default_rng(7)
    frames = (step * np.rint(rng.normal(level, noise, (10, 200, 300)))).astype(np.uint16)
    combined = sigma_clipped_mean(frames)
    assert abs(combined.image.mean() - frames.mean()) < 0.01 * step
    assert np.std(combined.image) < 1.05 * np.std(frames.mean(axis=0))


def test_pixel_without_input_is_nan_and_counts_zero():
    frames = np.ones((3, 4, 5), np.float32)
    frames[:, 1, 2] = np.nan
    combined = sigma_clipped_mean(frames)
    assert np.isnan(combined.image[1, 2])
    assert combined.count[1, 2] == 0
    assert np.isnan(combined.image).sum() == 1


def test_weights_count_among_what_stays():
    frames = np.full((4, 3, 3), 10, np.float32)
    frames[3] = 12
    frames[2, 1, 1] = 1e6
    combined = sigma_clipped_mean(frames, weights=[1, 2, 3, 4], sigma=100)
    assert combined.image[0, 0] == pytest.approx(10.8)
    assert combined.image[1, 1] == pytest.approx((30 + 48) / 7)


def test_memory_stays_bounded(monkeypatch):
    """No frame is ever asked for more rows than fit the strip."""

    class Lazy:
        shape = (900, 1000)
        tallest = 0

        def __getitem__(self, rows):
            start, stop, _ = rows.indices(900)
            Lazy.tallest = max(Lazy.tallest, stop - start)
            return np.full((stop - start, 1000), 3, np.uint16)

    monkeypatch.setattr("astro_assets.imaging.combine._STRIP_BYTES", 1_000_000)
    combined = sigma_clipped_mean([Lazy() for _ in range(40)])
    assert Lazy.tallest * 40 * 1000 * 2 <= 1_000_000
    assert (combined.image == 3).all()
    assert (combined.count == 40).all()


def test_refusals():
    with pytest.raises(NothingToDo, match="no frames"):
        sigma_clipped_mean([])
    with pytest.raises(ValueError, match=r"frames\[1\]"):
        sigma_clipped_mean([np.ones((3, 4)), np.ones((4, 3))])
    with pytest.raises(ValueError, match="weights"):
        sigma_clipped_mean([np.ones((3, 4))] * 2, weights=[1.0])
    with pytest.raises(ValueError, match="weights"):
        sigma_clipped_mean([np.ones((3, 4))] * 2, weights=[1.0, 0.0])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_what_is_to_come_off_the_mean_comes_off_it(dtype):
    frames = list(np.rint(frames_with_outliers(5, seed=9)).astype(dtype))
    bias = np.random.default_rng(9).normal(300, 5, SHAPE).astype(np.float32)
    plain, without = sigma_clipped_mean(frames), sigma_clipped_mean(frames, less=bias)
    np.testing.assert_array_equal(without.image, plain.image - bias)
    np.testing.assert_array_equal(without.count, plain.count)
