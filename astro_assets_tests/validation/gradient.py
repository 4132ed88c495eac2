"""Gradients: what is left of an injected slope, and of an injected nebula.

The references take the sky off as it is usually done for finding stars. They show how much of a
nebula that costs, whatever the mesh.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from numpy.typing import NDArray
from photutils.background import Background2D

from astro_assets.imaging.gradient import find_gradient, without_gradient
from astro_assets_tests.imaging.slopes import SlopedSky, sloped_sky
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import peer

Picture = NDArray[np.float32]
_ROW = "Background, gradient"
_SLOPE_LEFT, _NEBULA_LOST = 0.03, 0.02
_MESH_PX = 64


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Against the truth, planes and bends; beside three other tools' sky subtraction."""
    shape = (720, 960) if len(seeds) > 1 else (480, 640)
    many = f"{len(seeds)} seeds"
    for order, what in ((1, "plane"), (2, "bent surface")):
        skies = [sloped_sky(seed, order=order, shape=shape) for seed in seeds]
        left, lost = _worst(skies, lambda sky, order=order: _ours(sky, order))  # type: ignore[misc]
        yield Line(
            _ROW,
            f"a {what} of 60 e⁻ under a nebula of 80 e⁻ on 30 % of the frame, stars; {many}",
            "truth",
            "–",
            f"{100 * left:.1f} % of the slope left, {100 * lost:.2f} % of the nebula's flux off",
            f"≤ {100 * _SLOPE_LEFT:g} %, ≤ {100 * _NEBULA_LOST:g} %",
            left <= _SLOPE_LEFT and lost <= _NEBULA_LOST,
        )
    yield from _beside_others(skies, lost, many)


def _beside_others(skies: Sequence[SlopedSky], ours: float, many: str) -> Iterator[Line]:
    swarp = peer("SWarp")
    tools: list[tuple[str, Callable[[SlopedSky], Picture] | None]] = [
        (f"sep {version('sep')}, mesh {_MESH_PX} px", _sep),
        (f"photutils {version('photutils')}, mesh {_MESH_PX} px", _photutils),
        (
            f"{swarp.name}, BACK_SIZE 128 px" if swarp else "SWarp (not installed)",
            (lambda sky: _swarp(sky, swarp.program)) if swarp else None,
        ),
    ]
    for name, clean in tools:
        theirs = _worst(skies, clean)[1] if clean else None
        yield Line(
            _ROW,
            f"the bent surfaces above; {many}",
            name,
            "–" if theirs is None else f"{100 * theirs:.1f} % of the nebula's flux off",
            f"{100 * ours:.2f} %",
            "no more than the reference",
            None if theirs is None else ours <= theirs,
        )


def _worst(
    skies: Sequence[SlopedSky], clean: Callable[[SlopedSky], Picture]
) -> tuple[float, float]:
    """The largest share of a slope that is left, and of a nebula's flux that is lost or made."""
    pictures = [(sky, clean(sky)) for sky in skies]
    return (
        max(sky.left(picture) for sky, picture in pictures),
        max(abs(sky.kept(picture) - 1) for sky, picture in pictures),
    )


def _ours(sky: SlopedSky, order: int) -> Picture:
    return without_gradient(sky.image, find_gradient(sky.image, sky.mask, order))


def _sep(sky: SlopedSky) -> Picture:
    mesh = sep.Background(sky.image, bw=_MESH_PX, bh=_MESH_PX)
    return np.asarray(sky.image - mesh.back(dtype=np.float32))


def _photutils(sky: SlopedSky) -> Picture:
    mesh = Background2D(sky.image, _MESH_PX, filter_size=3)
    return np.asarray(sky.image - mesh.background, dtype=np.float32)


def _swarp(sky: SlopedSky, program: str) -> Picture:
    """Its background subtraction alone: no resampling."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ny, nx = sky.image.shape
        header = fits.Header()
        for keyword, value in {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 40.0,
            "CRPIX1": (nx + 1) / 2, "CRPIX2": (ny + 1) / 2, "CD1_1": -5e-4, "CD1_2": 0.0,
            "CD2_1": 0.0, "CD2_2": 5e-4,
        }.items():  # fmt: skip
            header[keyword] = value
        fits.writeto(folder / "sky.fits", sky.image, header)
        options = {
            "RESAMPLE": "N", "COMBINE": "Y", "SUBTRACT_BACK": "Y", "BACK_SIZE": "128",
            "IMAGE_SIZE": f"{nx},{ny}", "IMAGEOUT_NAME": "out.fits", "WRITE_XML": "N",
            "WEIGHTOUT_NAME": "weight.fits", "VERBOSE_TYPE": "QUIET", "NTHREADS": "1",
        }  # fmt: skip
        words = [f"-{key}={value}" for key, value in options.items()]
        pairs = [part for word in words for part in word.split("=", 1)]
        subprocess.run(
            [program, "sky.fits", *pairs], cwd=folder, check=True, capture_output=True, timeout=120
        )
        return np.asarray(fits.getdata(folder / "out.fits"), dtype=np.float32)
