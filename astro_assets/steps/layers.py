"""Accepted frames on one grid: what a session's stack is made of.

What belongs here: from a solved frame to layers, weights and scales, channel by channel. What does
not: the products and what their headers tell (`stack`).

Frames come onto the grid as the stack asks for their rows. Those with a colour matrix, which have
to be debayered as a whole, wait on the grid in scratch files.
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.background import background
from astro_assets.imaging.bayer import cells_of, debayer
from astro_assets.imaging.drizzle import Mosaic
from astro_assets.imaging.gradient import Gradient, find_gradient
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.laid import EXCLUDED, FrameReader, Laid
from astro_assets.imaging.mask import UNUSABLE
from astro_assets.imaging.order import median
from astro_assets.imaging.placement import place
from astro_assets.imaging.planes import Held, Workspace
from astro_assets.imaging.sky_noise import sky_noise
from astro_assets.imaging.stack import Layer, Stacked, stack
from astro_assets.imaging.warp import Warped, warp
from astro_assets.steps.flatten import FlatRows, flattened
from astro_assets.steps.frame_rows import file_rows
from astro_assets.steps.pool import map_frames
from astro_assets.steps.scratch import put_aside, put_share_aside
from astro_assets.store import read_image

BAYER_CHANNELS = ("R", "G", "B")
_WORTH = (0.25, 4.0)
_SAMPLES = 400_000
"""pixels that tell a frame's sky"""


