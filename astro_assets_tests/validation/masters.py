"""Masters, read noise and gain: against the simulated detector, and against ccdproc."""

import itertools
import math
import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import ccdproc
import numpy as np
from astropy.nddata import CCDData
from astropy.stats import mad_std
from numpy.typing import NDArray

from astro_assets.imaging.combine import Rows, sigma_clipped_mean
from astro_assets.imaging.masters import Master, master_bias, master_dark, master_flat
from astro_assets.imaging.noise import gain_e_per_adu
from astro_assets.sim.cameras import T20
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets.steps.scratch import put_aside
from astro_assets_tests.validation.line import Line

_ROW = "Masters"
_SHAPE = (480, 560)
_FRAMES = 16
_MOST_NOISE = 1.02
_HITS = 1e-3
"""share of each dark's pixels that cosmic rays hit"""
_ROUNDING = 1.5e-7
_MEMORY_FRAMES = (12, 48)
_FEW_MEMORY_FRAMES = (6, 18)
_MEMORY_SHAPE = (1600, 2000)


@dataclass(frozen=True, slots=True)
class _Made:
    truth: SimulatedSession
    darks: list[NDArray[np.uint16]]
    bias: Master
    dark: Master
    flat: Master

    @property
    def good(self) -> NDArray[np.bool_]:
        """Without the detector's flaws."""
        detector = self.truth.detector
        good = ~(detector.hot | detector.dead)
        good[:, list(detector.columns)] = False
        return good


