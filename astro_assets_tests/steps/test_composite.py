"""Composites from files: deeper with every night, of many scales, of tiles."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.frame import mosaic_key
from astro_assets.imaging.coverage import well_covered
from astro_assets.settings import GridWish
from astro_assets.steps import inventory
from astro_assets.steps.composite import compose_target
from astro_assets.steps.stack import stack_session
from astro_assets.store import ImageFile, Store, read_image
from astro_assets_tests.imaging._sky import star_field, tan
from astro_assets_tests.steps.solved import SOURCE, write_solved
from astro_assets_tests.steps.test_stack import (
    FLUX_E,
    NO_INDEX,
    SHAPE,
    SKY_E,
    dithered,
    flux_errors,
    seen,
    stars_on_the_sky,
)


def night(
    store: Store, number: int, *, filter_name: str = "G", n: int = 3, target: str = "M31",
    **how: float,
) -> NDArray[np.float64]:  # fmt: skip
    """Another night's frames, stacked."""
    sky = stars_on_the_sky()
    session = f"{date(2026, 11, 1) + timedelta(number)}_{target}_cam"
    wcss = dithered(n, seed=100 + number, **how)
    images = [seen(wcs, SHAPE, 100 * number + k, sky) for k, wcs in enumerate(wcss)]
    write_solved(store, session, images, wcss, FILTER=filter_name)
    stack_session(store, SOURCE, session, NO_INDEX)
    return sky


