"""Is what was timed right? Our result against the truth of the seeded night, and the peer's.

What belongs here: one judgement for each row, from the files that the last round left, outside of
what is timed. What does not: how a figure is measured (`figures`), what is compared (`rows`).

A peer's figure that cannot be had judges nothing: then ours has to hold against the truth alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.detector import Detector
from astro_assets_tests.bench import figures
from astro_assets_tests.bench.figures import Depth, Field

_Image = NDArray[np.floating]
_WORSE = 1.05
"""so much more noise, or wider stars, than the best peer's are still no worse"""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether our result is right, in one sentence with the figures."""

    sentence: str
    holds: bool


def master(ours_adu: _Image, theirs_adu: _Image | None, truth_adu: _Image, good: _Image) -> Judged:
    """A master against the detector's pattern, over its good pixels; all (ny, nx), ADU."""
    off, scatter = figures.spread((ours_adu - truth_adu)[good.astype(bool)])
    said, limit = f"{off:+.2f} ± {scatter:.2f} ADU off the truth", np.inf
    if theirs_adu is not None:
        their_off, theirs = figures.spread((theirs_adu - truth_adu)[good.astype(bool)])
        said, limit = f"{said} (peer {their_off:+.2f} ± {theirs:.2f})", _WORSE * theirs
    return Judged(said, bool(abs(off) <= 0.5 and scatter <= limit))


def flats(
    pairs: Sequence[tuple[_Image, _Image | None]], detector: Detector, map_bad: NDArray[np.bool_]
) -> Judged:
    """Master flats, ours and the peer's, against the detector's response; and the bad pixels."""
    good = figures.good_pixels(detector)
    ours = [figures.off_in_proportion(mine, detector.flat, good) for mine, _ in pairs]
    theirs = [
        figures.off_in_proportion(other, detector.flat, good)
        for _, other in pairs
        if other is not None
    ]
    recall, false = float(map_bad[detector.hot].mean()), float((map_bad & good).mean())
    said = (
        f"flats {100 * max(ours):.2f} % off the truth"
        + (f" (peer {100 * max(theirs):.2f} %)" if theirs else "")
        + f"; {100 * recall:.1f} % of the hot pixels known, {100 * false:.3f} % of good ones too"
    )
    as_good = not theirs or max(ours) <= _WORSE * max(theirs)
    return Judged(said, bool(as_good and recall >= 0.98 and false <= 0.002))


def calibrated(ours: _Image, theirs: _Image | None, truth_e: _Image, good: _Image) -> Judged:
    """One light against the light that fell; each scaled to the truth by its median."""
    usable = good.astype(bool) & np.isfinite(ours)
    gain = figures.ratio(ours, truth_e, usable)
    _, scatter = figures.spread((ours / gain - truth_e)[usable])
    said, limit = f"{100 * gain:.1f} % of the light, noise {scatter:.1f} e⁻", np.inf
    if theirs is not None:
        scaled = theirs / figures.ratio(theirs, truth_e, usable)
        _, other = figures.spread((scaled - truth_e)[usable])
        said, limit = f"{said} (peer {other:.1f} e⁻)", _WORSE * other
    return Judged(said, bool(abs(gain - 1) <= 0.03 and scatter <= limit))


def rays(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_] | None, truth: NDArray[np.bool_]
) -> Judged:
    """Pixels found in one frame against those that were hit."""
    recall, false = figures.found(ours, truth)
    said = f"{100 * recall:.1f} % of the hit pixels found, {false} false"
    if theirs is None:
        return Judged(said, recall >= 0.8)
    their_recall, their_false = figures.found(theirs, truth)
    said += f" (astroscrappy {100 * their_recall:.1f} %, {their_false})"
    return Judged(said, recall >= their_recall - 0.01 and false <= max(1.1 * their_false, 20))


def stars(ours: Field, peers: Sequence[Field], truth: Field) -> Judged:
    """Stars of one frame against those that are in it."""
    share = figures.share_found(ours, truth)
    said = f"{100 * share:.1f} % of the {len(truth.positions)} clear stars"
    said += f", FWHM {ours.fwhm_px:.2f} px of {truth.fwhm_px:.2f}"
    shares = [figures.share_found(peer, truth) for peer in peers]
    if peers:
        told = ", ".join(
            f"{100 * s:.1f} %, {p.fwhm_px:.2f} px" for s, p in zip(shares, peers, strict=True)
        )
        said += f" (peers {told})"
    near = abs(ours.fwhm_px / truth.fwhm_px - 1) <= 0.05
    return Judged(said, bool(near and share >= max([0.95, *(s - 0.02 for s in shares)])))


def solution(ours_px: float, theirs_px: float | None) -> Judged:
    """RMS of a solution's positions against the true ones, over the frame."""
    said = f"{ours_px:.3f} px off the true places"
    if theirs_px is not None:
        said += f" (solve-field {theirs_px:.3f} px)"
    return Judged(said, ours_px <= 0.3 and (theirs_px is None or ours_px <= theirs_px + 0.02))


def stack(ours: Depth, peers: Sequence[Depth]) -> Judged:
    """Depth (signal to noise of the same stars) and sharpness of a stack."""
    said = f"stars {ours.signal_to_noise:.0f} σ, FWHM {ours.fwhm_px:.2f} px"
    if peers:
        told = ", ".join(f"{p.signal_to_noise:.0f} σ, {p.fwhm_px:.2f} px" for p in peers)
        said += f" (peers {told})"
    no_worse = all(
        ours.signal_to_noise >= peer.signal_to_noise / _WORSE
        and ours.fwhm_px <= peer.fwhm_px * _WORSE
        for peer in peers
    )
    return Judged(said, bool(no_worse and ours.signal_to_noise > 0))


def picture(rgb: NDArray[np.uint8]) -> Judged:
    """A colour picture: a grey sky that is neither black nor lost, and stars that are white."""
    light = rgb.sum(axis=2, dtype=np.uint32)
    sky = np.median(rgb[light <= np.percentile(light, 25)], axis=0)
    black = float((rgb.max(axis=2) == 0).mean())
    spread = float(sky.max() - sky.min())
    said = f"sky {sky.mean():.0f} of 255, {spread:.0f} apart in colour, {100 * black:.1f} % black"
    holds = spread <= 6 and 10 <= sky.mean() <= 110 and black <= 0.02 and int(rgb.max()) >= 250
    return Judged(said, bool(holds))


def night(accepted: int, lights: int, products: Sequence[Path], others: Sequence[Judged]) -> Judged:
    """The whole night: every frame came through, the products are there, and the others hold."""
    missing = [path.name for path in products if not path.is_file()]
    wrong = [judged.sentence for judged in others if not judged.holds]
    said = f"{accepted} of {lights} frames accepted"
    said += f", missing: {', '.join(missing)}" if missing else ", all products there"
    said += f"; wrong: {'; '.join(wrong)}" if wrong else ""
    return Judged(said, accepted == lights and not missing and not wrong)
