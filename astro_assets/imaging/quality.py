"""Is a frame good enough for the stack, and if not, why.

What belongs here: the verdict on a frame's figures. What does not: the figures (`figures`).

A frame is compared with the others of its filter and exposure time in the session. Several figures
go wrong together (out of focus means few stars, too), so the reason given is the symptom that
exceeds its limit most; star counts speak only when no other symptom does.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from astro_assets.imaging.figures import Figures
from astro_assets.imaging.photometry import transparency

__all__ = ["Figures", "Limits", "Verdict", "judge"]

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
    @property
    def max_fwhm_arcsec(self) -> float | None: ...
    @property
    def min_sky_mag_arcsec2(self) -> float | None: ...
    @property
    def min_limiting_mag(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a frame.

    reason : one sentence for a rejected frame, empty for an accepted one
    weight : how much the frame tells of faint stars, relative to the usual frame of its filter:
        the inverse variance of their flux, by transparency and exposure over noise and FWHM,
        squared; 0 for a rejected frame
    transparency : relative to the session's usual frame; NaN where not known
    transparency_best : relative to the session's clearest frame
    """

    accepted: bool
    reason: str
    weight: float
    transparency: float
    transparency_best: float = math.nan


def judge(figures: Sequence[Figures], limits: Limits) -> list[Verdict]:
    """Accept or reject each frame of a session.

    "Usual" is the median of the frames of the same filter and exposure time; of two middle values
    the better one counts, so that of two frames the worse is measured by the better.
    """
    groups: dict[tuple[str, float], list[Figures]] = {}
    for frame in figures:
        groups.setdefault(_group(frame), []).append(frame)
    usual = {key: _usual(group, limits) for key, group in groups.items()}
    verdicts = [_verdict(frame, usual[_group(frame)], limits) for frame in figures]
    return _weighted(figures, verdicts)


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
    return Verdict(not reason, reason, 0.0, clear)


def _weighted(figures: Sequence[Figures], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts with weights and transparencies that hold within each filter.

    Frames of different exposure times meet in one stack, so what a frame tells is compared within
    the filter, whatever the exposure.
    """
    result = list(verdicts)
    for name in {frame.filter for frame in figures}:
        members = [i for i, frame in enumerate(figures) if frame.filter == name]
        kept = [i for i in members if verdicts[i].accepted]
        usual_mag = _middle((figures[i].zero_point_mag for i in kept), max)
        best_mag = max((figures[i].zero_point_mag for i in kept), default=math.nan)
        told = {i: _worth(figures[i], usual_mag) for i in kept}
        usual = _middle(told.values(), max)
        for i in members:
            share = told.get(i, 0.0) / usual
            weight = (share if math.isfinite(share) else 1.0) if i in told else 0.0
            clear = transparency(figures[i].zero_point_mag, best_mag)
            result[i] = replace(verdicts[i], weight=weight, transparency_best=clear)
    return result


def _worth(frame: Figures, usual_mag: float) -> float:
    """Inverse variance of a faint star's flux in electrons per second above the atmosphere."""
    known = math.isfinite(frame.zero_point_mag)
    clear = transparency(frame.zero_point_mag, usual_mag) if known else 1.0
    noise = frame.noise_e * frame.fwhm_px
    return (clear * (frame.exposure_s or 1.0) / noise) ** 2 if noise > 0 else math.nan


def _reason(frame: Figures, usual: _Usual, clear: float, limits: Limits) -> str:
    """Why the frame is rejected; empty when it is not."""
    symptoms = [
        _trailing(frame, limits),
        _defocus(frame, usual, limits),
        _thin(clear, limits),
        _bright(frame, usual, limits),
        *_absolute(frame, limits),
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


def _absolute(frame: Figures, limits: Limits) -> list[_Symptom]:
    """The limits that do not depend on the session, for whoever has set them."""
    found = []
    fwhm, sky, depth = limits.max_fwhm_arcsec, limits.min_sky_mag_arcsec2, limits.min_limiting_mag
    if fwhm is not None and frame.fwhm_arcsec > fwhm and _tells(frame, frame.fwhm_arcsec):
        reason = f"seeing or focus: FWHM {frame.fwhm_arcsec:.1f}″, limit {fwhm:.1f}″"
        found.append(_Symptom(frame.fwhm_arcsec / fwhm, reason))
    if sky is not None and frame.sky_mag_arcsec2 < sky:
        reason = f"bright sky: {frame.sky_mag_arcsec2:.1f} mag/arcsec², limit {sky:.1f}"
        found.append(_Symptom(1 + sky - frame.sky_mag_arcsec2, reason))
    if depth is not None and frame.limiting_mag < depth:
        reason = f"not deep enough: limiting magnitude {frame.limiting_mag:.1f}, limit {depth:.1f}"
        found.append(_Symptom(1 + depth - frame.limiting_mag, reason))
    return found


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
