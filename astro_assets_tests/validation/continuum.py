"""Continuum subtraction: stars gone, the line kept, the noise known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.continuum import LineEmission, line_emission
from astro_assets_tests.imaging.narrow_band import Scene, left_of_stars, scene
from astro_assets_tests.validation.line import Line

_ROW = "continuum"
_BRIGHT_E = 8000.0
_APERTURE_PX = 8.0


@dataclass(frozen=True)
class _Seeing:
    name: str
    narrow_px: float
    broad_px: float
    trail_px: float = 0.0


_SEEINGS = (
    _Seeing("narrow band sharper", 2.6, 3.8),
    _Seeing("broad band sharper", 4.0, 2.8),
    _Seeing("broad band trailed", 3.0, 2.6, 4.0),
)


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """One line each for stars, peaks, nebula and noise, the worst of all seeings."""
    seeings = _SEEINGS if len(seeds) > 1 else _SEEINGS[:1]
    pairs = [(truth, subtracted(truth)) for seeing in seeings for truth in scenes(seeing, seeds)]
    data = (
        f"{', '.join(seeing.name for seeing in seeings)}; {len(seeds)} seeds; star colours "
        "scattered by 1 %; the line is in both bands"
    )
    single = max(float(np.median(np.abs(left(t, r.image)))) for t, r in pairs)
    whole = max(abs(light_left(t, r.image)) for t, r in pairs)
    yield Line(
        f"{_ROW}: stars left",
        f"{data}; S/N > 60",
        "truth",
        "–",
        f"{100 * single:.1f} % of the median star's flux, {100 * whole:.1f} % of all stars' light",
        "≤ 2 %",
        max(single, whole) <= 0.02,
    )
    peaks = max(float(np.median(peak_left(t, r.image))) for t, r in pairs)
    plain = max(float(np.median(peak_left(t, unmatched(t)))) for t, _ in pairs)
    yield Line(
        f"{_ROW}: peaks left",
        data,
        "the same without matching the sharpness",
        f"{100 * plain:.0f} %",
        f"{100 * peaks:.1f} % of the stars' peaks (median)",
        "≤ a fifth of it",
        peaks <= plain / 5,
    )
    kept = max((abs(nebula_kept(t, r.image) - 1) for t, r in pairs))
    yield Line(
        f"{_ROW}: line kept",
        data,
        "truth",
        "–",
        f"flux right to {100 * kept:.1f} %",
        "≤ 2 %",
        kept <= 0.02,
    )
    pulls = [noise_over_weight(t, r) for t, r in pairs]
    worst = max(pulls, key=lambda pull: abs(pull - 1))
    yield Line(
        f"{_ROW}: noise",
        data,
        "WEIGHT of the product",
        "1",
        f"{worst:.3f} at worst",
        "1 ± 0.05",
        abs(worst - 1) <= 0.05,
    )


def scenes(seeing: _Seeing, seeds: Sequence[int]) -> list[Scene]:
    return [
        scene(
            seed,
            narrow_fwhm_px=seeing.narrow_px,
            broad_fwhm_px=seeing.broad_px,
            trail_px=seeing.trail_px,
            line_in_broad=1.0,
        )
        for seed in seeds
    ]


def subtracted(truth: Scene) -> LineEmission:
    return line_emission(truth.narrow, truth.broad, 1.0)


def unmatched(truth: Scene) -> NDArray[np.float32]:
    """The plain difference with the true scale, less its sky."""
    image = truth.narrow.image - np.float32(truth.scale) * truth.broad.image
    return np.asarray((image - np.median(image)) / (1 - truth.scale), np.float32)


def left(truth: Scene, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """What is left of each bright star, over its flux."""
    bright = truth.flux_e[~truth.saturated] > _BRIGHT_E
    return left_of_stars(image, truth, _APERTURE_PX)[bright]


def light_left(truth: Scene, image: NDArray[np.float32]) -> float:
    """All stars together, over their light."""
    flux_e = truth.flux_e[~truth.saturated]
    return float((left_of_stars(image, truth, _APERTURE_PX) * flux_e).sum() / flux_e.sum())


def peak_left(truth: Scene, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """The largest deviation in each bright star's core, over its peak in the narrow band."""
    clean = image - truth.nebula
    shares = []
    for x, y, flux_e, full in zip(truth.x, truth.y, truth.flux_e, truth.saturated, strict=True):
        if full or flux_e < _BRIGHT_E:
            continue
        core = np.s_[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        peak = (truth.narrow.image[core] - truth.nebula[core]).max()
        shares.append(np.abs(clean[core]).max() / peak)
    return np.array(shares)


def nebula_kept(truth: Scene, image: NDArray[np.float32]) -> float:
    """The nebula's flux over the truth, away from saturated stars."""
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    glow = truth.nebula > 3
    for x, y in zip(truth.x[truth.saturated], truth.y[truth.saturated], strict=True):
        glow &= np.hypot(u - x, v - y) > 20
    return float(image[glow].sum() / truth.nebula[glow].sum())


def noise_over_weight(truth: Scene, result: LineEmission) -> float:
    """Spread of the empty sky in units of what the weight says."""
    v, u = np.mgrid[: result.image.shape[0], : result.image.shape[1]]
    far = (truth.nebula < 0.5) & np.isfinite(result.image)
    far &= (np.minimum(u, u.max() - u) > 10) & (np.minimum(v, v.max() - v) > 10)
    for x, y in zip(truth.x, truth.y, strict=True):
        far &= np.hypot(u - x, v - y) > 20
    return float((result.image * np.sqrt(result.weight))[far].std())