def sky_noise_e(file: ImageFile) -> float:
    """Of sums over 8 × 8 pixels of the dark half, per pixel, as an aperture sees it."""
    rows, columns = well_covered(file.planes["WEIGHT"])
    image = file.image[rows, columns]
    ny, nx = (side // 8 for side in image.shape)
    sums = image[: ny * 8, : nx * 8].reshape(ny, 8, nx, 8).sum(axis=(1, 3)).ravel()
    middle = np.median(sums)
    return float(np.sqrt(np.mean((sums[sums < middle] - middle) ** 2))) / 8


def test_every_night_makes_it_deeper(tmp_path: Path):
    store, told, measured = Store(tmp_path), [], []
    for number in range(4):
        sky = night(store, number)
        compose_target(store, "M31")
        file = read_image(store.composite("M31") / "G.fits")
        told.append(file.header["BKGNOISE"])
        measured.append(sky_noise_e(file))
        assert file.planes["EXPOSURE"].max() == pytest.approx(180 * (number + 1), rel=1e-3)
        assert abs(np.median(flux_errors(file, sky))) < 0.004
    ideal = told[0] / np.sqrt(np.arange(1, 5))
    assert np.array(told) == pytest.approx(ideal, rel=0.05)
    assert np.array(measured) == pytest.approx(told, rel=0.15)


def test_stacks_of_other_scales_keep_flux_and_weight(tmp_path: Path):
    store = Store(tmp_path)
    sky = night(store, 0)
    night(store, 1, scale_arcsec=2.9)
    night(store, 2, scale_arcsec=1.4)
    compose_target(store, "M31")
    file = read_image(store.composite("M31") / "G.fits")
    assert abs(np.median(flux_errors(file, sky))) < 0.004
    one = read_image(store.stacks(SOURCE, "2026-11-01_M31_cam") / "G.fits")
    # In the middle all three nights lie on one another. The sky is as bright and the exposures are
    # as long everywhere, so that but for the read noise of smaller pixels a night is a night.
    ny, nx = file.image.shape
    middle = np.s_[ny // 2 - 50 : ny // 2 + 50, nx // 2 - 60 : nx // 2 + 60]
    assert (file.planes["COUNT"][middle] == 3).mean() > 0.99
    told = 1 / np.sqrt(np.median(file.planes["WEIGHT"][middle]))
    assert told == pytest.approx(one.header["BKGNOISE"] / np.sqrt(3), rel=0.1)
    cut = ImageFile(
        file.image[middle], file.header, planes={"WEIGHT": file.planes["WEIGHT"][middle]}
    )
    assert sky_noise_e(cut) == pytest.approx(told, rel=0.2)


def test_one_night_of_one_filter(tmp_path: Path):
    store = Store(tmp_path)
    sky = night(store, 0, filter_name="Ha")
    summary = compose_target(store, "M31")
    file = read_image(store.composite("M31") / "Ha.fits")
    assert summary.figures["channels"] == "Ha"
    assert abs(np.median(flux_errors(file, sky))) < 0.004
    assert (store.composite("M31") / "color.png").is_file()


def test_turned_nights_are_shown_without_empty_corners(tmp_path: Path):
    store = Store(tmp_path)
    night(store, 0)
    session = "2026-11-09_M31_cam"
    wcss = [tan(SHAPE, angle_deg=40 + k) for k in range(3)]
    images = [seen(wcs, SHAPE, k, stars_on_the_sky()) for k, wcs in enumerate(wcss)]
    write_solved(store, session, images, wcss, FILTER="G")
    stack_session(store, SOURCE, session, NO_INDEX)
    compose_target(store, "M31")
    picture = read_image(store.composite("M31") / "color.fits").image
    assert np.isfinite(picture).mean() > 0.995
    assert picture[0].size > 0.3 * SHAPE[0] * SHAPE[1]


def test_a_target_without_a_stack(tmp_path: Path):
    with pytest.raises(NothingToDo, match="has no stack yet"):
        compose_target(Store(tmp_path), "M31")


def test_on_a_grid_of_ones_own_nothing_is_resampled_twice(tmp_path: Path):
    store, sky = Store(tmp_path), stars_on_the_sky()
    wish = GridWish(north_up=True, scale_arcsec=2, centre_deg=(192.7, 41.1), size_px=(300, 220))
    for number in range(2):
        wcss = dithered(3, seed=number)
        images = [seen(wcs, SHAPE, 10 * number + k, sky) for k, wcs in enumerate(wcss)]
        session = f"2026-11-0{number + 1}_M31_cam"
        write_solved(store, session, images, wcss, FILTER="G")
        stack_session(store, SOURCE, session, NO_INDEX, [wish])
    compose_target(store, "M31", [wish])
    file = read_image(store.composite("M31") / "G.fits")
    parts = [read_image(store.stacks(SOURCE, f"2026-11-0{k}_M31_cam") / "G.fits") for k in (1, 2)]
    assert file.image.shape == (220, 300)
    levelled = [p.image - p.header["BKGLEVEL"] for p in parts]
    weights = [p.planes["WEIGHT"] for p in parts]
    mean = np.average(levelled, axis=0, weights=weights)
    inner = np.s_[30:-30, 30:-30]
    off = (file.image - file.header["BKGLEVEL"] - mean)[inner]
    assert np.std(off) < 0.02 * file.header["BKGNOISE"]


# Mosaics


@pytest.mark.parametrize(
    ("target", "mosaic"),
    [("M31-x1-y1", "M31"), ("M31-X12-Y3", "M31"), ("Veil-East-x1-y2", "Veil-East"),
     ("M31", "M31"), ("max-x1", "max-x1")],
)  # fmt: skip
def test_which_mosaic_a_tile_belongs_to(target: str, mosaic: str):
    assert mosaic_key(target) == mosaic


def test_tiles_become_one_picture_without_a_seam(tmp_path: Path):
    """Two tiles that overlap by a fifth, with skies of their own and a nebula over the seam."""
    store, rng = Store(tmp_path), np.random.default_rng(8)
    whole = tan((240, 580), ra_deg=192.7, dec_deg=41.1)
    x, y = rng.uniform(10, 570, 60), rng.uniform(10, 230, 60)
    sky = whole.all_pix2world(np.c_[x, y], 0)
    for number, (left, level) in enumerate(((0, 150.0), (260, 420.0))):
        wcss, images = [], []
        for _ in range(4):
            wcs = whole.deepcopy()
            wcs.wcs.crpix = whole.wcs.crpix - [left + rng.uniform(-3, 3), rng.uniform(-3, 3)]
            wcs.wcs.set()
            px, py = wcs.all_world2pix(sky, 0).T
            v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
            gx, gy = whole.all_world2pix(*wcs.all_pix2world(u.ravel(), v.ravel(), 0), 0)
            glow = 200 * np.exp(-(((gx - 330) / 150) ** 2) - ((gy - 120) / 90) ** 2)
            truth = star_field(SHAPE, px, py, np.full(px.size, FLUX_E)) + glow.reshape(SHAPE)
            images.append((rng.poisson(truth + level) + rng.normal(0, 5, SHAPE)).astype(np.float32))
            wcss.append(wcs)
        session = f"2026-11-20_M31-x{number + 1}-y1_cam"
        write_solved(store, session, images, wcss, FILTER="G")
        stack_session(store, SOURCE, session, NO_INDEX)
    assert set(inventory.targets(store)) == {"M31"}
    compose_target(store, "M31")
    file = read_image(store.composite("M31") / "G.fits")
    assert file.image.shape[1] > 570
    gy, gx = np.mgrid[: file.image.shape[0], : file.image.shape[1]]
    ra, dec = WCS(file.header).all_pix2world(gx.ravel(), gy.ravel(), 0)
    mx, my = whole.all_world2pix(ra, dec, 0)
    mx, my = mx.reshape(gx.shape), my.reshape(gx.shape)
    glow = 200 * np.exp(-(((mx - 330) / 150) ** 2) - ((my - 120) / 90) ** 2)
    off = np.where(file.planes["WEIGHT"] > 0, file.image - glow, np.nan)
    inner = (my > 15) & (my < 225)
    noise_e = file.header["BKGNOISE"]
    for edge in (260, 320):
        before = np.nanmedian(off[inner & (mx > edge - 45) & (mx < edge - 8)])
        after = np.nanmedian(off[inner & (mx > edge + 8) & (mx < edge + 45)])
        assert abs(after - before) < 0.3 * noise_e
    assert SKY_E < np.nanmedian(off) < 420
