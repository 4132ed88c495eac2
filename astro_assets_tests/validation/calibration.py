"""Calibration: against the simulated sky's electrons, and against ccdproc step by step."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import astropy.units as u
import ccdproc
import numpy as np
from astropy.nddata import CCDData
from numpy.typing import NDArray

from astro_assets.imaging.calibrate import Calibrated, Masters, calibrate
from astro_assets.imaging.masters import master_bias, master_dark, master_flat
from astro_assets.imaging.overscan import Region, overscan_level
from astro_assets.imaging.variance import variance_e2
from astro_assets.sim.cameras import ASI, T20, Camera
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets_tests.validation.line import Line

_ROW = "Calibration"
_SHAPE = (360, 480)
_FRAMES = 12
_BIAS_E = 0.3
_MEDIAN_BELOW_MEAN_E = 1 / 6
"""of a Poisson distribution"""
_ROUNDINGS = 4.0
"""of float32 and of the largest value on the way; there are five operations"""
_OVERSCAN_PX = 32


@dataclass(frozen=True, slots=True)
class _Light:
    truth: SimulatedSession
    masters: Masters
    done: Calibrated

    @property
    def raw(self) -> NDArray[np.unsignedinteger]:
        return self.truth.lights[0].counts_adu

    @property
    def sky(self) -> NDArray[np.bool_]:
        """Good pixels without a bright star."""
        light, detector = self.truth.lights[0], self.truth.detector
        good = (self.done.mask == 0) & ~light.cosmic_rays & ~detector.dead & ~detector.hot
        good[:, list(detector.columns)] = False
        return np.asarray(good & (light.image_e < np.percentile(light.image_e, 60)))


@cache
def _light(camera: Camera, seed: int) -> _Light:
    s = simulate_session(
        small_camera(camera, _SHAPE),
        seed=seed,
        lights=1,
        bias=_FRAMES,
        darks=_FRAMES,
        flats=_FRAMES,
    )
    bias = master_bias(s.bias)
    dark = master_dark(s.darks, s.camera.exposure_s, bias.image)
    flat = master_flat(s.flats, bias=bias.image, bayer=camera.bayer is not None)
    masters = Masters(bias.image, dark.image, s.camera.exposure_s, False, flat.image)
    done = calibrate(
        s.lights[0].counts_adu,
        masters=masters,
        exposure_s=s.camera.exposure_s,
        gain_e_per_adu=s.camera.gain_e_per_adu,
        saturation_adu=65535,
    )
    return _Light(s, masters, done)


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Level, variance, and each step as ccdproc does it."""
    for camera in (T20, ASI):
        yield _level(camera, seeds)
        yield _variance(camera, seeds)
    yield _as_ccdproc(seeds)
    yield _overscan_as_ccdproc(seeds)


def _level(camera: Camera, seeds: Sequence[int]) -> Line:
    off = []
    for light in (_light(camera, seed) for seed in seeds):
        difference = light.done.image_e - light.truth.lights[0].image_e
        off.append(float(np.median(difference[light.sky])) + _MEDIAN_BELOW_MEAN_E)
    worst = max(off, key=abs)
    return Line(
        row=f"{_ROW}: level",
        data=f"a light of {camera.name} with masters of {_FRAMES} frames each",
        reference="truth",
        reference_figure="–",
        ours=f"{worst:+.3f} e⁻ off",
        required=f"within {_BIAS_E} e⁻",
        holds=abs(worst) <= _BIAS_E,
    )


def _variance(camera: Camera, seeds: Sequence[int]) -> Line:
    """Errors over the root of the variance have a spread of one, but for the masters' own noise."""
    off = []
    for light in (_light(camera, seed) for seed in seeds):
        own = light.truth.camera
        assert light.masters.dark is not None
        predicted = variance_e2(
            light.done.image_e,
            light.done.mask,
            read_noise_e=own.read_noise_e,
            gain_e_per_adu=own.gain_e_per_adu,
            flat=light.masters.flat,
            dark_e=np.maximum(light.masters.dark * np.float32(own.gain_e_per_adu), 0),
        )
        error = light.done.image_e - light.truth.lights[0].image_e
        off.append(float((error / np.sqrt(predicted))[light.sky].std()))
    # Two masters of so many frames add their part.
    ideal = math.sqrt(1 + 2 / _FRAMES)
    low, high = min(off), max(off)
    return Line(
        row=f"{_ROW}: variance",
        data=f"the same of {camera.name}: error over the root of the variance",
        reference=f"1, and up to {ideal:.3f} with the masters' noise",
        reference_figure="–",
        ours=f"{low:.3f} … {high:.3f}",
        required=f"0.98 … {ideal * 1.02:.3f}",
        holds=low >= 0.98 and high <= ideal * 1.02,
    )


