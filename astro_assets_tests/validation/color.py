"""Colour: white and hues against black bodies, and the picture beside STIFF's."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from astropy.io import fits
from numpy.typing import NDArray
from scipy.stats import spearmanr, theilslopes

from astro_assets.imaging.color import compose
from astro_assets.imaging.stretch import autostretch
from astro_assets.imaging.white_balance import KnownColors, star_colors
from astro_assets_tests.imaging.star_spectra import SUN_BV_MAG, ColorField, color_field
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import Peer, peer

_ROW = "colour"
_STIFF = (
    "-BITS_PER_CHANNEL", "16", "-MIN_TYPE", "QUANTILE", "-MIN_LEVEL", "0.60",
    "-MAX_TYPE", "QUANTILE", "-MAX_LEVEL", "0.999", "-GAMMA", "2.2", "-COLOUR_SAT", "1.5",
    "-COMPRESSION_TYPE", "NONE", "-WRITE_XML", "N", "-VERBOSE_TYPE", "QUIET",
)  # fmt: skip
"""as the scripts that people use run it"""
_FULL = 65535
_FAINT_SIGMA = 1.5
_CORE_PX = 40.0


@dataclass(frozen=True)
class Shown:
    """What a picture makes of the field.

    white : how far red and blue over green are from 1 at the Sun's B − V, by a line through all
    order : rank correlation of red over blue with B − V
    black, full : shares of the pixels that are 0, or full, in a channel
    faint : how far a patch of 1.5 σ per pixel stands above the sky, in noises of the picture's sky
    sky_color : noise of red less blue in the sky, over that of the brightness
    """

    white: float
    order: float
    black: float
    full: float
    faint: float
    sky_color: float


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """White and star colours in the linear picture, then the stretched one beside STIFF's."""
    fields = {seed: color_field(seed) for seed in seeds}
    yield from _truth_lines(fields)
    stiff = peer("stiff")
    own = [shown(*_with_faint_patch(field, seed), None) for seed, field in fields.items()]
    theirs = (
        [shown(*_with_faint_patch(field, seed), stiff) for seed, field in fields.items()]
        if stiff
        else []
    )
    data = (
        f"the same with a patch of {_FAINT_SIGMA} σ per pixel, as 16-bit TIFF, {len(seeds)} seeds"
    )
    yield from _picture_lines(data, own, theirs, stiff)


def _truth_lines(fields: dict[int, ColorField]) -> Iterator[Line]:
    whites, hues = [], []
    for field in fields.values():
        result = compose(field.images, known=_known(field))
        assert result.balance.white == "G2V star"
        measured = star_colors(result.rgb, np.zeros(result.rgb.shape[1:], bool))
        nearest = np.hypot(
            np.subtract.outer(measured.x, field.x), np.subtract.outer(measured.y, field.y)
        ).argmin(axis=1)
        off = measured.flux_e[[0, 2]] / measured.flux_e[1] / field.ratio[:, nearest] - 1
        solar = np.abs(field.bv_mag[nearest] - SUN_BV_MAG) < 0.2
        whites.append(float(np.abs(np.median(off[:, solar], axis=1)).max()))
        hues.append(float(np.abs(np.median(off, axis=1)).max()))
    data = (
        "60 black bodies of 3500 to 10000 K through three filters of unequal response and seeing, "
        f"catalogue colours with 0.05 mag of error, {len(fields)} seeds"
    )
    yield Line(
        f"{_ROW}: white", data, "truth", "–",
        f"red and blue over green of stars like the Sun right to {100 * max(whites):.1f} %",
        "≤ 3 %", max(whites) <= 0.03,
    )  # fmt: skip
    yield Line(
        f"{_ROW}: stars", data, "truth", "–",
        f"red and blue over green of all stars right to {100 * max(hues):.1f} % in the median",
        "≤ 2 %", max(hues) <= 0.02,
    )  # fmt: skip


