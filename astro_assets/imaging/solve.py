"""Where on the sky a frame is: a first solution by star patterns, then our own fit.

What belongs here: the order of attempts, and refining until matches and WCS agree. What does not:
index files (`steps.catalogue`), the fit itself (`wcs_fit`), pairing (`match`).
"""

from dataclasses import dataclass

import astrometry
import numpy as np
import pandas as pd
from astropy.wcs import WCS, NoConvergence
from numpy.typing import NDArray

from astro_assets.errors import NotSolved
from astro_assets.imaging.catalogue import CatalogueStars
from astro_assets.imaging.match import common_shift, nearest_pairs
from astro_assets.imaging.wcs_fit import Pairs, fit_wcs, residuals_arcsec, scale_arcsec, to_pixels

INDEX_BAND = "V_T"
"""of the magnitudes in the index files"""
_MIN_STARS = 5
_MIN_MATCHES = 6
_SCALE_TOLERANCE = 0.2
_STARS_NEAR, _STARS_AT_SCALE, _STARS_BLIND = 50, 20, 14
"""The search grows with the fourth power of the stars; these keep each attempt to seconds."""
_PER_SLICE = 25
_TOLERANCES_PX = (6.0, 4.0, 3.0, 2.5, 2.0)
_SIP_FROM_PX = 3.0
"""from this tolerance on distortion may be fitted"""
_SHIFT_SHARE = 0.25
"""a pointing's next frame may be off by this share of the frame's short side"""


@dataclass(frozen=True, slots=True)
class Hint:
    """Where the telescope believed it pointed, and its pixel scale; None for what nobody said."""

    ra_deg: float | None = None
    dec_deg: float | None = None
    scale_arcsec: float | None = None
    radius_deg: float = 3.0


@dataclass(frozen=True, slots=True)
class Solution:
    """A frame's place on the sky.

    wcs : tangent plane, with SIP where the stars support it; reference pixel in the middle
    residual_arcsec : RMS distance of the matched stars from their catalogue positions
    n_matched : stars that the fit rests on
    matches : those stars: ``star`` (row in the star table), ``x``, ``y``, ``ra_deg``, ``dec_deg``,
        ``mag``, ``residual_arcsec``
    scale_arcsec : arcseconds per pixel
    band : of ``mag``
    """

    wcs: WCS
    residual_arcsec: float
    n_matched: int
    matches: pd.DataFrame
    scale_arcsec: float
    band: str = INDEX_BAND


def solve(
    stars: pd.DataFrame,
    shape: tuple[int, int],
    solver: astrometry.Solver,
    catalogue: CatalogueStars,
    hint: Hint | None = None,
) -> Solution:
    """Find a frame's place on the sky: near the hint, then by its scale alone, then blind.

    Parameters
    ----------
    stars : the star table of the frame (`stars.find_stars`), brightest first
    shape : (ny, nx)
    solver : the pattern index
    catalogue : stars to fit to; those of the index

    Raises
    ------
    NotSolved : too few stars, or no place fits
    """
    if len(stars) < _MIN_STARS:
        raise NotSolved(
            f"Only {len(stars)} stars were found, and a solution takes {_MIN_STARS} at least: look "
            "for cloud, a closed cover or a wrong focus"
        )
    for size, position, count in _attempts(hint or Hint(), shape):
        guess = _first_solution(stars, solver, size, position, count)
        if guess is None:
            continue
        try:
            return refine(stars, guess, catalogue, shape)
        except NotSolved:
            continue
    raise NotSolved(
        f"No place on the sky fits the pattern of the {len(stars)} stars ({_tried(hint)}): check "
        "the pixel scale, the focus and the tracking"
    )


