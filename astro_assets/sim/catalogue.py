"""The real stars that the simulated sky is made from.

What belongs here: reading the catalogue that comes with the package, and colours for its stars.
What does not: how stars look in an image (`psf`, `sky`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.data import CATALOGUE

# V - R of main-sequence stars rises about so with B - V; enough for plausible colours.
_V_MINUS_R_PER_B_MINUS_V = 0.55
_FAINTEST_MAG = 17.0
_SUN_BV_MAG = 0.65

SOLAR_RATIO = {
    "R": 10 ** (0.4 * _V_MINUS_R_PER_B_MINUS_V * _SUN_BV_MAG),
    "G": 1.0,
    "B": 10 ** (-0.4 * _SUN_BV_MAG),
}
"""Light of the Sun's colour in each channel over that in green, where B - V = 0 gives 1."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Some stars of the catalogue; all arrays have the shape (n,).

    number : row of the star in the catalogue
    ra_deg, dec_deg : position, ICRS at J2000
    vt_mag : Tycho-2 magnitude V_T, taken as the magnitude in the green or visual channel
    bv_mag : colour B - V; drawn, not measured
    """

    number: NDArray[np.int64]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    vt_mag: NDArray[np.float64]
    bv_mag: NDArray[np.float64]

    def magnitude(self, channel: str) -> NDArray[np.float64]:
        """Magnitude in channel R, G (V) or B. Raises KeyError for any other."""
        if channel == "G":
            return self.vt_mag
        slope = {"R": -_V_MINUS_R_PER_B_MINUS_V, "B": 1.0}[channel]
        return self.vt_mag + slope * self.bv_mag

    def joined(self, other: "Stars") -> "Stars":
        """These stars, then the others."""
        return Stars(
            number=np.concatenate([self.number, other.number]),
            ra_deg=np.concatenate([self.ra_deg, other.ra_deg]),
            dec_deg=np.concatenate([self.dec_deg, other.dec_deg]),
            vt_mag=np.concatenate([self.vt_mag, other.vt_mag]),
            bv_mag=np.concatenate([self.bv_mag, other.bv_mag]),
        )


def stars_near(ra_deg: float, dec_deg: float, radius_deg: float, *, seed: int) -> Stars:
    """All stars of the catalogue in a circle, brightest first.

    The catalogue has one magnitude only. A plausible B - V is drawn for each star from ``seed``
    and the star's number: mostly between 0.0 (white) and 1.5 (orange), the bright ones of a
    field with the same spread as the faint. The same seed gives a star the same colour always.
    """
    ra, dec, magnitude = _catalogue()
    separation = np.sin(np.radians(dec)) * np.sin(np.radians(dec_deg)) + np.cos(
        np.radians(dec)
    ) * np.cos(np.radians(dec_deg)) * np.cos(np.radians(ra - ra_deg))
    number = np.flatnonzero(separation > np.cos(np.radians(radius_deg)))
    colours = np.random.default_rng([seed, 0xB5]).beta(1.8, 2.2, len(ra)) * 1.9 - 0.15
    return Stars(number, ra[number], dec[number], magnitude[number], colours[number])


def faint_stars(
    ra_deg: float, dec_deg: float, radius_deg: float, *, per_deg2: float, seed: int
) -> Stars:
    """Stars between magnitudes 12 and 17 in a circle, twice as many with each magnitude.

    They are no stars of the real sky; their numbers in the catalogue are negative.
    """
    rng = np.random.default_rng([seed, 0xFA])
    count = round(per_deg2 * np.pi * radius_deg**2)
    share = rng.uniform(2.0**-5, 1.0, count)
    away = np.radians(radius_deg) * np.sqrt(rng.uniform(0, 1, count))
    angle = rng.uniform(0, 2 * np.pi, count)
    dec = np.arcsin(
        np.sin(np.radians(dec_deg)) * np.cos(away)
        + np.cos(np.radians(dec_deg)) * np.sin(away) * np.cos(angle)
    )
    ra = np.radians(ra_deg) + np.arctan2(
        np.sin(angle) * np.sin(away) * np.cos(np.radians(dec_deg)),
        np.cos(away) - np.sin(np.radians(dec_deg)) * np.sin(dec),
    )
    return Stars(
        number=-1 - np.arange(count),
        ra_deg=np.degrees(ra) % 360,
        dec_deg=np.degrees(dec),
        vt_mag=_FAINTEST_MAG + np.log2(share),
        bv_mag=rng.beta(1.8, 2.2, count) * 1.9 - 0.15,
    )


@lru_cache(maxsize=1)
def _catalogue() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    with fits.open(CATALOGUE) as hdus:
        table = hdus["STARS"].data
        return (
            table["ra_deg"].astype(np.float64),
            table["dec_deg"].astype(np.float64),
            table["vt_mag"].astype(np.float64),
        )
