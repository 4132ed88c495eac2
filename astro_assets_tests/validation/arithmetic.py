"""Image arithmetic against plain numpy, and against ccdproc for units, masks and errors."""

import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import ccdproc
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit
from astro_assets.steps.arithmetic import arithmetic
from astro_assets_tests.validation.line import Line

_ROW = "Image arithmetic"
_SHAPE = (300, 400)
_NUMPY = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide}
_ROUNDING = 1.2e-7
"""half a step of float32, relative"""


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Files of whole numbers through numpy; frames with unit, mask and variance through ccdproc."""
    with tempfile.TemporaryDirectory() as folder:
        yield _against_numpy(Path(folder), seeds)
        yield _against_ccdproc(Path(folder), seeds)


def _against_numpy(folder: Path, seeds: Sequence[int]) -> Line:
    worst, masked = 0.0, True
    for seed in seeds:
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 65536, _SHAPE).astype(np.uint16)
        b = rng.integers(-3, 4, _SHAPE).astype(np.int16)
        for name, values in (("a", a), ("b", b)):
            fits.PrimaryHDU(values).writeto(folder / f"{name}.fits", overwrite=True)
        for operation, formula in _NUMPY.items():
            image, mask = _ours(folder, operation)
            with np.errstate(divide="ignore", invalid="ignore"):
                expected = formula(a.astype(np.float64), b.astype(np.float64))
            none = (b == 0) if operation == "DIV" else np.zeros(_SHAPE, bool)
            masked &= bool(((mask & MaskBit.NO_DATA) != 0).tolist() == none.tolist())
            worst = max(worst, _off(image[~none], expected[~none]))
    return Line(
        row=_ROW,
        data="16-bit images with BZERO, ADD, SUB, MUL, DIV, one divisor in seven 0",
        reference=f"numpy {np.__version__}",
        reference_figure="–",
        ours=f"off by {worst:.1g}; zeros masked: {'all' if masked else 'not all'}",
        required="float32 rounding; zeros masked",
        holds=worst <= _ROUNDING and masked,
    )


def _against_ccdproc(folder: Path, seeds: Sequence[int]) -> Line:
    worst, alike = 0.0, True
    for seed in seeds:
        rng = np.random.default_rng(seed)
        frames = [_frame(rng, level) for level in (900.0, 35.0)]
        for name, frame in zip("ab", frames, strict=True):
            _write(folder / f"{name}.fits", frame)
        for operation, theirs in (
            ("SUB", ccdproc.subtract_bias(*frames)),
            ("DIV", frames[0].divide(frames[1])),
            ("MUL", frames[0].multiply(frames[1])),
        ):
            image, mask = _ours(folder, operation)
            with fits.open(folder / "out.fits") as hdus:
                variance = hdus["VARIANCE"].data
                unit = hdus[0].header.get("BUNIT", "")
            good = ~np.asarray(frames[0].mask | frames[1].mask)
            alike &= bool(((mask == 0) == good).all()) and unit == str(theirs.unit)
            worst = max(
                worst,
                _off(image[good], theirs.data[good]),
                _off(variance[good], theirs.uncertainty.array[good]),
            )
    return Line(
        row=_ROW,
        data="frames in adu with mask and variance, SUB, DIV, MUL",
        reference=f"ccdproc {version('ccdproc')}",
        reference_figure="–",
        ours=f"off by {worst:.1g}; units and masks {'equal' if alike else 'differ'}",
        required="float32 rounding; equal",
        holds=worst <= _ROUNDING and alike,
    )


def _ours(folder: Path, operation: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    out = folder / "out.fits"
    arithmetic(str(folder / "a.fits"), operation, str(folder / "b.fits"), out, replace=True)
    with fits.open(out) as hdus:
        names = [hdu.name for hdu in hdus]
        mask = hdus["MASK"].data if "MASK" in names else np.zeros(_SHAPE, np.uint8)
        return np.array(hdus[0].data), np.array(mask)


def _frame(rng: np.random.Generator, level: float) -> CCDData:
    # Values that float32 holds, in float64: the rounding is then ours alone.
    data = rng.normal(level, 3, _SHAPE).astype(np.float32).astype(np.float64)
    variance = rng.uniform(1, 9, _SHAPE).astype(np.float32).astype(np.float64)
    mask = rng.random(_SHAPE) < 0.01
    return CCDData(data, unit="adu", mask=mask, uncertainty=VarianceUncertainty(variance))


def _write(path: Path, frame: CCDData) -> None:
    fits.HDUList(
        [
            fits.PrimaryHDU(frame.data.astype(np.float32), fits.Header({"BUNIT": "adu"})),
            fits.ImageHDU(np.where(frame.mask, np.uint8(MaskBit.BAD), np.uint8(0)), name="MASK"),
            fits.ImageHDU(frame.uncertainty.array.astype(np.float32), name="VARIANCE"),
        ]
    ).writeto(path, overwrite=True)


def _off(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1)))
