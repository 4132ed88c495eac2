"""The colour picture of a stack or composite, from the filters that there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.imaging.color import CHANNELS, Composed, compose
from astro_assets.imaging.coverage import well_covered
from astro_assets.imaging.mixture import mixture_of
from astro_assets.imaging.white_balance import KnownColors
from astro_assets.steps import pictures, provenance
from astro_assets.steps.credits import credits_of
from astro_assets.steps.frame_rows import IMAGE, MASK, WEIGHT
from astro_assets.steps.gaia import GaiaClient
from astro_assets.steps.stack_planes import StackPlanes, stack_planes
from astro_assets.steps.star_colors import known_colors

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
    paths = {p.stem: p for p in sorted(folder.glob("*.fits")) if p.stem != "color"}
    mixture = mixture_of(paths)
    files = {name: stack_planes(paths[name]) for name in mixture.filters}
    headers = {name: fits.getheader(paths[name]) for name in files}
    rows, columns = _covered_by_all(list(files.values()))
    wcs = WCS(next(iter(headers.values())), naxis=2)[rows, columns]
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    known = known_colors(wcs, shape, index_folders, gaia)
    found = {name: file.stars(rows, columns) for name, file in files.items()}
    # One array for what is read and what becomes of it, where nothing is read twice.
    in_place = len(set(mixture.channels) - {""}) == 3 and mixture.emission is None
    rgb = np.empty((3, *shape), np.float32) if in_place else None
    places = {} if rgb is None else dict(zip(mixture.channels, rgb, strict=True))
    composed = compose(
        {name: file.part(IMAGE, rows, columns, places.get(name)) for name, file in files.items()},
        {name: file.part(MASK, rows, columns) for name, file in files.items() if file.has_mask},
        known if isinstance(known, KnownColors) else None,
        known if isinstance(known, str) else "",
        {name: stars for name, stars in found.items() if stars is not None},
        rgb,
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


def _covered_by_all(files: Sequence[StackPlanes]) -> tuple[slice, slice]:
    """Rows and columns of the part that has its depth in every filter: the noisy rim is left off.

    The stacks themselves keep it. Depths are means of a few pixels: those of a drizzled colour go
    up and down from pixel to pixel, and each colour's elsewhere.
    """
    shape = files[0].shape
    side = min(_AROUND_PX, *shape)
    shallowest = np.full((shape[0] // side, shape[1] // side), np.inf, np.float32)
    for file in files:
        depth = file.means(WEIGHT, side)
        covered = depth[depth > 0]
        usual = np.median(covered) if covered.size else np.float32(1)
        np.minimum(shallowest, depth / usual, out=shallowest)
    return well_covered(shallowest, (side, side), shape)
