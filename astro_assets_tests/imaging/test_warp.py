import numpy as np
import pytest
import sep
from astropy.wcs import WCS

from astro_assets.imaging import placement
from astro_assets.imaging.grid import Grid, common_grid
from astro_assets.imaging.laid import Laid
from astro_assets.imaging.lanczos import MIN_WEIGHT
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.pixel_map import pixel_mesh
from astro_assets.imaging.placement import place
from astro_assets.imaging.planes import Workspace
from astro_assets.imaging.warp import InMemory, Warped, warp
from astro_assets_tests.imaging._sky import SCALE_ARCSEC, spread_stars, star_field, tan, with_sip

SHAPE = (240, 320)


def plain_lanczos(image: np.ndarray, good: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """The reference: the formula, pixel by pixel."""
    total = share = 0.0
    for v in range(int(np.floor(y)) - 2, int(np.floor(y)) + 4):
        for u in range(int(np.floor(x)) - 2, int(np.floor(x)) + 4):
            w = np.sinc(x - u) * np.sinc((x - u) / 3) * np.sinc(y - v) * np.sinc((y - v) / 3)
            if 0 <= v < image.shape[0] and 0 <= u < image.shape[1] and good[v, u]:
                total += w * image[v, u]
                share += w
    return total, share


def kernel_sum(x: float, y: float) -> float:
    """What the weights of all 36 taps add up to."""

    def along(t: float) -> float:
        d = t - np.floor(t) - np.arange(-2, 4)
        return float((np.sinc(d) * np.sinc(d / 3)).sum())

    return along(x) * along(y)


def mirrored(wcs: WCS, *, x: bool = False, y: bool = False) -> WCS:
    """The WCS of the same frame whose columns, rows are stored from the last to the first."""
    other = wcs.deepcopy()
    for axis, turn in enumerate((x, y)):
        if turn:
            other.wcs.crpix[axis] = SHAPE[1 - axis] + 1 - wcs.wcs.crpix[axis]
            other.wcs.cd[:, axis] *= -1
    other.wcs.set()
    return other


def turned(angle_deg: float, **how: float) -> WCS:
    return tan(SHAPE, angle_deg=angle_deg, ra_deg=192.7008, dec_deg=41.0995, **how)


def test_onto_its_own_grid_a_frame_does_not_change():
    rng = np.random.default_rng(1)
    image = rng.normal(500, 20, SHAPE).astype(np.float32)
    wcs = tan(SHAPE)
    out = warp(image, None, wcs, Grid(wcs, SHAPE))
    assert np.abs(out.image - image)[3:-3, 3:-3].max() < 0.01
    assert (out.weight[3:-3, 3:-3] == 1).all()


def test_equal_to_the_plain_formula_with_and_without_masked_pixels():
    rng = np.random.default_rng(2)
    image = rng.normal(500, 20, SHAPE).astype(np.float32)
    mask = np.where(rng.random(SHAPE) < 0.05, MaskBit.BAD, 0).astype(np.uint8)
    frame, grid = turned(7.0), Grid(tan(SHAPE), SHAPE)
    out = warp(image, mask, frame, grid)
    xs, ys = rng.integers(0, SHAPE[1], 400), rng.integers(0, SHAPE[0], 400)
    px, py = frame.all_world2pix(grid.wcs.all_pix2world(np.c_[xs, ys], 0), 0).T
    seen = 0
    for x, y, u, v in zip(xs, ys, px, py, strict=True):
        total, share = plain_lanczos(image, mask == 0, u, v)
        if share / kernel_sum(u, v) < MIN_WEIGHT - 0.02:
            assert out.weight[y, x] == 0
        elif share / kernel_sum(u, v) > MIN_WEIGHT + 0.02:
            # The kernel's phases are tabulated and the mapping interpolated.
            assert out.image[y, x] == pytest.approx(total / share, abs=0.5)
            assert out.weight[y, x] == pytest.approx(min(share / kernel_sum(u, v), 1), abs=0.01)
            seen += 1
    assert seen > 250


@pytest.mark.parametrize("angle_deg", [0.0, 0.3, -1.5])
@pytest.mark.parametrize(("x", "y"), [(False, False), (True, False), (False, True), (True, True)])
def test_in_two_passes_equal_to_the_plain_formula(angle_deg: float, x: bool, y: bool):
    """Straight, upside down and mirrored frames, with and without masked pixels."""
    rng = np.random.default_rng(20)
    image = rng.normal(500, 20, SHAPE).astype(np.float32)
    mask = np.where(rng.random(SHAPE) < 0.02, MaskBit.BAD, 0).astype(np.uint8)
    mask[:, 100:102] = MaskBit.BAD
    frame, grid = mirrored(turned(angle_deg), x=x, y=y), Grid(tan(SHAPE), SHAPE)
    assert place(frame, SHAPE, grid).straight
    out = warp(image, mask, frame, grid)
    xs, ys = rng.integers(0, SHAPE[1], 600), rng.integers(0, SHAPE[0], 600)
    px, py = frame.all_world2pix(grid.wcs.all_pix2world(np.c_[xs, ys], 0), 0).T
    off = []
    for gx, gy, u, v in zip(xs, ys, px, py, strict=True):
        total, share = plain_lanczos(image, mask == 0, u, v)
        part = share / kernel_sum(u, v)
        if part < MIN_WEIGHT - 0.05:
            assert out.weight[gy, gx] == 0
        elif part > MIN_WEIGHT + 0.05:
            off.append(out.image[gy, gx] - total / share)
            assert out.weight[gy, gx] == pytest.approx(min(part, 1), abs=0.05)
    assert len(off) > 450
    # The kernel leans by the angle: a thousandth of the noise straight, a hundredth at 1.5°.
    assert np.sqrt(np.mean(np.square(off))) < 0.05 + 0.5 * abs(angle_deg)
    assert np.abs(off).max() < 0.5 + 3 * abs(angle_deg)


def test_in_two_passes_and_in_one_saturated_stars_are_held_alike(monkeypatch: pytest.MonkeyPatch):
    twice, _ = saturated_star()
    monkeypatch.setattr(placement, "_STRAIGHT", 0.0)
    once, _ = saturated_star()
    np.testing.assert_array_equal(twice.mask, once.mask)
    # On an edge from the sky to 60 000 the leaning kernel sees a little further up or down.
    assert np.abs(twice.image - once.image).max() < 0.005 * 60_000
    far = (np.indices(SHAPE) - np.array([120, 160])[:, None, None]).__abs__().max(axis=0) > 25
    assert np.abs(twice.image - once.image)[far].max() < 0.5


@pytest.mark.parametrize("rows", [1, 7, 128])
def test_a_strip_is_what_the_whole_frame_gives_there(rows: int):
    rng = np.random.default_rng(21)
    image = rng.normal(500, 20, SHAPE).astype(np.float32)
    mask = np.where(rng.random(SHAPE) < 0.01, MaskBit.BAD, 0).astype(np.uint8)
    mask[50:60, 200:210] = MaskBit.SATURATED
    grid = common_grid([tan(SHAPE), turned(1.0)], [SHAPE] * 2)
    for angle_deg, scale_arcsec in ((1.0, SCALE_ARCSEC), (30.0, SCALE_ARCSEC), (181.0, 0.8)):
        frame = turned(angle_deg, scale_arcsec=scale_arcsec)
        whole = warp(image, mask, frame, grid)
        laid = Laid(InMemory(image.astype(">f4"), mask), place(frame, SHAPE, grid), 1.0)
        space = Workspace()
        for y0 in range(0, grid.shape[0], 41):
            y1 = min(y0 + rows, grid.shape[0])
            strip = laid.strip(y0, y1, space)
            if strip is None:
                assert (whole.weight[y0:y1] == 0).all()
                continue
            np.testing.assert_allclose(strip.image, whole.image[y0:y1], atol=2e-3, rtol=1e-5)
            np.testing.assert_allclose(strip.weight, whole.weight[y0:y1], atol=1e-4)
            np.testing.assert_array_equal(strip.mask, whole.mask[y0:y1])


@pytest.mark.parametrize("edge_px", [0.0, 20.0])
def test_the_interpolated_mapping_is_exact_to_a_hundredth_of_a_pixel(edge_px: float):
    shape = (2000, 3000)
    frame = with_sip(tan(shape, angle_deg=3.0), shape, edge_px)
    grid = common_grid([tan(shape), tan(shape, dec_deg=42.0)], [shape] * 2)
    mesh_x, mesh_y, step = pixel_mesh(frame, grid)
    rng = np.random.default_rng(3)
    wx, wy = frame.all_pix2world(rng.uniform(0, 3000, 2000), rng.uniform(0, 2000, 2000), 0)
    gx, gy = grid.wcs.all_world2pix(wx, wy, 0)
    on = (gx >= 0) & (gy >= 0) & (gx <= grid.shape[1] - 1) & (gy <= grid.shape[0] - 1)
    assert on.sum() > 1000
    wx, wy, gx, gy = wx[on], wy[on], gx[on], gy[on]
    column, row = (gx // step).astype(int), (gy // step).astype(int)
    u, v = gx / step - column, gy / step - row

    def at(mesh: np.ndarray) -> np.ndarray:
        upper = mesh[row + 1, column] * (1 - u) + mesh[row + 1, column + 1] * u
        return (mesh[row, column] * (1 - u) + mesh[row, column + 1] * u) * (1 - v) + upper * v

    x, y = frame.all_world2pix(wx, wy, 0)
    assert np.hypot(at(mesh_x) - x, at(mesh_y) - y).max() < 0.01


@pytest.mark.parametrize("scale_arcsec", [SCALE_ARCSEC, 1.7, 2.2])
def test_stars_keep_their_flux_and_lie_where_the_sky_puts_them(scale_arcsec: float):
    flux_error = 0.002
    rng = np.random.default_rng(4)
    x, y = spread_stars(rng, SHAPE)
    flux = rng.uniform(1e4, 1e5, x.size)
    frame = turned(5.0, scale_arcsec=scale_arcsec)
    image = (star_field(SHAPE, x, y, flux) + 300).astype(np.float32)
    grid = common_grid([tan(SHAPE)], [SHAPE])
    out = warp(image, None, frame, grid)
    level = 300 * (SCALE_ARCSEC / scale_arcsec) ** 2
    gx, gy = grid.wcs.all_world2pix(*frame.all_pix2world(x, y, 0), 0)
    inside = (gx > 20) & (gy > 20) & (gx < grid.shape[1] - 20) & (gy < grid.shape[0] - 20)
    gx, gy, flux = gx[inside], gy[inside], flux[inside]
    assert gx.size > 15
    clean = np.where(out.weight > 0, out.image - level, 0).astype(np.float32)
    measured = sep.sum_circle(clean, gx, gy, 8.0)[0]
    assert np.abs(measured / flux - 1).max() < flux_error
    assert np.median(measured / flux) == pytest.approx(1, abs=flux_error / 2)
    centre = sep.winpos(clean, gx, gy, 1.3)
    assert np.hypot(centre[0] - gx, centre[1] - gy).max() < 0.02


@pytest.mark.parametrize("fwhm_px", [2.0, 3.0])
@pytest.mark.parametrize("angle_deg", [0.0, 5.0, 30.0, 45.0])
@pytest.mark.parametrize("ratio", [0.6, 0.9, 0.996, 1.0, 1.25, 1.7])
def test_flux_is_conserved_over_scales_and_rotations(
    ratio: float, angle_deg: float, fwhm_px: float
):
    rng = np.random.default_rng(12)
    x, y = spread_stars(rng, SHAPE)
    frame = tan(SHAPE)
    image = star_field(SHAPE, x, y, np.full(x.size, 1e5), fwhm_px).astype(np.float32)
    big = (640, 640)
    grid = Grid(tan(big, angle_deg=angle_deg, scale_arcsec=SCALE_ARCSEC * ratio), big)
    out = warp(image, None, frame, grid)
    gx, gy = grid.wcs.all_world2pix(*frame.all_pix2world(x, y, 0), 0)
    radius = 9.0 / ratio
    inside = np.abs(np.array([gx, gy]) - 320).max(axis=0) < 315 - radius
    assert inside.sum() > 8
    measured = sep.sum_circle(out.image, gx[inside], gy[inside], radius, subpix=0)[0]
    assert np.abs(measured / 1e5 - 1).max() < 0.002


@pytest.mark.parametrize("scale_arcsec", [0.5, 0.9, 6.0])
def test_a_much_finer_or_coarser_frame_keeps_its_flux_and_its_places(scale_arcsec: float):
    rng = np.random.default_rng(7)
    shape = (640, 900) if scale_arcsec < 2 else (100, 120)
    ratio = SCALE_ARCSEC / scale_arcsec
    x, y = spread_stars(rng, shape, 120 if scale_arcsec < 2 else 25)
    flux = rng.uniform(1e4, 1e5, x.size)
    frame = tan(shape, angle_deg=5.0, scale_arcsec=scale_arcsec)
    image = star_field(shape, x, y, flux, 3.0 * max(ratio, 1.0)) + 300
    grid = Grid(tan(SHAPE), SHAPE)
    out = warp(image.astype(np.float32), None, frame, grid)
    assert out.area == pytest.approx(ratio**2, rel=0.001)
    gx, gy = grid.wcs.all_world2pix(*frame.all_pix2world(x, y, 0), 0)
    inside = (gx > 20) & (gy > 20) & (gx < SHAPE[1] - 20) & (gy < SHAPE[0] - 20)
    gx, gy, flux = gx[inside], gy[inside], flux[inside]
    clean = np.where(out.weight > 0, out.image - 300 * out.area, 0).astype(np.float32)
    radius = 3.0 * max(3.0, 3.0 / ratio)
    measured = sep.sum_circle(clean, gx, gy, radius)[0]
    assert gx.size > 4
    assert np.abs(measured / flux - 1).max() < 0.002
    centre = sep.winpos(clean, gx, gy, 0.43 * max(3.0, 3.0 / ratio))
    assert np.hypot(centre[0] - gx, centre[1] - gy).max() < 0.03


def test_noise_of_a_finer_frame_averages_down_as_the_pixels_it_spans():
    rng = np.random.default_rng(8)
    shape = (800, 800)
    image = rng.normal(300, 10, shape).astype(np.float32)
    out = warp(image, None, tan(shape, angle_deg=3.0, scale_arcsec=0.5), Grid(tan(SHAPE), SHAPE))
    values = out.image[out.weight == 1]
    assert values.mean() == pytest.approx(300 * 16, rel=0.001)
    assert 0.7 * 40 < values.std() < 40


def test_a_masked_pixel_contributes_nothing_whatever_its_value():
    rng = np.random.default_rng(5)
    image = rng.normal(500, 20, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    bits = np.array([MaskBit.BAD, MaskBit.USER, MaskBit.COSMIC_RAY, MaskBit.NO_DATA], np.uint8)
    bad = rng.random(SHAPE) < 0.03
    mask[bad] = rng.choice(bits, bad.sum())
    frame, grid = turned(3.0), Grid(tan(SHAPE), SHAPE)
    results = [
        warp(np.where(bad, value, image).astype(np.float32), mask, frame, grid)
        for value in (0.0, 1e6, np.nan)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.image, results[0].image)
        np.testing.assert_array_equal(other.weight, results[0].weight)
    seen = results[0].weight > 0
    assert np.abs(results[0].image[seen] - 500).max() < 160


def test_a_non_finite_pixel_is_as_good_as_masked_and_no_nan_comes_out():
    image = np.full(SHAPE, 100, np.float32)
    image[100:120, 100:130] = np.nan
    image[50, 50] = np.inf
    out = warp(image, None, turned(1.0), Grid(tan(SHAPE), SHAPE))
    assert np.isfinite(out.image).all()
    assert ((out.mask == MaskBit.NO_DATA) == (out.weight == 0)).all()
    assert np.abs(out.image[out.weight > 0] - 100).max() < 0.01
    assert (out.image[out.weight == 0] == 0).all()


def saturated_star() -> tuple[Warped, np.ndarray]:
    rng = np.random.default_rng(6)
    full = 60_000.0
    truth = star_field(SHAPE, np.array([160.0]), np.array([120.0]), np.array([5e7])) + 200
    image = np.minimum(truth, full) + rng.normal(0, 5, SHAPE)
    mask = np.where(truth >= full, MaskBit.SATURATED, 0).astype(np.uint8)
    out = warp(image.astype(np.float32), mask, turned(1.3), Grid(tan(SHAPE), SHAPE))
    return out, mask


def test_a_saturated_star_does_not_ring_and_keeps_its_flag():
    out, mask = saturated_star()
    assert out.image[out.weight > 0].min() > 200 - 6 * 5
    assert out.image.max() < 60_000 + 6 * 5
    flagged = np.count_nonzero(out.mask & MaskBit.SATURATED)
    assert np.count_nonzero(mask) <= flagged < 2.5 * np.count_nonzero(mask)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (5, 5), (7, 33), (65, 1)])
def test_frames_of_any_size_go_through(shape: tuple[int, int]):
    image = np.full(shape, 50, np.float32)
    wcs = tan(shape)
    out = warp(image, np.zeros(shape, np.uint8), wcs, Grid(tan(SHAPE), SHAPE))
    assert np.isfinite(out.image).all()
    same = warp(image, None, wcs, Grid(wcs, shape))
    assert same.image == pytest.approx(image, abs=1e-3)


def test_a_frame_beside_the_grid_gives_no_data():
    out = warp(np.ones(SHAPE, np.float32), None, tan(SHAPE, dec_deg=-60.0), Grid(tan(SHAPE), SHAPE))
    assert (out.weight == 0).all()
    assert (out.mask == MaskBit.NO_DATA).all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="its mask"):
        warp(
            np.ones(SHAPE, np.float32),
            np.zeros((3, 3), np.uint8),
            tan(SHAPE),
            Grid(tan(SHAPE), SHAPE),
        )
