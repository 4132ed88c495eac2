"""The file of a solved frame: the calibrated one's pixels below a header that tells all of it.

What belongs here: what is written of one frame. What does not: finding it out (`measure`,
`solving`), the session's table (`solve`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from astro_assets.errors import NotSolved
from astro_assets.files import publish
from astro_assets.fits_units import Plane, put_header, room_for, write_below
from astro_assets.imaging.quality import Figures, Verdict
from astro_assets.imaging.solve import Solution
from astro_assets.steps import circumstances, provenance, versions
from astro_assets.steps.measure import Measured
from astro_assets.steps.star_table import star_table

ACCEPTED = "AAACCEPT"
KEPT_PLANES = ("MASK",)
_ANY_VERDICT = Verdict(accepted=True, reason="", weight=1.0, transparency=1.0)
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


@dataclass(frozen=True, slots=True)
class Staged:
    """A solved frame that only its header is still wanting, for which its part has room.

    before : the calibrated frame's header, as it lies in its file
    """

    part: Path
    room: int
    before: bytes
    data_sum: int


def stage(
    part: Path, planes: Sequence[Plane], measured: Measured, solution: Solution, figures: Figures
) -> Staged:
    """Write image and mask as they are in the calibrated frame, and its stars.

    What the verdict and the session's other frames will tell changes the header's size by little.

    Raises
    ------
    OSError : they cannot be written
    """
    image = planes[0]
    likely = Judged(measured, solution, figures, _ANY_VERDICT, circumstances.ANY_SKY)
    room = room_for(_described(likely, image.header))
    write_below(part, room, planes, star_table(measured.stars))
    return Staged(part, room, image.header, image.data_sum)


def publish_solved(path: Path, staged: Staged, each: Judged) -> None:
    """Write the header, and let the frame appear.

    Raises
    ------
    OSError : it cannot be written
    """
    header = _described(each, staged.before)
    put_header(staged.part, staged.room, header, staged.data_sum)
    publish(staged.part, path, replace=True)


def _described(each: Judged, before: bytes) -> fits.Header:
    header = fits.Header.fromstring(before)
    _describe(each, header)
    return header


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
