"""What one calibrated frame shows: its sky, its stars, and the figures that judge it.

What belongs here: measuring frames, alone and against one another. What does not: solving and the
verdict (`solve`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from astro_assets.errors import NotSolved
from astro_assets.frame import Frame, frame_from_header
from astro_assets.imaging.background import Background, background
from astro_assets.imaging.bayer import LUMINANCE_BLUR_PX2, LUMINANCE_NOISE, luminance
from astro_assets.imaging.ensemble import consistent_zero_points, instrumental_magnitudes
from astro_assets.imaging.photometry import limiting_magnitude, zero_point
from astro_assets.imaging.quality import Figures
from astro_assets.imaging.solve import Solution
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.store import ImageFile, read_image


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibrated frame with what was found in it."""

    path: Path
    file: ImageFile
    frame: Frame
    background: Background
    stars: pd.DataFrame


def measure(path: Path) -> Measured:
    """Find the sky and the stars of a calibrated frame."""
    file = read_image(path)
    mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
    frame = frame_from_header(file.header, None, path.name)
    image = file.image
    if frame.bayer_pattern:
        image, mask = luminance(image, mask, frame.bayer_pattern)
    sky = background(image, mask)
    return Measured(
        path=path,
        file=file,
        frame=frame,
        background=sky,
        stars=find_stars(image, mask, saturation_e=frame.saturation_adu, sky=sky),
    )


def figures_of(m: Measured, solution: Solution | NotSolved) -> Figures:
    """The frame's numbers; what a solution alone can tell stays NaN without one."""
    frame = m.frame
    exposure_s = frame.exposure_s or 0.0
    fwhm_px, elongation = seeing(m.stars)
    if frame.bayer_pattern:
        fwhm_px = _unblurred(fwhm_px)
    noise_e = m.background.rms_e / (LUMINANCE_NOISE if frame.bayer_pattern else 1.0)
    plain = Figures(
        filter=_filter(frame),
        exposure_s=exposure_s,
        n_stars=len(m.stars),
        fwhm_px=fwhm_px,
        elongation=elongation,
        hfr_px=float(m.stars["hfr_px"].median()) if len(m.stars) else math.nan,
        background_e=m.background.median_e,
        noise_e=noise_e,
    )
    if isinstance(solution, NotSolved):
        return plain
    measured = zero_point(m.stars, solution.matches, exposure_s)
    return replace(
        plain,
        fwhm_arcsec=fwhm_px * solution.scale_arcsec,
        scale_arcsec=solution.scale_arcsec,
        residual_arcsec=solution.residual_arcsec,
        n_matched=solution.n_matched,
        zero_point_mag=measured.mag if measured else math.nan,
        zero_point_error_mag=measured.error if measured else math.nan,
        limiting_mag=limiting_magnitude(
            measured.mag, noise_e=noise_e, fwhm_px=fwhm_px, exposure_s=exposure_s
        )
        if measured
        else math.nan,
    )


def compared(
    measured: Sequence[Measured],
    solutions: Sequence[Solution | NotSolved],
    figures: Sequence[Figures],
) -> list[Figures]:
    """The figures with zero points that agree from frame to frame within each filter."""
    magnitudes = [
        instrumental_magnitudes(m.stars, s.matches, f.exposure_s)
        if isinstance(s, Solution) and f.exposure_s > 0
        else None
        for m, s, f in zip(measured, solutions, figures, strict=True)
    ]
    result = list(figures)
    for name in {f.filter for f in figures}:
        members = [i for i, f in enumerate(figures) if f.filter == name]
        agreed = consistent_zero_points(
            [magnitudes[i] for i in members], [figures[i].zero_point_mag for i in members]
        )
        for i, mag in zip(members, agreed, strict=True):
            shift = mag - figures[i].zero_point_mag
            result[i] = replace(
                figures[i], zero_point_mag=mag, limiting_mag=figures[i].limiting_mag + shift
            )
    return result


def _unblurred(fwhm_px: float) -> float:
    """The stars' width before a Bayer frame was made into a luminance image."""
    return math.sqrt(max(fwhm_px**2 - 8 * math.log(2) * LUMINANCE_BLUR_PX2, 0.0))


def _filter(frame: Frame) -> str:
    return "RGB" if frame.bayer_pattern else frame.filter or ""