def _as_ccdproc(seeds: Sequence[int]) -> Line:
    worst = 0.0
    for light in (_light(T20, seed) for seed in seeds):
        m, camera = light.masters, light.truth.camera
        exposure_s = camera.exposure_s / 3  # so that the dark is scaled
        ours = calibrate(
            light.raw,
            masters=m,
            exposure_s=exposure_s,
            gain_e_per_adu=camera.gain_e_per_adu,
            saturation_adu=None,
        )
        theirs = ccdproc.subtract_bias(_ccd(light.raw), _ccd(m.bias))
        theirs = ccdproc.subtract_dark(
            theirs,
            _ccd(m.dark),
            dark_exposure=camera.exposure_s * u.s,
            data_exposure=exposure_s * u.s,
            scale=True,
        )
        theirs = ccdproc.flat_correct(theirs, _ccd(m.flat), norm_value=1.0)
        theirs = ccdproc.gain_correct(theirs, camera.gain_e_per_adu * u.electron / u.adu)
        assert m.flat is not None
        good = (ours.mask == 0) & np.isfinite(theirs.data)
        largest = light.raw * camera.gain_e_per_adu / np.where(good, m.flat, 1)
        apart = np.abs(ours.image_e - theirs.data)[good] / largest[good]
        worst = max(worst, float(apart.max() / np.finfo(np.float32).eps))
    return Line(
        row=f"{_ROW}: bias, dark scaled in time, flat, gain",
        data="lights of T20",
        reference=f"ccdproc {version('ccdproc')}, in float64",
        reference_figure="–",
        ours=f"off by {worst:.1f} roundings of float32",
        required=f"≤ {_ROUNDINGS:g}",
        holds=worst <= _ROUNDINGS,
    )


def _overscan_as_ccdproc(seeds: Sequence[int]) -> Line:
    worst = 0.0
    ny, nx = _SHAPE
    for seed in seeds:
        light = _light(T20, seed)
        rng = np.random.default_rng(seed)
        drift = np.linspace(0, 20, ny)[:, np.newaxis]
        wide = np.empty((ny, nx + _OVERSCAN_PX), np.float32)
        wide[:, :nx] = light.raw + drift
        wide[:, nx:] = np.rint(rng.normal(500, 6, (ny, _OVERSCAN_PX)) + drift)
        levels = overscan_level(wide, Region(0, ny, nx, nx + _OVERSCAN_PX), by_rows=True)
        ours = calibrate(
            wide[:, :nx],
            masters=Masters(),
            exposure_s=1.0,
            gain_e_per_adu=1.0,
            saturation_adu=None,
            overscan_adu=levels,
        )
        theirs = ccdproc.subtract_overscan(
            _ccd(wide), fits_section=f"[{nx + 1}:{nx + _OVERSCAN_PX},1:{ny}]", median=True
        )
        theirs = ccdproc.trim_image(theirs, fits_section=f"[1:{nx},1:{ny}]")
        apart = np.abs(ours.image_e - theirs.data) / wide[:, :nx]
        worst = max(worst, float(apart.max() / np.finfo(np.float32).eps))
    return Line(
        row=f"{_ROW}: overscan",
        data=f"{_OVERSCAN_PX} columns, a level that drifts by 20 ADU",
        reference=f"ccdproc {version('ccdproc')}, median by rows",
        reference_figure="–",
        ours=f"off by {worst:.1f} roundings of float32",
        required=f"≤ {_ROUNDINGS:g}",
        holds=worst <= _ROUNDINGS,
    )


def _ccd(image: object) -> CCDData:
    return CCDData(np.asarray(image, np.float64), unit="adu")
