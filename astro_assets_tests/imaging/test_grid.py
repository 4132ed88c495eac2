import numpy as np
import pytest
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from astro_assets.errors import FramesApart, NothingToDo
from astro_assets.imaging.grid import Grid, common_grid, strays, touches
from astro_assets_tests.imaging._sky import tan

SHAPE = (300, 500)


def corners_in(grid: Grid, wcs: WCS) -> np.ndarray:
    ny, nx = SHAPE
    corners = np.array([[0, 0], [nx - 1, 0], [0, ny - 1], [nx - 1, ny - 1]])
    return grid.wcs.all_world2pix(wcs.all_pix2world(corners, 0), 0)


def up(wcs: WCS, x: float, y: float) -> float:
    """Position angle of +y at a pixel, degrees from north towards east."""
    here, there = wcs.pixel_to_world([x, x], [y, y + 1])
    return here.position_angle(there).deg


def test_every_corner_of_every_frame_lies_on_the_grid_and_little_more():
    rng = np.random.default_rng(5)
    wcss = [
        tan(SHAPE, ra_deg=192.7 + dx, dec_deg=41.1 + dy, angle_deg=angle)
        for dx, dy, angle in rng.normal(0, (0.01, 0.01, 2), (6, 3))
    ]
    grid = common_grid(wcss, [SHAPE] * 6)
    points = np.concatenate([corners_in(grid, wcs) for wcs in wcss])
    assert points.min() >= 0
    assert (points <= np.array([grid.shape[1] - 1, grid.shape[0] - 1])).all()
    assert grid.shape == pytest.approx(np.ptp(points, axis=0)[::-1], abs=4)


@pytest.mark.parametrize("dec_deg", [0.0, 41.1, -89.5, 89.5])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_reference_frames_up_is_the_grids_up(dec_deg: float, mirrored: bool):
    wcss = [
        tan(SHAPE, dec_deg=dec_deg, angle_deg=33, mirrored=mirrored),
        tan(SHAPE, dec_deg=dec_deg, ra_deg=192.8, angle_deg=-70, mirrored=mirrored),
    ]
    grid = common_grid(wcss, [SHAPE] * 2, reference=0)
    centre = wcss[0].pixel_to_world((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)
    x, y = grid.wcs.world_to_pixel(centre)
    assert up(grid.wcs, x, y) == pytest.approx(33, abs=0.05)


@pytest.mark.parametrize("mirrored", [False, True])
def test_east_is_left_of_north_also_for_a_mirrored_camera(mirrored: bool):
    grid = common_grid([tan(SHAPE, angle_deg=20, mirrored=mirrored)], [SHAPE])
    assert np.linalg.det(grid.wcs.pixel_scale_matrix) < 0


def test_north_up_on_demand():
    wcss = [tan(SHAPE, angle_deg=120), tan(SHAPE, angle_deg=121)]
    grid = common_grid(wcss, [SHAPE] * 2, orientation="north")
    assert grid.wcs.pixel_scale_matrix[0, 1] == pytest.approx(0)
    assert grid.wcs.pixel_scale_matrix[1, 1] > 0
    assert grid.wcs.pixel_scale_matrix[0, 0] < 0


def test_the_scale_is_the_median_of_the_frames():
    wcss = [tan(SHAPE, scale_arcsec=scale) for scale in (1.98, 2.0, 3.0)]
    grid = common_grid(wcss, [SHAPE] * 3)
    assert proj_plane_pixel_scales(grid.wcs) * 3600 == pytest.approx([2.0, 2.0])


def test_frames_across_0h_make_a_small_grid():
    wcss = [tan(SHAPE, ra_deg=359.99), tan(SHAPE, ra_deg=0.01)]
    assert max(common_grid(wcss, [SHAPE] * 2).shape) < 600


def test_a_frame_of_another_field_is_named_and_refused():
    wcss = [tan(SHAPE, ra_deg=ra) for ra in (20.0, 192.7, 192.71, 192.69)]
    assert strays(wcss, [SHAPE] * 4) == [0]
    with pytest.raises(FramesApart, match="1 of 4 frames lie more than 5 degrees"):
        common_grid(wcss, [SHAPE] * 4)


def test_a_grid_of_unreasonable_size_is_refused():
    wcss = [tan(SHAPE, dec_deg=40.0), tan(SHAPE, dec_deg=43.0)]
    with pytest.raises(FramesApart, match="several target names"):
        common_grid(wcss, [SHAPE] * 2, max_pixels=1_000_000)


def test_no_frames_is_nothing_to_do():
    with pytest.raises(NothingToDo):
        common_grid([], [])


def test_a_grid_as_it_is_given():
    wcss = [tan(SHAPE, angle_deg=33), tan(SHAPE, angle_deg=34)]
    grid = common_grid(
        wcss,
        [SHAPE] * 2,
        orientation="north",
        scale_arcsec=1.25,
        centre_deg=(192.75, 41.05),
        size_px=(801, 601),
    )
    assert grid.shape == (601, 801)
    assert grid.wcs.wcs_pix2world(400, 300, 0) == pytest.approx([192.75, 41.05])
    assert proj_plane_pixel_scales(grid.wcs) * 3600 == pytest.approx([1.25, 1.25])
    assert grid.wcs.pixel_scale_matrix[0, 1] == pytest.approx(0)


def test_a_given_centre_without_a_size_still_holds_all_frames():
    wcss = [tan(SHAPE), tan(SHAPE, dec_deg=41.2)]
    grid = common_grid(wcss, [SHAPE] * 2, centre_deg=(192.0, 41.0))
    assert grid.wcs.wcs.crval == pytest.approx([192.0, 41.0])
    points = np.concatenate([corners_in(grid, wcs) for wcs in wcss])
    assert points.min() >= 0
    assert (points <= np.array([grid.shape[1] - 1, grid.shape[0] - 1])).all()


def test_which_frames_touch_a_grid():
    grid = Grid(tan((100, 100)), (100, 100))
    assert touches(tan(SHAPE), SHAPE, grid), "the grid lies within the frame"
    assert touches(tan((20, 20)), (20, 20), grid), "the frame lies within the grid"
    assert not touches(tan(SHAPE, dec_deg=45.0), SHAPE, grid)
    assert not touches(tan(SHAPE, dec_deg=-60.0), SHAPE, grid), "the other side of the sky"
