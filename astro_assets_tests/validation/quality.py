"""The quality filter and the weights: bad frames found, good ones kept, the deepest stack.

What belongs here: figures of `imaging.quality` on simulated sessions. What does not: the stack.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.imaging.background import background
from astro_assets.imaging.figures import Figures, star_figures
from astro_assets.imaging.photometry import zero_point
from astro_assets.imaging.quality import Verdict, judge
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.settings import Limits
from astro_assets.sim.conditions import Incidents
from astro_assets.sim.exposure import Exposure
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets_tests.imaging.star_field import draw, pair, scatter
from astro_assets_tests.validation.line import Line

_ROW = "Quality"
_SHAPE = (500, 600)
_SKY = (90.0, 600.0)
_EXPOSURES_S = (30.0, 60.0, 120.0)
_SPOILED = Incidents(cloud=(1,), trailing=(4,), defocus=(6,))
_LIGHTS = 9


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Verdicts against what was spoiled, weights against the ideal."""
    yield _verdicts(seeds)
    yield from _weights(seeds)


def _verdicts(seeds: Sequence[int]) -> Line:
    found = kept = bad = good = told = 0
    for seed in seeds:
        session = simulate_session(small_camera(), seed=seed, lights=_LIGHTS, incidents=_SPOILED)
        verdicts = judge([_figures(session, light) for light in session.lights], Limits())
        for light, verdict in zip(session.lights, verdicts, strict=True):
            spoiled = light.conditions.spoiled
            bad, good = bad + (spoiled is not None), good + (spoiled is None)
            found += spoiled is not None and not verdict.accepted
            told += spoiled is not None and verdict.reason.startswith(spoiled)
            kept += spoiled is None and verdict.accepted
    return Line(
        _ROW, "simulated sessions of nine: a cloud, a trailed frame, one out of focus", "truth",
        "–", f"{found} of {bad} found, {told} with the right reason; {kept} of {good} good ones "
        "kept", "all", found == told == bad and kept == good,
    )  # fmt: skip


def _figures(session: SimulatedSession, light: Exposure) -> Figures:
    """Of a frame calibrated with perfect masters, solved by the truth."""
    camera, detector = session.camera, session.detector
    adu = detector.corrected(light.counts_adu, camera.exposure_s)
    mask = (detector.hot | detector.dead | light.cosmic_rays).astype(np.uint8)
    mask[:, list(detector.columns)] = 1
    mask[light.counts_adu >= camera.saturation_adu] |= 4
    truth = light.stars
    return _measured(
        adu * np.float32(camera.gain_e_per_adu), mask, camera.exposure_s,
        truth["x"].to_numpy(), truth["y"].to_numpy(), truth["vt_mag"].to_numpy(),
    )  # fmt: skip


def _measured(
    image: NDArray[np.float32], mask: NDArray[np.uint8], exposure_s: float,
    x: NDArray[np.float64], y: NDArray[np.float64], mag: NDArray[np.float64],
) -> Figures:  # fmt: skip
    sky = background(image, mask)
    stars = find_stars(image, mask, sky=sky)
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), x, y, within_px=4)
    zero = zero_point(stars, pd.DataFrame({"star": i, "mag": mag[j]}), exposure_s)
    width, elongation = seeing(stars)
    shape = (image.shape[0], image.shape[1])
    return Figures(
        filter="Green", exposure_s=exposure_s, fwhm_px=width, elongation=elongation,
        background_e=sky.median_e, noise_e=sky.rms_e, scale_arcsec=2, residual_arcsec=0.3,
        n_matched=len(i), zero_point_mag=zero.mag if zero else np.nan,
        **star_figures(stars, shape, exposure_s),
    )  # fmt: skip


def _weights(seeds: Sequence[int]) -> Iterator[Line]:
    """Frames of different sky, seeing, clearness and exposure time, all accepted."""
    gained, near = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        frames = [
            (rng.uniform(2.4, 3.6), rng.uniform(0.6, 1.0), rng.uniform(*_SKY),
             float(rng.choice(_EXPOSURES_S)))
            for _ in range(8)
        ]  # fmt: skip
        limits = Limits(max_fwhm_ratio=3, min_transparency=0.1, max_background_ratio=50,
                        min_stars_ratio=0.01)  # fmt: skip
        verdicts = judge([_drawn(seed, *frame) for frame in frames], limits)
        ours = _signal_to_noise(frames, [verdict.weight for verdict in verdicts])
        gained.append(ours / _signal_to_noise(frames, [1.0] * len(frames)))
        near.append(ours / _ideal(frames))
        assert all(_accepted(verdict) for verdict in verdicts)
    what = "8 frames of FWHM 2.4 to 3.6 px, 60 to 100 % clear, sky 90 to 600 e⁻, 30 to 120 s"
    yield Line(
        _ROW, f"weighted stack of {what}", "the same without weights", "1",
        f"S/N of faint stars {min(gained):.3f} or more", "≥ 1", min(gained) >= 1,
    )  # fmt: skip
    yield Line(
        _ROW, f"weighted stack of {what}", "each frame by its own profile, the ideal", "1",
        f"S/N of faint stars {min(near):.3f} or more", "≥ 0.95", min(near) >= 0.95,
    )  # fmt: skip


_Frame = tuple[float, float, float, float]
"""FWHM in px, share of the light that arrives, sky in electrons, exposure in seconds"""


def _accepted(verdict: Verdict) -> bool:
    return verdict.accepted and verdict.weight > 0


def _drawn(seed: int, fwhm_px: float, clear: float, sky_e: float, exposure_s: float) -> Figures:
    x, y = scatter(60, seed=seed, shape=_SHAPE, apart_px=32)
    mag = np.random.default_rng(seed).uniform(9, 12.5, 60)
    flux_e = clear * exposure_s * 10 ** (0.4 * (20 - mag))
    field = draw(x, y, flux_e, seed=int(1e6 * fwhm_px), shape=_SHAPE, fwhm_px=fwhm_px, sky_e=sky_e)
    return _measured(field.image, field.mask, exposure_s, x, y, mag)


def _stamp(fwhm_px: float) -> NDArray[np.float64]:
    """A star of 1 electron, without sky."""
    field = draw(np.array([20.0]), np.array([20.0]), np.array([1e9]), seed=1, shape=(41, 41),
                 fwhm_px=fwhm_px, sky_e=0, read_noise_e=0)  # fmt: skip
    return np.asarray(field.image / 1e9, np.float64)


def _noise(frame: _Frame) -> float:
    """Of a pixel, once the frame is scaled to a second of clear sky."""
    _, clear, sky_e, exposure_s = frame
    return float(np.sqrt(sky_e + 25) / (clear * exposure_s))


def _signal_to_noise(frames: Sequence[_Frame], weights: Sequence[float]) -> float:
    """Of a star of 1 e⁻/s in the stack, weighed with the profile that it has there.

    ``weights`` are inverse variances of a star's flux; each image counts with its share.
    """
    share = np.array(weights) / np.sum(weights)
    profile = sum(w * _stamp(frame[0]) for w, frame in zip(share, frames, strict=True))
    noise = np.sqrt(sum((w * _noise(f)) ** 2 for w, f in zip(share, frames, strict=True)))
    return float(np.sqrt((profile**2).sum()) / noise)


def _ideal(frames: Sequence[_Frame]) -> float:
    each = [np.sqrt((_stamp(frame[0]) ** 2).sum()) / _noise(frame) for frame in frames]
    return float(np.sqrt(np.sum(np.square(each))))