def _picture_lines(
    data: str, own: Sequence[Shown], theirs: Sequence[Shown], stiff: Peer | None
) -> Iterator[Line]:
    name = stiff.name if stiff else "STIFF (not installed)"

    def line(what: str, figure: str, required: str, ours: float, other: float, holds: bool) -> Line:
        return Line(
            f"{_ROW}: {what}", data, name,
            figure.format(other) if theirs else "–", figure.format(ours), required,
            holds if theirs else None,
        )  # fmt: skip

    def worst(values: str, of: Sequence[Shown], most: bool = True) -> float:
        found = [getattr(item, values) for item in of]
        return float((max if most else min)(found)) if found else float("nan")

    ours, other = worst("white", own), worst("white", theirs)
    yield line(
        "white in the picture", "a star like the Sun is {:.2f} off white",
        "≤ 0.05, and less than STIFF", ours, other, ours <= 0.05 and ours < other,
    )  # fmt: skip
    ours, other = worst("order", own, most=False), worst("order", theirs, most=False)
    yield line(
        "order of hues", "rank correlation with B − V {:.3f}",
        "≥ 0.95, and no less than STIFF − 0.01", ours, other, ours >= 0.95 and ours >= other - 0.01,
    )  # fmt: skip
    ours, other = worst("full", own), worst("full", theirs)
    yield line(
        "clipped at white", "{:.2e} of the pixels", "no more than STIFF", ours, other,
        ours <= other,
    )  # fmt: skip
    ours, other = worst("black", own), worst("black", theirs)
    yield line(
        "clipped at black", "{:.2e} of the pixels", "≤ 0.01, and no more than STIFF", ours, other,
        ours <= 0.01 and ours <= other,
    )  # fmt: skip
    ours, other = worst("faint", own, most=False), worst("faint", theirs, most=False)
    yield line(
        "faint light", "{:.2f} of the picture's noise", "no less than STIFF", ours, other,
        ours >= other,
    )  # fmt: skip
    ours, other = worst("sky_color", own), worst("sky_color", theirs)
    yield line(
        "colour of noise", "{:.2f} of the noise of brightness", "≤ half of STIFF's", ours, other,
        ours <= other / 2,
    )  # fmt: skip


def _known(field: ColorField) -> KnownColors:
    return KnownColors(field.x, field.y, field.bv_mag, "B-V", "truth")


def _with_faint_patch(field: ColorField, seed: int) -> tuple[ColorField, NDArray[np.bool_]]:
    """A square of faint white light, away from the field's middle."""
    patch = np.zeros(next(iter(field.images.values())).shape, bool)
    patch[300:400, 40:180] = True
    white = {"R": 0.62, "G": 1.0, "B": 0.41}
    sigma_e = float(np.std(np.diff(field.images["G"][:20])) / np.sqrt(2))
    images = {
        name: (image + np.where(patch, _FAINT_SIGMA * sigma_e * white[name], 0)).astype(np.float32)
        for name, image in field.images.items()
    }
    return ColorField(images, field.x, field.y, field.bv_mag, field.ratio), patch


def shown(field: ColorField, patch: NDArray[np.bool_], stiff: Peer | None) -> Shown:
    """The picture, ours or STIFF's, as the eye gets it."""
    picture = (
        _by_stiff(field, stiff)
        if stiff
        else autostretch(compose(field.images, known=_known(field)).rgb)
    )
    values = picture.astype(np.float64)
    v, u = np.mgrid[: patch.shape[0], : patch.shape[1]]
    free = np.ones(patch.shape, bool)
    for x, y in zip(field.x, field.y, strict=True):
        free &= np.hypot(u - x, v - y) > 14
    sky = free & ~patch
    levels = np.median(values[:, sky], axis=1)
    light = np.array(
        [
            (values[:, round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]).mean(axis=(1, 2))
            for x, y in zip(field.x, field.y, strict=True)
        ]
    ) - levels  # fmt: skip
    grey = values.mean(axis=0)
    return Shown(
        white=max(_off_white(light[:, k] / light[:, 1], field.bv_mag) for k in (0, 2)),
        order=float(spearmanr(light[:, 0] / light[:, 2], field.bv_mag).statistic),
        black=float((values == 0).all(axis=0).mean()),
        full=float((values >= _FULL).any(axis=0).mean()),
        faint=float((np.median(grey[free & patch]) - np.median(grey[sky])) / _noise(grey[sky])),
        sky_color=_noise((values[0] - values[2])[sky]) / _noise(grey[sky]),
    )


def _off_white(ratio: NDArray[np.float64], bv_mag: NDArray[np.float64]) -> float:
    positive = ratio > 0
    _, at_sun, *_ = theilslopes(np.log(ratio[positive]), bv_mag[positive] - SUN_BV_MAG)
    return float(abs(np.expm1(at_sun)))


def _noise(values: NDArray[np.float64]) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) or 1e-9


def _by_stiff(field: ColorField, stiff: Peer) -> NDArray[np.uint16]:
    """STIFF's picture, (3, ny, nx), first row at the bottom."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for channel, image in field.images.items():
            fits.writeto(folder / f"{channel}.fits", image)
        inputs = [str(folder / f"{channel}.fits") for channel in "RGB"]
        target = folder / "stiff.tif"
        subprocess.run(
            [stiff.program, *inputs, "-OUTFILE_NAME", str(target), *_STIFF],
            check=True, capture_output=True, cwd=folder, timeout=60,
        )  # fmt: skip
        return np.moveaxis(tifffile.imread(target), -1, 0)[:, ::-1]
