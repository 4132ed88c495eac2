"""Verdicts, on figures and on drawn frames that are spoiled in known ways."""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import convolve

from astro_assets.imaging.background import background
from astro_assets.imaging.figures import Figures
from astro_assets.imaging.photometry import zero_point
from astro_assets.imaging.quality import judge
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.settings import Limits
from astro_assets_tests.imaging.star_field import draw, pair, scatter

GOOD = Figures(
    filter="Red",
    exposure_s=60,
    n_stars=80,
    fwhm_px=3.0,
    elongation=1.1,
    hfr_px=1.9,
    background_e=200,
    noise_e=15,
    scale_arcsec=2.0,
    residual_arcsec=0.4,
    n_matched=40,
    zero_point_mag=20.0,
)
LIMITS = Limits()


def reasons(frames: list[Figures]) -> list[str]:
    return [verdict.reason for verdict in judge(frames, LIMITS)]


@pytest.mark.parametrize("others", [1, 2, 5, 20])
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"zero_point_mag": 19.0, "n_stars": 30}, "cloud: transparency 0.40, limit 0.50"),
        ({"n_stars": 20}, "cloud: 20 stars, at least 32 expected"),
        ({"background_e": 900}, "cloud, Moon or dawn: background 900 e⁻, limit 600 e⁻"),
        ({"elongation": 2.4, "fwhm_px": 4.0}, "trailing: elongation 2.40, limit 1.60"),
        ({"fwhm_px": 6.5, "n_stars": 25}, "defocus: FWHM 6.5 px, limit 4.8 px"),
        ({"fwhm_px": 9.0, "elongation": 1.8, "zero_point_mag": 19.6}, "defocus"),
        ({"elongation": 4.0, "fwhm_px": 5.5, "n_stars": 30}, "trailing"),
        ({"n_matched": 0, "residual_arcsec": math.nan}, "no plate solution"),
        ({"residual_arcsec": 2.0}, "astrometry: residual 2.00″ RMS, limit 1.60″"),
        (
            {"n_stars": 0, "fwhm_px": math.nan, "elongation": math.nan, "n_matched": 0,
             "zero_point_mag": math.nan, "hfr_px": math.nan},
            "cloud: 0 stars",
        ),
    ],
)  # fmt: skip
def test_each_fault_has_its_reason(others: int, changed: dict[str, float], reason: str) -> None:
    verdicts = judge([replace(GOOD, **changed), *[GOOD] * others], LIMITS)
    assert verdicts[0].reason.startswith(reason)
    assert not verdicts[0].accepted
    assert verdicts[0].weight == 0
    for verdict in verdicts[1:]:
        assert verdict.accepted
        assert verdict.reason == ""
        assert verdict.weight == pytest.approx(1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_ordinary_nights_lose_no_frame(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [
        replace(
            GOOD,
            n_stars=int(rng.normal(80, 10)),
            fwhm_px=float(rng.uniform(2.6, 3.6)),
            elongation=float(rng.uniform(1.02, 1.35)),
            background_e=float(rng.uniform(150, 320)),
            zero_point_mag=float(rng.uniform(19.75, 20.05)),
            residual_arcsec=float(rng.uniform(0.3, 0.8)),
        )
        for _ in range(count)
    ]
    assert reasons(frames) == [""] * count


def test_filters_and_exposures_are_apart() -> None:
    blue = replace(GOOD, filter="Blue", n_stars=20, zero_point_mag=18.0, background_e=20)
    short = replace(GOOD, exposure_s=5, n_stars=15, background_e=17)
    assert reasons([GOOD, GOOD, blue, blue, short, short]) == [""] * 6


def test_two_frames_the_worse_is_measured_by_the_better() -> None:
    assert reasons([replace(GOOD, fwhm_px=5.5), GOOD])[0].startswith("defocus")


def test_background_near_zero_says_nothing() -> None:
    frames = [replace(GOOD, background_e=value) for value in (0.5, 3.0, -2.0, 1.0)]
    assert reasons(frames) == [""] * 4


def test_weights_follow_signal_to_noise() -> None:
    thin = replace(GOOD, zero_point_mag=19.5)
    noisy = replace(GOOD, noise_e=30)
    verdicts = judge([GOOD, GOOD, GOOD, thin, noisy], LIMITS)
    assert verdicts[3].transparency == pytest.approx(10**-0.2)
    assert verdicts[3].weight == pytest.approx(10**-0.4)
    assert verdicts[4].weight == pytest.approx(0.25)


def test_weights_hold_across_exposure_times() -> None:
    """Frames of 15 s and 60 s meet in one stack; each has the sky's noise of its own time."""
    short = replace(GOOD, exposure_s=15, noise_e=7.5, n_stars=40)
    verdicts = judge([GOOD, GOOD, GOOD, short, short], LIMITS)
    assert [verdict.accepted for verdict in verdicts] == [True] * 5
    assert verdicts[3].weight == pytest.approx(verdicts[0].weight / 4)


def test_transparency_is_told_against_the_session_and_its_best() -> None:
    frames = [replace(GOOD, zero_point_mag=mag) for mag in (20.0, 19.8, 19.8)]
    verdicts = judge(frames, LIMITS)
    assert verdicts[0].transparency_best == 1
    assert verdicts[1].transparency_best == pytest.approx(10 ** (-0.4 * 0.2))
    assert verdicts[1].transparency == 1


@pytest.mark.parametrize(
    ("limit", "changed", "reason"),
    [
        ({"max_fwhm_arcsec": 5.0}, {"fwhm_arcsec": 5.6},
         "seeing or focus: FWHM 5.6″, limit 5.0″"),
        ({"min_sky_mag_arcsec2": 19.0}, {"sky_mag_arcsec2": 18.4},
         "bright sky: 18.4 mag/arcsec², limit 19.0"),
        ({"min_limiting_mag": 15.0}, {"limiting_mag": 14.2},
         "not deep enough: limiting magnitude 14.2, limit 15.0"),
    ],
)  # fmt: skip
def test_absolute_limits_hold_for_a_session_that_is_all_alike(
    limit: dict[str, float], changed: dict[str, float], reason: str
) -> None:
    frames = [replace(GOOD, **changed)] * 3
    assert reasons(frames) == [""] * 3
    found = judge(frames, Limits(**limit))
    assert [verdict.reason for verdict in found] == [reason] * 3
    assert [verdict.weight for verdict in found] == [0] * 3
    unknown = judge([GOOD], Limits(**limit))
    assert unknown[0].accepted


def test_nothing_to_judge() -> None:
    assert judge([], LIMITS) == []


@lru_cache(maxsize=32)
def measured(seed: int, fault: str) -> Figures:
    """The figures of a drawn frame, spoiled by ``fault`` and measured as in the pipeline."""
    x, y = scatter(80, seed=seed, apart_px=35)
    rng = np.random.default_rng(seed)
    mag = rng.uniform(8, 11.5, 80)
    flux_e = 10 ** (0.4 * (20.5 - mag))
    fwhm_px = float(rng.uniform(2.6, 3.4))
    image = draw(
        x, y, flux_e * (0.25 if fault == "cloud" else 1), seed=seed, fwhm_px=fwhm_px,
        sky_e=260 if fault == "cloud" else 200,
    ).image  # fmt: skip
    if fault == "trailing":
        image = convolve(image - 200, _line(11)) + _noise(seed, image.shape)
    if fault == "defocus":
        image = convolve(image - 200, _ring(5.0)) + _noise(seed, image.shape)
    mask = np.zeros(image.shape, np.uint8)
    sky = background(image, mask)
    stars = find_stars(image, mask, sky=sky)
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), x, y, within_px=6)
    zero = zero_point(stars, pd.DataFrame({"star": i, "mag": mag[j]}), 1)
    width, elongation = seeing(stars)
    return Figures(
        filter="Red", exposure_s=1, n_stars=len(stars), fwhm_px=width, elongation=elongation,
        hfr_px=float(stars["hfr_px"].median()), background_e=sky.median_e, noise_e=sky.rms_e,
        scale_arcsec=2, residual_arcsec=0.4, n_matched=len(i),
        zero_point_mag=zero.mag if zero else math.nan,
    )  # fmt: skip


