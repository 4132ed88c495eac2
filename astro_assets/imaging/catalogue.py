"""Catalogue stars as arrays, and which of them lie in a field.

What belongs here: the form in which the sky's stars reach the solver and the zero point. What does
not: reading them (`steps.catalogue`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CatalogueStars:
    """Stars of a catalogue, in any order.

    ra_deg, dec_deg : (n,) float64, ICRS
    mag : (n,) float32, magnitudes of one band
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    mag: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ra_deg)

    @cached_property
    def _directions(self) -> NDArray[np.float64]:
        return unit_vectors(self.ra_deg, self.dec_deg)

    def near(self, ra_deg: float, dec_deg: float, radius_deg: float) -> "CatalogueStars":
        """The stars within ``radius_deg`` of a point, brightest first."""
        centre = unit_vectors(np.array([ra_deg]), np.array([dec_deg]))[0]
        inside = np.flatnonzero(self._directions @ centre > np.cos(np.radians(radius_deg)))
        ordered = inside[np.argsort(self.mag[inside], kind="stable")]
        return CatalogueStars(self.ra_deg[ordered], self.dec_deg[ordered], self.mag[ordered])


def unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions on the sky as (n, 3) vectors of length 1."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
