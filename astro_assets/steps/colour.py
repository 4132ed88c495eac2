"""The colour picture of a stack or composite, from the filters that there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from astro_assets.imaging.color import CHANNELS, Composed, compose
from astro_assets.imaging.coverage import well_covered
from astro_assets.imaging.white_balance import KnownColors
from astro_assets.steps import pictures, provenance
from astro_assets.steps.credits import credits_of
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.star_colors import known_colors
from astro_assets.store import ImageFile, opened_fits

_AROUND_PX = 5


@dataclass(frozen=True, slots=True)
class Picture:
    """thumbnail_png, and what the asset says of the picture"""

    thumbnail_png: bytes
    figures: Mapping[str, int | float | str]
    remarks: tuple[str, ...] = field(default_factory=tuple)


def write_picture(
    folder: Path,
    title: str,
    index_folders: Iterable[Path] = (),
    gaia: GaiaClient | None = None,
) -> Picture:
    """Compose ``color.fits``, ``color.tif`` and ``color.png`` from the folder's images by filter.

    Parameters
    ----------
    index_folders : where index files with colours of stars may lie
    gaia : asked for colours where they tell none
    """
    files = {p.stem: p for p in sorted(folder.glob("*.fits")) if p.stem != "color"}
    images = {name: _read(path) for name, path in files.items()}
    rows, columns = _covered_by_all([file.planes["WEIGHT"] for file in images.values()])
    headers = {name: file.header for name, file in images.items()}
    wcs = WCS(next(iter(headers.values())), naxis=2)[rows, columns]
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    known = known_colors(wcs, shape, index_folders, gaia)
    composed = compose(
        {name: file.image[rows, columns] for name, file in images.items()},
        {name: file.mask[rows, columns] for name, file in images.items() if file.mask is not None},
        known if isinstance(known, KnownColors) else None,
        known if isinstance(known, str) else "",
    )
    used = [headers[name] for name in composed.mixture.filters]
    notes = {
        "Mixture": f"{composed.mixture.name}: {composed.mixture.reason}",
        "Filters": ", ".join(composed.mixture.filters),
        "White": _white(composed),
    }
    credit = credits_of(title, used, composed.mixture.channels, wcs, shape, notes)
    thumbnail = pictures.write_colour(folder, composed.rgb, _header(composed, used, wcs), credit)
    return Picture(
        thumbnail,
        {"colour_mixture": notes["Mixture"], "colour_white": notes["White"]},
        composed.remarks,
    )


def _header(composed: Composed, used: Sequence[fits.Header], wcs: WCS) -> fits.Header:
    mixture, white = composed.mixture, composed.balance
    header = wcs.to_header()
    header["WCSAXES"] = 2
    for keyword in ("OBJECT", "OBSERVER", "TELESCOP", "INSTRUME", "DATE-OBS"):
        if keyword in used[0]:
            header[keyword] = (used[0][keyword], used[0].comments[keyword])
    header["CTYPE3"] = "RGB"
    header["BUNIT"] = "electron"
    header["FILTERS"] = (",".join(mixture.channels), "in red, green, blue")
    header["AAMIX"] = (provenance.fits_text(mixture.name), "mixture of filters")
    if mixture.luminance is not None:
        header["AALUMIN"] = (provenance.fits_text(mixture.luminance), "filter of the brightness")
    if mixture.emission is not None:
        header["AAEMISS"] = (provenance.fits_text(mixture.emission[0]), "line added to red")
    header["AAWHITE"] = (white.white, "what is white")
    header["AAWHITEN"] = (white.n_stars, "stars that white rests on")
    for channel, factor in zip(CHANNELS, white.factors, strict=True):
        header[f"WB_{channel}"] = (factor, "factor of the channel")
    if composed.softened:
        header["AASOFT"] = (",".join(composed.softened), "channels made as sharp as the others")
    for sentence in (mixture.reason, f"white: {white.source}", *composed.remarks):
        provenance.note(header, provenance.fits_text(sentence))
    return header


def _white(composed: Composed) -> str:
    white = composed.balance
    stars = f", {white.n_stars} stars ± {100 * white.error:.1f} %" if white.n_stars else ""
    return f"{white.white}{stars} ({white.source})" if white.source else f"{white.white}{stars}"


def _read(path: Path) -> ImageFile:
    """A stack's image, mask and weight: what else it holds, a picture does not need."""
    with opened_fits(path) as hdus:
        image = np.ascontiguousarray(hdus[0].data, np.float32)
        weight = np.ascontiguousarray(hdus["WEIGHT"].data, np.float32)
        mask = np.ascontiguousarray(hdus["MASK"].data) if "MASK" in hdus else None
        return ImageFile(image, hdus[0].header.copy(), mask, {"WEIGHT": weight})


def _covered_by_all(depths: Sequence[NDArray[np.float32]]) -> tuple[slice, slice]:
    """Rows and columns of the part that has its depth in every filter: the noisy rim is left off.

    The stacks themselves keep it. Depths are means of a few pixels: those of a drizzled colour go
    up and down from pixel to pixel, and each colour's elsewhere.
    """
    shallowest = np.full(depths[0].shape, np.inf, np.float32)
    for depth in depths:
        covered = depth[depth > 0]
        usual = np.median(covered) if covered.size else np.float32(1)
        np.minimum(shallowest, uniform_filter(depth / usual, _AROUND_PX), out=shallowest)
    return well_covered(shallowest)
