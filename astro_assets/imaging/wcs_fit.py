"""A WCS through matched stars: tangent plane, with SIP distortion where the stars support it.

What belongs here: the fit, given pairs of pixels and sky positions. What does not: who matches whom
(`match`), the first solution (`solve`).

The polynomials are those of Shupe et al. 2005 (ADASS XIV, ASP Conf. 347, 491).
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS, Sip
from numpy.typing import NDArray

_ROUNDS = 8
_CLIP_SIGMA = 3.5
_MIN_FOR_SIP = 40
_MIN_PER_QUADRANT = 5
_WORTHWHILE = 0.92
"""a higher order must bring the error of prediction below this share"""

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Stars that are both in the frame and in the catalogue.

    x, y : 0-based pixels; ra_deg, dec_deg : ICRS; all (n,)
    """

    x: _Array
    y: _Array
    ra_deg: _Array
    dec_deg: _Array

    def __len__(self) -> int:
        return len(self.x)

    def where(self, keep: NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.x[keep], self.y[keep], self.ra_deg[keep], self.dec_deg[keep])


def fit_wcs(
    pairs: Pairs, shape: tuple[int, int], guess: WCS, *, sip: bool
) -> tuple[WCS, NDArray[np.bool_]]:
    """Robust fit of a WCS with its reference pixel in the middle of the frame.

    Parameters
    ----------
    pairs : at least 3 stars
    shape : (ny, nx)
    guess : any WCS of the frame; only the sky position of the frame's middle is taken from it
    sip : whether SIP of order 2 or 3 may be used; it is, where 40 stars in all quadrants support
        it and the error of prediction falls

    Returns
    -------
    The WCS, and which pairs it keeps.
    """
    best, keep = _clipped_fit(pairs, shape, guess, 1)
    if not sip or not _supports_sip(pairs.where(keep), shape):
        return best, keep
    inliers = pairs.where(keep)
    error = _prediction_error(inliers, shape, best, 1)
    for order in (2, 3):
        bent_error = _prediction_error(inliers, shape, best, order)
        if bent_error < _WORTHWHILE * error:
            best, keep = _clipped_fit(pairs, shape, best, order)
            error = bent_error
    return best, keep


def residuals_arcsec(wcs: WCS, pairs: Pairs) -> _Array:
    """Distance on the sky of each pair, arcseconds."""
    ra_deg, dec_deg = wcs.all_pix2world(pairs.x, pairs.y, 0)
    d_ra = (ra_deg - pairs.ra_deg + 180) % 360 - 180
    return np.asarray(
        3600 * np.hypot(d_ra * np.cos(np.radians(pairs.dec_deg)), dec_deg - pairs.dec_deg)
    )


def to_pixels(wcs: WCS, ra_deg: _Array, dec_deg: _Array) -> tuple[_Array, _Array]:
    """0-based pixels of sky positions; NaN where the sky is behind the tangent plane."""
    x, y = wcs.all_world2pix(ra_deg, dec_deg, 0, quiet=True)
    return np.asarray(x), np.asarray(y)


def scale_arcsec(wcs: WCS) -> float:
    """Arcseconds per pixel at the reference pixel."""
    return float(3600 * np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))


def _clipped_fit(
    pairs: Pairs, shape: tuple[int, int], guess: WCS, order: int
) -> tuple[WCS, NDArray[np.bool_]]:
    """Least squares, without the pairs that lie far off, until those no longer change."""
    keep = np.ones(len(pairs), dtype=bool)
    wcs = _soft_fit(pairs, shape, guess, order)
    for _ in range(_ROUNDS):
        off = residuals_arcsec(wcs, pairs)
        # In two dimensions the median distance is 1.18 sigma.
        limit = _CLIP_SIGMA * np.median(off[keep]) / 1.18 + 1e-3
        now = off <= limit
        if now.sum() < 3 + order * (order + 3) or np.array_equal(now, keep):
            break
        keep = now
        wcs = _fit(pairs.where(keep), shape, wcs, order)
    return wcs, keep


def _soft_fit(pairs: Pairs, shape: tuple[int, int], guess: WCS, order: int) -> WCS:
    """Least absolute residuals, by weights: a quarter of wrong pairs does not move it."""
    wcs = _fit(pairs, shape, guess, order)
    for _ in range(_ROUNDS):
        off = residuals_arcsec(wcs, pairs)
        soft = 0.1 * np.median(off) + 1e-3
        wcs = _fit(pairs, shape, wcs, order, np.sqrt(1 / (off + soft)))
    return wcs


def _fit(
    pairs: Pairs, shape: tuple[int, int], guess: WCS, order: int, weights: _Array | None = None
) -> WCS:
    unit, powers = max(shape) / 2, _powers(order)
    design = _design(pairs, shape, order)
    scale = np.ones((len(pairs), 1)) if weights is None else weights[:, None]
    ra0, dec0 = _middle(guess, shape)
    for _ in range(4):
        plane = np.column_stack(_to_plane(pairs.ra_deg, pairs.dec_deg, ra0, dec0))
        found = np.linalg.lstsq(design * scale, plane * scale, rcond=None)[0]
        ra0, dec0 = _to_sky(found[0, 0], found[0, 1], ra0, dec0)
    scaled = found / unit ** np.array([p + q for p, q in powers])[:, None]
    return _as_wcs(scaled, powers, shape, (ra0, dec0))


