"""Is a frame good enough for the stack, and if not, why.

What belongs here: the figures of a frame and the verdict on them. What does not: measuring them.

A frame is compared with the others of its filter and exposure time in the session. Several figures
go wrong together (out of focus means few stars, too), so the reason given is the symptom that
exceeds its limit most; star counts speak only when no other symptom does.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from astro_assets.imaging.photometry import transparency

_ENOUGH_TO_TELL = 5
"""With fewer stars, widths and elongations say little."""
_CLEARLY_BRIGHTER = 3.0
"""A bright background exceeds the usual by this many times the noise, whatever the ratio."""


class Limits(Protocol):
    """The limits of `settings.Limits`."""

    @property
    def min_stars(self) -> int: ...
    @property
    def min_stars_ratio(self) -> float: ...
    @property
    def max_elongation(self) -> float: ...
    @property
    def max_fwhm_ratio(self) -> float: ...
    @property
    def max_background_ratio(self) -> float: ...
    @property
    def min_transparency(self) -> float: ...
    @property
    def max_residual_arcsec_ratio(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one frame. NaN for what could not be measured.

    filter, exposure_s : frames that share both are compared
    n_stars : stars found
    fwhm_px, fwhm_arcsec, elongation, hfr_px : medians of the good stars
    background_e, noise_e : sky of one pixel and its standard deviation
    scale_arcsec : arcseconds per pixel
    residual_arcsec, n_matched : of the plate solution; NaN and 0 without one
    zero_point_mag, zero_point_error_mag, limiting_mag : in the catalogue's band
    """

    filter: str
    exposure_s: float
    n_stars: int
    fwhm_px: float
    elongation: float
    hfr_px: float
    background_e: float
    noise_e: float
    fwhm_arcsec: float = math.nan
    scale_arcsec: float = math.nan
    residual_arcsec: float = math.nan
    n_matched: int = 0
    zero_point_mag: float = math.nan
    zero_point_error_mag: float = math.nan
    limiting_mag: float = math.nan

    @property
    def solved(self) -> bool:
        return self.n_matched > 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a frame.

    reason : one sentence for a rejected frame, empty for an accepted one
    weight : how much the frame's stars tell, relative to the session's usual frame: the square of
        transparency over noise and FWHM; 0 for a rejected frame
    transparency : relative to the session's usual frame; NaN where not known
    """

    accepted: bool
    reason: str
    weight: float
    transparency: float


def judge(figures: Sequence[Figures], limits: Limits) -> list[Verdict]:
    """Accept or reject each frame of a session.

    "Usual" is the median of the frames of the same filter and exposure time; of two middle values
    the better one counts, so that of two frames the worse is measured by the better.
    """
    groups: dict[tuple[str, float], list[Figures]] = {}
    for frame in figures:
        groups.setdefault(_group(frame), []).append(frame)
    usual = {key: _usual(group, limits) for key, group in groups.items()}
    return [_verdict(frame, usual[_group(frame)], limits) for frame in figures]


@dataclass(frozen=True, slots=True)
class _Usual:
    """A group's middle values."""

    n_stars: float
    fwhm_px: float
    background_e: float
    noise_e: float
    zero_point_mag: float


@dataclass(frozen=True, slots=True)
class _Symptom:
    """How far a figure is beyond its limit: 1 is at the limit."""

    excess: float
    reason: str


def _group(frame: Figures) -> tuple[str, float]:
    return frame.filter, round(frame.exposure_s, 3)


def _usual(group: Sequence[Figures], limits: Limits) -> _Usual:
    seen = [frame for frame in group if frame.n_stars >= limits.min_stars] or list(group)
    return _Usual(
        n_stars=_middle((frame.n_stars for frame in seen), max),
        fwhm_px=_middle((frame.fwhm_px for frame in seen), min),
        background_e=_middle((frame.background_e for frame in seen), min),
        noise_e=_middle((frame.noise_e for frame in seen), min),
        zero_point_mag=_middle((frame.zero_point_mag for frame in seen), max),
    )


