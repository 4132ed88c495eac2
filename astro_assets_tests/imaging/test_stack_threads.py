"""A stack is the same to the last bit on one thread and on two."""

import hashlib
from dataclasses import fields

import numpy as np
import pytest

from astro_assets.imaging import threads
from astro_assets.imaging.grid import common_grid
from astro_assets.imaging.laid import Laid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.placement import place
from astro_assets.imaging.stack import Layer, Stacked, stack
from astro_assets.imaging.warp import InMemory
from astro_assets_tests.imaging._sky import tan

SHAPE = (420, 300)
FRAMES = 9


def made() -> Stacked:
    """Frames that are shifted and turned, with stars, trails, blanks and skies of their own."""
    rng = np.random.default_rng(7)
    wcss = [
        tan(SHAPE, angle_deg=0.2 * i, ra_deg=192.7 + 0.002 * i, dec_deg=41.1) for i in range(FRAMES)
    ]
    grid = common_grid(wcss, [SHAPE] * FRAMES)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    layers = []
    for i, wcs in enumerate(wcss):
        image = rng.normal(400 + 11.3 * i, 12, SHAPE)
        for star in range(60):
            at_x, at_y = (star * 97) % SHAPE[1], (star * 61) % SHAPE[0]
            near = np.s_[max(at_y - 9, 0) : at_y + 10, max(at_x - 9, 0) : at_x + 10]
            image[near] += 5e3 * np.exp(-((x[near] - at_x) ** 2 + (y[near] - at_y) ** 2) / 3)
        image[40 + 30 * i, :] += 900
        mask = np.where(rng.random(SHAPE) < 0.005, MaskBit.BAD, 0).astype(np.uint8)
        mask[200, 150] = MaskBit.SATURATED
        frame = InMemory(image.astype(np.float32), mask)
        laid = Laid(frame, place(wcs, SHAPE, grid), 60.0 + i)
        layers.append(Layer(laid, 400 + 11.3 * i, 12.0, scale=1 + 0.01 * i))
    return stack(layers)


def test_bytes_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch):
    seen = []
    for count in (1, 2, 3):
        monkeypatch.setattr(threads._Process, "threads", count)
        stacked = made()
        planes = [getattr(stacked, field.name) for field in fields(stacked)]
        assert sum(stacked.rejected) > 1000
        digest = hashlib.sha256()
        for plane in planes:
            digest.update(
                plane.tobytes() if isinstance(plane, np.ndarray) else repr(plane).encode()
            )
        seen.append(digest.hexdigest())
    assert seen == seen[:1] * 3