def _as_wcs(
    found: _Array,
    powers: list[tuple[int, int]],
    shape: tuple[int, int],
    centre: tuple[float, float],
) -> WCS:
    """``found``: (terms, 2) degrees on the tangent plane per power of pixels."""
    order = max(p for p, _ in powers)
    cd = np.column_stack([found[powers.index((1, 0))], found[powers.index((0, 1))]])
    wcs = WCS(naxis=2)
    suffix = "-SIP" if order > 1 else ""
    wcs.wcs.ctype = [f"RA---TAN{suffix}", f"DEC--TAN{suffix}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = centre
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cd = cd
    wcs.wcs.radesys = "ICRS"
    if order > 1:
        wcs.sip = _sip(found @ np.linalg.inv(cd).T, powers, shape)
    wcs.pixel_shape = (shape[1], shape[0])
    wcs.wcs.set()
    return wcs


def _sip(found: _Array, powers: list[tuple[int, int]], shape: tuple[int, int]) -> Sip:
    """The polynomials in pixels, with their inverse for programs that do not iterate."""
    order = max(p for p, _ in powers)
    forward = np.zeros((2, order + 1, order + 1))
    for (p, q), value in zip(powers, found, strict=True):
        if p + q > 1:
            forward[:, p, q] = value
    ny, nx = shape
    u, v = (part.ravel() for part in np.meshgrid(
        np.linspace(-nx / 2, nx / 2, 25), np.linspace(-ny / 2, ny / 2, 25)
    ))  # fmt: skip
    shift = np.array([np.polynomial.polynomial.polyval2d(u, v, plane) for plane in forward])
    unit = max(nx, ny) / 2
    back_powers = _powers(order + 1)
    design = _terms((u + shift[0]) / unit, (v + shift[1]) / unit, back_powers)
    solved = np.linalg.lstsq(design, -shift.T, rcond=None)[0]
    inverse = np.zeros((2, order + 2, order + 2))
    for (p, q), value in zip(back_powers, solved, strict=True):
        inverse[:, p, q] = value / unit ** (p + q)
    return Sip(*forward, *inverse, ((nx + 1) / 2, (ny + 1) / 2))


def _powers(order: int) -> list[tuple[int, int]]:
    return [(p, total - p) for total in range(order + 1) for p in range(total, -1, -1)]


def _terms(u: _Array, v: _Array, powers: list[tuple[int, int]]) -> _Array:
    return np.column_stack([u**p * v**q for p, q in powers])


def _supports_sip(pairs: Pairs, shape: tuple[int, int]) -> bool:
    right, upper = pairs.x > shape[1] / 2, pairs.y > shape[0] / 2
    counts = np.bincount(right * 2 + upper, minlength=4)
    return len(pairs) >= _MIN_FOR_SIP and bool(counts.min() >= _MIN_PER_QUADRANT)


def _prediction_error(pairs: Pairs, shape: tuple[int, int], wcs: WCS, order: int) -> float:
    """How far each star lies from the fit to all the others, on average, degrees.

    Residuals fall with every further term; this falls only when the term is real (Allen 1974,
    Technometrics 16, 125).
    """
    design = _design(pairs, shape, order)
    plane = np.column_stack(_to_plane(pairs.ra_deg, pairs.dec_deg, *_middle(wcs, shape)))
    basis = np.linalg.qr(design)[0]
    residuals = plane - basis @ (basis.T @ plane)
    leverage = np.minimum((basis**2).sum(axis=1), 0.99)
    return float(np.hypot(*residuals.T).dot(1 / (1 - leverage)) / len(pairs))


def _middle(wcs: WCS, shape: tuple[int, int]) -> tuple[float, float]:
    """Sky position of the frame's middle."""
    ra_deg, dec_deg = wcs.all_pix2world((shape[1] - 1) / 2, (shape[0] - 1) / 2, 0)
    return float(ra_deg), float(dec_deg)


def _design(pairs: Pairs, shape: tuple[int, int], order: int) -> _Array:
    """Powers of the pixels, which count from −1 to 1, so that high powers stay tame."""
    ny, nx = shape
    unit = max(nx, ny) / 2
    return _terms((pairs.x - (nx - 1) / 2) / unit, (pairs.y - (ny - 1) / 2) / unit, _powers(order))


def _to_plane(ra_deg: _Array, dec_deg: _Array, ra0: float, dec0: float) -> tuple[_Array, _Array]:
    """Gnomonic projection, degrees."""
    d_ra, dec, dec_0 = np.radians(ra_deg - ra0), np.radians(dec_deg), np.radians(dec0)
    depth = np.sin(dec) * np.sin(dec_0) + np.cos(dec) * np.cos(dec_0) * np.cos(d_ra)
    xi = np.cos(dec) * np.sin(d_ra) / depth
    eta = (np.sin(dec) * np.cos(dec_0) - np.cos(dec) * np.sin(dec_0) * np.cos(d_ra)) / depth
    return np.degrees(xi), np.degrees(eta)


def _to_sky(xi_deg: float, eta_deg: float, ra0: float, dec0: float) -> tuple[float, float]:
    """The inverse of `_to_plane` for one point."""
    xi, eta, dec_0 = np.radians(xi_deg), np.radians(eta_deg), np.radians(dec0)
    below = np.cos(dec_0) - eta * np.sin(dec_0)
    ra = ra0 + np.degrees(np.arctan2(xi, below))
    dec = np.arctan2(np.sin(dec_0) + eta * np.cos(dec_0), np.hypot(xi, below))
    return float(ra % 360), float(np.degrees(dec))
