"""The file of a solved frame: the calibrated one's pixels below a header that tells all of it.

What belongs here: what is written of one frame. What does not: finding it out (`measure`,
`solving`), the session's table (`solve`).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from astro_assets.errors import NotSolved
from astro_assets.fits_units import copy_units
from astro_assets.imaging.quality import Figures, Verdict
from astro_assets.imaging.solve import Solution
from astro_assets.steps import circumstances, provenance, versions
from astro_assets.steps.measure import Measured

ACCEPTED = "AAACCEPT"
_MAGNITUDES = (
    ("zero_point_mag", "MAGZP", "mag", "of 1 e-/s"),
    ("limiting_mag", "MAGLIM", "mag", "5 sigma"),
    ("sky_mag_arcsec2", "MAGSKY", "mag/arcsec2", "sky"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """All that is known of a frame."""

    measured: Measured
    solution: Solution | NotSolved
    figures: Figures
    verdict: Verdict
    sky: circumstances.Sky

    @property
    def reason(self) -> str:
        """Why it is rejected; empty when it is not."""
        unsolved = str(self.solution) if isinstance(self.solution, NotSolved) else ""
        return self.verdict.reason or unsolved


def write_solved(path: Path, each: Judged) -> None:
    """Write image and mask as they are in the calibrated frame, and its stars.

    Raises
    ------
    BrokenFile : the calibrated frame is not whole
    """
    stars = fits.BinTableHDU(Table.from_pandas(each.measured.stars), name="STARS")
    copy_units(each.measured.path, path, partial(_describe, each), ["MASK"], [stars])


def _describe(each: Judged, header: fits.Header) -> None:
    solution, figures, verdict = each.solution, each.figures, each.verdict
    assert isinstance(solution, Solution)
    header.update(solution.wcs.to_header(relax=True))
    circumstances.describe(header, each.measured.frame, each.sky)
    header["ASTRRMS"] = (solution.residual_arcsec, "[arcsec] RMS of the plate solution")
    header["ASTRNUM"] = (solution.n_matched, "catalogue stars matched")
    header["FWHM"] = (_finite(figures.fwhm_px), "[px] of unsaturated stars")
    header["ELONG"] = (_finite(figures.elongation), "major over minor axis of stars")
    header["BKGLEVEL"] = (figures.background_e, "[e-] median background")
    header["BKGNOISE"] = (figures.noise_e, "[e-] noise of the background")
    header["AAWEIGHT"] = (verdict.weight, "worth of the frame; the usual one is 1")
    header[ACCEPTED] = (verdict.accepted, "accepted by the quality filter")
    if verdict.reason:
        provenance.note(header, f"rejected: {verdict.reason}")
    for name, keyword, unit, what in _MAGNITUDES:
        value = getattr(figures, name)
        if value is not None and np.isfinite(value):
            header[keyword] = (value, f"[{unit}] {solution.band}, {what}")
    stamp = provenance.fingerprint(versions.SOLVED, str(header.get(provenance.KEYWORD)))
    provenance.stamp(header, "solved", stamp)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
