"""A cube of telescope.org is reduced like its planes: the file stays, the frames are three."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.definitions import build_defs
from astro_assets.steps.calibrate import calibrate_session
from astro_assets.steps.inputs import open_raw, raw_frames
from astro_assets.steps.planes import filters_of_planes
from astro_assets.steps.recipe import RECIPES, recipe_of
from astro_assets.store import read_image
from astro_assets_tests.sources.conftest import Night, frame, put
from astro_assets_tests.sources.conftest import night as _night
from astro_assets_tests.sources.test_telescope_org import SESSION, with_settings

night = _night


@pytest.fixture
def wide(night: Night) -> Night:
    """Frames that are larger than their overscan."""
    for number, colour in enumerate("BVR"):
        pixels = np.random.default_rng(number).normal(1000, 10, (150, 170)).astype(np.uint16)
        hdu = fits.PrimaryHDU(pixels)
        hdu.header["FILTER"] = colour
        hdu.header["EXPTIME"] = 60.0
        path = put(night.served / f"telescope_org/423183/{colour}.fits", b"")
        hdu.writeto(path, overwrite=True)
    return night


def test_each_plane_is_a_frame_with_its_filter(wide: Night) -> None:
    night = with_settings(wide, 'form = "cube"')
    night.fetch("telescope_org")
    cube = night.store.raw("telescope_org", SESSION) / "423183.fits"
    before = cube.read_bytes()
    raws = raw_frames(night.store, "telescope_org", SESSION)
    assert [raw.name[-2:] for raw in raws] == ["-B", "-V", "-R"]
    assert {raw.path for raw in raws} == {cube}
    for raw, colour in zip(raws, "BVR", strict=True):
        opened = open_raw(raw)
        served = fits.getdata(wide.served / f"telescope_org/423183/{colour}.fits")
        assert np.array_equal(opened.image_adu, served)
        assert opened.frame.filter == colour
    assert cube.read_bytes() == before


def test_cube_and_zip_give_the_same_calibrated_frames_without_overscan(wide: Night) -> None:
    recipe = RECIPES["telescope_org"]
    found: list[dict[str, np.ndarray]] = []
    for form in ("zip", "cube"):
        night = with_settings(wide, f'form = "{form}"') if form == "cube" else wide
        night.fetch("telescope_org")
        calibrate_session(night.store, "telescope_org", SESSION, recipe, None)
        images = {
            path.stem: read_image(path)
            for path in night.store.calibrated("telescope_org", SESSION).glob("*.fits")
        }
        of_this_form = {name: file for name, file in images.items() if _is(name, form)}
        found.append({file.header["FILTER"]: file.image for file in of_this_form.values()})
    first, second = found
    assert first.keys() == second.keys() == set("BVR")
    for colour in "BVR":
        assert first[colour].shape == (150 - 32, 170 - 32)
        assert np.array_equal(first[colour], second[colour])


def _is(name: str, form: str) -> bool:
    """``423183-B-….fits`` is of the zip, ``423183-…-B.fits`` of the cube."""
    return name.rsplit("-", 1)[-1] in set("BVR") if form == "cube" else name[7] in "BVR"


@pytest.mark.parametrize(
    ("shape", "filters", "expected"),
    [
        ((3, 8, 9), "R,V,B", ("R", "V", "B")),
        ((3, 8, 9), "R, V ,B", ("R", "V", "B")),
        ((3, 8, 9), "RVB", ()),
        ((3, 8, 9), "R,V", ()),
        ((3, 8, 9), "R,,B", ()),
        ((8, 9), "R,V,B", ()),
        ((1, 8, 9), "Ha", ("Ha",)),
    ],
)
def test_which_cubes_are_split(
    tmp_path: Path, shape: tuple[int, ...], filters: str, expected: tuple[str, ...]
) -> None:
    hdu = fits.PrimaryHDU(np.zeros(shape, dtype=np.uint8))
    hdu.header["FILTER"] = filters
    hdu.writeto(tmp_path / "cube.fits")
    assert filters_of_planes(tmp_path / "cube.fits") == expected


def test_what_cannot_be_read_has_no_planes(tmp_path: Path) -> None:
    assert filters_of_planes(tmp_path / "nothing.fits") == ()
    assert filters_of_planes(put(tmp_path / "broken.fits", b"SIMPLE  =")) == ()


def test_flats_beside_the_lights_leave_the_lights_as_they_are(wide: Night) -> None:
    """With flats there are calibrations in the lane; the lights are the provider's all the same."""
    put(wide.served / "telescope_org/flats/31/B.fits", frame(80, FILTER="B"))
    found = []
    for night in (wide, with_settings(wide, "flats = true")):
        night.fetch("telescope_org")
        recipe = recipe_of(night.settings.source("telescope_org"))
        found.append(recipe.arrives_calibrated)
        calibrate_session(night.store, "telescope_org", SESSION, recipe, None)
        for path in night.store.calibrated("telescope_org", SESSION).glob("*.fits"):
            found.append(read_image(path).image.sum())
            assert read_image(path).header["CALSTAT"] == "BDF"
            path.unlink()
    assert found[0] is True
    assert found[4] is False
    assert found[1:4] == found[5:]
    jobs = {job.name for job in build_defs(night.settings).jobs or ()}
    assert {"telescope_org_raw_calibrations", "telescope_org_master_flat"} <= jobs
