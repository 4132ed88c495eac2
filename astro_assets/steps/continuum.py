"""A stack's or composite's narrow bands without their continuum: the line alone, as a product.

What belongs here: which images, the files, what is told of them. What does not: the subtraction
(`imaging.continuum`), which band holds which line's continuum (`imaging.filters`).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.errors import Unusable
from astro_assets.formats.picture_files import write_png
from astro_assets.imaging.continuum import Band, LineEmission, line_emission
from astro_assets.imaging.filters import CONTINUUM, by_band, continuum_of
from astro_assets.imaging.stretch import autostretch, to_uint8
from astro_assets.steps import pictures, provenance
from astro_assets.steps.credits import credits_of
from astro_assets.steps.inventory import LINES_FOLDER
from astro_assets.store import ImageFile, read_image, whole_file, write_image


@dataclass(frozen=True, slots=True)
class Lines:
    """figures : for each narrow band what was done, or why not; pictures_png : thumbnails"""

    figures: Mapping[str, float | str] = field(default_factory=dict)
    pictures_png: Mapping[str, bytes] = field(default_factory=dict)


def write_lines(folder: Path, title: str, digest: str) -> Lines:
    """Take the continuum out of each narrow band of a stack or composite: ``<filter>.fits`` and
    ``<filter>.png`` in the folder of lines below its folder.

    What an earlier run left is taken away first, so that nothing stale remains where it can no
    longer be done.
    """
    shutil.rmtree(folder / LINES_FOLDER, ignore_errors=True)
    bands = by_band(path.stem for path in sorted(folder.glob("*.fits")) if path.stem != "color")
    figures: dict[str, float | str] = {}
    thumbnails: dict[str, bytes] = {}
    for line in (band for band in CONTINUUM if band in bands):
        name = bands[line]
        broad = continuum_of(line, bands)
        if broad is None:
            *most, last = CONTINUUM[line]
            wanted = f"{', '.join(most)} or {last}"
            figures[f"line_{name}"] = f"not made: its continuum takes a stack in {wanted}"
            continue
        files = {band: read_image(folder / f"{bands[band]}.fits") for band in (line, broad)}
        try:
            result = line_emission(
                _band(files[line]), _band(files[broad]), _line_share(files[line], files[broad])
            )
        except Unusable as error:
            figures[f"line_{name}"] = f"not made. {error}"
            continue
        header = _header(files[line].header, result, bands[broad], digest)
        thumbnails[f"line_{name}"] = _write(folder / LINES_FOLDER, name, title, result, header)
        figures[f"line_{name}"] = _told(result, bands[broad])
    return Lines(figures, thumbnails)


def _band(file: ImageFile) -> Band:
    mask = file.mask if file.mask is not None else np.zeros(file.image.shape, np.uint8)
    return Band(file.image, mask, np.asarray(file.planes["WEIGHT"], np.float32))


def _line_share(narrow: ImageFile, broad: ImageFile) -> float:
    """The line's light in the broad band over the narrow one's: both let it pass alike."""
    exposures = [float(file.header.get("EXPTIME") or 0.0) for file in (broad, narrow)]
    return exposures[0] / exposures[1] if min(exposures) > 0 else 0.0


def _header(narrow: fits.Header, result: LineEmission, broad: str, digest: str) -> fits.Header:
    header = WCS(narrow, naxis=2).to_header()
    for keyword in (
        *("OBJECT", "FILTER", "BUNIT", "EXPTIME", "TOTALEXP", "DATE-OBS"),
        *("OBSERVER", "TELESCOP", "INSTRUME", "MAGZP"),
    ):
        if keyword in narrow:
            header[keyword] = (narrow[keyword], narrow.comments[keyword])
    header["AACONT"] = (provenance.fits_text(broad), "band whose continuum was taken off")
    header["AACSCALE"] = (result.scale.value, "factor of that band")
    header["AACSERR"] = (result.scale.error, "error of the factor")
    header["AACSTARS"] = (result.scale.n_stars, "stars that the factor rests on")
    header["AACKEPT"] = (result.kept, "share of the line left by the difference")
    header["AACCONV"] = (",".join(result.convolved) or "none", "bands made less sharp")
    weight = result.weight[result.weight > 0]
    if weight.size:
        header["BKGNOISE"] = (float(1 / np.sqrt(np.median(weight))), "[e-] noise of the background")
    header["BKGLEVEL"] = (0.0, "[e-] level of the background")
    provenance.stamp(header, "line emission", digest)
    return header


def _write(folder: Path, name: str, title: str, result: LineEmission, header: fits.Header) -> bytes:
    write_image(
        folder / f"{name}.fits",
        ImageFile(result.image, header, mask=result.mask, planes={"WEIGHT": result.weight}),
    )
    grey = to_uint8(autostretch(np.stack([result.image] * 3)))
    credit = credits_of(
        f"{title}, {name} without continuum", [header], (name, name, name), WCS(header),
        result.image.shape, {"Continuum": _told(result, header["AACONT"])},
    )  # fmt: skip
    with whole_file(folder / f"{name}.png") as part:
        write_png(part, grey, credit.texts, credit.xmp)
    return pictures.thumbnail(result.image)


def _told(result: LineEmission, broad: str) -> str:
    matched = f", {' and '.join(result.convolved)} made less sharp" if result.convolved else ""
    return (
        f"less {result.scale.value:.4g} ± {result.scale.error:.2g} × {broad}, from "
        f"{result.scale.n_stars} stars{matched}"
    )
