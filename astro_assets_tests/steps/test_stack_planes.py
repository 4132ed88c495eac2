"""Parts of a stack's planes, beside astropy's reading of the whole."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from astro_assets.errors import BrokenFile
from astro_assets.imaging.coverage import well_covered
from astro_assets.steps.frame_rows import IMAGE, MASK, WEIGHT
from astro_assets.steps.stack_planes import STARS, stack_planes
from astro_assets.store import ImageFile, read_image, write_image
from astro_assets_tests.steps.stacked import SHAPE, write_stack


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    rng = np.random.default_rng(1)
    image = rng.normal(100, 5, SHAPE)
    image[:7, :] = np.nan
    saturated = rng.random(SHAPE) < 0.001
    weight = rng.uniform(0.5, 1, SHAPE).astype(np.float32)
    write_stack(folder, "Red", image, weight=weight, saturated=saturated)
    return folder / "Red.fits"


@pytest.mark.parametrize("plane", [IMAGE, MASK, WEIGHT])
@pytest.mark.parametrize("part", [np.s_[0:420, 0:520], np.s_[3:4, 5:6], np.s_[55:187, 17:500]])
def test_a_part_is_that_of_the_whole(path: Path, plane: str, part: tuple[slice, slice]) -> None:
    read = stack_planes(path).part(plane, *part)
    whole = fits.getdata(path, plane or 0)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, whole[part])


@pytest.mark.parametrize("side", [1, 5, 64, 420])
def test_means_are_those_of_squares(path: Path, side: int) -> None:
    weight = fits.getdata(path, WEIGHT).astype(float)
    ny, nx = SHAPE[0] // side, SHAPE[1] // side
    squares = weight[: ny * side, : nx * side].reshape(ny, side, nx, side)
    np.testing.assert_allclose(
        stack_planes(path).means(WEIGHT, side), squares.mean(axis=(1, 3)), rtol=1e-5
    )


def test_stars_lie_where_the_part_has_them(path: Path, tmp_path: Path) -> None:
    whole = stack_planes(path)
    assert whole.stars(np.s_[0:420], np.s_[0:520]) is None
    file = read_image(path)
    table = Table({"x": [9.0, 100.5, 519.0], "y": [8.0, 60.25, 419.0], "saturated": [0, 1, 0]})
    table["saturated"] = table["saturated"].astype(bool)
    told = tmp_path / "Red.fits"
    write_image(told, ImageFile(file.image, file.header, file.mask, file.planes, {STARS: table}))
    stars = stack_planes(told).stars(np.s_[10:420], np.s_[30:510])
    assert stars is not None
    assert stars[["x", "y"]].to_numpy().tolist() == [[70.5, 50.25]]
    assert stars["saturated"].tolist() == [True]
    assert stars["saturated"].dtype == bool
    assert stars["x"].to_numpy().dtype.isnative


def test_means_tell_what_is_well_covered_as_every_pixel_does() -> None:
    weight = np.ones((700, 1500), np.float32)
    weight[:95], weight[-51:], weight[:, :30], weight[:, -170:] = 0.1, 0.2, 0, 0.3
    means = weight.reshape(140, 5, 300, 5).mean(axis=(1, 3))
    for thinned, whole in zip(
        well_covered(means, (5, 5), weight.shape), well_covered(weight), strict=True
    ):
        assert (thinned.start, thinned.stop) == pytest.approx((whole.start, whole.stop), abs=15)


def test_a_file_that_is_cut_off_or_no_stack_says_so(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(BrokenFile, match="make it again"):
        stack_planes(cut)
    fits.PrimaryHDU(np.zeros((5, 5), np.float32)).writeto(tmp_path / "bare.fits")
    with pytest.raises(BrokenFile, match="no whole stack"):
        stack_planes(tmp_path / "bare.fits")
    with pytest.raises(BrokenFile, match="cannot be read"):
        stack_planes(tmp_path / "none.fits")
    planes = stack_planes(path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(BrokenFile, match="ends within"):
        planes.part(WEIGHT, slice(0, 420), slice(0, 520))
