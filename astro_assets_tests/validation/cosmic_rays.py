"""Cosmic rays of single frames against the truth and against L.A.Cosmic in astroscrappy."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

import astroscrappy
import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.cosmic_rays import cosmic_rays
from astro_assets.imaging.mask import MaskBit
from astro_assets_tests.imaging.ray_scene import READ_NOISE_E, SATURATION_E, RayScene, ray_scene
from astro_assets_tests.validation.line import Line

_ROW = "Cosmic rays"
_FWHM_PX = (1.5, 2.0, 2.5, 3.5, 5.0)
_FOUND, _TOUCHED = 0.95, 0.002
_MORE = 1.1
"""The difference to the other tool that some hundred pixels allow to tell."""

Bits = NDArray[np.bool_]


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Mono and Bayer frames of several seeings; the FWHM is not told, but seen in the frame."""
    for bayer in (False, True):
        for fwhm_px in _FWHM_PX if len(seeds) > 1 else (1.5, 3.5):
            scenes = [ray_scene(seed, fwhm_px, bayer=bayer) for seed in seeds]
            ours = [_ours(scene, bayer) for scene in scenes]
            exact = [_theirs(scene, separable=False) for scene in scenes]
            separable = [_theirs(scene, separable=True) for scene in scenes]
            yield _line(bayer, fwhm_px, scenes, ours, exact, separable)


def _line(
    bayer: bool,
    fwhm_px: float,
    scenes: Sequence[RayScene],
    ours: Sequence[Bits],
    exact: Sequence[Bits],
    separable: Sequence[Bits],
) -> Line:
    worst = min(float(f[s.strong].mean()) for s, f in zip(scenes, ours, strict=True))
    figures, their = _figures(scenes, ours), _figures(scenes, exact)
    wrong, their_wrong = (
        round((1 - found) * _strong(scenes) + false) for found, false, _ in (figures, their)
    )
    return Line(
        row=_ROW,
        data=f"{'Bayer' if bayer else 'mono'}, FWHM {fwhm_px} px, 180 rays on 90 stars; rays above "
        "10 σ found, false pixels per frame, star pixels touched",
        reference=f"truth; astroscrappy {version('astroscrappy')}, exact medians (separable)",
        reference_figure=f"{_told(their)}: {their_wrong} wrong "
        f"({_told(_figures(scenes, separable))})",
        ours=f"{_told(figures)}: {wrong} wrong; worst seed {100 * worst:.1f} %",
        required="≥ 95 % in each seed, ≤ 0.2 % touched; missed and false pixels of a frame "
        "together (wrong) no more than by exact medians, plus a tenth",
        holds=worst >= _FOUND and figures[2] <= _TOUCHED and wrong <= _MORE * their_wrong,
    )


def _strong(scenes: Sequence[RayScene]) -> float:
    """Pixels of rays above 10 σ in a frame."""
    return sum(int(scene.strong.sum()) for scene in scenes) / len(scenes)


def _figures(scenes: Sequence[RayScene], found: Sequence[Bits]) -> tuple[float, float, float]:
    """Share of strong ray pixels found, false pixels per frame, share of star pixels touched."""
    pairs = list(zip(scenes, found, strict=True))
    strong = sum(int(s.strong.sum()) for s in scenes)
    star = sum(int((s.star & s.clean).sum()) for s in scenes)
    return (
        sum(int((f & s.strong).sum()) for s, f in pairs) / strong,
        sum(int((f & s.clean).sum()) for s, f in pairs) / len(pairs),
        sum(int((f & s.clean & s.star).sum()) for s, f in pairs) / star,
    )


def _told(figures: tuple[float, float, float]) -> str:
    found, false, touched = figures
    return f"{100 * found:.1f} %, {false:.0f}, {100 * touched:.3f} %"


def _ours(scene: RayScene, bayer: bool) -> Bits:
    saturated = scene.image >= SATURATION_E
    return cosmic_rays(
        scene.image,
        np.where(saturated, np.uint8(MaskBit.SATURATED), np.uint8(0)),
        read_noise_e=READ_NOISE_E,
        saturation_e=SATURATION_E,
        bayer=bayer,
    )


def _theirs(scene: RayScene, *, separable: bool) -> Bits:
    found, _ = astroscrappy.detect_cosmics(
        scene.image, gain=1, readnoise=READ_NOISE_E, satlevel=SATURATION_E, sepmed=separable
    )
    return np.asarray(found, bool)
