"""A detector with its faults: from expected electrons to counts.

What belongs here: the fixed pattern of a camera and the noise of one read-out. What does not: the
sky (`sky`), cosmic rays and satellites (`effects`).
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from astro_assets.sim.cameras import Camera
from astro_assets.sim.defects import Defects
from astro_assets.sim.flaws import Flaws, make_flaws

_LAMP_E = (24000.0, 36000.0, 20000.0)


@dataclass(frozen=True, slots=True)
class Detector:
    """The fixed pattern of one camera; all maps (ny, nx).

    flat : float32, relative response of optics and pixels, median 1 over the good pixels
    dark_e_per_s : float32, dark current with hot pixels, columns and amplifier glow
    bias_adu : float32
    hot, dead : bool
    columns : indices of the bad columns (0-based)
    flaws : parts and groups of lines, telegraph pixels
    """

    camera: Camera
    defects: Defects
    flat: NDArray[np.float32]
    dark_e_per_s: NDArray[np.float32]
    bias_adu: NDArray[np.float32]
    hot: NDArray[np.bool_]
    dead: NDArray[np.bool_]
    columns: tuple[int, ...]
    flaws: Flaws

    def read_out(
        self,
        light_e: NDArray[np.floating],
        exposure_s: float,
        rng: np.random.Generator,
        *,
        cosmic_rays_e: NDArray[np.float32] | None = None,
    ) -> NDArray[np.uint16] | NDArray[np.uint32]:
        """Counts of one exposure.

        ``light_e`` (ny, nx) is what would fall onto perfect pixels, in electrons. With the switch
        for saturation off, counts may exceed 16 bits and are given as uint32.
        """
        expected = light_e * self.flat + self.dark_e_per_s * np.float32(exposure_s)
        if self.defects.telegraph_pixels:
            high = rng.random(self.camera.shape) < self.flaws.telegraph_duty
            share = np.float32(exposure_s / self.camera.exposure_s)
            expected = expected + high * self.flaws.telegraph_e * share
        charge = rng.poisson(expected) if self.defects.shot_noise else expected
        signal = np.asarray(charge, dtype=np.float32)
        if cosmic_rays_e is not None:
            signal = signal + cosmic_rays_e
        if self.defects.read_noise:
            noise = rng.standard_normal(signal.shape, dtype=np.float32)
            signal = signal + noise * np.float32(self.camera.read_noise_e)
        adu = signal / np.float32(self.camera.gain_e_per_adu) + self.bias_adu
        counts: NDArray[np.float32] = np.rint(adu)
        if not self.defects.saturation:
            return np.clip(counts, 0, 2**31).astype(np.uint32)
        return np.clip(counts, 0, self.camera.saturation_adu).astype(np.uint16)

    def bias_frame(self, rng: np.random.Generator) -> NDArray[np.unsignedinteger]:
        """A read-out of nothing."""
        return self.read_out(np.zeros(self.camera.shape, np.float32), 0.0, rng)

    def dark_frame(
        self, exposure_s: float, rng: np.random.Generator
    ) -> NDArray[np.unsignedinteger]:
        """An exposure with the shutter closed."""
        return self.read_out(np.zeros(self.camera.shape, np.float32), exposure_s, rng)

    def flat_frame(
        self, exposure_s: float, level: float, rng: np.random.Generator, channel: str = "G"
    ) -> NDArray[np.unsignedinteger]:
        """An exposure of an even light; ``level`` scales the lamp, which is yellowish.

        ``channel`` is the filter of a camera without a Bayer pattern.
        """
        lamp = dict(zip("RGB", _LAMP_E, strict=True))
        light = np.full(self.camera.shape, level * lamp[channel], np.float32)
        if self.camera.bayer is not None:
            for colour, (row, column) in bayer_cells(self.camera.bayer):
                light[row::2, column::2] = level * lamp[colour]
        return self.read_out(light, exposure_s, rng)

    def corrected(
        self, counts: NDArray[np.unsignedinteger], exposure_s: float
    ) -> NDArray[np.float32]:
        """``counts`` as a provider with perfect masters delivers them: bias, dark, flat done."""
        dark_adu = self.dark_e_per_s * np.float32(exposure_s / self.camera.gain_e_per_adu)
        net = counts.astype(np.float32) - self.bias_adu - dark_adu
        return np.asarray(net / np.maximum(self.flat, np.float32(0.25)))


def bayer_cells(pattern: str) -> list[tuple[str, tuple[int, int]]]:
    """Colour and (row, column) of the four pixels of a Bayer cell; row 0 is the array's first."""
    return [(colour, divmod(k, 2)) for k, colour in enumerate(pattern)]


