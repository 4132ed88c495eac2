"""The shape kernel against a plain reference."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astro_assets.imaging.moments import adaptive_moments
from astro_assets_tests.imaging.star_field import draw, scatter


def plain(
    image: NDArray[np.float32], x: float, y: float
) -> tuple[float, float, NDArray[np.float64]]:
    """The same iteration with whole-image arrays, run to its end."""
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(float)
    centre, shape = np.array([x, y]), np.eye(2) * 2.0
    for _ in range(100):
        d = np.stack([columns - centre[0], rows - centre[1]])
        r2 = np.einsum("iyx,ij,jyx->yx", d, np.linalg.inv(shape), d)
        weighted = np.where(r2 <= 16, np.exp(-0.5 * r2) * image, 0)
        total = weighted.sum()
        half = (weighted * d).sum(axis=(1, 2)) / total
        second = np.einsum("yx,iyx,jyx->ij", weighted, d, d) / total
        shape = 2 * (second - np.outer(half, half))
        centre = centre + 2 * half
    return centre[0], centre[1], shape


@pytest.mark.parametrize("seed", [1, 2])
def test_kernel_equals_reference(seed: int) -> None:
    shape = (120, 140)
    x, y = scatter(6, seed=seed, shape=shape, apart_px=20)
    field = draw(
        x, y, np.full(6, 30_000.0), seed=seed, shape=shape, elongation=1.5, angle_deg=25, sky_e=50
    )
    signal = field.image - np.float32(50)
    found = adaptive_moments(signal, np.round(x), np.round(y), np.full(6, 1.4))
    assert found.ok.all()
    for star in range(6):
        px, py, moments = plain(signal, round(x[star]), round(y[star]))
        assert found.x[star] == pytest.approx(px, abs=0.01)
        assert found.y[star] == pytest.approx(py, abs=0.01)
        got = [found.xx[star], found.yy[star], found.xy[star]]
        want = [moments[0, 0], moments[1, 1], moments[0, 1]]
        np.testing.assert_allclose(got, want, atol=0.02 * moments.trace())


def test_gaussian_is_recovered() -> None:
    rows, columns = np.mgrid[0:41, 0:41].astype(float)
    long_px, short_px, angle = 3.0, 2.0, np.radians(40)
    dx, dy = columns - 20.3, rows - 19.6
    along = np.cos(angle) * dx + np.sin(angle) * dy
    across = -np.sin(angle) * dx + np.cos(angle) * dy
    image = 1000 * np.exp(-0.5 * ((along / long_px) ** 2 + (across / short_px) ** 2))
    found = adaptive_moments(
        image.astype(np.float32), np.array([20.0]), np.array([20.0]), np.array([1.5])
    )
    assert (found.x[0], found.y[0]) == pytest.approx((20.3, 19.6), abs=0.01)
    assert found.axes_px[0][0] == pytest.approx(long_px, rel=0.01)
    assert found.axes_px[1][0] == pytest.approx(short_px, rel=0.01)
    assert found.angle_deg[0] == pytest.approx(40, abs=0.5)


def test_no_star_is_marked_and_stays_where_it_was() -> None:
    image = np.full((50, 50), -1, np.float32)
    found = adaptive_moments(image, np.array([20.0]), np.array([30.0]), np.array([1.5]))
    assert not found.ok[0]
    assert (found.x[0], found.y[0]) == (20.0, 30.0)
