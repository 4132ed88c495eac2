"""What cannot be fixed stays masked from calibration to the stack."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astro_assets.imaging.calibrate import Masters, calibrate
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.repair import interpolate_bad
from astro_assets.imaging.stack import Layer, Stacked, stack
from astro_assets.imaging.warp import warp
from astro_assets_tests.imaging._sky import tan

SHAPE = (80, 120)
FIRST = 50
SKY_E, NOISE_E = 400.0, 20.0


def stacked(width: int, shifts_px: list[int]) -> Stacked:
    """Frames of an even sky whose group of columns holds nonsense, shifted on the sky."""
    group = np.zeros(SHAPE, np.uint8)
    group[:, FIRST : FIRST + width] = MaskBit.USER
    layers = []
    for number, shift in enumerate(shifts_px):
        raw = np.random.default_rng(number).normal(SKY_E, NOISE_E, SHAPE).astype(np.float32)
        raw[:, FIRST : FIRST + width] = 30000
        done = calibrate(
            raw,
            masters=Masters(bad_pixels=group),
            exposure_s=60,
            gain_e_per_adu=1.0,
            saturation_adu=65535,
        )
        image, mask = interpolate_bad(done.image_e, done.mask)
        assert (mask[:, FIRST : FIRST + width] & UNUSABLE).all()
        wcs = tan(SHAPE)
        wcs.wcs.crpix = [wcs.wcs.crpix[0] + shift, wcs.wcs.crpix[1]]
        on_grid = warp(image, mask, wcs, Grid(tan(SHAPE), SHAPE))
        layers.append(
            Layer.held(
                on_grid.image, on_grid.weight, SKY_E, NOISE_E, mask=on_grid.mask, exposure_s=60.0
            )
        )
    return stack(layers)


def inner(width: int) -> NDArray[np.int_]:
    """Columns of the group that no good pixel is next to."""
    return np.arange(FIRST + 1, FIRST + width - 1)


@pytest.mark.parametrize("width", [5, 6, 8, 12])
def test_a_wide_group_has_no_data_in_a_stack_without_dithers(width: int) -> None:
    """AstroPhotography leaves groups of five and more columns as they are, and not masked."""
    result = stacked(width, [0, 0, 0])
    columns = inner(width)
    assert (result.mask[5:-5, columns] & MaskBit.NO_DATA).all()
    assert (result.weight[5:-5, columns] == 0).all()
    assert not np.isfinite(result.image[5:-5, columns]).any()
    rest = result.image[5:-5, 5:-5]
    assert np.nanmax(np.abs(rest - SKY_E)) < 8 * NOISE_E


def test_dithers_fill_it_with_the_sky_and_not_with_its_neighbours() -> None:
    result = stacked(6, [0, 12, -12, 24])
    columns = np.arange(FIRST, FIRST + 6)
    values = result.image[5:-5, columns]
    assert np.isfinite(values).all()
    assert abs(float(values.mean()) - SKY_E) < 3
    # Noise of three frames: what is interpolated would be smooth.
    assert float(values.std()) == pytest.approx(NOISE_E / np.sqrt(3), rel=0.15)
    assert result.count[40, FIRST + 3] == 3