def refine(
    stars: pd.DataFrame,
    wcs_guess: WCS,
    catalogue: CatalogueStars,
    shape: tuple[int, int],
) -> Solution:
    """Fit a frame from the solution of another frame of its pointing, or from a first guess.

    The guess may be off by a quarter of the frame's short side, and by 0.5° in rotation.

    Raises
    ------
    NotSolved : the stars do not lie where the guess and the catalogue say; `solve` afresh
    """
    field = _field(catalogue, wcs_guess, shape)
    # What the catalogue holds are the bright stars; fainter ones only add chance pairs.
    bright = stars.iloc[: max(60, 3 * len(field))]
    found = bright[["x", "y"]].to_numpy(dtype=np.float64)
    if len(found) < _MIN_STARS or len(field) < _MIN_STARS:
        raise NotSolved(
            f"{len(found)} stars in the frame and {len(field)} in the catalogue's field are too "
            "few to fit a solution: solve this frame by itself"
        )
    wcs = _shifted(wcs_guess, found, field, shape)
    fit = _fitted(wcs, found, field, shape, _TOLERANCES_PX[0], None)
    for tolerance_px in (*_TOLERANCES_PX[1:], _TOLERANCES_PX[-1]):
        fit = _fitted(fit.wcs, found, field, shape, tolerance_px, fit)
    return _solution(fit, bright, field, shape)


def _attempts(
    hint: Hint, shape: tuple[int, int]
) -> list[tuple[astrometry.SizeHint | None, astrometry.PositionHint | None, int]]:
    size = position = None
    if hint.scale_arcsec:
        size = astrometry.SizeHint(
            hint.scale_arcsec * (1 - _SCALE_TOLERANCE), hint.scale_arcsec * (1 + _SCALE_TOLERANCE)
        )
    if hint.ra_deg is not None and hint.dec_deg is not None:
        diagonal_deg = float(np.hypot(*shape)) * (hint.scale_arcsec or 0) / 3600
        radius_deg = min(180.0, max(hint.radius_deg, diagonal_deg))
        position = astrometry.PositionHint(hint.ra_deg % 360, hint.dec_deg, radius_deg)
    attempts = []
    if size and position:
        attempts.append((size, position, _STARS_NEAR))
    if size:
        attempts.append((size, None, _STARS_AT_SCALE))
    elif position:
        attempts.append((None, position, _STARS_BLIND))
    return [*attempts, (None, None, _STARS_BLIND)]


def _tried(hint: Hint | None) -> str:
    """The attempts in words."""
    parts = []
    if hint and hint.ra_deg is not None and hint.dec_deg is not None:
        parts.append(f"near RA {hint.ra_deg:.2f}° Dec {hint.dec_deg:+.2f}°")
    if hint and hint.scale_arcsec:
        parts.append(f"at {hint.scale_arcsec:.2f}″ per pixel")
    return "tried " + ", ".join([*parts, "and blind" if parts else "blind"])


def _first_solution(
    stars: pd.DataFrame,
    solver: astrometry.Solver,
    size: astrometry.SizeHint | None,
    position: astrometry.PositionHint | None,
    count: int,
) -> WCS | None:
    """The pattern solver's answer. It counts pixels from 1."""
    brightest = stars[["x", "y"]].to_numpy(dtype=np.float64)[:count] + 1
    answer = solver.solve(
        stars=brightest,
        size_hint=size,
        position_hint=position,
        solution_parameters=astrometry.SolutionParameters(
            sip_order=0,
            tune_up_logodds_threshold=None,
            slices_generator=_slices,
            logodds_callback=lambda _: astrometry.Action.STOP,
        ),
    )
    return answer.best_match().astropy_wcs() if answer.has_match() else None


def _slices(count: int) -> list[tuple[int, int]]:
    """The brightest stars first, then on."""
    return [(first, min(first + _PER_SLICE, count)) for first in range(0, count, _PER_SLICE)]


def _field(catalogue: CatalogueStars, wcs: WCS, shape: tuple[int, int]) -> CatalogueStars:
    """Catalogue stars in and around the frame."""
    ny, nx = shape
    ra_deg, dec_deg = wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    radius_deg = 0.65 * np.hypot(nx, ny) * scale_arcsec(wcs) / 3600
    return catalogue.near(float(ra_deg), float(dec_deg), float(radius_deg))