def _line(length_px: int) -> np.ndarray:
    return np.eye(length_px, dtype=np.float32) / length_px


def _ring(radius_px: float) -> np.ndarray:
    rows, columns = np.mgrid[-7:8, -7:8]
    inside = np.hypot(rows, columns)
    ring = ((inside <= radius_px) & (inside >= 0.4 * radius_px)).astype(np.float32)
    return np.asarray(ring / ring.sum())


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed + 1).normal(200, 15, shape).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("good", [2, 4])
def test_drawn_frames_get_the_right_reason(seed: int, good: int) -> None:
    faults = ["cloud", "trailing", "defocus"] if good > 3 else ["trailing"]
    frames = [measured(seed * 10 + number, "") for number in range(good)]
    frames += [measured(seed * 10, fault) for fault in faults]
    found = reasons(frames)
    assert found[:good] == [""] * good
    for fault, reason in zip(faults, found[good:], strict=True):
        assert reason.startswith(fault), reason


@pytest.mark.parametrize("fault", ["cloud", "trailing", "defocus"])
@pytest.mark.parametrize("seed", [4, 5])
def test_one_spoiled_of_three(seed: int, fault: str) -> None:
    frames = [measured(seed * 10, ""), measured(seed * 10 + 1, ""), measured(seed * 10, fault)]
    found = reasons(frames)
    assert found[:2] == ["", ""]
    assert found[2].startswith(fault), found[2]
