"""Real frames of M 94 come out solved, judged, stacked and as a colour picture."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from astro_assets.data import INDEX_FILES
from astro_assets.imaging.bayer import debayer
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.sources.manifest import Manifest
from astro_assets.store import read_image, sha256_of
from astro_assets_tests.real.conftest import SESSIONS, Night

BOTH = pytest.mark.parametrize("source", SESSIONS)
M94 = SkyCoord(192.7211 * u.deg, 41.1203 * u.deg)
FRAMES = 11


def test_all_is_well(night: Night):
    assert night.ended.status == 0, night.ended.said
    assert night.ended.err == ""


@BOTH
def test_each_frame_is_here_as_it_was_served(night: Night, source: str):
    manifest = Manifest.load(night.bench.store.raw(source, SESSIONS[source]))
    assert manifest is not None
    assert not manifest.quarantined
    here = {frame.file.sha256 for frame in manifest.frames()}
    assert here == {sha256_of(path) for path in night.served[source]}


@BOTH
def test_each_frame_is_solved_to_two_arcseconds_and_accepted(night: Night, source: str):
    table = night.bench.frames(source, SESSIONS[source])
    assert len(table) == FRAMES
    assert table["solved"].all()
    assert table["accepted"].all(), table["reason"].to_dict()
    assert (table["residual_arcsec"] < 2).all()
    assert (table["n_matched"] >= 10).all()
    assert table["scale_arcsec"].between(2.35, 2.40).all()
    assert table["fwhm_arcsec"].between(3, 12).all()
    assert table["limiting_mag"].between(11, 18).all()
    assert table["transparency"].between(0.9, 1.1).all()


@BOTH
def test_missing_masters_are_told_and_do_not_stop_the_lane(night: Night, source: str):
    line = night.ended.line("note", SESSIONS[source], "no master dark")
    assert "no master bias" in line
    assert "no master flat" in line
    assert "add" in line
    for path in night.solved(source):
        history = " ".join(str(line) for line in fits.getheader(path)["HISTORY"])
        assert "no master dark for camera" in history.replace("\n", " ")


@pytest.fixture(scope="session")
def reference(night: Night, tmp_path_factory: pytest.TempPathFactory) -> dict[str, WCS]:
    """Each frame as astrometry.net's own program solves it, by the raw file's sha256.

    Without its distortion: a dozen catalogue stars per frame do not hold one, and where there are
    none, in one corner, it leads the same star 4″ to 7″ apart in two frames.
    """
    program = shutil.which("solve-field")
    if program is None:
        pytest.skip("solve-field (Debian package astrometry.net) is not installed")
    folder = tmp_path_factory.mktemp("reference")
    lines = [f"add_path {INDEX_FILES[0].parent}", *(f"index {p.stem}" for p in INDEX_FILES)]
    (folder / "backend.cfg").write_text("\n".join(lines))
    subprocess.run(
        [program, "--backend-config", folder / "backend.cfg", "--dir", folder, "--no-plots",
         "--temp-dir", folder, "--new-fits", "none", "--rdls", "none", "--match", "none",
         "--corr", "none", "--scale-units", "arcsecperpix", "--scale-low", "2.0",
         "--scale-high", "2.8", "--tweak-order", "1", "--cpulimit", "20", "--no-remove-lines",
         "--uniformize", "0",
         *night.served["vespera"]],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return {sha256_of(p): _solution(folder / f"{p.stem}.wcs") for p in night.served["vespera"]}


def _solution(path: Path) -> WCS:
    header = fits.getheader(path)
    header["NAXIS"] = 2  # there is no image in this file
    return WCS(header)


@BOTH
def test_each_frame_lies_where_astrometry_net_puts_it(
    night: Night, reference: dict[str, WCS], source: str
):
    apart = {path.stem: _apart_arcsec(path, reference) for path in night.solved(source)}
    assert len(apart) == FRAMES
    assert max(apart.values()) < 3, apart


def _apart_arcsec(path: Path, reference: dict[str, WCS]) -> float:
    """The most that the centre or a corner differs from the reference."""
    header = fits.getheader(path)
    theirs = next(wcs for sha256, wcs in reference.items() if sha256.startswith(header["AARAW"]))
    nx, ny = header["NAXIS1"], header["NAXIS2"]
    x, y = np.array([[nx / 2, ny / 2], [0, 0], [nx - 1, 0], [0, ny - 1], [nx - 1, ny - 1]]).T
    ours = WCS(header, relax=True)
    sky = [SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg") for wcs in (ours, theirs)]
    return float(sky[0].separation(sky[1]).arcsec.max())


@pytest.fixture(scope="session")
def roundness(night: Night) -> list[float]:
    """The elongation of each frame's stars; both ways brought the same frames."""
    return [_elongation(*_green(path)) for path in night.solved("vespera")]


