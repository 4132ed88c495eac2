"""What other packages get wrong about stacks and resampling, each with a test that would see it.

The errors are listed in the project's facts about the reduction; their names are in the tests'.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.warp import warp
from astro_assets.store import Store, read_image
from astro_assets_tests.imaging._sky import tan
from astro_assets_tests.steps.solved import SOURCE, write_solved
from astro_assets_tests.steps.test_stack import (
    SESSION,
    SHAPE,
    dithered,
    made,
    plain_session,
    seen,
    stars_on_the_sky,
)


def test_astrofiler_raw_frames_stacked_as_if_calibrated(tmp_path: Path) -> None:
    """Only frames that came through calibration, solution and verdict are stacked."""
    plain_session(tmp_path, 3)
    raw = Store(tmp_path).raw(SOURCE, SESSION)
    raw.mkdir(parents=True)
    fits.PrimaryHDU(np.full(SHAPE, 60_000, np.uint16)).writeto(raw / "light-9999.fits")
    refused = Store(tmp_path).solved(SOURCE, SESSION) / "light-0002.fits"
    fits.setval(refused, "AAACCEPT", value=False)
    _, folder = made(tmp_path)
    header = fits.getheader(folder / "G.fits")
    assert header["NCOMBINE"] == 2
    frames = [str(line) for line in header["HISTORY"] if str(line).startswith("frame ")]
    assert frames == ["frame light-0000", "frame light-0001"]


def test_astrofiler_results_clipped_to_uint16(tmp_path: Path) -> None:
    """A sky around zero keeps its negative half, and a bright star its height."""
    sky, wcss = stars_on_the_sky(), dithered(4)
    images = [seen(wcs, SHAPE, k, sky, 3e6) - np.float32(150) for k, wcs in enumerate(wcss)]
    write_solved(Store(tmp_path), SESSION, images, wcss, FILTER="G")
    _, folder = made(tmp_path)
    image = read_image(folder / "G.fits").image
    assert fits.getheader(folder / "G.fits")["BITPIX"] == -32
    assert np.nanmedian(image) < 3
    assert 0.3 < (image[np.isfinite(image)] < 0).mean() < 0.7
    assert np.nanmax(image) > 100_000


def test_astrophotography_holes_eat_in(tmp_path: Path) -> None:
    """A bad pixel of a frame takes nothing from its neighbours on the grid."""
    image = np.full(SHAPE, 100, np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    rng = np.random.default_rng(1)
    holes = rng.random(SHAPE) < 0.01
    mask[holes] = MaskBit.BAD
    image[holes] = 60_000
    grid = Grid(tan(SHAPE, angle_deg=10.0), SHAPE)
    plain = warp(np.full(SHAPE, 100, np.float32), None, tan(SHAPE), grid)
    out = warp(image, mask, tan(SHAPE), grid)
    inside = plain.weight == 1
    lost = (out.weight == 0) & inside
    assert lost.sum() <= 1.2 * holes.sum()
    np.testing.assert_allclose(out.image[inside & ~lost], 100, rtol=1e-4)


def test_astrophotography_no_weights_and_the_mask_lost(tmp_path: Path) -> None:
    """Noise and holes of each frame count, and a pixel without data stays without."""
    sky, wcss = stars_on_the_sky(), dithered(3)
    images = [seen(wcs, SHAPE, k, sky) for k, wcs in enumerate(wcss)]
    images[2] = images[2] + np.random.default_rng(3).normal(0, 60, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[100:110, 150:170] = MaskBit.USER
    write_solved(
        Store(tmp_path), SESSION, images, [wcss[0]] * 2 + [wcss[2]], masks=[mask, mask, None],
        FILTER="G",
    )  # fmt: skip
    _, folder = made(tmp_path)
    file = read_image(folder / "G.fits")
    alone = file.planes["COUNT"] == 1
    weight = file.planes["WEIGHT"]
    assert np.median(weight[alone & (weight > 0)]) < 0.2 * np.median(weight)
    assert file.header["BKGNOISE"] < 13.5 / np.sqrt(2)
    assert file.mask is not None
    assert ((file.mask == MaskBit.NO_DATA) == ~np.isfinite(file.image)).all()