def make_detector(camera: Camera, defects: Defects, *, seed: int) -> Detector:
    """The fixed pattern of ``camera``: the same for the same seed and name."""
    rng = np.random.default_rng([seed, crc32(camera.name.encode())])
    hot, dead, columns = _bad_pixels(camera, defects, rng)
    flaws = make_flaws(camera, defects, seed=seed)
    return Detector(
        camera=camera,
        defects=defects,
        flat=_flat(camera, defects, dead, columns, rng),
        dark_e_per_s=_dark(camera, defects, hot, columns, rng)
        + flaws.charge_e / np.float32(camera.exposure_s),
        bias_adu=_bias(camera, defects, rng),
        hot=hot,
        dead=dead,
        columns=columns,
        flaws=flaws,
    )


def _bad_pixels(
    camera: Camera, defects: Defects, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[int, ...]]:
    draw = rng.random(camera.shape)
    hot = (draw < camera.hot_fraction) & defects.hot_pixels
    dead = (draw > 1 - camera.dead_fraction) & defects.dead_pixels
    width = camera.shape[1]
    # One column in each of as many parts of the detector, so that no two are neighbours.
    part = width // max(camera.bad_columns, 1)
    chosen = [k * part + int(rng.integers(20, part - 20)) for k in range(camera.bad_columns)]
    return hot, dead, tuple(chosen) if defects.bad_columns else ()


def _flat(
    camera: Camera,
    defects: Defects,
    dead: NDArray[np.bool_],
    columns: tuple[int, ...],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    ny, nx = camera.shape
    y, x = np.mgrid[:ny, :nx]
    response = 1 + camera.response_rms * rng.standard_normal((ny, nx)) * defects.pixel_response
    centre_y, centre_x = ny * rng.uniform(0.46, 0.54), nx * rng.uniform(0.46, 0.54)
    squared = ((y - centre_y) ** 2 + (x - centre_x) ** 2) / ((ny / 2) ** 2 + (nx / 2) ** 2)
    if defects.vignetting:
        response *= 1 - camera.vignetting * squared
    if defects.dust:
        response *= _dust(camera, rng)
    response /= np.median(response)
    for column in columns:
        response[:, column] *= rng.uniform(0.55, 0.75)
    response[dead] = rng.uniform(0.0, 0.15, int(dead.sum()))
    return response.astype(np.float32)


def _dust(camera: Camera, rng: np.random.Generator) -> NDArray[np.float64]:
    """Shadows of specks out of focus: rings, as of an obstructed telescope."""
    ny, nx = camera.shape
    y, x = np.mgrid[:ny, :nx]
    shade = np.ones((ny, nx))
    for _ in range(camera.dust_specks):
        distance = np.hypot(y - rng.uniform(0, ny), x - rng.uniform(0, nx))
        radius, depth = rng.uniform(0.010, 0.030) * nx, rng.uniform(0.03, 0.10)
        shade -= depth * ((distance < radius) & (distance > 0.4 * radius))
    return np.asarray(gaussian_filter(shade, 1.5))


def _dark(
    camera: Camera,
    defects: Defects,
    hot: NDArray[np.bool_],
    columns: tuple[int, ...],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    ny, nx = camera.shape
    rate = np.zeros((ny, nx))
    if defects.dark_current:
        y, x = np.mgrid[:ny, :nx]
        glow = np.exp(-np.hypot(y - ny, x - nx) / (0.12 * nx))
        rate += camera.dark_e_per_s * (rng.lognormal(0, 0.15, (ny, nx)) + 3 * glow)
    low, high = camera.hot_e
    charge = np.exp(rng.uniform(np.log(low), np.log(high), int(hot.sum())))
    rate[hot] += charge / camera.exposure_s
    for column in columns:
        rate[:, column] += rng.uniform(80, 200) / camera.exposure_s
    return rate.astype(np.float32)


def _bias(camera: Camera, defects: Defects, rng: np.random.Generator) -> NDArray[np.float32]:
    """A level with a fixed pattern of columns and a slight slope along them.

    Without the switch for bias the level stays, so that noise below zero is not cut off.
    """
    ny, nx = camera.shape
    level = np.full((ny, nx), camera.bias_adu)
    if defects.bias:
        level += rng.normal(0, 1.5, nx)[np.newaxis, :]
        level += np.linspace(0, 6, ny)[:, np.newaxis]
    return level.astype(np.float32)