def _middle(values: Iterable[float], better: Callable[[float, float], float]) -> float:
    """Median without NaN; the better of two middle values."""
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return math.nan
    return better(known[(len(known) - 1) // 2], known[len(known) // 2])


def _verdict(frame: Figures, usual: _Usual, limits: Limits) -> Verdict:
    clear = transparency(frame.zero_point_mag, usual.zero_point_mag)
    reason = _reason(frame, usual, clear, limits)
    weight = 0.0 if reason else _weight(frame, usual, clear)
    return Verdict(not reason, reason, weight, clear)


def _weight(frame: Figures, usual: _Usual, clear: float) -> float:
    share = (1.0 if math.isnan(clear) else clear) * usual.noise_e * usual.fwhm_px
    weight = (share / (frame.noise_e * frame.fwhm_px)) ** 2
    return weight if math.isfinite(weight) else 1.0


def _reason(frame: Figures, usual: _Usual, clear: float, limits: Limits) -> str:
    """Why the frame is rejected; empty when it is not."""
    symptoms = [
        _trailing(frame, limits),
        _defocus(frame, usual, limits),
        _thin(clear, limits),
        _bright(frame, usual, limits),
    ]
    worst = max(symptoms, key=lambda symptom: symptom.excess)
    if worst.excess > 1:
        return worst.reason
    few = max(limits.min_stars, limits.min_stars_ratio * usual.n_stars)
    if frame.n_stars < few:
        return f"cloud: {frame.n_stars} stars, at least {few:.0f} expected"
    if not frame.solved:
        return f"no plate solution: the frame's {frame.n_stars} stars fit no place on the sky"
    return _misfit(frame, limits)


def _trailing(frame: Figures, limits: Limits) -> _Symptom:
    excess = (frame.elongation - 1) / max(limits.max_elongation - 1, 1e-3)
    return _Symptom(
        excess if _tells(frame, frame.elongation) else 0,
        f"trailing: elongation {frame.elongation:.2f}, limit {limits.max_elongation:.2f}",
    )


def _defocus(frame: Figures, usual: _Usual, limits: Limits) -> _Symptom:
    limit_px = limits.max_fwhm_ratio * usual.fwhm_px
    excess = (frame.fwhm_px / usual.fwhm_px - 1) / (limits.max_fwhm_ratio - 1)
    return _Symptom(
        excess if _tells(frame, excess) else 0,
        f"defocus: FWHM {frame.fwhm_px:.1f} px, limit {limit_px:.1f} px",
    )


def _thin(clear: float, limits: Limits) -> _Symptom:
    if math.isnan(clear) or not 0 < limits.min_transparency < 1:
        return _Symptom(0, "")
    return _Symptom(
        math.log(clear) / math.log(limits.min_transparency),
        f"cloud: transparency {clear:.2f}, limit {limits.min_transparency:.2f}",
    )


def _bright(frame: Figures, usual: _Usual, limits: Limits) -> _Symptom:
    beyond_e = frame.background_e - usual.background_e
    if usual.background_e <= 0 or not beyond_e > _CLEARLY_BRIGHTER * usual.noise_e:
        return _Symptom(0, "")
    limit_e = limits.max_background_ratio * usual.background_e
    return _Symptom(
        beyond_e / (limit_e - usual.background_e),
        f"cloud, Moon or dawn: background {frame.background_e:.0f} e⁻, limit {limit_e:.0f} e⁻",
    )


def _misfit(frame: Figures, limits: Limits) -> str:
    limit_arcsec = limits.max_residual_arcsec_ratio * frame.scale_arcsec
    if frame.residual_arcsec > limit_arcsec:
        return (
            f"astrometry: residual {frame.residual_arcsec:.2f}″ RMS, limit {limit_arcsec:.2f}″ "
            f"({limits.max_residual_arcsec_ratio:g} px)"
        )
    return ""


def _tells(frame: Figures, value: float) -> bool:
    return frame.n_stars >= _ENOUGH_TO_TELL and math.isfinite(value)
