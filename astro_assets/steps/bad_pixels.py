"""The bad-pixel map of a camera configuration, from its master dark and flat."""

from datetime import date

import numpy as np
from astropy.io import fits

from astro_assets.errors import NothingToDo
from astro_assets.imaging.bad_pixels import bad_pixel_map
from astro_assets.steps import pictures, provenance, versions
from astro_assets.steps.matching import MasterFile, masters
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, read_image, write_image


def make_bad_pixel_map(store: Store, source: str, camera: str) -> Summary:
    """Map the pixels of ``camera`` that no frame should trust.

    The newest of its longest darks and its newest flat serve.

    Raises
    ------
    NothingToDo : the camera has neither a master dark nor a master flat
    """
    own = [m for m in masters(store, source) if m.camera == camera]
    dark = max(
        (m for m in own if m.kind == "dark"),
        key=lambda m: (m.exposure_s, m.night),
        default=None,
    )
    flats = [m for m in own if m.kind == "flat" and (dark is None or m.shape == dark.shape)]
    flat = max(flats, key=lambda m: m.night, default=None)
    used = [m for m in (dark, flat) if m is not None]
    if not used:
        raise NothingToDo(f"{source}: {camera} has no master dark and no master flat yet")
    bayer = used[0].bayer_pattern is not None
    found = bad_pixel_map(dark=_image(dark), flat=_image(flat), bayer=bayer)
    digest = provenance.fingerprint(versions.BAD_PIXEL_MAP, *(m.digest for m in used))
    path = store.master(source, "bad_pixels", camera)
    write_image(
        path, ImageFile(image=found.astype(np.float32), header=_header(camera, used, digest))
    )
    bad = int(np.count_nonzero(found))
    return Summary(
        figures={
            "bad_pixels": bad,
            "bad_percent": round(100 * bad / found.size, 3),
            "bad_columns": int(np.count_nonzero((found != 0).mean(axis=0) > 0.5)),
            "from": ", ".join(m.path.stem for m in used),
        },
        digest=digest,
        path=path,
        picture_png=pictures.thumbnail(found.astype(np.float32)),
    )


def _image(master: MasterFile | None) -> np.ndarray | None:
    return None if master is None else read_image(master.path).image


def _header(camera: str, used: list[MasterFile], digest: str) -> fits.Header:
    header = fits.Header()
    header["IMAGETYP"] = "Bad Pixel Map"
    header["AAKIND"] = "bad_pixels"
    header["AACAMERA"] = (camera, "camera configuration")
    header["AANIGHT"] = (max((m.night for m in used), default=date.min).isoformat(), "newest input")
    if used and used[0].bayer_pattern:
        header["BAYERPAT"] = used[0].bayer_pattern
    for number, master in enumerate(used, start=1):
        header[f"AAUSE{number}"] = f"{master.path.stem} {master.digest}"
    provenance.stamp(header, "bad_pixel_map", digest)
    return header
