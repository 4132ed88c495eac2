"""Magnitudes from Gaia's archive, in place of the index files', where the settings say so.

What belongs here: which magnitude goes with which filter, and putting it beside the frame's stars.
What does not: asking the archive (`gaia`), zero points (`imaging.photometry`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from astro_assets.errors import SourceUnreachable
from astro_assets.imaging.match import nearest_pairs
from astro_assets.imaging.solve import Solution
from astro_assets.imaging.wcs_fit import to_pixels
from astro_assets.settings import GaiaArchive
from astro_assets.steps.gaia import GaiaClient, GaiaStars
from astro_assets.steps.measure import Measured
from astro_assets.store import Store

_TOLERANCE_PX = 2.0
_BLUE = ("b", "blue", "u", "oiii", "o3", "g'", "sdss g")
_RED = ("r", "red", "i", "ha", "h-alpha", "halpha", "sii", "s2", "r'", "i'", "z'")
_LEAST = 5


@dataclass
class GaiaMagnitudes:
    """Gaia's stars for the frames of one session."""

    settings: GaiaArchive
    store: Store
    log: Callable[[str], None]
    _gone: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._client = GaiaClient(self.settings, self.store)

    def applied(self, solution: Solution, m: Measured) -> Solution:
        """The solution with Gaia's magnitudes beside the frame's stars; as it was, and a line in
        the log, where the archive cannot be had.
        """
        if self._gone:
            return solution
        ny, nx = m.shape
        radius_deg = 0.5 * float(np.hypot(nx, ny)) * solution.scale_arcsec / 3600
        ra_deg, dec_deg = (float(value) for value in solution.wcs.wcs.crval)
        try:
            stars = self._client.around(ra_deg, dec_deg, radius_deg)
        except SourceUnreachable as error:
            self._gone = True
            self.log(f"{error}; zero points are by the index files' magnitudes")
            return solution
        return with_magnitudes(solution, m.stars, stars, m.frame.filter)


def with_magnitudes(
    solution: Solution, stars: pd.DataFrame, gaia: GaiaStars, filter_name: str | None
) -> Solution:
    """The frame's stars beside Gaia's in place of the matches that made the plate solution."""
    band, mag = _band(gaia, filter_name)
    x, y = to_pixels(solution.wcs, gaia.ra_deg, gaia.dec_deg)
    places = np.where(np.isfinite(x) & np.isfinite(y), np.stack([x, y]), -1e6).T
    found = stars[["x", "y"]].to_numpy(dtype=np.float64)
    i, j = nearest_pairs(found, places, _TOLERANCE_PX)
    told = np.isfinite(mag[j])
    i, j = i[told], j[told]
    if len(i) < _LEAST:
        return solution
    off_px = np.hypot(*(found[i] - places[j]).T)
    matches = pd.DataFrame(
        {
            "star": i,
            "x": found[i, 0],
            "y": found[i, 1],
            "ra_deg": gaia.ra_deg[j],
            "dec_deg": gaia.dec_deg[j],
            "mag": mag[j].astype(np.float32),
            "residual_arcsec": off_px * solution.scale_arcsec,
        }
    )
    return replace(solution, matches=matches, band=band)


def _band(gaia: GaiaStars, filter_name: str | None) -> tuple[str, np.ndarray]:
    """The band that lies nearest to the filter."""
    name = (filter_name or "").strip().lower()
    if name in _BLUE:
        return "Gaia BP", gaia.bp_mag
    if name in _RED:
        return "Gaia RP", gaia.rp_mag
    return "Gaia G", gaia.g_mag
