"""Magnitudes: zero point, limiting magnitude, brightness of the sky, transparency.

What belongs here: figures of `imaging.photometry` on drawn fields of known magnitudes. What does
not: fluxes (`stars`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.imaging.background import background
from astro_assets.imaging.ensemble import consistent_zero_points, instrumental_magnitudes
from astro_assets.imaging.photometry import (
    ZeroPoint,
    limiting_magnitude,
    sky_brightness,
    transparency,
    zero_point,
)
from astro_assets.imaging.stars import Found, seeing, stars_and_profile
from astro_assets_tests.imaging.star_field import Field, draw, pair, scatter
from astro_assets_tests.validation.line import Line

_ROW = "Photometric zero point"
_SHAPE = (600, 800)
_ZERO_MAG = 21.3
_EXPOSURE_S = 30.0
_SCALE_ARCSEC = 1.8
_SKY_E = 240.0
_READ_NOISE_E = 5.0
_COUNT = 110
_FAINT = 100
_DRAWS = 10
_CATALOGUE_MAG = 0.03
"""Scatter of the catalogue's magnitudes."""


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Each against the truth."""
    yield from _zero_points(seeds)
    yield _limit(seeds)
    yield _clearness(seeds)


def _flux_e(mag: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_EXPOSURE_S * 10 ** (0.4 * (_ZERO_MAG - mag)))


def _drawn(seed: int, share: float = 1.0) -> tuple[Field, NDArray[np.float64]]:
    """A field whose brightest stars are saturated, and its stars' true magnitudes."""
    x, y = scatter(_COUNT, seed=seed, shape=_SHAPE, apart_px=28)
    mag = np.random.default_rng(seed + 50).uniform(9.5, 16.5, _COUNT)
    field = draw(x, y, share * _flux_e(mag), seed=seed, shape=_SHAPE, sky_e=_SKY_E,
                 read_noise_e=_READ_NOISE_E, saturation_e=60_000)  # fmt: skip
    return field, mag


def _measured(seed: int, share: float = 1.0) -> tuple[Field, Found, pd.DataFrame]:
    """With matches to a catalogue that has its own errors, and one star in twenty quite wrong."""
    field, mag = _drawn(seed, share)
    found = stars_and_profile(field.image, field.mask)
    i, j = pair(found.stars["x"].to_numpy(), found.stars["y"].to_numpy(), field.x, field.y)
    rng = np.random.default_rng(seed)
    listed = mag + rng.normal(0, _CATALOGUE_MAG, _COUNT)
    listed[::20] += rng.choice([-0.8, 0.8], len(listed[::20]))
    matches = pd.DataFrame({"star": i, "mag": listed[j], "ra_deg": j / 1e3, "dec_deg": j / 1e3})
    return field, found, matches


def _zero(found: Found, matches: pd.DataFrame) -> ZeroPoint:
    zero = zero_point(found.stars, matches, _EXPOSURE_S)
    assert zero is not None
    return zero


def _zero_points(seeds: Sequence[int]) -> Iterator[Line]:
    off, pulls, sky_off, used = [], [], [], []
    truth_mag = _ZERO_MAG - 2.5 * np.log10(_SKY_E / _EXPOSURE_S / _SCALE_ARCSEC**2)
    for seed in seeds:
        field, found, matches = _measured(seed)
        zero = _zero(found, matches)
        off.append(zero.mag - _ZERO_MAG)
        pulls.append(off[-1] / zero.error)
        used.append(zero.n)
        sky = sky_brightness(
            zero.mag, sky_e=background(field.image, field.mask).sky_e, exposure_s=_EXPOSURE_S,
            scale_arcsec=_SCALE_ARCSEC,
        )  # fmt: skip
        sky_off.append(sky - truth_mag)
    worst, sky_worst = max(off, key=abs), max(sky_off, key=abs)
    yield Line(
        _ROW, f"{_COUNT} stars, catalogue errors 0.03 mag, 5 % off by 0.8 mag, bright stars "
        "saturated", "truth", "–", f"{worst:+.3f} mag (at most {max(map(abs, pulls)):.1f} of its "
        f"errors; {min(used)} stars or more)", "within 0.02 mag", abs(worst) <= 0.02,
    )  # fmt: skip
    yield Line(
        _ROW, f"a sky of {truth_mag:.2f} mag/arcsec²", "truth", "–", f"{sky_worst:+.3f} mag",
        "within 0.03 mag", abs(sky_worst) <= 0.03,
    )  # fmt: skip


def _limit(seeds: Sequence[int]) -> Line:
    """Stars of the limiting magnitude, drawn anew: their optimal S/N is to be 5."""
    ratios = []
    for seed in seeds:
        field, found, matches = _measured(seed)
        sky = background(field.image, field.mask)
        limit = limiting_magnitude(
            _zero(found, matches).mag, noise_e=sky.rms_e, fwhm_px=seeing(found.stars)[0],
            exposure_s=_EXPOSURE_S, noise_area_fwhm2=found.profile.noise_area_fwhm2,
        )  # fmt: skip
        ratios += list(_injected(seed, float(_flux_e(np.array(limit))), _DRAWS // len(seeds)))
    scatter_e = float(np.std(ratios))
    reached = 1 / scatter_e
    return Line(
        _ROW, f"{len(ratios)} stars of the limiting magnitude drawn, weighed with their profile",
        "truth", "–", f"S/N {reached:.2f}, mean flux {np.mean(ratios):.3f} of the truth",
        "5 ± 0.5", abs(reached - 5) <= 0.5,
    )  # fmt: skip


def _injected(seed: int, flux_e: float, draws: int) -> NDArray[np.float64]:
    """Fluxes over the truth, by weights of the noiseless profile (Naylor 1998, MNRAS 296, 339)."""
    x, y = scatter(_FAINT, seed=seed, shape=_SHAPE, apart_px=34)
    clean = draw(x, y, np.full(_FAINT, 1e9), seed=seed, shape=_SHAPE, sky_e=0, read_noise_e=0).image
    expected = clean * (flux_e / 1e9) + _SKY_E
    rng = np.random.default_rng(seed + 900)
    found = []
    for _ in range(draws):
        image = rng.poisson(expected) + rng.normal(0, _READ_NOISE_E, _SHAPE) - _SKY_E
        for column, row in zip(x.round().astype(int), y.round().astype(int), strict=True):
            part = np.s_[row - 10 : row + 11, column - 10 : column + 11]
            profile = clean[part] / 1e9
            found.append((profile * image[part]).sum() / (profile**2).sum())
    return np.asarray(found) / flux_e


def _clearness(seeds: Sequence[int]) -> Line:
    """A thin cloud before one of two frames of the same stars."""
    off = []
    for seed in seeds:
        clear, hazy = _measured(seed), _measured(seed, 0.7)
        pairs = [(found, matches) for _, found, matches in (clear, hazy)]
        each = [_zero(found, matches).mag for found, matches in pairs]
        magnitudes = [instrumental_magnitudes(f.stars, m, _EXPOSURE_S) for f, m in pairs]
        first, second = consistent_zero_points(magnitudes, each)
        off.append(transparency(second, first) - 0.7)
    worst = max(off, key=abs)
    return Line(
        _ROW, "a cloud that lets 70 % through", "truth", "–",
        f"transparency {100 * worst:+.2f} %", "within 1 %", abs(worst) <= 0.01,
    )  # fmt: skip
