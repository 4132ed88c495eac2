"""Resampling: the flux of single stars and the noise, beside SWarp and reproject."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import reproject
import sep
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.warp import warp
from astro_assets_tests.imaging._sky import SCALE_ARCSEC, spread_stars, star_field, tan
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import peer
from astro_assets_tests.validation.swarp import swarped

SHAPE = (300, 360)
BIG = (440, 440)
FLUX_E = 1e5
_RATIOS_ANGLES = ((1.0, 5.0), (1.0, 30.0), (0.8, 10.0), (1.25, 0.0), (1.4, 20.0), (1.7, 5.0))
_NOISE_E = 10.0
_MOST_FLUX_ERROR = 0.002

Resample = Callable[[NDArray[np.float32], WCS, Grid], NDArray[np.float32]]


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Flux over scales and rotations, and noise at one scale."""
    data = f"stars of FWHM 2.5 px, scale ratios 0.8 … 1.7, turns 0 … 30°, {len(seeds)} seeds"
    ours = _worst_flux(_ours, seeds)
    holds = ours <= _MOST_FLUX_ERROR
    required = f"≤ {100 * _MOST_FLUX_ERROR:g} %, each star"
    for name, tool in _tools():
        figure = f"{100 * _worst_flux(tool, seeds):.2f} %"
        yield Line("resample: flux", data, name, figure, f"{100 * ours:.2f} %", required, holds)
    yield from _noise_lines(seeds)


def _tools() -> Iterator[tuple[str, Resample]]:
    swarp = peer("SWarp")
    if swarp is not None:
        yield swarp.name, _swarp
    yield f"reproject {reproject.__version__}, adaptive", _reproject


def _ours(image: NDArray[np.float32], wcs: WCS, grid: Grid) -> NDArray[np.float32]:
    return warp(image, None, wcs, grid).image


def _swarp(image: NDArray[np.float32], wcs: WCS, grid: Grid) -> NDArray[np.float32]:
    tool = peer("SWarp")
    assert tool is not None
    with tempfile.TemporaryDirectory() as folder:
        return swarped(tool, Path(folder), [image], [wcs], grid)


def _reproject(image: NDArray[np.float32], wcs: WCS, grid: Grid) -> NDArray[np.float32]:
    result = reproject.reproject_adaptive(
        (image, wcs), grid.wcs, grid.shape, conserve_flux=True, return_footprint=False
    )
    return np.nan_to_num(result).astype(np.float32)


def _worst_flux(tool: Resample, seeds: Sequence[int]) -> float:
    """The most that any star's flux errs."""
    worst = 0.0
    for seed in seeds:
        x, y = spread_stars(np.random.default_rng(seed), SHAPE, 60)
        frame = tan(SHAPE)
        image = star_field(SHAPE, x, y, np.full(x.size, FLUX_E), 2.5).astype(np.float32)
        for ratio, angle_deg in _RATIOS_ANGLES[: 6 if len(seeds) > 1 else 4]:
            grid = Grid(tan(BIG, angle_deg=angle_deg, scale_arcsec=SCALE_ARCSEC * ratio), BIG)
            gx, gy = grid.wcs.all_world2pix(*frame.all_pix2world(x, y, 0), 0)
            radius = 10.0 / ratio
            inside = np.abs(np.array([gx, gy]) - 219.5).max(axis=0) < 215 - radius
            out = np.ascontiguousarray(tool(image, frame, grid), np.float32)
            flux, _, _ = sep.sum_circle(out, gx[inside], gy[inside], radius, subpix=0)
            worst = max(worst, float(np.abs(flux / FLUX_E - 1).max()))
    return worst


def _noise_lines(seeds: Sequence[int]) -> Iterator[Line]:
    """White noise turned by 5°: what is left in a pixel, and in sums of 8 × 8."""
    swarp = peer("SWarp")
    grid = Grid(tan((300, 300), angle_deg=5.0), (300, 300))
    figures: dict[str, list[tuple[float, float]]] = {"ours": [], "SWarp": []}
    for seed in seeds:
        noise = np.random.default_rng(seed).normal(0, _NOISE_E, (400, 400)).astype(np.float32)
        wcs = tan((400, 400))
        figures["ours"].append(_spreads(_ours(noise, wcs, grid)))
        if swarp is not None:
            figures["SWarp"].append(_spreads(_swarp(noise, wcs, grid)))
    ours = np.mean(figures["ours"], axis=0)
    if swarp is None:
        yield Line("resample: noise", "white noise", "SWarp", "not installed", "–", "equal", None)
        return
    other = np.mean(figures["SWarp"], axis=0)
    yield Line(
        "resample: noise",
        f"white noise of {_NOISE_E:g} e⁻, turned by 5°, {len(seeds)} seeds",
        swarp.name,
        f"pixel {other[0]:.3f}, sums {other[1]:.3f} of the input's",
        f"pixel {ours[0]:.3f}, sums {ours[1]:.3f}",
        "equal within 2 %",
        bool(np.abs(ours / other - 1).max() < 0.02),
    )


def _spreads(image: NDArray[np.float32]) -> tuple[float, float]:
    """Standard deviations of pixels and of sums over 8 × 8, in units of the input's."""
    inner = image[20:276, 20:276].astype(np.float64)
    sums = inner.reshape(32, 8, 32, 8).sum(axis=(1, 3))
    return float(inner.std()) / _NOISE_E, float(sums.std()) / (8 * _NOISE_E)