@cache
def _made(seed: int) -> _Made:
    camera = small_camera(T20, _SHAPE)
    s = simulate_session(camera, seed=seed, lights=0, bias=_FRAMES, darks=_FRAMES, flats=_FRAMES)
    rng = np.random.default_rng(seed)
    darks = [np.asarray(dark, np.uint16).copy() for dark in s.darks]
    for dark in darks:
        hit = rng.random(_SHAPE) < _HITS
        dark[hit] = np.minimum(dark[hit] + rng.integers(200, 5000, int(hit.sum())), 65535)
    bias = master_bias(s.bias)
    dark = master_dark(darks, camera.exposure_s, bias.image)
    flat = master_flat(
        s.flats,
        bias=bias.image,
        dark=dark.image,
        dark_exposure_s=camera.exposure_s,
        exposures_s=[s.flat_exposure_s] * _FRAMES,
        saturation_adu=65535,
    )
    return _Made(s, darks, bias, dark, flat)


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Noise of each master over the ideal; read noise and gain; ccdproc; memory."""
    yield _noise("bias", seeds, f"{_FRAMES} biases", _bias_noise)
    hits = f"{_FRAMES} darks, {_HITS:.1%} of their pixels hit by rays, less the bias"
    yield _noise("dark", seeds, hits, _dark_noise)
    yield _noise("flat", seeds, f"{_FRAMES} flats of levels 12 % apart", _flat_noise)
    yield _read_noise(seeds)
    yield _gain(seeds)
    yield _mean_as_ccdproc(seeds)
    yield _clip_beside_ccdproc(seeds)
    yield _memory(_MEMORY_FRAMES if len(seeds) > 1 else _FEW_MEMORY_FRAMES)


def _noise(kind: str, seeds: Sequence[int], data: str, measure: object) -> Line:
    assert callable(measure)
    worst = max(float(measure(_made(seed))) for seed in seeds)
    return Line(
        row=f"{_ROW}: {kind}",
        data=data,
        reference="ideal noise of the mean",
        reference_figure="1",
        ours=f"{worst:.4f}",
        required=f"≤ {_MOST_NOISE}",
        holds=worst <= _MOST_NOISE,
    )


def _bias_variance(made: _Made) -> float:
    """Of one bias, ADU²: read-out and rounding."""
    camera = made.truth.camera
    return (camera.read_noise_e / camera.gain_e_per_adu) ** 2 + 1 / 12


def _bias_noise(made: _Made) -> float:
    residual = (made.bias.image - made.truth.detector.bias_adu)[made.good]
    return float(residual.std() / math.sqrt(_bias_variance(made) / _FRAMES))


def _dark_noise(made: _Made) -> float:
    camera = made.truth.camera
    dark_e = made.truth.detector.dark_e_per_s * np.float32(camera.exposure_s)
    one = dark_e / camera.gain_e_per_adu**2 + _bias_variance(made)
    ideal = np.sqrt((one + _bias_variance(made)) / _FRAMES)
    residual = (made.dark.image - dark_e / camera.gain_e_per_adu) / ideal
    return float(residual[made.good].std())


def _flat_noise(made: _Made) -> float:
    """The ideal weighs by level, which for photon noise is the best there is."""
    truth, camera = made.truth, made.truth.camera
    levels_e = [
        float(np.median(f) - np.median(made.bias.image)) * camera.gain_e_per_adu
        for f in truth.flats
    ]
    response = truth.detector.flat
    variance = [level * response + camera.read_noise_e**2 for level in levels_e]
    total = sum(levels_e)
    ideal = np.sqrt(sum(variance)) / total
    good = made.good & (response > 0.5)
    ratio = made.flat.image - response / np.float32(np.median(response[good])) * np.float32(
        np.median(made.flat.image[good])
    )
    return float((ratio / ideal)[good].std())


def _read_noise(seeds: Sequence[int]) -> Line:
    off = [
        (made.bias.read_noise_adu or 0.0)
        * made.truth.camera.gain_e_per_adu
        / made.truth.camera.read_noise_e
        - 1
        for made in map(_made, seeds)
    ]
    return _within("read noise", f"{_FRAMES} biases", max(off, key=abs))


def _gain(seeds: Sequence[int]) -> Line:
    off = []
    for made in map(_made, seeds):
        flats = made.truth.flats
        pairs = list(zip(flats[::2], flats[1::2], strict=True))
        gain, _ = gain_e_per_adu(pairs, made.bias.image, made.bias.read_noise_adu or 0.0)
        off.append(gain / made.truth.camera.gain_e_per_adu - 1)
    return _within("gain", f"{_FRAMES // 2} pairs of flats", max(off, key=abs))


def _within(what: str, data: str, off: float) -> Line:
    return Line(
        row=f"Read noise and gain: {what}",
        data=data,
        reference="truth",
        reference_figure="–",
        ours=f"{off:+.2%} off",
        required="within 1 %",
        holds=abs(off) <= 0.01,
    )


def _name() -> str:
    return f"ccdproc {version('ccdproc')}"


def _mean_as_ccdproc(seeds: Sequence[int]) -> Line:
    """The same method: the mean, nothing clipped."""
    worst = 0.0
    for made in map(_made, seeds):
        theirs = ccdproc.combine([CCDData(f, unit="adu") for f in made.darks], method="average")
        ours = sigma_clipped_mean(made.darks, sigma=1e6).image
        worst = max(worst, float(np.max(np.abs(ours / theirs.data - 1))))
    return Line(
        row=f"{_ROW}: mean",
        data=f"{_FRAMES} darks, nothing clipped",
        reference=_name(),
        reference_figure="–",
        ours=f"off by {worst:.1g}",
        required="float32 rounding",
        holds=worst <= _ROUNDING,
    )


def _clip_beside_ccdproc(seeds: Sequence[int]) -> Line:
    """Another method of clipping, so that the noise against truth is what is compared."""
    ours, theirs = [], []
    for made in map(_made, seeds):
        camera = made.truth.camera
        dark_adu = made.truth.detector.dark_e_per_s * np.float32(
            camera.exposure_s / camera.gain_e_per_adu
        )
        truth = made.truth.detector.bias_adu + dark_adu
        clipped = ccdproc.combine(
            [CCDData(f, unit="adu") for f in made.darks],
            method="average",
            sigma_clip=True,
            sigma_clip_low_thresh=5,
            sigma_clip_high_thresh=5,
            sigma_clip_func=np.ma.median,
            sigma_clip_dev_func=mad_std,
        )
        ours.append(float((master_dark(made.darks, 1.0).image - truth)[made.good].std()))
        theirs.append(float((np.asarray(clipped.data) - truth)[made.good].std()))
    return Line(
        row=f"{_ROW}: clipped mean",
        data=f"{_FRAMES} darks, {_HITS:.1%} of their pixels hit by rays",
        reference=f"{_name()}, 5 σ about the median with mad_std",
        reference_figure=f"noise {max(theirs):.3f} ADU",
        ours=f"{max(ours):.3f} ADU",
        required="at most 0.5 % above",
        holds=all(a <= b * 1.005 for a, b in zip(ours, theirs, strict=True)),
    )


def _memory(counts: tuple[int, int]) -> Line:
    """The peak beside the result, for a few frames and for many."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        frame = rng.integers(900, 1100, _MEMORY_SHAPE).astype(np.uint16)
        one = put_aside(Path(folder) / "frame", frame)
        del frame
        master_bias([one, one, one])  # what is compiled once
        for count in counts:
            frames: list[Rows] = list(itertools.repeat(one, count))
            tracemalloc.start()
            master_bias(frames)
            peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
    few, many = peaks
    return Line(
        row=f"{_ROW}: memory",
        data=f"biases of {_MEMORY_SHAPE[0] * _MEMORY_SHAPE[1] / 1e6:.1f} MP from files",
        reference=f"{counts[0]} frames",
        reference_figure=f"{few:.0f} MB",
        ours=f"{many:.0f} MB for {counts[1]}",
        required="no more than a tenth above",
        holds=many <= 1.1 * few,
    )
