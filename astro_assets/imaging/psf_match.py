"""Two images brought to one sharpness.

What belongs here: a star's profile as a Moffat ellipse, the kernel between two of them, and the
convolution that passes over holes. What does not: what the images are matched for (`continuum`).
"""

import math
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from astro_assets.imaging.local_sky import local_sky

_MODEL_STARS = 60
_MODEL_SNR = 40.0
_MIN_STARS = 3
_REACH_FWHM = 3.0
_RING_FWHM = (4.0, 6.0)
_ALIKE = 0.015
"""Profiles whose half-light ellipses differ by less than this share need no matching."""
_BETAS = (1.5, 20.0)
_PEDESTAL = 0.05
"""of the peak: what a nebula's curvature leaves below the stars"""
_KERNEL_FWHM = 6.0
_SMOOTHNESS = 1e-7
_MIN_GOOD = 0.5
"""Share of the kernel that must fall on good pixels."""


@dataclass(frozen=True, slots=True)
class Psf:
    """An elliptical Moffat profile (Moffat 1969, A&A 3, 455), as recorded in pixels.

    xx, yy, xy : matrix of the ellipse of half maximum in px²: ``[[xx, xy], [xy, yy]]`` has the
        squared half widths as its eigenvalues
    beta : the exponent
    """

    xx: float
    yy: float
    xy: float
    beta: float

    @property
    def matrix(self) -> NDArray[np.float64]:
        return np.array([[self.xx, self.xy], [self.xy, self.yy]])

    @property
    def fwhm_px(self) -> float:
        """Of the circle with the ellipse's area."""
        return float(2 * np.linalg.det(self.matrix) ** 0.25)

    @property
    def widest_px(self) -> float:
        """FWHM along the long axis."""
        return float(2 * math.sqrt(np.linalg.eigvalsh(self.matrix)[-1]))

    @property
    def elongation(self) -> float:
        short, long = np.linalg.eigvalsh(self.matrix)
        return float(math.sqrt(long / short))

    def image(self, side: int) -> NDArray[np.float64]:
        """The profile on ``side`` × ``side`` pixels, sum 1, its centre on pixel ``side // 2``."""
        offset = np.arange(side) - side // 2
        r2 = _radius2(np.linalg.inv(self.matrix), offset[None, :], offset[:, None])
        values = (1 + (2 ** (1 / self.beta) - 1) * r2) ** -self.beta
        return np.asarray(values / values.sum())


def round_psf(fwhm_px: float, beta: float) -> Psf:
    """A round profile."""
    return Psf(fwhm_px**2 / 4, fwhm_px**2 / 4, 0.0, beta)


def measure_psf(
    signal: NDArray[np.float32], hidden: NDArray[np.bool_], stars: pd.DataFrame
) -> Psf | None:
    """One profile through the brightest good stars; None where there are fewer than three.

    Parameters
    ----------
    signal : (ny, nx) float32
    hidden : (ny, nx) bool, pixels not to look at
    stars : as `stars.find_stars` gives them
    """
    good = stars[~stars["saturated"] & (stars["snr"] >= _MODEL_SNR)]
    if len(good) < _MIN_STARS:
        return None
    fwhm_px = float(good["fwhm_px"].median())
    good = good[(good["fwhm_px"] / fwhm_px - 1).abs() < 0.3].head(_MODEL_STARS)
    sky = local_sky(
        signal,
        hidden,
        good["x"].to_numpy(),
        good["y"].to_numpy(),
        _RING_FWHM[0] * fwhm_px,
        _RING_FWHM[1] * fwhm_px,
    )
    samples = [
        sample
        for x, y, flux, level in zip(good["x"], good["y"], good["flux_e"], sky.level, strict=True)
        if (sample := _around(signal, hidden, x, y, flux, level, _REACH_FWHM * fwhm_px)) is not None
    ]
    if len(samples) < _MIN_STARS:
        return None
    dx, dy, value = np.concatenate(samples, axis=1)
    return _fit(dx, dy, value, fwhm_px)


def _around(
    signal: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    x: float,
    y: float,
    flux_e: float,
    sky_e: float,
    reach_px: float,
) -> NDArray[np.float64] | None:
    """Offsets and values over the flux of the pixels around a star, (3, n); None at an edge."""
    reach = math.ceil(reach_px)
    column, row = round(x), round(y)
    part = np.s_[row - reach : row + reach + 1, column - reach : column + reach + 1]
    stamp = signal[part]
    if min(row, column) < reach or stamp.shape != (2 * reach + 1,) * 2 or hidden[part].any():
        return None
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    dx, dy = dx + column - x, dy + row - y
    near = np.hypot(dx, dy) <= reach_px
    return np.stack([dx[near], dy[near], (stamp[near] - sky_e) / flux_e])


