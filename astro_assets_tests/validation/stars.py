"""Stars: widths, fluxes and their errors, completeness, tilt and curvature; beside other tools.

What belongs here: figures of `imaging.stars` and `imaging.psf_field` on drawn fields. What does
not: magnitudes (`photometry`), verdicts (`quality`).
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from numpy.typing import NDArray
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.detection import DAOStarFinder

from astro_assets.imaging.bayer import luminance
from astro_assets.imaging.psf_field import psf_field
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets_tests.imaging.star_field import Field, draw, pair, recorded_fwhm, scatter
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import peer

_ROW = "Stars"
_SHAPE = (700, 900)
_COUNT = 150
_TRUTH = "truth"
_NONE = "–"
_SEX_COLUMNS = "X_IMAGE\nY_IMAGE\nFLUX_AUTO\n"


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Against truth, then beside photutils and source-extractor."""
    yield from _widths(seeds)
    yield from _errors(seeds)
    yield _field(seeds)
    yield from _peers(seeds)


def _drawn(seed: int, *, low: float = 2.8, **how: float) -> Field:
    x, y = scatter(_COUNT, seed=seed, shape=_SHAPE, apart_px=30)
    flux_e = 10 ** np.random.default_rng(seed + 100).uniform(low, 5.3, _COUNT)
    return draw(x, y, flux_e, seed=seed, shape=_SHAPE, **how)  # type: ignore[arg-type]


def _matched(stars: pd.DataFrame, field: Field) -> pd.DataFrame:
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), field.x, field.y)
    return stars.iloc[i].assign(true_e=field.flux_e[j])


def _widths(seeds: Sequence[int]) -> Iterator[Line]:
    every = (1.5, 2.0, 3.0, 4.5, 6.0) if len(seeds) > 1 else (1.5, 4.5)
    for fwhm_px in every:
        truth = recorded_fwhm(fwhm_px)
        off = [
            seeing(find_stars(f.image, f.mask))[0] / truth - 1
            for f in (_drawn(seed, fwhm_px=fwhm_px) for seed in seeds)
        ]
        worst = max(off, key=abs)
        yield Line(
            _ROW, f"Moffat stars of FWHM {fwhm_px} px, {truth:.2f} as recorded", _TRUTH, _NONE,
            f"FWHM {100 * worst:+.2f} %", "within 2 %", abs(worst) <= 0.02,
        )  # fmt: skip
    for elongation in (1.3, 2.0) if len(seeds) > 1 else (2.0,):
        yield _axes(seeds, elongation)


def _axes(seeds: Sequence[int], elongation: float) -> Line:
    truth = [recorded_fwhm(3.0 * elongation**sign) for sign in (0.5, -0.5)]
    off, turned = [], []
    for seed in seeds:
        field = _drawn(seed, elongation=elongation, angle_deg=30.0)
        stars = _matched(find_stars(field.image, field.mask), field)
        clear = stars[stars["snr"] > 50]
        for column, true_px in zip(("fwhm_major_px", "fwhm_minor_px"), truth, strict=True):
            off.append(float(clear[column].median()) / true_px - 1)
        turned.append(float(clear["angle_deg"].median()) - 30)
    worst, angle = max(off, key=abs), max(turned, key=abs)
    return Line(
        _ROW, f"stars {elongation} times as long as wide, at 30°", _TRUTH, _NONE,
        f"axes {100 * worst:+.2f} %, angle {angle:+.1f}°", "2 %, 2°",
        abs(worst) <= 0.02 and abs(angle) <= 2,
    )  # fmt: skip


def _errors(seeds: Sequence[int]) -> Iterator[Line]:
    """All seeds together: the scatter of (flux - truth) / error."""
    for name in ("mono", "Bayer"):
        pulls: list[float] = []
        for seed in seeds if len(seeds) > 1 else (1, 2, 3):
            field = _drawn(seed, low=3.2)
            image, mask = field.image, field.mask
            if name == "Bayer":
                image, mask = luminance(image, mask, "RGGB")
            stars = _matched(find_stars(image, mask), field)
            some = stars[stars["snr"].between(10, 100)]
            pulls += list((some["flux_e"] - some["true_e"]) / some["flux_err_e"])
        spread = float(np.std(pulls))
        yield Line(
            _ROW, f"{len(pulls)} {name} stars of S/N 10 to 100", _TRUTH, _NONE,
            f"flux errors: pulls scatter by {spread:.3f}", "1 ± 0.1", abs(spread - 1) <= 0.1,
        )  # fmt: skip


