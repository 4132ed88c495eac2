"""The files of one picture are written side by side and do not disturb one another."""

from pathlib import Path

import numpy as np
import tifffile
from astropy.io import fits

from astro_assets.imaging.stretch import autostretch
from astro_assets.steps.credits import Credits
from astro_assets.steps.pictures import write_colour
from astro_assets.store import read_image


def test_the_stretched_picture_is_that_of_the_linear_one(tmp_path: Path) -> None:
    """astropy turns the bytes of what it writes round in place: nobody may read them then."""
    rng = np.random.default_rng(1)
    rgb = rng.normal(0, 5, (3, 432, 516)).astype(np.float32)
    rgb[:, 300:305, 300:305] += 4000
    expected = np.moveaxis(autostretch(rgb), 0, -1)[::-1]
    for _ in range(15):
        write_colour(tmp_path, rgb, fits.Header(), Credits({}, b""))
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "color.tif"), expected)
        np.testing.assert_array_equal(read_image(tmp_path / "color.fits").image, rgb)