@BOTH
def test_stars_of_the_stack_are_as_round_as_in_the_better_half_of_the_frames(
    night: Night, roundness: list[float], source: str
):
    stack = read_image(night.stacks(source) / "G.fits")
    assert stack.mask is not None
    elongation = _elongation(np.nan_to_num(stack.image), stack.mask)
    assert elongation <= np.median(roundness)
    assert elongation < 1.2


def _green(path: Path) -> tuple[np.ndarray, np.ndarray]:
    frame = read_image(path)
    assert frame.mask is not None
    planes, masks = debayer(frame.image, frame.mask, frame.header["BAYERPAT"])
    return planes[1], masks[1]


def _elongation(image: np.ndarray, mask: np.ndarray) -> float:
    return seeing(find_stars(image, mask))[1]


@BOTH
def test_m_94_is_an_extended_source_at_its_place(night: Night, source: str):
    stack = read_image(night.stacks(source) / "G.fits")
    wcs = WCS(stack.header)
    x, y = wcs.world_to_pixel(M94)
    image = stack.image - stack.header["BKGLEVEL"]
    v, u_ = np.indices(image.shape)
    near = np.hypot(u_ - x, v - y) < 15
    light = np.where(near, np.clip(image, 0, None), 0)
    centre = wcs.pixel_to_world((light * u_).sum() / light.sum(), (light * v).sum() / light.sum())
    assert centre.separation(M94).arcsec < 5
    radius = np.hypot(u_ - x, v - y)
    rings = [
        np.nanmedian(image[(radius >= r) & (radius < r + 4)]) / stack.header["BKGNOISE"]
        for r in (0, 8, 16, 24)
    ]
    assert rings == sorted(rings, reverse=True)
    # A star of FWHM 3 px has nothing left 16 px from its middle.
    assert rings[2] > 1


@BOTH
def test_the_colour_picture_is_there_in_three_formats(night: Night, source: str):
    folder = night.stacks(source)
    linear = read_image(folder / "color.fits")
    wcs = WCS(linear.header).celestial
    assert linear.image.shape[0] == 3
    shape = linear.image.shape[1:]
    sixteen = tifffile.imread(folder / "color.tif")
    assert sixteen.dtype == np.uint16
    assert sixteen.shape == (*shape, 3)
    with Image.open(folder / "color.png") as picture:
        eight = np.asarray(picture)
    assert eight.shape == (*shape, 3)
    assert np.ptp(sixteen) > 60_000
    x, y = (int(np.rint(value)) for value in wcs.world_to_pixel(M94))
    grey = eight[::-1].mean(axis=-1)  # pictures begin at the top
    galaxy = np.median(grey[y - 3 : y + 4, x - 3 : x + 4])
    sky = np.median(grey)
    assert galaxy > sky + 80
    assert 10 < sky < 80
    assert np.ptp(np.median(eight, axis=(0, 1))) < 8, "the sky has a colour"


def test_both_ways_give_the_same_positions(night: Night):
    first, second = (
        WCS(fits.getheader(night.stacks(source) / "G.fits")).world_to_pixel(M94)
        for source in SESSIONS
    )
    assert np.hypot(*np.subtract(first, second)) < 0.5