def _fit(
    dx: NDArray[np.float64], dy: NDArray[np.float64], value: NDArray[np.float64], fwhm_px: float
) -> Psf:
    """Least squares, little moved by a neighbour of a star."""
    inside = np.hypot(dx, dy) < 0.3 * fwhm_px
    peak = float(np.median(value[inside])) if inside.any() else float(value.max())

    def off(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        height, a, b, c, beta, level = parameters
        # A Cholesky root of the inverse ellipse: no parameters make it anything but an ellipse.
        r2 = (a * dx + c * dy) ** 2 + (b * dy) ** 2
        profile = height * (1 + (2 ** (1 / beta) - 1) * r2) ** -beta
        return np.asarray(profile + level - value / peak)

    fit = least_squares(
        off,
        [1.0, 2 / fwhm_px, 2 / fwhm_px, 0.0, 3.5, 0.0],
        bounds=(
            [0.3, 0.02, 0.02, -2.0, _BETAS[0], -_PEDESTAL],
            [3.0, 4.0, 4.0, 2.0, _BETAS[1], _PEDESTAL],
        ),
        loss="soft_l1",
        f_scale=0.02,
    )
    _, a, b, c, beta, _ = fit.x
    ellipse = np.linalg.inv(np.array([[a * a, a * c], [a * c, b * b + c * c]]))
    return Psf(float(ellipse[0, 0]), float(ellipse[1, 1]), float(ellipse[0, 1]), float(beta))


def alike(one: Psf, other: Psf) -> bool:
    """Whether the two profiles are as good as equal."""
    ratio = np.sqrt(_relative_sizes(one, other))
    return bool(np.all(np.abs(ratio - 1) < _ALIKE) and abs(1 / one.beta - 1 / other.beta) < _ALIKE)


def common_target(one: Psf, other: Psf) -> Psf:
    """What both can be convolved to: the wider one, else a round profile that holds both.

    A kernel can only widen, in every direction.
    """
    sizes = _relative_sizes(one, other)
    wider = one if sizes.min() > (1 - _ALIKE) ** 2 else other
    if sizes.min() > (1 - _ALIKE) ** 2 or sizes.max() < (1 + _ALIKE) ** 2:
        return wider
    return round_psf(1.05 * max(one.widest_px, other.widest_px), min(one.beta, other.beta))


def kernel(source: Psf, target: Psf) -> NDArray[np.float32]:
    """What turns ``source`` into ``target``: odd and square, sum 1.

    The quotient of the two transfer functions, kept smooth where the source's is nearly nothing
    (Wiener's filter with a Laplacian penalty: Boucaud et al. 2016, A&A 596, A63).
    """
    reach = math.ceil(_KERNEL_FWHM * max(source.widest_px, target.widest_px))
    # Profiles are cut where they are faint, three times as far out as the kernel.
    side = 6 * reach + 1
    have, want = (np.fft.rfft2(np.fft.ifftshift(p.image(side))) for p in (source, target))
    v, u = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    penalty = (4 - 2 * np.cos(2 * np.pi * u) - 2 * np.cos(2 * np.pi * v)) ** 2
    transfer = np.conj(have) * want / (np.abs(have) ** 2 + _SMOOTHNESS * penalty)
    whole = np.fft.fftshift(np.fft.irfft2(transfer, s=(side, side)))
    middle = side // 2
    cut = whole[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return np.asarray(cut / cut.sum(), np.float32)


def convolve(
    image: NDArray[np.float32], hidden: NDArray[np.bool_], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Convolve and pass over hidden pixels, which the others stand in for.

    Returns
    -------
    The image, NaN where less than half of the kernel fell on good pixels, and that share.
    """
    from scipy.signal import oaconvolve  # large, and not for every night

    holes = hidden | ~np.isfinite(image)
    filled = np.where(holes, np.float32(0), image)
    result = oaconvolve(filled, weights, mode="same").astype(np.float32)
    share = oaconvolve((~holes).astype(np.float32), weights, mode="same").astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.where(share >= _MIN_GOOD, result / share, np.float32(np.nan))
    return result.astype(np.float32), share


def make_alike(
    planes: MutableSequence[NDArray[np.float32]], psfs: Sequence[Psf | None], tolerance: float
) -> tuple[int, ...]:
    """Exchange the sharper planes for what they are at the least sharp one's profile.

    Parameters
    ----------
    planes : (ny, nx) float32 each, NaN is no data
    psfs : of each; with an unknown one nothing is done
    tolerance : relative difference of the FWHM that needs no matching

    Returns
    -------
    Indices of the planes that were exchanged.
    """
    known = [psf for psf in psfs if psf is not None]
    widths = [psf.fwhm_px for psf in known]
    if len(known) < len(planes) or max(widths) < (1 + tolerance) * min(widths):
        return ()
    target = reduce(common_target, known)
    done = []
    for index, psf in enumerate(known):
        if psf is not target and not alike(psf, target):
            planes[index], _ = convolve(
                planes[index], ~np.isfinite(planes[index]), kernel(psf, target)
            )
            done.append(index)
    return tuple(done)


def _radius2(
    inverse: NDArray[np.floating[Any]], dx: NDArray[np.int_], dy: NDArray[np.int_]
) -> NDArray[np.float64]:
    return np.asarray(inverse[0, 0] * dx**2 + inverse[1, 1] * dy**2 + 2 * inverse[0, 1] * dx * dy)


def _relative_sizes(one: Psf, other: Psf) -> NDArray[np.float64]:
    """Squared widths of ``one`` in units of ``other``'s, the least and the most."""
    return np.sort(np.linalg.eigvals(np.linalg.solve(other.matrix, one.matrix)).real)
