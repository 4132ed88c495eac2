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
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray

from astro_assets.errors import NotSolved
from astro_assets.frame import Frame, frame_from_header
from astro_assets.imaging.background import Background, background
from astro_assets.imaging.bayer import LUMINANCE_BLUR_PX2, LUMINANCE_NOISE, luminance
from astro_assets.imaging.ensemble import consistent_zero_points, instrumental_magnitudes
from astro_assets.imaging.figures import Figures, star_figures
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.photometry import limiting_magnitude, sky_brightness, zero_point
from astro_assets.imaging.profile import Profile
from astro_assets.imaging.solve import Solution
from astro_assets.imaging.stars import DETECTION_SIGMA, seeing, stars_and_profile
from astro_assets.steps import provenance
from astro_assets.store import ImageFile, read_image


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found in a calibrated frame; its pixels stay in the file.

    shape : (ny, nx)
    made_from : the file's provenance
    profile : the one that its stars share
    plain : its figures, as far as no solution is needed for them
    """

    path: Path
    shape: tuple[int, int]
    made_from: str
    frame: Frame
    background: Background
    stars: pd.DataFrame
    profile: Profile
    plain: Figures


def measure(path: Path) -> Measured:
    """Find the sky and the stars of a calibrated frame."""
    return measured_of(path, read_image(path))


def measured_of(path: Path, file: ImageFile) -> Measured:
    """`measure`, of a file that has been read."""
    mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
    frame = frame_from_header(file.header, None, path.name)
    image = file.image
    if frame.bayer_pattern:
        image, mask = luminance(image, mask, frame.bayer_pattern)
    sky = background(image, mask)
    # The mask knows from the raw data what is saturated; values have been divided by a flat since.
    saturation_e = frame.saturation_adu if file.mask is None else None
    found = stars_and_profile(image, mask, saturation_e=saturation_e, sky=sky)
    return Measured(
        path=path,
        shape=(image.shape[0], image.shape[1]),
        made_from=str(file.header.get(provenance.KEYWORD)),
        frame=frame,
        background=sky,
        stars=found.stars,
        profile=found.profile,
        plain=_plain(frame, sky, found.stars, _saturated_pixels(file.mask)),
    )


def _plain(frame: Frame, sky: Background, stars: pd.DataFrame, n_saturated_px: int) -> Figures:
    """The numbers that pixels and stars tell; what a solution alone can tell is NaN."""
    exposure_s = frame.exposure_s or 0.0
    fwhm_px, elongation = seeing(stars)
    noise_e = sky.rms_e
    known = star_figures(stars, sky.shape, exposure_s)
    if frame.bayer_pattern:
        noise_e /= LUMINANCE_NOISE
        fwhm_px = _unblurred(fwhm_px)
        for axis in ("fwhm_major_px", "fwhm_minor_px"):
            known[axis] = _unblurred(known.get(axis, math.nan))
    return Figures(
        filter=_filter(frame),
        exposure_s=exposure_s,
        fwhm_px=fwhm_px,
        elongation=elongation,
        background_e=sky.median_e,
        noise_e=noise_e,
        detection_sigma=DETECTION_SIGMA,
        n_saturated_px=n_saturated_px,
        **known,
    )


def figures_of(m: Measured, solution: Solution | NotSolved) -> Figures:
    """The frame's numbers; what a solution alone can tell stays NaN without one."""
    if isinstance(solution, NotSolved):
        return m.plain
    return _calibrated(_placed(m.plain, solution), m, solution)


def _placed(plain: Figures, solution: Solution) -> Figures:
    """With what the solution tells of angles on the sky."""
    scale_x, scale_y = (float(scale) * 3600 for scale in proj_plane_pixel_scales(solution.wcs))
    return replace(
        plain,
        fwhm_arcsec=plain.fwhm_px * solution.scale_arcsec,
        fwhm_err_arcsec=plain.fwhm_err_px * solution.scale_arcsec,
        scale_arcsec=solution.scale_arcsec,
        scale_x_arcsec=scale_x,
        scale_y_arcsec=scale_y,
        width_deg=plain.width_px * scale_x / 3600,
        height_deg=plain.height_px * scale_y / 3600,
        residual_arcsec=solution.residual_arcsec,
        n_matched=solution.n_matched,
    )


def _calibrated(placed: Figures, m: Measured, solution: Solution) -> Figures:
    """With magnitudes, where enough stars have one in the catalogue."""
    measured = zero_point(m.stars, solution.matches, placed.exposure_s)
    if measured is None:
        return placed
    return replace(
        placed,
        zero_point_mag=measured.mag,
        zero_point_error_mag=measured.error,
        n_zero_point=measured.n,
        limiting_mag=limiting_magnitude(
            measured.mag,
            noise_e=placed.noise_e,
            fwhm_px=placed.fwhm_px,
            exposure_s=placed.exposure_s,
            noise_area_fwhm2=m.profile.noise_area_fwhm2,
        ),
        sky_mag_arcsec2=sky_brightness(
            measured.mag,
            sky_e=m.background.sky_e,
            exposure_s=placed.exposure_s,
            scale_arcsec=solution.scale_arcsec,
        ),
    )


def _saturated_pixels(mask: NDArray[np.uint8] | None) -> int:
    return 0 if mask is None else int(np.count_nonzero(mask & np.uint8(MaskBit.SATURATED)))


def compared(
    measured: Sequence[Measured],
    solutions: Sequence[Solution | NotSolved],
    figures: Sequence[Figures],
) -> list[Figures]:
    """The figures with zero points that agree from frame to frame within each filter.

    The sky's brightness then follows from the clearest frame's.
    """
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
        # A cloud dims the stars, not the sky below it: the sky's scale is the clearest frame's.
        clearest = max((mag for mag in agreed if math.isfinite(mag)), default=math.nan)
        for i, mag in zip(members, agreed, strict=True):
            shift = mag - figures[i].zero_point_mag
            result[i] = replace(
                figures[i],
                zero_point_mag=mag,
                limiting_mag=figures[i].limiting_mag + shift,
                sky_mag_arcsec2=figures[i].sky_mag_arcsec2 + clearest - figures[i].zero_point_mag,
            )
    return result


def _unblurred(fwhm_px: float) -> float:
    """The stars' width before a Bayer frame was made into a luminance image."""
    return math.sqrt(max(fwhm_px**2 - 8 * math.log(2) * LUMINANCE_BLUR_PX2, 0.0))


def _filter(frame: Frame) -> str:
    return "RGB" if frame.bayer_pattern else frame.filter or ""
