"""Session stacks from files: odd sessions, grids of one's own, Bayer frames."""

from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astro_assets.errors import BrokenFile, FramesApart
from astro_assets.imaging.bayer import channel_mask, flip_pattern
from astro_assets.settings import GridWish, Solving
from astro_assets.steps.stack import stack_session
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, read_image
from astro_assets_tests.imaging._sky import spread_stars, star_field, tan
from astro_assets_tests.steps.solved import SOURCE, write_solved

SESSION = "2026-11-20_M31_cam"
SHAPE = (240, 320)
SKY_E, FLUX_E = 150.0, 50_000.0
NO_INDEX = Solving(index_folders=())


def stars_on_the_sky(seed: int = 1) -> NDArray[np.float64]:
    x, y = spread_stars(np.random.default_rng(seed), SHAPE)
    return np.asarray(tan(SHAPE).all_pix2world(np.c_[x, y], 0))


def seen(
    wcs: WCS, shape: tuple[int, int], seed: int, sky: NDArray[np.float64], flux_e: float = FLUX_E
) -> NDArray[np.float32]:
    """A frame with its noise; stars have 3 px of the 2″ kind."""
    rng = np.random.default_rng(seed)
    x, y = wcs.all_world2pix(sky, 0).T
    scale = float(np.sqrt(np.abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600
    truth = star_field(shape, x, y, np.full(x.size, flux_e), 6.0 / scale)
    image = rng.poisson(truth + SKY_E * (scale / 2) ** 2) + rng.normal(0, 5, shape)
    return image.astype(np.float32)


def dithered(n: int, seed: int = 5, **how: float) -> list[WCS]:
    rng = np.random.default_rng(seed)
    return [
        tan(SHAPE, ra_deg=192.7 + a, dec_deg=41.1 + b, angle_deg=c, **how)
        for a, b, c in rng.normal(0, (0.004, 0.003, 0.5), (n, 3))
    ]


def flux_errors(file: ImageFile, sky: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the stars well within the stack, in units of their flux."""
    wcs = WCS(file.header)
    scale = float(np.sqrt(np.abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600
    x, y = wcs.all_world2pix(sky, 0).T
    radius = 16.0 / scale
    ny, nx = file.image.shape
    inside = (x > 2 * radius) & (y > 2 * radius) & (x < nx - 2 * radius) & (y < ny - 2 * radius)
    clean = np.nan_to_num(file.image - np.float32(file.header["BKGLEVEL"]))
    flux, _, _ = sep.sum_circle(clean, x[inside], y[inside], radius)
    return np.asarray(flux / FLUX_E - 1)


def made(root: Path, **how: object) -> tuple[Summary, Path]:
    store = Store(root)
    summary = stack_session(store, SOURCE, SESSION, NO_INDEX, **how)  # type: ignore[arg-type]
    return summary, store.stacks(SOURCE, SESSION)


def plain_session(root: Path, n: int = 5, **cards: object) -> NDArray[np.float64]:
    sky, wcss = stars_on_the_sky(), dithered(n)
    images = [seen(wcs, SHAPE, number, sky) for number, wcs in enumerate(wcss)]
    write_solved(Store(root), SESSION, images, wcss, **{"FILTER": "G", **cards})
    return sky


def test_a_stack_tells_weight_count_exposure_and_rejections(tmp_path: Path):
    plain_session(tmp_path)
    _, folder = made(tmp_path)
    file = read_image(folder / "G.fits")
    assert set(file.planes) == {"WEIGHT", "COUNT", "EXPOSURE", "REJ_LOW", "REJ_HIGH"}
    np.testing.assert_allclose(file.planes["EXPOSURE"], 60 * file.planes["COUNT"])
    assert file.planes["COUNT"].max() == 5
    assert file.planes["REJ_HIGH"].sum() < 0.01 * file.image.size


def test_a_stack_tells_its_stars(tmp_path: Path):
    sky = plain_session(tmp_path)
    _, folder = made(tmp_path)
    stars = Table.read(folder / "G.fits", "STARS").to_pandas()
    x, y = WCS(fits.getheader(folder / "G.fits")).all_world2pix(sky, 0).T
    far_px, _ = cKDTree(stars[["x", "y"]].to_numpy()).query(np.c_[x, y])
    assert np.mean(far_px < 0.3) > 0.9
    assert np.median(stars["flux_e"]) == pytest.approx(FLUX_E, rel=0.03)


@pytest.mark.parametrize("n", [1, 2])
def test_few_frames_make_a_stack(tmp_path: Path, n: int):
    sky = plain_session(tmp_path, n)
    _, folder = made(tmp_path)
    file = read_image(folder / "G.fits")
    assert file.header["NCOMBINE"] == n
    assert np.sqrt(np.mean(flux_errors(file, sky) ** 2)) < 0.02


def test_no_accepted_frame_makes_no_image_and_says_so(tmp_path: Path):
    plain_session(tmp_path, AAACCEPT=False)
    summary, folder = made(tmp_path)
    assert "no frame was accepted" in str(summary.figures["filters"])
    assert not list(folder.glob("*.fits"))


def test_frames_of_other_sizes_and_scales_go_into_one_stack(tmp_path: Path):
    sky = stars_on_the_sky()
    half = (120, 160)
    wcss = [*dithered(3), tan(half, scale_arcsec=4.0, angle_deg=1.0), tan((200, 200))]
    shapes = [SHAPE, SHAPE, SHAPE, half, (200, 200)]
    images = [seen(w, s, k, sky) for k, (w, s) in enumerate(zip(wcss, shapes, strict=True))]
    write_solved(Store(tmp_path), SESSION, images, wcss, FILTER="G")
    _, folder = made(tmp_path)
    file = read_image(folder / "G.fits")
    assert file.planes["COUNT"].max() == 5
    assert abs(np.median(flux_errors(file, sky))) < 0.004


def test_a_grid_of_ones_own_is_taken(tmp_path: Path):
    sky = plain_session(tmp_path)
    wish = GridWish(
        target="m 31", north_up=True, scale_arcsec=1.5, centre_deg=(192.71, 41.09),
        size_px=(400, 300),
    )  # fmt: skip
    before, _ = made(tmp_path)
    summary, folder = made(tmp_path, grids=[GridWish(scale_arcsec=9), wish])
    assert summary.digest != before.digest, "another grid is another product"
    file = read_image(folder / "G.fits")
    wcs = WCS(file.header)
    assert file.image.shape == (300, 400)
    assert wcs.wcs_pix2world(199.5, 149.5, 0) == pytest.approx([192.71, 41.09])
    assert wcs.pixel_scale_matrix[1, 1] * 3600 == pytest.approx(1.5)
    assert wcs.pixel_scale_matrix[0, 1] == pytest.approx(0, abs=1e-12)
    assert abs(np.median(flux_errors(file, sky))) < 0.003


def test_a_grid_like_that_of_another_file(tmp_path: Path):
    sky = plain_session(tmp_path)
    like = tan((310, 290), angle_deg=30.0, scale_arcsec=2.4)
    path = tmp_path / "like.fits"
    fits.PrimaryHDU(np.zeros((310, 290), np.float32), like.to_header()).writeto(path)
    _, folder = made(tmp_path, grids=[GridWish(like=path)])
    file = read_image(folder / "G.fits")
    assert file.image.shape == (310, 290)
    here, there = (wcs.wcs_pix2world([[10, 20]], 0) for wcs in (WCS(file.header), like))
    assert here == pytest.approx(there)
    assert abs(np.median(flux_errors(file, sky))) < 0.003


def test_a_grid_that_no_frame_lies_on_is_refused(tmp_path: Path):
    plain_session(tmp_path, 2)
    wish = GridWish(centre_deg=(10.0, -40.0), size_px=(200, 200))
    with pytest.raises(FramesApart, match=r"none of the frames lies on the grid.*centre_deg"):
        made(tmp_path, grids=[wish])


def test_a_file_without_a_wcs_gives_no_grid(tmp_path: Path):
    plain_session(tmp_path, 2)
    path = tmp_path / "like.fits"
    fits.PrimaryHDU(np.zeros((30, 20), np.float32)).writeto(path)
    with pytest.raises(BrokenFile, match="no image with a WCS"):
        made(tmp_path, grids=[GridWish(like=path)])
    with pytest.raises(BrokenFile, match="cannot be read"):
        made(tmp_path, grids=[GridWish(like=tmp_path / "none.fits")])


RATIO = {"R": 0.5, "G": 1.0, "B": 0.25}


def bayer_session(root: Path, n: int, wcss: list[WCS] | None = None, **cards: object) -> NDArray:
    """Frames of which every second is turned upside down, with its pattern in its own header."""
    sky, wcss = stars_on_the_sky(), wcss or dithered(n)
    images, solutions, patterns = [], [], []
    for number, upright in enumerate(wcss):
        image, wcs = np.zeros(SHAPE, np.float32), upright.deepcopy()
        for colour, where in zip("RGB", channel_mask(SHAPE, "GRBG"), strict=True):
            image[where] = seen(upright, SHAPE, 10 * number, sky, RATIO[colour] * FLUX_E)[where]
        pattern = "GRBG"
        if number % 2:
            image, pattern = image[::-1, ::-1], flip_pattern("GRBG", SHAPE, rows=True, columns=True)
            wcs.wcs.crpix = np.array([SHAPE[1] + 1, SHAPE[0] + 1]) - wcs.wcs.crpix
            wcs.wcs.cd = -wcs.wcs.cd
            wcs.wcs.set()
        images.append(np.ascontiguousarray(image))
        solutions.append(wcs)
        patterns.append({"BAYERPAT": pattern})
    write_solved(Store(root), SESSION, images, solutions, cards=patterns, **cards)
    return sky


def test_bayer_frames_are_drizzled_each_by_its_own_pattern(tmp_path: Path):
    sky = bayer_session(tmp_path, 12)
    summary, folder = made(tmp_path)
    for colour, ratio in RATIO.items():
        file = read_image(folder / f"{colour}.fits")
        assert file.header["AABAYER"] == "Bayer drizzle"
        assert "uneven dithers cost" in str(summary.figures[f"bayer_{colour}"])
        assert "Bayer drizzle" in " ".join(str(line) for line in file.header["HISTORY"])
        error = (1 + flux_errors(file, sky)) / ratio - 1
        assert abs(np.median(error)) < 0.005, colour
        assert np.sqrt(np.mean(error**2)) < 0.02, colour


def test_few_bayer_frames_are_debayered_and_say_why(tmp_path: Path):
    sky = bayer_session(tmp_path, 4)
    summary, folder = made(tmp_path)
    file = read_image(folder / "R.fits")
    assert file.header["AABAYER"] == "debayered"
    assert summary.figures["bayer_R"] == "debayered: 4 frames, and drizzle needs 8"
    assert abs(np.median((1 + flux_errors(file, sky)) / 0.5 - 1)) < 0.01


def test_bayer_frames_without_dithers_are_debayered_and_say_why(tmp_path: Path):
    bayer_session(tmp_path, 10, [tan(SHAPE)] * 10)
    summary, folder = made(tmp_path)
    # Upside down ones change the cell; all others see the same colour at the same place.
    assert str(summary.figures["bayer_B"]).startswith("debayered: ")
    assert "dithers" in str(summary.figures["bayer_B"])
    assert np.isfinite(read_image(folder / "B.fits").image[20:-20, 20:-20]).all()


@pytest.mark.parametrize("n", [4, 12])
def test_bayer_noise_is_what_an_aperture_sees(tmp_path: Path, n: int):
    """Neighbours share a debayered pixel's noise; a limit that forgets it is a magnitude off."""
    bayer_session(tmp_path, n)
    _, folder = made(tmp_path)
    for colour in "RGB":
        file = read_image(folder / f"{colour}.fits")
        inner = file.image[30:-30, 30:-30]
        ny, nx = (side // 10 for side in inner.shape)
        sums = inner[: ny * 10, : nx * 10].reshape(ny, 10, nx, 10).sum(axis=(1, 3)).ravel()
        dark = sums[sums < np.median(sums)]
        noise_e = float(np.sqrt(np.mean((dark - np.median(sums)) ** 2))) / 10
        assert file.header["BKGNOISE"] == pytest.approx(noise_e, rel=0.15), colour


def test_a_satellite_is_not_in_the_drizzle(tmp_path: Path):
    bayer_session(tmp_path, 12)
    path = Store(tmp_path).solved(SOURCE, SESSION) / "light-0005.fits"
    with fits.open(path, mode="update") as hdus:
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        hdus[0].data += 3000 * np.exp(-(((y - 0.5 * x - 40) / 1.5) ** 2)).astype(np.float32)
    _, folder = made(tmp_path)
    for colour in "RGB":
        file = read_image(folder / f"{colour}.fits")
        assert file.header["AABAYER"] == "Bayer drizzle"
        assert file.planes["REJ_HIGH"].max() >= 1
        off = file.image[20:-20, 20:-20] - np.float32(file.header["BKGLEVEL"])
        trail = file.planes["REJ_HIGH"][20:-20, 20:-20] > 0
        assert trail.sum() > 300
        assert np.percentile(off[trail], 90) < 3 * file.header["BKGNOISE"]
