"""The pass over a frame that takes the sky off and filters: what plain arrays give."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.ndimage import convolve

from astro_assets.imaging import matched_filter
from astro_assets.imaging.background import background
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.threads import one_of_many, over_rows, threads

SHAPES = [(1, 1), (1, 90), (2, 70), (3, 200), (4, 66), (5, 5), (131, 77), (200, 129)]


def frame(shape: tuple[int, int], kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(shape[0])
    image = rng.normal(100, 5, shape).astype(np.float32)
    mask = np.zeros(shape, np.uint8)
    image[:: max(1, shape[0] // 3), :: max(1, shape[1] // 5)] += 400
    if kind == "odd":
        image.flat[:: max(2, image.size // 50)] = np.nan
        mask[rng.random(shape) < 0.1] = MaskBit.BAD
        mask[rng.random(shape) < 0.1] |= np.uint8(MaskBit.SATURATED)
        image.flat[-1], mask.flat[-1] = 100, 0
    return image, mask


@pytest.mark.parametrize("kind", ["plain", "odd"])
@pytest.mark.parametrize("shape", SHAPES)
def test_light_and_what_stands_out_are_as_of_plain_arrays(
    shape: tuple[int, int], kind: str
) -> None:
    image, mask = frame(shape, kind)
    sky = background(image, mask)
    signal, above = matched_filter.signal_above(image, mask, sky, 3.0)
    hidden = ((mask & np.uint8(MaskBit.BAD)) != 0) | ~np.isfinite(image)
    light = np.where(hidden, 0, image - sky.level)
    np.testing.assert_array_equal(signal.hidden, hidden)
    np.testing.assert_allclose(signal.light, light, atol=1e-3)
    kernel = np.outer(matched_filter.WEIGHTS, matched_filter.WEIGHTS).astype(np.float64)
    height = convolve(light.astype(np.float64), kernel, mode="constant") / sky.rms
    wanted = (height > 3.0) & ~hidden
    clear = np.abs(height - 3.0) > 1e-3
    found = np.zeros(shape, bool)
    found[above.rows, above.columns] = True
    np.testing.assert_array_equal(found[clear], wanted[clear])
    np.testing.assert_allclose(above.height, height[above.rows, above.columns], rtol=1e-3)
    order = above.rows.astype(np.int64) * shape[1] + above.columns
    assert (np.diff(order) > 0).all()


def test_much_light_finds_room() -> None:
    image = np.random.default_rng(1).normal(0, 1, (90, 400)).astype(np.float32)
    sky = background(image, np.zeros(image.shape, np.uint8))
    _, above = matched_filter.signal_above(image, np.zeros(image.shape, np.uint8), sky, -100.0)
    assert len(above.rows) == image.size


def test_a_thread_among_many_does_its_frame_by_itself() -> None:
    parts: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1, initializer=one_of_many) as pool:
        pool.submit(over_rows, lambda *part: parts.append(part), 1000).result()
    assert parts == [(0, 1000)]
    over_rows(lambda *part: parts.append(part), 1000)
    shared = sorted(parts[1:])
    assert len(shared) == threads()
    assert [first for first, _ in shared] == [0, *(last for _, last in shared[:-1])]
