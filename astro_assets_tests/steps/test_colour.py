"""The colour picture of a folder of stacks: three files, their metadata, and their orientation."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image
from pyavm import AVM

from astro_assets.imaging import white_balance
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.stars import find_stars
from astro_assets.imaging.white_balance import KnownColors
from astro_assets.settings import GaiaArchive
from astro_assets.sim.star_index import write_star_index
from astro_assets.steps.colour import Picture, write_picture
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.star_colors import known_colors
from astro_assets.store import Store, read_image, write_image
from astro_assets_tests.steps.online import Script, served
from astro_assets_tests.steps.stacked import (
    SHAPE,
    exposed,
    stars_in_field,
    write_field,
    write_stack,
)

RESPONSE = {"Blue": ("B", 9e4), "Green": ("G", 1.5e5), "Red": ("R", 1.2e5)}
FACTORS = {
    # What makes the Sun's B − V = 0.653 white, from the responses and the simulator's colours.
    "R": 1.5 / 1.2 * 10 ** (-0.4 * 0.55 * 0.653),
    "B": 1.5 / 0.9 * 10 ** (0.4 * 0.653),
}
TITLE = "M 45 – night of 20 November"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    write_field(folder, 1, RESPONSE)
    return folder


@pytest.fixture(scope="module")
def picture(folder: Path) -> Picture:
    index = write_star_index(folder / "sky", seed=1)
    return write_picture(folder, TITLE, [index.parent])


def test_white_is_that_of_the_catalogues_stars(folder: Path, picture: Picture):
    header = fits.getheader(folder / "color.fits")
    assert header["AAWHITE"] == "G2V star"
    assert header["AAWHITEN"] >= 20
    for channel, factor in FACTORS.items():
        assert header[f"WB_{channel}"] == pytest.approx(factor, rel=0.02)
    assert "B-V of Tycho-2" in str(picture.figures["colour_white"])
    assert str(picture.figures["colour_mixture"]).startswith("RGB: R, G and B")


def test_white_is_the_same_by_the_stars_that_the_stacks_tell(
    folder: Path, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in RESPONSE:
        file = read_image(folder / f"{name}.fits")
        file.image[:30], file.planes["WEIGHT"][:30] = np.nan, 0
        assert file.mask is not None
        file.mask[:30] |= np.uint8(MaskBit.NO_DATA)
        tables = {"STARS": Table.from_pandas(find_stars(np.nan_to_num(file.image), file.mask))}
        write_image(tmp_path / f"{name}.fits", replace(file, tables=tables))
    index = write_star_index(tmp_path / "sky", seed=1)
    monkeypatch.setattr(white_balance, "find_stars", None)
    write_picture(tmp_path, TITLE, [index.parent])
    told, searched = (fits.getheader(place / "color.fits") for place in (tmp_path, folder))
    assert told["NAXIS2"] < searched["NAXIS2"]
    assert told["AAWHITEN"] > 0.8 * searched["AAWHITEN"]
    for channel, factor in FACTORS.items():
        assert told[f"WB_{channel}"] == pytest.approx(factor, rel=0.02)


def test_an_index_file_that_is_packed_tells_its_columns_too(folder: Path, tmp_path: Path):
    plain = write_star_index(folder / "sky", seed=1)
    packed = tmp_path / plain.name
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    header = fits.getheader(folder / "Green.fits")
    expected, found = (
        known_colors(WCS(header, naxis=2), SHAPE, [path.parent]) for path in (plain, packed)
    )
    assert isinstance(expected, KnownColors)
    assert isinstance(found, KnownColors)
    np.testing.assert_array_equal(found.color_mag, expected.color_mag)


def test_without_colours_of_stars_the_header_says_so(tmp_path: Path):
    write_field(tmp_path, 2, RESPONSE)
    picture = write_picture(tmp_path, TITLE)
    header = fits.getheader(tmp_path / "color.fits")
    assert header["AAWHITE"] == "average star"
    assert "no index file tells the colours" in str(header["HISTORY"]).replace("\n", " ")
    assert "average star" in str(picture.figures["colour_white"])


def test_the_cube_is_linear_with_its_place_on_the_sky(folder: Path, picture: Picture):
    file = read_image(folder / "color.fits")
    assert file.image.dtype == np.float32
    assert file.image.shape[0] == 3
    assert file.header["AAMIX"] == "RGB"
    green = read_image(folder / "Green.fits")
    here, there = WCS(file.header).celestial, WCS(green.header)
    x0, y0 = (float(v) for v in there.world_to_pixel(here.pixel_to_world(0, 0)))
    ny, nx = file.image.shape[1:]
    cut = green.image[round(y0) : round(y0) + ny, round(x0) : round(x0) + nx]
    sky = cut - file.image[1]
    np.testing.assert_allclose(sky, np.median(sky), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Only PNG and JPEG")  # the packet in a TIFF is found as well
@pytest.mark.parametrize("name", ["color.png", "color.tif"])
def test_another_library_reads_place_and_credits(folder: Path, picture: Picture, name: str):
    avm = AVM.from_image(str(folder / name))
    assert avm.Title == TITLE
    assert avm.Credit == "A. Body"
    assert list(avm.Spectral.Bandpass) == ["Red", "Green", "Blue"]
    assert list(avm.Facility) == ["T20"] * 3
    linear = fits.getheader(folder / "color.fits")
    shape = linear["NAXIS2"], linear["NAXIS1"]
    assert avm.Spatial.ReferenceDimension == [shape[1], shape[0]]
    read, true = avm.to_wcs(), WCS(linear).celestial
    for x, y in ((0, 0), (shape[1] - 1, 5), (30, shape[0] - 1)):
        apart = read.pixel_to_world(x, y).separation(true.pixel_to_world(x, y))
        assert apart.arcsec < 0.1


def test_texts_are_in_the_files_own_places_too(folder: Path, picture: Picture):
    with Image.open(folder / "color.png") as png:
        assert png.text["Title"] == TITLE
        assert png.text["Author"] == "A. Body"
        assert png.text["Filters"] == "Red, Green, Blue"
        assert "deg (ICRS)" in png.text["Position"]
    with tifffile.TiffFile(folder / "color.tif") as tiff:
        page = tiff.pages[0]
        assert page.dtype == np.uint16
        assert "Filters: Red, Green, Blue" in page.description
        assert page.tags[315].value == "A. Body"
        assert page.tags[305].value.startswith("astro-assets")


def test_the_png_is_whole_by_its_own_rules(folder: Path, picture: Picture):
    """Every chunk's checksum, and the XMP under the keyword that the XMP standard names."""
    data = (folder / "color.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, keywords = 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        if kind == b"iTXt":
            keywords.append(body.split(b"\0")[0])
        at += 12 + length
    assert b"XML:com.adobe.xmp" in keywords


def test_pictures_begin_at_the_top_and_the_cube_at_the_bottom(folder: Path, picture: Picture):
    """The brightest star is where the sky has it in all three, east left of north."""
    linear = read_image(folder / "color.fits").image
    sixteen = tifffile.imread(folder / "color.tif")
    with Image.open(folder / "color.png") as png:
        eight = np.asarray(png)
    assert sixteen.shape == eight.shape == (*linear.shape[1:], 3)
    assert np.abs(sixteen / 257 - eight).max() <= 0.51
    y, x = np.unravel_index(np.argmax(linear[1]), linear.shape[1:])
    top = linear.shape[1] - 1 - y
    assert sixteen[top, x].max() > 0.9 * 65535
    wcs = WCS(fits.getheader(folder / "color.fits")).celestial
    assert np.linalg.det(wcs.pixel_scale_matrix) < 0


def test_weights_that_alternate_from_pixel_to_pixel_cut_nothing(tmp_path: Path):
    """As a drizzle has them: what one colour lacks in one pixel, another lacks in the next."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    middle = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2) < SHAPE[0] / 4
    for name, lack in (("Red", x % 2), ("Green", y % 2), ("Blue", (x + y) % 2)):
        image = np.random.default_rng(1).normal(100, 5, SHAPE).astype(np.float32)
        write_stack(
            tmp_path,
            name,
            image,
            weight=np.where(middle & (lack == 1), 0.3, 1.0).astype(np.float32),
        )
    write_picture(tmp_path, TITLE)
    with Image.open(tmp_path / "color.png") as shown:
        width, height = shown.size
    assert width > 0.9 * SHAPE[1]
    assert height > 0.9 * SHAPE[0]


def test_one_filter_and_an_empty_field_give_a_picture_with_its_reason(tmp_path: Path):
    sky = np.random.default_rng(3).normal(100, 5, SHAPE).astype(np.float32)
    write_stack(tmp_path, "Comet XY", sky)
    picture = write_picture(tmp_path, "Comet")
    assert "one filter alone has no colour" in str(picture.figures["colour_mixture"])
    header = fits.getheader(tmp_path / "color.fits")
    assert header["AAMIX"] == "grey"
    assert header["AAWHITE"] == "not balanced"


def test_blank_saturated_and_apart_give_a_picture(tmp_path: Path):
    stars, x, y = stars_in_field(4)
    flux_e = 1.5e5 * 10 ** (-0.4 * (stars.vt_mag - 10))
    left, right = (exposed(4, flux_e, x, y) for _ in range(2))
    left[:, 200:], right[:, :300] = np.nan, np.nan
    write_stack(tmp_path, "Red", left)
    write_stack(tmp_path, "Green", right)
    write_stack(tmp_path, "Blue", np.full(SHAPE, np.nan, np.float32))
    write_stack(tmp_path, "Ha", np.full(SHAPE, 6e4), saturated=np.ones(SHAPE, bool))
    picture = write_picture(tmp_path, "nothing in common")
    assert picture.thumbnail_png.startswith(b"\x89PNG")
    assert fits.getheader(tmp_path / "color.fits")["AAWHITE"] == "not balanced"
    assert any("Hα was left out" in remark for remark in picture.remarks)


def test_astrofiler_clips_results_to_uint16_and_the_cube_here_does_not(
    folder: Path, picture: Picture
):
    rgb = read_image(folder / "color.fits").image
    assert rgb.min() < 0  # half of the sky's noise lies below its level
    assert rgb.max() > 65_535
    assert len(np.unique(rgb[1] % 1)) > 1000


def test_astrophotographys_stiff_script_cuts_the_faint_at_a_quantile_and_this_does_not(
    folder: Path, picture: Picture
):
    """Its quantile of 0.60 makes more than half of the pixels black."""
    sixteen = tifffile.imread(folder / "color.tif")
    assert (sixteen.max(axis=-1) == 0).mean() < 0.01
    assert (sixteen == 65_535).any(axis=-1).mean() < 0.01


def test_astrophotographys_stiff_script_turns_colours_and_this_keeps_them(
    folder: Path, picture: Picture
):
    """Saturation up to 2 and a gamma per channel change ratios; bright stars keep theirs here."""
    rgb = read_image(folder / "color.fits").image.astype(float)
    sixteen = np.moveaxis(tifffile.imread(folder / "color.tif")[::-1], -1, 0).astype(float)
    grey = rgb.mean(axis=0)
    bright = (grey > 2000) & (grey < 0.2 * grey.max())
    linear, shown = rgb[0, bright] / rgb[2, bright], sixteen[0, bright] / sixteen[2, bright]
    assert np.median(np.abs(shown / linear - 1)) < 0.05


@pytest.mark.parametrize(
    ("filters", "mixture"),
    [(("Red", "Green", "Blue"), "RGB"), (("Ha", "Green", "Blue"), "by wavelength"),
     (("SII", "Ha", "OIII"), "SHO")],
)  # fmt: skip
def test_astrophotographys_rgb_hgb_and_sho_are_there(
    tmp_path: Path, filters: tuple[str, ...], mixture: str
):
    channels = dict(zip(filters, "RGB", strict=True))
    write_field(tmp_path, 5, {name: (channel, 1e5) for name, channel in channels.items()})
    write_picture(tmp_path, TITLE)
    header = fits.getheader(tmp_path / "color.fits")
    assert header["AAMIX"] == mixture
    assert header["FILTERS"] == ",".join(filters)


@pytest.fixture
def gaia(tmp_path: Path) -> Iterator[tuple[Script, GaiaClient]]:
    """A server that speaks the archive's protocol, with the simulated stars' colours."""
    stars, _, _ = stars_in_field(6)
    table = Table(
        {
            "ra": stars.ra_deg,
            "dec": stars.dec_deg,
            "phot_g_mean_mag": stars.vt_mag,
            # Near enough for the simulator's stars: the Sun has 0.818 at its B − V of 0.653.
            "phot_bp_mean_mag": stars.vt_mag + 0.818 + 1.2 * (stars.bv_mag - 0.653),
            "phot_rp_mean_mag": stars.vt_mag,
        }
    )
    with served(Script(sky=table)) as script:
        settings = GaiaArchive.model_validate({"url": f"{script.url}/tap-server/tap"})
        yield script, GaiaClient(settings, Store(tmp_path / "root"))


def test_gaia_tells_colours_where_no_index_file_does(
    tmp_path: Path, gaia: tuple[Script, GaiaClient]
):
    write_field(tmp_path, 6, RESPONSE)
    write_picture(tmp_path, TITLE, (), gaia[1])
    header = fits.getheader(tmp_path / "color.fits")
    assert header["AAWHITE"] == "G2V star"
    for channel, factor in FACTORS.items():
        assert header[f"WB_{channel}"] == pytest.approx(factor, rel=0.02)
    assert "BP-RP of Gaia DR3" in str(header["HISTORY"])


def test_without_gaias_answer_there_is_a_picture_and_the_reason(tmp_path: Path):
    settings = GaiaArchive.model_validate({"url": "http://127.0.0.1:9/tap", "wait_s": 2})
    write_field(tmp_path, 7, RESPONSE)
    picture = write_picture(tmp_path, TITLE, (), GaiaClient(settings, Store(tmp_path / "root")))
    assert "average star" in str(picture.figures["colour_white"])
    assert "Gaia's archive" in str(picture.figures["colour_white"])
