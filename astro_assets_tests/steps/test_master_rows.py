"""Rows of a master are those of its image, and a file that cannot give them is named."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import BrokenFile
from astro_assets.steps.master_rows import master_rows
from astro_assets.store import ImageFile, write_image


def test_rows_are_those_of_the_image(tmp_path: Path) -> None:
    image = np.random.default_rng(1).normal(300, 5, (37, 21)).astype(np.float32)
    image[3, 4] = np.nan
    write_image(tmp_path / "bias.fits", ImageFile(image, fits.Header()))
    rows = master_rows(tmp_path / "bias.fits")
    assert rows.shape == image.shape
    assert rows[0:1].dtype == np.float32
    for part in (slice(0, 1), slice(5, 30), slice(30, 99), slice(None), slice(9, 9)):
        np.testing.assert_array_equal(rows[part], image[part])


def test_a_master_that_became_shorter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bias.fits"
    write_image(path, ImageFile(np.ones((200, 50), np.float32), fits.Header()))
    rows = master_rows(path)
    with path.open("r+b") as file:
        file.truncate(2880 + 50 * 100)
    with pytest.raises(BrokenFile, match=r"bias\.fits"):
        rows[150:]