def _shifted(
    wcs: WCS, found: NDArray[np.float64], field: CatalogueStars, shape: tuple[int, int]
) -> WCS:
    """``wcs`` moved by the shift that most stars agree on."""
    dx, dy = common_shift(found, _expected(wcs, field), _SHIFT_SHARE * min(shape))
    moved = wcs.deepcopy()
    moved.wcs.crpix = np.add(moved.wcs.crpix, [dx, dy])
    if moved.sip is not None:
        moved.sip.crpix[:] = moved.wcs.crpix
    moved.wcs.set()
    return moved


def _expected(wcs: WCS, field: CatalogueStars) -> NDArray[np.float64]:
    """Where the catalogue's stars should be; far away where they cannot be."""
    try:
        points = np.column_stack(to_pixels(wcs, field.ra_deg, field.dec_deg))
    except NoConvergence:
        raise _does_not_fit(0, len(field)) from None
    return np.where(np.isfinite(points), points, -1e6)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A WCS, and the pairs that it was fitted to.

    i, j : of each pair the number in the frame's list and in the catalogue's
    keep : which of them it rests on
    """

    wcs: WCS
    sip: bool
    i: NDArray[np.intp]
    j: NDArray[np.intp]
    keep: NDArray[np.bool_]


def _fitted(
    wcs: WCS,
    found: NDArray[np.float64],
    field: CatalogueStars,
    shape: tuple[int, int],
    tolerance_px: float,
    last: _Fit | None,
) -> _Fit:
    """A fit to the pairs that ``wcs`` makes: the last one, where they are the same again."""
    i, j = nearest_pairs(found, _expected(wcs, field), tolerance_px)
    if len(i) < _MIN_STARS:
        raise _does_not_fit(len(i), len(field))
    sip = tolerance_px <= _SIP_FROM_PX
    if (
        last is not None
        and last.sip == sip
        and np.array_equal(i, last.i)
        and np.array_equal(j, last.j)
    ):
        return last
    wcs, keep = fit_wcs(_pairs(found, field, i, j), shape, wcs, sip=sip)
    return _Fit(wcs, sip, i, j, keep)


def _pairs(
    found: NDArray[np.float64], field: CatalogueStars, i: NDArray[np.intp], j: NDArray[np.intp]
) -> Pairs:
    return Pairs(found[i, 0], found[i, 1], field.ra_deg[j], field.dec_deg[j])


def _solution(
    fit: _Fit, stars: pd.DataFrame, field: CatalogueStars, shape: tuple[int, int]
) -> Solution:
    """The last fit, believed only when it pairs more stars than chance would."""
    wcs = fit.wcs
    found = stars[["x", "y"]].to_numpy(dtype=np.float64)
    i, j = fit.i[fit.keep], fit.j[fit.keep]
    pairs = _pairs(found, field, i, j)
    inside = _inside(_expected(wcs, field), shape)
    chance = inside * len(found) * np.pi * _TOLERANCES_PX[-1] ** 2 / (shape[0] * shape[1])
    if len(pairs) < max(_MIN_MATCHES, 3 * chance + 3):
        raise _does_not_fit(len(pairs), inside)
    off = residuals_arcsec(wcs, pairs)
    matches = pd.DataFrame(
        {
            "star": i,
            "x": pairs.x,
            "y": pairs.y,
            "ra_deg": pairs.ra_deg,
            "dec_deg": pairs.dec_deg,
            "mag": field.mag[j],
            "residual_arcsec": off,
        }
    )
    rms = float(np.sqrt(np.mean(off**2)))
    return Solution(wcs, rms, len(pairs), matches, scale_arcsec(wcs))


def _inside(points: NDArray[np.float64], shape: tuple[int, int]) -> int:
    return int(((points >= 0) & (points < [shape[1], shape[0]])).all(axis=1).sum())


def _does_not_fit(matched: int, expected: int) -> NotSolved:
    return NotSolved(
        f"Only {matched} of {expected} catalogue stars lie where this solution puts them: solve "
        "this frame by itself"
    )
