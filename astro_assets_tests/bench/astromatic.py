"""SWarp's, STIFF's, Source Extractor's and astrometry.net's side of the bench.

What belongs here: their command lines. What does not: what is measured of them.
"""

from collections.abc import Sequence
from pathlib import Path

from astro_assets_tests.bench.measured import Cost, of_command

_COLUMNS = "NUMBER\nX_IMAGE\nY_IMAGE\nFLUX_AUTO\nFLUXERR_AUTO\nFWHM_IMAGE\nELONGATION\nFLAGS\n"
_FILTER = "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n"


def source_extractor(frame: Path, folder: Path) -> Cost:
    """Background, stars and their widths."""
    (folder / "bench.param").write_text(_COLUMNS, encoding="ascii")
    (folder / "bench.conv").write_text(_FILTER, encoding="ascii")
    options = {
        "CATALOG_NAME": "found.cat",
        "PARAMETERS_NAME": "bench.param",
        "FILTER_NAME": "bench.conv",
        "DETECT_THRESH": "5",
        "BACK_SIZE": "64",
        "VERBOSE_TYPE": "QUIET",
    }
    return of_command(["source-extractor", f"{frame}[0]", *_flags(options)], folder)


def solve_field(frame: Path, folder: Path, ra_deg: float, dec_deg: float, scale: float) -> Cost:
    """A plate solution with the hints that a header gives."""
    options = [
        "--ra", str(ra_deg), "--dec", str(dec_deg), "--radius", "2",
        "--scale-units", "arcsecperpix", "--scale-low", str(0.9 * scale),
        "--scale-high", str(1.1 * scale),
    ]  # fmt: skip
    quiet = ["--overwrite", "--no-plots", "--dir", str(folder)]
    return of_command(["solve-field", *quiet, *options, str(frame)], folder)


def swarp(frames: Sequence[Path], folder: Path) -> Cost:
    """Resampled with Lanczos-3 onto one grid and combined, clipped."""
    options = {
        "IMAGEOUT_NAME": "swarp.fits",
        "WEIGHTOUT_NAME": "swarp.weight.fits",
        "RESAMPLING_TYPE": "LANCZOS3",
        "COMBINE_TYPE": "CLIPPED",
        "SUBTRACT_BACK": "Y",
        "NTHREADS": "2",
        "VERBOSE_TYPE": "QUIET",
        "WRITE_XML": "N",
    }
    return of_command(["SWarp", *[f"{frame}[0]" for frame in frames], *_flags(options)], folder)


def stiff(stacks: Sequence[Path], folder: Path) -> Cost:
    """A colour TIFF of 16 bits from three stacks."""
    options = {
        "OUTFILE_NAME": "stiff.tif",
        "BITS_PER_CHANNEL": "16",
        "GAMMA": "2.2",
        "COLOUR_SAT": "1.5",
        "NTHREADS": "2",
        "VERBOSE_TYPE": "QUIET",
        "WRITE_XML": "N",
    }
    return of_command(["stiff", *[str(stack) for stack in stacks], *_flags(options)], folder)


def _flags(options: dict[str, str]) -> list[str]:
    return [word for key, value in options.items() for word in (f"-{key}", value)]
