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
_CENTRINGS, _CENTRED_DEG = 4, 1e-10
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
    best, keep = _clipped_fit(pairs, shape, _middle(guess, shape), 1)
    if not sip or not _supports_sip(pairs.where(keep), shape):
        return _as_wcs(best, shape), keep
    inliers = pairs.where(keep)
    error = _prediction_error(inliers, shape, best.centre, 1)
    for order in (2, 3):
        bent_error = _prediction_error(inliers, shape, best.centre, order)
        if bent_error < _WORTHWHILE * error:
            best, keep = _clipped_fit(pairs, shape, best.centre, order)
            error = bent_error
    return _as_wcs(best, shape), keep


def residuals_arcsec(wcs: WCS, pairs: Pairs) -> _Array:
    """Distance on the sky of each pair, arcseconds."""
    ra_deg, dec_deg = wcs.all_pix2world(pairs.x, pairs.y, 0)
    return _apart_arcsec(ra_deg, dec_deg, pairs)


def to_pixels(wcs: WCS, ra_deg: _Array, dec_deg: _Array) -> tuple[_Array, _Array]:
    """0-based pixels of sky positions; NaN where the sky is behind the tangent plane."""
    x, y = wcs.all_world2pix(ra_deg, dec_deg, 0, quiet=True)
    return np.asarray(x), np.asarray(y)


def scale_arcsec(wcs: WCS) -> float:
    """Arcseconds per pixel at the reference pixel."""
    return float(3600 * np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))


@dataclass(frozen=True, slots=True)
class _Plane:
    """A fit, before it is written down as a WCS: that is done once, at the end.

    found : (terms, 2) degrees on the tangent plane per power (`_powers`) of the pixels of `_design`
    centre : RA and Dec, degrees, of the frame's middle, where the plane touches the sky
    """

    order: int
    found: _Array
    centre: tuple[float, float]

    def apart_arcsec(self, pairs: Pairs, design: _Array) -> _Array:
        """Distance on the sky of each pair, arcseconds."""
        xi, eta = (design[:, 1:] @ self.found[1:]).T
        return _apart_arcsec(*_to_sky(xi, eta, *self.centre), pairs)


def _clipped_fit(
    pairs: Pairs, shape: tuple[int, int], centre: tuple[float, float], order: int
) -> tuple[_Plane, NDArray[np.bool_]]:
    """Least squares, without the pairs that lie far off, until those no longer change."""
    keep = np.ones(len(pairs), dtype=bool)
    design = _design(pairs, shape, order)
    plane = _soft_fit(pairs, design, centre, order)
    for _ in range(_ROUNDS):
        off = plane.apart_arcsec(pairs, design)
        # In two dimensions the median distance is 1.18 sigma.
        limit = _CLIP_SIGMA * np.median(off[keep]) / 1.18 + 1e-3
        now = off <= limit
        if now.sum() < 3 + order * (order + 3) or np.array_equal(now, keep):
            break
        keep = now
        plane = _fit(pairs.where(keep), design[keep], plane.centre, order)
    return plane, keep


def _soft_fit(pairs: Pairs, design: _Array, centre: tuple[float, float], order: int) -> _Plane:
    """Least absolute residuals, by weights: a quarter of wrong pairs does not move it."""
    plane = _fit(pairs, design, centre, order)
    for _ in range(_ROUNDS):
        off = plane.apart_arcsec(pairs, design)
        soft = 0.1 * np.median(off) + 1e-3
        plane = _fit(pairs, design, plane.centre, order, np.sqrt(1 / (off + soft)))
    return plane


def _fit(
    pairs: Pairs,
    design: _Array,
    centre: tuple[float, float],
    order: int,
    weights: _Array | None = None,
) -> _Plane:
    scale = np.ones((len(pairs), 1)) if weights is None else weights[:, None]
    weighted = design * scale
    ra0, dec0 = centre
    for _ in range(_CENTRINGS):
        plane = np.column_stack(_to_plane(pairs.ra_deg, pairs.dec_deg, ra0, dec0))
        found = np.linalg.lstsq(weighted, plane * scale, rcond=None)[0]
        ra, dec = _to_sky(found[0, 0], found[0, 1], ra0, dec0)
        ra0, dec0 = float(ra), float(dec)
        if np.abs(found[0]).max() < _CENTRED_DEG:
            break
    return _Plane(order, np.asarray(found, np.float64), (ra0, dec0))


def _as_wcs(plane: _Plane, shape: tuple[int, int]) -> WCS:
    order, powers = plane.order, _powers(plane.order)
    unit = max(shape) / 2
    found = plane.found / unit ** np.array([p + q for p, q in powers])[:, None]
    cd = np.column_stack([found[powers.index((1, 0))], found[powers.index((0, 1))]])
    wcs = WCS(naxis=2)
    suffix = "-SIP" if order > 1 else ""
    wcs.wcs.ctype = [f"RA---TAN{suffix}", f"DEC--TAN{suffix}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = plane.centre
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


def _prediction_error(
    pairs: Pairs, shape: tuple[int, int], centre: tuple[float, float], order: int
) -> float:
    """How far each star lies from the fit to all the others, on average, degrees.

    Residuals fall with every further term; this falls only when the term is real (Allen 1974,
    Technometrics 16, 125).
    """
    design = _design(pairs, shape, order)
    plane = np.column_stack(_to_plane(pairs.ra_deg, pairs.dec_deg, *centre))
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


def _to_sky(xi_deg: _Array, eta_deg: _Array, ra0: float, dec0: float) -> tuple[_Array, _Array]:
    """The inverse of `_to_plane`."""
    xi, eta, dec_0 = np.radians(xi_deg), np.radians(eta_deg), np.radians(dec0)
    below = np.cos(dec_0) - eta * np.sin(dec_0)
    ra = ra0 + np.degrees(np.arctan2(xi, below))
    dec = np.arctan2(np.sin(dec_0) + eta * np.cos(dec_0), np.hypot(xi, below))
    return np.asarray(ra % 360), np.degrees(dec)


def _apart_arcsec(ra_deg: _Array, dec_deg: _Array, pairs: Pairs) -> _Array:
    d_ra = (ra_deg - pairs.ra_deg + 180) % 360 - 180
    return np.asarray(
        3600 * np.hypot(d_ra * np.cos(np.radians(pairs.dec_deg)), dec_deg - pairs.dec_deg)
    )