@dataclass(frozen=True, slots=True)
class Light:
    """An accepted frame's header; its pixels are read when they are needed."""

    path: Path
    header: fits.Header
    gradient_order: int = 0
    gradients: list[Gradient] = field(default_factory=list)

    @property
    def wcs(self) -> WCS:
        return WCS(self.header, relax=True)

    @property
    def shape(self) -> tuple[int, int]:
        return self.header["NAXIS2"], self.header["NAXIS1"]

    def pixels(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """A Bayer frame's image and mask, without the sky's gradient where that is wished for."""
        file = read_image(self.path)
        mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
        image, found = flattened(file.image, mask, self.gradient_order, bayer=True)
        self.gradients.extend(found)
        return image, mask

    def reader(self) -> FrameReader:
        """The rows of a frame without colour matrix, as `pixels` of one with it."""
        rows = file_rows(self.path)
        if self.gradient_order == 0:
            return rows
        file = read_image(self.path)
        mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
        self.gradients.append(find_gradient(file.image, mask, self.gradient_order))
        return rows if self.gradients[-1].order == 0 else FlatRows(rows, self.gradients[-1])


def filter_of(header: fits.Header) -> str:
    """The filter, as a stack is called after it; RGB for frames of all three colours."""
    return "RGB" if "BAYERPAT" in header else str(header.get("FILTER") or "L").replace("/", "-")


def stack_channels(
    lights: Sequence[Light], reference: Light, grid: Grid, folder: Path
) -> Iterator[tuple[str, Stacked]]:
    """Combine the frames of each channel."""
    widths = [float(light.header.get("FWHM") or np.nan) for light in lights]
    usual_fwhm_px = float(np.nanmedian(widths)) if np.isfinite(widths).any() else math.nan
    with tempfile.TemporaryDirectory(prefix=".warped-", dir=folder) as scratch:

        def layers(light: Light) -> dict[str, Layer]:
            scale = flux_scale(reference.header, light.header)
            worth = star_worth(light.header, usual_fwhm_px)
            name = f"{scratch}/{light.path.stem}"
            if "BAYERPAT" in light.header:
                bayer = _bayer_layers(light, grid, scale, name)
                return {c: replace(layer, worth=worth) for c, layer in bayer.items()}
            return {filter_of(light.header): replace(_layer(light, grid, scale), worth=worth)}

        warped = map_frames(layers, lights)
        for channel in warped[0]:
            yield channel, stack([of_light[channel] for of_light in warped], grid)


def _layer(light: Light, grid: Grid, scale: float) -> Layer:
    frame = light.reader()
    level_e, noise_e = _sky_of_rows(frame, light.shape)
    placement = place(light.wcs, light.shape, grid)
    return Layer(
        Laid(frame, placement, float(light.header.get("EXPTIME") or 0.0)),
        background_e=level_e * placement.area,
        noise_e=noise_e * math.sqrt(placement.area),
        scale=scale,
    )


def _sky_of_rows(frame: FrameReader, shape: tuple[int, int]) -> tuple[float, float]:
    """Level and noise of the sky, electrons, from some of a frame's rows."""
    ny, nx = shape
    space = Workspace()
    for every in (max(1, ny * nx // _SAMPLES), 1):
        image = np.empty((-(-ny // every), nx), np.float32)
        mask = np.zeros(image.shape, np.uint8)
        for number, y in enumerate(range(0, ny, every)):
            rows = frame.rows(y, y + 1, space)
            image[number] = rows.image[0]
            if rows.mask is not None:
                mask[number] = rows.mask[0]
        usable = np.isfinite(image) & ((mask & np.uint8(UNUSABLE)) == 0)
        noise_e = sky_noise(image, mask)
        if noise_e > 0:
            return median(image[usable]), noise_e
    return _sky(image, mask)


def _sky(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> tuple[float, float]:
    """Level and noise of the sky, electrons."""
    sky = background(image, mask)
    noise_e = sky_noise(image, mask)
    return sky.median_e, noise_e if noise_e > 0 else sky.rms_e


def _bayer_layers(light: Light, grid: Grid, scale: float, scratch: str) -> dict[str, Layer]:
    """A layer for each colour, debayered, with the raw pixels for the drizzle beside it."""
    image, mask = light.pixels()
    pattern = light.header["BAYERPAT"]
    raw = np.where((mask & EXCLUDED) == 0, image, np.float32(np.nan))
    pixels = put_aside(Path(f"{scratch}.raw"), raw)
    rgb, masks = debayer(image, mask, pattern)
    layers = {}
    for index, name in enumerate(BAYER_CHANNELS):
        cells = cells_of(pattern, name)
        skies = [_sky(image[y::2, x::2], mask[y::2, x::2]) for y, x in cells]
        level_e, rms_e = (float(value) for value in np.mean(skies, axis=0))
        mosaic = Mosaic(pixels, light.wcs, cells, rms_e)
        warped = warp(rgb[index], masks[index], light.wcs, grid)
        # Of the pixels that are measured: judged by the mean with those that are interpolated,
        # too many of the good ones would be outliers.
        layer = _put_aside(warped, level_e, rms_e, light, scale, f"{scratch}.{name}")
        layers[name] = replace(
            layer,
            mosaic=mosaic,
            independent_noise_e=mosaic.independent_noise_e * math.sqrt(warped.area),
        )
    return layers


def _put_aside(
    warped: Warped, level_e: float, noise_e: float, light: Light, scale: float, scratch: str
) -> Layer:
    planes = Held(
        put_aside(Path(f"{scratch}.image"), warped.image),
        put_share_aside(Path(f"{scratch}.weight"), warped.weight),
        put_aside(Path(f"{scratch}.mask"), warped.mask),
        float(light.header.get("EXPTIME") or 0.0),
    )
    return Layer(planes, level_e * warped.area, noise_e * math.sqrt(warped.area), scale)


def clearest(headers: Sequence[fits.Header]) -> int:
    """The frame that caught most of its stars' light; the first where nobody knows."""
    zero_points = np.array([float(header.get("MAGZP", np.nan)) for header in headers])
    return int(np.argmax(np.where(np.isfinite(zero_points), zero_points, -np.inf)))


def star_worth(header: fits.Header, usual_fwhm_px: float) -> float:
    """How much more a frame tells of stars than its noise says: the light of sharp ones stands on
    less sky. 1 where nobody knows.
    """
    fwhm_px = float(header.get("FWHM") or np.nan)
    worth = (usual_fwhm_px / fwhm_px) ** 2 if fwhm_px > 0 else math.nan
    return float(np.clip(worth, *_WORTH)) if math.isfinite(worth) else 1.0


def flux_scale(reference: fits.Header, header: fits.Header) -> float:
    """The factor that brings a frame's star fluxes to the reference's: exposure and clearness."""
    exposure = float(reference.get("EXPTIME") or 1.0) / float(header.get("EXPTIME") or 1.0)
    magnitudes = float(reference.get("MAGZP", np.nan)) - float(header.get("MAGZP", np.nan))
    return exposure * float(10 ** (0.4 * magnitudes)) if np.isfinite(magnitudes) else exposure
