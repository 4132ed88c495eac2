"""Rows of products: what is read is what the file holds, and broken files get their sentence."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.imaging.gradient import find_gradient, without_gradient
from astro_assets.imaging.planes import Workspace
from astro_assets.steps.flatten import FlatRows
from astro_assets.steps.frame_rows import file_rows
from astro_assets.store import ImageFile, write_image

SHAPE = (101, 67)


def product(path: Path) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    image = rng.normal(100, 5, SHAPE).astype(np.float32)
    planes = {
        "WEIGHT": rng.random(SHAPE).astype(np.float32),
        "COUNT": np.ones(SHAPE, np.uint16),
        "EXPOSURE": rng.random(SHAPE).astype(np.float32),
    }
    mask = rng.integers(0, 9, SHAPE).astype(np.uint8)
    write_image(path, ImageFile(image, fits.Header(), mask, planes))
    return image


def test_rows_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "G.fits"
    image = product(path)
    rows = file_rows(path, ("WEIGHT", "EXPOSURE")).rows(30, 41, Workspace())
    np.testing.assert_array_equal(rows.image, image[30:41])
    for name, plane in (
        ("MASK", rows.mask),
        ("WEIGHT", rows.weight),
        ("EXPOSURE", rows.exposure_s),
    ):
        np.testing.assert_array_equal(plane, fits.getdata(path, name)[30:41])
    plain = file_rows(path).rows(0, 1, Workspace())
    assert plain.weight is None
    assert plain.exposure_s is None


def test_no_file_stays_open(tmp_path: Path) -> None:
    """A night's stack reads rows by the thousand."""
    product(tmp_path / "G.fits")
    rows, space = file_rows(tmp_path / "G.fits", ("WEIGHT",)), Workspace()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for y in range(20):
        rows.rows(y, y + 1, space)
    (tmp_path / "G.fits").write_bytes(b"")
    for _ in range(5):
        with pytest.raises(BrokenFile):
            rows.rows(0, 1, space)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_planes_of_another_kind_or_size_are_refused(tmp_path: Path) -> None:
    small, whole = np.ones((5, 6), np.float32), np.ones((5, 6), np.uint8)
    for name, refusal, hdus in (
        ("a mask of counts", "MASK of another kind", [small, whole.astype(np.float32)]),
        ("a mask of its own size", "several sizes", [small, whole[:4]]),
        ("scaled", "an image of another kind", [small]),
        ("a cube", "no whole file", [np.ones((2, 5, 6), np.float32)]),
    ):
        image, *mask = hdus
        more = [fits.ImageHDU(data, name="MASK") for data in mask]
        first = fits.PrimaryHDU(image)
        if name == "scaled":
            first.header["BSCALE"] = 2.0
        path = tmp_path / f"{name}.fits"
        fits.HDUList([first, *more]).writeto(path)
        with pytest.raises(BrokenFile, match=refusal):
            file_rows(path)


def test_rows_without_gradient_are_those_of_the_frame_without_it(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :300]
    rng = np.random.default_rng(2)
    image = (rng.normal(100, 3, (200, 300)) + 0.1 * x - 0.05 * y).astype(np.float32)
    write_image(tmp_path / "a.fits", ImageFile(image, fits.Header()))
    gradient = find_gradient(image, np.zeros(image.shape, np.uint8), 1)
    assert gradient.order == 1
    rows = FlatRows(file_rows(tmp_path / "a.fits"), gradient).rows(50, 70, Workspace())
    expected = without_gradient(image, gradient)
    np.testing.assert_allclose(rows.image, expected[50:70], rtol=1e-6)
    assert expected.mean() == pytest.approx(image.mean(), rel=1e-5)


def test_a_file_that_was_cut_or_is_none_gets_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "G.fits"
    product(path)
    opened = file_rows(path)
    path.write_bytes(path.read_bytes()[: 2880 * 4])
    with pytest.raises(BrokenFile, match="ends within its pixels"):
        opened.rows(0, SHAPE[0], Workspace())
    with pytest.raises(BrokenFile, match="no whole file"):
        file_rows(path)
    with pytest.raises(BrokenFile, match="cannot be read"):
        file_rows(tmp_path / "absent.fits")
    fits.writeto(tmp_path / "whole.fits", np.ones((5, 5), np.int16))
    with pytest.raises(BrokenFile, match="of another kind"):
        file_rows(tmp_path / "whole.fits")
