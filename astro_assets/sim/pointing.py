"""Where a frame looks, and the world coordinates that follow from it.

What belongs here: the gnomonic (TAN) projection of one frame. What does not: what is seen there.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

WCS_KEYWORDS = (
    *("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2"),
    *("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"),
    *("CD1_1", "CD1_2", "CD2_1", "CD2_2", "RADESYS"),
)


@dataclass(frozen=True, slots=True)
class Pointing:
    """A frame's centre on the sky (ICRS), pixel scale and rotation.

    shape : (ny, nx) of the light-sensitive pixels
    rotation_deg : position angle of the image's +y axis, from north through east
    reversed : the camera hangs upside down, as after a mount flip
    """

    ra_deg: float
    dec_deg: float
    scale_arcsec: float
    rotation_deg: float
    shape: tuple[int, int]
    reversed: bool = False

    def cards(self) -> dict[str, str | float]:
        """The projection as FITS keywords (1-based CRPIX). East is left of north."""
        angle = np.radians(self.rotation_deg + (180 if self.reversed else 0))
        scale = self.scale_arcsec / 3600
        ny, nx = self.shape
        values = ("RA---TAN", "DEC--TAN", "deg", "deg")
        matrix = (-np.cos(angle), np.sin(angle), np.sin(angle), np.cos(angle))
        numbers = (self.ra_deg, self.dec_deg, (nx + 1) / 2, (ny + 1) / 2)
        scaled = [float(scale * element) for element in matrix]
        return dict(zip(WCS_KEYWORDS, (*values, *numbers, *scaled, "ICRS"), strict=True))

    def wcs(self) -> WCS:
        wcs = WCS(naxis=2)
        cards = self.cards()
        wcs.wcs.ctype = [cards["CTYPE1"], cards["CTYPE2"]]
        wcs.wcs.crval = [cards["CRVAL1"], cards["CRVAL2"]]
        wcs.wcs.crpix = [cards["CRPIX1"], cards["CRPIX2"]]
        wcs.wcs.cd = [[cards["CD1_1"], cards["CD1_2"]], [cards["CD2_1"], cards["CD2_2"]]]
        wcs.wcs.radesys = "ICRS"
        return wcs

    def pixels(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """0-based x and y of sky positions."""
        x, y = self.wcs().wcs_world2pix(ra_deg, dec_deg, 0)
        return np.asarray(x), np.asarray(y)

    def moved(self, dx_px: float, dy_px: float, turn_deg: float) -> "Pointing":
        """The pointing after a dither by so many pixels and a turn of the camera."""
        ny, nx = self.shape
        ra, dec = self.wcs().wcs_pix2world((nx - 1) / 2 + dx_px, (ny - 1) / 2 + dy_px, 0)
        return Pointing(
            float(ra),
            float(dec),
            self.scale_arcsec,
            self.rotation_deg + turn_deg,
            self.shape,
            self.reversed,
        )
