"""Does the simulated sky hold what it says: fluxes, widths, positions?"""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.sim.cameras import ASI, M_42, NGC_7000, T20, VESPERA
from astro_assets.sim.conditions import DITHER_PX, ROTATION_DEG, Incidents, run_of
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import bayer_cells
from astro_assets.sim.pointing import Pointing
from astro_assets.sim.psf import Psf, add_stars
from astro_assets.sim.session import small_camera
from astro_assets.sim.sky import Scene, scene

NOTHING = Defects.none()


def one_star(x: float, y: float, psf: Psf, flux_e: float = 1e5, size: int = 121) -> np.ndarray:
    image = np.zeros((size, size))
    add_stars(image, np.array([x]), np.array([y]), np.array([flux_e]), psf)
    return image


def moments(image: np.ndarray) -> tuple[float, float, float, float]:
    """Centroid x, y and variance along x, y."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    total = image.sum()
    cx, cy = (image * x).sum() / total, (image * y).sum() / total
    return (
        cx,
        cy,
        (image * (x - cx) ** 2).sum() / total,
        (image * (y - cy) ** 2).sum() / total,
    )


@pytest.mark.parametrize("fwhm_px", [2.5, 3.0, 4.0])
@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (0.31, -0.44), (0.5, 0.5)])
def test_a_star_has_its_flux_and_its_place(fwhm_px: float, dx: float, dy: float) -> None:
    image = one_star(60 + dx, 60 + dy, Psf(fwhm_px))
    assert image.sum() == pytest.approx(1e5, rel=1e-3)
    # Far wings are cut where the stamp ends, about the nearest pixel: the core tells the place.
    core = image * (np.hypot(*(np.mgrid[:121, :121] - np.array([[[60 + dy]], [[60 + dx]]]))) < 15)
    cx, cy, _, _ = moments(core)
    assert cx == pytest.approx(60 + dx, abs=0.01)
    assert cy == pytest.approx(60 + dy, abs=0.01)


@pytest.mark.parametrize("fwhm_px", [2.5, 3.0, 4.0])
def test_a_star_is_as_wide_as_asked(fwhm_px: float) -> None:
    """On pixels so fine that their own size does not count, half of the peak is at FWHM / 2."""
    fine = 9
    image = one_star(150, 150, Psf(fwhm_px * fine), size=301)
    row = image[150]
    above = np.flatnonzero(row >= row.max() / 2)
    left, right = above[0], above[-1]
    half = row.max() / 2
    start = left - (row[left] - half) / (row[left] - row[left - 1])
    end = right + (row[right] - half) / (row[right] - row[right + 1])
    assert (end - start) / fine == pytest.approx(fwhm_px, rel=0.01)


def test_a_bright_star_is_drawn_until_its_wings_do_not_count() -> None:
    row = one_star(60, 60, Psf(3.0), flux_e=1e6)[60]
    outermost = row[np.flatnonzero(row)[0]]
    assert 0 < outermost < 0.03


def test_a_faint_star_keeps_its_flux_too() -> None:
    assert one_star(60, 60, Psf(3.0), flux_e=50.0).sum() == pytest.approx(50, rel=1e-3)


def test_a_star_at_the_edge_is_cut() -> None:
    image = one_star(0.0, 60, Psf(3.0))
    assert 0.5e5 < image.sum() < 0.7e5
    assert one_star(-300, 60, Psf(3.0)).sum() == 0


def test_trailing_draws_a_star_out_in_its_direction() -> None:
    image = one_star(60, 60, Psf(3.0, trail_px=10.0, trail_deg=0.0))
    cx, cy, along, across = moments(image[30:91, 30:91])
    assert (cx, cy) == pytest.approx((30, 30), abs=0.02)
    assert image.sum() == pytest.approx(1e5, rel=2e-3)
    assert along - across == pytest.approx(10.0**2 / 12, rel=0.12)


def test_defocus_widens_and_keeps_the_flux() -> None:
    sharp, blurred = one_star(60, 60, Psf(3.0)), one_star(60, 60, Psf(4.8, ring_px=2.7))
    assert blurred.sum() == pytest.approx(1e5, rel=2e-3)
    assert blurred.max() < 0.3 * sharp.max()
    _, _, along, across = moments(blurred)
    assert along == pytest.approx(across, rel=0.01)


def test_cards_are_a_wcs_that_gives_the_stars_pixels() -> None:
    camera = small_camera()
    conditions = run_of(camera, NGC_7000, 3, Incidents(), Defects(), seed=5)[2]
    seen = scene(camera, NGC_7000, conditions, NOTHING, channel="G", exposure_s=60, seed=5)
    wcs = WCS(fits.Header(conditions.pointing.cards()))
    x, y = wcs.all_world2pix(seen.stars["ra_deg"], seen.stars["dec_deg"], 0)
    assert len(x) >= 40
    assert np.abs(x - seen.stars["x"]).max() < 1e-6
    assert np.abs(y - seen.stars["y"]).max() < 1e-6
    for star in seen.stars.itertuples():
        row, column = round(star.y), round(star.x)
        if 5 < row < camera.shape[0] - 5 and 5 < column < camera.shape[1] - 5:
            box = seen.image_e[row - 1 : row + 2, column - 1 : column + 2]
            assert box.max() > seen.sky_e + 0.04 * star.flux_e


def test_north_is_up_and_east_is_left() -> None:
    pointing = Pointing(56.75, 24.12, 10.0, 0.0, (100, 100))
    x, y = pointing.pixels(np.array([56.75, 56.85]), np.array([24.22, 24.12]))
    assert y[0] > 80
    assert x[1] < 20


def test_rotation_is_the_position_angle_of_up() -> None:
    pointing = Pointing(0.0, 0.0, 10.0, 30.0, (100, 100))
    ra, dec = pointing.wcs().wcs_pix2world([49.5], [69.5], 0)
    # A flat triangle on the sky, 200″ long: right to some 1e-5°.
    assert np.degrees(np.arctan2(ra[0], dec[0])) == pytest.approx(30, abs=1e-4)


def test_dithers_and_turns_stay_in_bounds_and_can_be_switched_off() -> None:
    camera = small_camera()
    run = run_of(camera, NGC_7000, 30, Incidents(), Defects(), seed=3)
    aim = Pointing(NGC_7000.ra_deg, NGC_7000.dec_deg, camera.scale_arcsec, 0, camera.shape)
    ny, nx = camera.shape
    moves = np.array(
        [aim.pixels(np.array([c.pointing.ra_deg]), np.array([c.pointing.dec_deg])) for c in run]
    )[:, :, 0] - np.array([(nx - 1) / 2, (ny - 1) / 2])
    turns = np.array([c.pointing.rotation_deg for c in run])
    assert 5 < np.abs(moves).max() <= DITHER_PX + 1e-6
    assert 0.1 < np.abs(turns).max() <= ROTATION_DEG
    still = run_of(camera, NGC_7000, 5, Incidents(), replace(Defects(), dithers=False), seed=3)
    assert all(abs(c.pointing.ra_deg - NGC_7000.ra_deg) < 1e-9 for c in still)
    unturned = run_of(camera, NGC_7000, 5, Incidents(), replace(Defects(), rotation=False), seed=3)
    assert all(c.pointing.rotation_deg == 0 for c in unturned)


def test_seeing_drifts_slowly_and_can_be_switched_off() -> None:
    camera = small_camera()
    width = np.array(
        [c.psf.fwhm_px for c in run_of(camera, NGC_7000, 24, Incidents(), Defects(), seed=3)]
    )
    assert 1.08 < width.max() / width.min() < 1.25
    assert np.abs(np.diff(width)).max() / camera.fwhm_px < 0.07
    steady = run_of(camera, NGC_7000, 5, Incidents(), NOTHING, seed=3)
    assert {c.psf.fwhm_px for c in steady} == {camera.fwhm_px}
    assert {c.transparency for c in steady} == {1.0}


@pytest.mark.parametrize("name", ["cloud", "trailing", "defocus"])
def test_each_way_of_spoiling_has_its_switch(name: str) -> None:
    camera = small_camera()
    incidents = Incidents(**{name: (1,)})
    on = run_of(camera, NGC_7000, 3, incidents, Defects(), seed=3)
    off = run_of(camera, NGC_7000, 3, incidents, replace(Defects(), **{name: False}), seed=3)
    assert [c.spoiled for c in on] == [None, name, None]
    assert [c.spoiled for c in off] == [None, None, None]
    assert (on[1].transparency < 0.3) == (name == "cloud")
    assert (on[1].psf.trail_px > 0) == (name == "trailing")
    assert (on[1].psf.ring_px > 0) == (name == "defocus")


def mono(defects: Defects, exposure_s: float = 60.0, **changes: float) -> Scene:
    camera = small_camera()
    conditions = run_of(camera, NGC_7000, 1, Incidents(), NOTHING, seed=1)[0]
    return scene(
        camera, NGC_7000, replace(conditions, **changes), defects, channel="R",
        exposure_s=exposure_s, seed=1,
    )  # fmt: skip


def test_the_extended_object_has_a_switch_and_is_smooth() -> None:
    bare, full = mono(NOTHING), mono(NOTHING.with_only("extended_object"))
    nebula = full.image_e - bare.image_e
    assert nebula.max() > bare.sky_e
    assert nebula.min() >= 0
    assert np.abs(np.diff(nebula, axis=1)).max() < 0.15 * nebula.max()


def test_clouds_dim_stars_and_brighten_the_sky() -> None:
    clear, cloudy = mono(NOTHING), mono(NOTHING, transparency=0.25, sky_factor=1.6)
    assert cloudy.sky_e == pytest.approx(1.6 * clear.sky_e)
    assert np.allclose(cloudy.stars["flux_e"], 0.25 * clear.stars["flux_e"])
    assert np.median(cloudy.image_e) == pytest.approx(cloudy.sky_e, rel=0.01)


def test_a_colour_camera_sees_each_star_by_the_filter_of_each_pixel() -> None:
    camera = small_camera(ASI, (360, 480))
    conditions = run_of(camera, M_42, 1, Incidents(), NOTHING, seed=4)[0]
    seen = scene(camera, M_42, conditions, NOTHING, channel=None, exposure_s=10, seed=4)
    empty = np.zeros(camera.shape)
    for k, channel in enumerate("RGB"):
        whole = empty.copy()
        stars = seen.stars
        add_stars(
            whole, stars["x"].to_numpy(), stars["y"].to_numpy(),
            stars[f"flux_{channel.lower()}_e"].to_numpy(), conditions.psf,
        )  # fmt: skip
        for colour, (row, column) in bayer_cells("RGGB"):
            if colour == channel:
                part = seen.image_e[row::2, column::2][20:-20, 20:-20]
                expected = whole[row::2, column::2][20:-20, 20:-20] + seen.sky_rgb_e[k]
                assert np.abs(part - expected).max() < 0.01 * expected.max()
                assert np.median(part - expected) == pytest.approx(0, abs=0.05)
    assert seen.sky_e == pytest.approx(
        (seen.sky_rgb_e[0] + 2 * seen.sky_rgb_e[1] + seen.sky_rgb_e[2]) / 4
    )


def test_bayer_cells_read_row_by_row() -> None:
    assert bayer_cells(VESPERA.bayer or "") == [
        ("G", (0, 0)), ("B", (0, 1)), ("R", (1, 0)), ("G", (1, 1)),
    ]  # fmt: skip


def test_a_mono_camera_needs_a_filter() -> None:
    camera = small_camera(T20)
    conditions = run_of(camera, NGC_7000, 1, Incidents(), NOTHING, seed=1)[0]
    with pytest.raises(ValueError, match="name a channel"):
        scene(camera, NGC_7000, conditions, NOTHING, channel=None, exposure_s=1, seed=1)