def _field(seeds: Sequence[int]) -> Line:
    ny, nx = _SHAPE
    half = np.hypot(nx, ny) / 2
    off = []
    for seed in seeds:
        x, y = scatter(_COUNT, seed=seed, shape=_SHAPE, apart_px=30)
        u, v = (x - (nx - 1) / 2) / half, (y - (ny - 1) / 2) / half
        fwhm_px = 4 * (1 + 0.12 * u - 0.09 * v + 0.2 * (u**2 + v**2))
        field = draw(x, y, np.full(_COUNT, 5e4), seed=seed, shape=_SHAPE, fwhm_px=fwhm_px)
        found = psf_field(find_stars(field.image, field.mask), _SHAPE)
        recorded = (recorded_fwhm(4.8) - recorded_fwhm(4)) / recorded_fwhm(4) / 0.2
        tilt = 2 * (0.12 * nx + 0.09 * ny) / (2 * half)
        off += [found.curvature - 0.2 * recorded, found.tilt - tilt * recorded]
    worst = max(off, key=abs)
    return Line(
        _ROW, "FWHM rising by 20 % to the corners, and by 32 % across", _TRUTH, _NONE,
        f"tilt and curvature {100 * worst:+.1f} % of the FWHM", "within 2 %", abs(worst) <= 0.02,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """What one tool finds: of the true stars, beside them, and how far its fluxes are off."""

    share: float
    false: float
    off: float


def _judged(x: NDArray[np.float64], y: NDArray[np.float64], flux: NDArray[np.float64],
            field: Field, clear: NDArray[np.bool_]) -> _Found:  # fmt: skip
    i, j = pair(x, y, field.x, field.y)
    seen = np.isin(np.arange(len(field.x)), j)
    bright = field.flux_e[j] > 2e4
    ratio = flux[i][bright] / field.flux_e[j][bright]
    return _Found(
        float(seen[clear].mean()),
        float(len(x) - len(i)),
        float(np.sqrt(np.mean((ratio - 1) ** 2))),
    )


def _peers(seeds: Sequence[int]) -> Iterator[Line]:
    tools = {"ours": _ours, f"photutils {version('photutils')}": _photutils}
    extractor = peer("source-extractor")
    if extractor is not None:
        tools[extractor.name] = _source_extractor
    found: dict[str, list[_Found]] = {name: [] for name in tools}
    for seed in seeds:
        field = _drawn(seed, low=2.6)
        clear = field.flux_e / np.sqrt(field.flux_e + 225 * np.pi * 3.8**2) > 10
        for name, tool in tools.items():
            found[name].append(_judged(*tool(field), field, clear))
    mean = {name: _mean(each) for name, each in found.items()}
    ours = mean.pop("ours")
    for name, theirs in mean.items():
        yield Line(
            _ROW, "stars of S/N above 10, of those drawn; found where none is", name,
            f"{100 * theirs.share:.1f} %, {theirs.false:.1f} false",
            f"{100 * ours.share:.1f} %, {ours.false:.1f} false", "no worse",
            ours.share >= theirs.share - 0.005 and ours.false <= theirs.false + 0.5,
        )  # fmt: skip
        yield Line(
            _ROW, "fluxes of bright stars, RMS from the truth", name, f"{100 * theirs.off:.2f} %",
            f"{100 * ours.off:.2f} %", "no worse", ours.off <= theirs.off,
        )  # fmt: skip
    if extractor is None:
        yield Line(
            _ROW, "the same", "source-extractor: not installed", _NONE, _NONE, "no worse", None
        )


def _mean(found: Sequence[_Found]) -> _Found:
    return _Found(*(float(np.mean([getattr(f, name) for f in found])) for name in
                    ("share", "false", "off")))  # fmt: skip


_Stars = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _ours(field: Field) -> _Stars:
    stars = find_stars(field.image, field.mask)
    return tuple(stars[name].to_numpy() for name in ("x", "y", "flux_e"))  # type: ignore[return-value]


def _photutils(field: Field) -> _Stars:
    _, median, sigma = sigma_clipped_stats(field.image, sigma=3.0)
    table = DAOStarFinder(threshold=5 * sigma, fwhm=3.0)(field.image - median)
    x, y = np.asarray(table["x_centroid"]), np.asarray(table["y_centroid"])
    sums = aperture_photometry(field.image - median, CircularAperture(np.transpose([x, y]), r=7.5))
    return x, y, np.asarray(sums["aperture_sum"])


def _source_extractor(field: Field) -> _Stars:
    """With the filter that comes with it, and its own defaults besides."""
    program = peer("source-extractor")
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        fits.writeto(here / "image.fits", field.image)
        (here / "columns").write_text(_SEX_COLUMNS, encoding="utf-8")
        (here / "filter").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n", encoding="utf-8")
        options = {
            "PARAMETERS_NAME": "columns", "FILTER_NAME": "filter", "CATALOG_TYPE": "FITS_1.0",
            "CATALOG_NAME": "found.fits", "VERBOSE_TYPE": "QUIET", "DETECT_THRESH": "1.5",
            "ANALYSIS_THRESH": "1.5", "DETECT_MINAREA": "5", "SATUR_LEVEL": "1e9",
            "BACK_SIZE": "64", "STARNNW_NAME": "none", "PHOT_AUTOPARAMS": "2.5,3.5",
        }  # fmt: skip
        command = [program.program, "image.fits", "-c", "/dev/null"]
        command += [word for key, value in options.items() for word in (f"-{key}", value)]
        subprocess.run(command, cwd=here, check=True, capture_output=True, timeout=60)
        found = fits.getdata(here / "found.fits", 1)
        columns = [np.array(found[name], np.float64) for name in _SEX_COLUMNS.split()]
    return columns[0] - 1, columns[1] - 1, columns[2]
