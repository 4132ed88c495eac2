"""The colour picture of a stack or composite, from the filters that there are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_assets import __version__
from astro_assets.imaging.color import compose
from astro_assets.imaging.coverage import well_covered
from astro_assets.steps import pictures
from astro_assets.store import ImageFile, read_image


def write_picture(folder: Path, title: str) -> bytes:
    """Compose ``color.fits``, ``color.tif`` and ``color.png`` from the folder's images by filter.

    Returns a thumbnail.
    """
    files = {p.stem: p for p in sorted(folder.glob("*.fits")) if p.stem != "color"}
    images = {name: read_image(path) for name, path in files.items()}
    rows, columns = _covered_by_all(list(images.values()))
    composed = compose(
        {name: file.image[rows, columns] for name, file in images.items()},
        {name: file.mask[rows, columns] for name, file in images.items() if file.mask is not None},
    )
    first = next(iter(images.values())).header
    header = WCS(first)[rows, columns].to_header()
    header["OBJECT"] = first.get("OBJECT", "")
    header["CTYPE3"] = "RGB"
    header["BUNIT"] = "electron"
    header["FILTERS"] = (",".join(composed.filters), "in red, green, blue")
    for channel, factor in zip("RGB", composed.factors, strict=True):
        header[f"WB_{channel}"] = (factor, "factor that makes the average star white")
    exposure_s = float(np.sum([f.header.get("TOTALEXP", 0.0) for f in images.values()]))
    return pictures.write_colour(
        folder,
        composed.rgb,
        header,
        {
            "Title": title,
            "Filters": ", ".join(composed.filters),
            "Exposure": f"{exposure_s:.0f} s",
            "Date": str(first.get("DATE-OBS", "")),
            "Position": _position(first),
            "Software": f"astro-assets {__version__}",
        },
    )


def _covered_by_all(images: Sequence[ImageFile]) -> tuple[slice, slice]:
    """Rows and columns of the part that has its depth in every filter: the noisy rim is left off.

    The stacks themselves keep it.
    """
    depths = [file.planes["WEIGHT"] for file in images]
    usual = [np.median(depth[depth > 0]) if (depth > 0).any() else 1.0 for depth in depths]
    shallowest = np.min([d / u for d, u in zip(depths, usual, strict=True)], axis=0)
    return well_covered(shallowest.astype(np.float32))


def _position(header: fits.Header) -> str:
    return f"RA {header.get('CRVAL1', 0.0):.4f} Dec {header.get('CRVAL2', 0.0):+.4f} deg (ICRS)"
