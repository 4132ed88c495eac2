"""A small seeded sky for the tests of alignment, stacks and pictures."""

import numpy as np
from astropy.wcs import WCS, Sip
from numpy.typing import NDArray

SCALE_ARCSEC = 2.0


def tan(
    shape: tuple[int, int],
    *,
    ra_deg: float = 192.7,
    dec_deg: float = 41.1,
    angle_deg: float = 0.0,
    scale_arcsec: float = SCALE_ARCSEC,
    mirrored: bool = False,
) -> WCS:
    """A TAN frame about its centre whose y axis is turned from north towards east."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    sign = -1 if mirrored else 1
    wcs.wcs.cd = scale_arcsec / 3600 * np.array([[-sign * cos, sin], [sign * sin, cos]])
    wcs.wcs.set()
    return wcs


def with_sip(wcs: WCS, shape: tuple[int, int], edge_px: float) -> WCS:
    """The same with a cubic distortion of this many pixels at the frame's edge."""
    bent = wcs.deepcopy()
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    strength = edge_px / (shape[1] / 2) ** 3
    a[3, 0] = a[1, 2] = b[0, 3] = b[2, 1] = strength
    a[2, 0] = strength * shape[1] / 4
    bent.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    bent.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    bent.wcs.set()
    return bent


def star_field(
    shape: tuple[int, int],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    fwhm_px: float = 3.0,
) -> NDArray[np.float64]:
    """Gaussian stars without noise, electrons."""
    image = np.zeros(shape)
    sigma = fwhm_px / 2.3548
    reach = int(np.ceil(7 * sigma))
    for px, py, flux in zip(x, y, flux_e, strict=True):
        x0, x1 = max(int(px) - reach, 0), min(int(px) + reach + 1, shape[1])
        y0, y1 = max(int(py) - reach, 0), min(int(py) + reach + 1, shape[0])
        if x0 >= x1 or y0 >= y1:
            continue
        gx = np.exp(-0.5 * ((np.arange(x0, x1) - px) / sigma) ** 2)
        gy = np.exp(-0.5 * ((np.arange(y0, y1) - py) / sigma) ** 2)
        image[y0:y1, x0:x1] += flux / (2 * np.pi * sigma**2) * np.outer(gy, gx)
    return image


def spread_stars(
    rng: np.random.Generator, shape: tuple[int, int], spacing_px: int = 40
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions that leave each star alone, on a jittered lattice away from the edges."""
    ys, xs = np.mgrid[spacing_px : shape[0] - spacing_px : spacing_px,
                      spacing_px : shape[1] - spacing_px : spacing_px]  # fmt: skip
    jitter = rng.uniform(-6, 6, (2, xs.size))
    return xs.ravel() + jitter[0], ys.ravel() + jitter[1]
