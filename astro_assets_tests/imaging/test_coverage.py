import numpy as np
import pytest

from astro_assets.imaging.coverage import well_covered

SHAPE = (400, 500)


def turned(angle_deg: float, size: tuple[int, int] = (300, 450)) -> np.ndarray:
    """The weight of one frame that lies turned on a grid that just holds it."""
    ny, nx = size
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    out_ny, out_nx = int(ny * cos + nx * sin), int(nx * cos + ny * sin)
    y, x = np.mgrid[:out_ny, :out_nx]
    u, v = x - out_nx / 2, y - out_ny / 2
    inside = (np.abs(u * cos + v * sin) < nx / 2) & (np.abs(v * cos - u * sin) < ny / 2)
    return inside.astype(np.float32)


def test_thin_edges_are_left_out_and_nothing_else():
    weight = np.zeros(SHAPE, np.float32)
    weight[10:390, 20:480] = 1
    weight[30:370, 40:460] = 5
    rows, columns = well_covered(weight)
    assert (rows.start, rows.stop, columns.start, columns.stop) == pytest.approx(
        (30, 370, 40, 460), abs=2
    )
    assert (weight[rows, columns] == 5).all()


def test_nothing_covered_is_shown_whole():
    assert well_covered(np.zeros(SHAPE, np.float32)) == (slice(0, 400), slice(0, 500))


@pytest.mark.parametrize("angle_deg", [2.0, 10.0, 30.0, 45.0, 80.0])
def test_a_turned_frame_is_shown_without_empty_corners(angle_deg: float):
    weight = turned(angle_deg)
    rows, columns = well_covered(weight)
    shown = weight[rows, columns]
    assert (shown > 0).mean() > 0.995
    # The largest rectangle of its kind within a turned one is known.
    assert shown.size > 0.95 * largest_upright(300, 450, angle_deg)


def largest_upright(short: float, long: float, angle_deg: float) -> float:
    """Area of the largest upright rectangle in one that is turned."""
    sin, cos = np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))
    if short <= 2 * sin * cos * long:
        return float((short / 2) ** 2 / (sin * cos))
    cos_2a = cos**2 - sin**2
    return float((long * cos - short * sin) * (short * cos - long * sin) / cos_2a**2)


def test_traces_of_bad_columns_do_not_cut_the_picture():
    weight = np.ones(SHAPE, np.float32)
    weight[:, 250] = 0
    weight[100] = 0.1
    rows, columns = well_covered(weight)
    assert weight[rows, columns].size > 0.97 * weight.size


def test_one_pixel_and_one_row():
    assert well_covered(np.ones((1, 1), np.float32)) == (slice(0, 1), slice(0, 1))
    assert well_covered(np.ones((1, 700), np.float32))[0] == slice(0, 1)
