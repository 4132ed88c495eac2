"""The bad-pixel map of a camera configuration, from its masters, its darks and its owner's list.

What belongs here: which files serve, and what is written. What does not: finding bad pixels
(`imaging`), the list's file (`bad_list_file`).
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.bad_list import as_list, as_mask
from astro_assets.imaging.bad_pixels import ENOUGH_DARKS, bad_pixel_map
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.mask import MaskBit
from astro_assets.steps import pictures, provenance
from astro_assets.steps.bad_list_file import read_bad_list, write_bad_list
from astro_assets.steps.bad_pixel_inputs import CHAIN, MapInputs, chain, map_inputs
from astro_assets.steps.inputs import raw_frames
from astro_assets.steps.masters import set_of
from astro_assets.steps.matching import EXPOSURE_TOLERANCE, MasterFile
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.scratch import put_aside
from astro_assets.steps.sets import Input, open_all
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, make_folder, read_image, write_image

_FOUND = (255, 170, 60)
_LISTED = (80, 160, 255)
_BOTH = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class _Own:
    """The owner's list as pixels; ``remarks`` tell what of it was not used."""

    mask: NDArray[np.bool_]
    remarks: tuple[str, ...]


def make_bad_pixel_map(
    store: Store, source: str, camera: str, recipe: Recipe | None = None
) -> Summary:
    """Map the pixels of ``camera`` that no frame should trust.

    The newest of its longest darks and its newest flat serve, and the raw darks of the former for
    pixels that jump; what the owner lists is added. Beside the map stands what was found, as such
    a list.

    Raises
    ------
    NothingToDo : the camera has neither a master dark nor a master flat, nor a list with any
        master that tells the camera's size
    BrokenFile : the owner's list cannot be read
    """
    inputs = map_inputs(store, source).get(camera)
    if inputs is None:
        raise NothingToDo(f"{source}: {camera} has no master dark and no master flat yet")
    path = store.master(source, "bad_pixels", camera)
    make_folder(path.parent)
    used = inputs.used
    shape = (used or inputs.others)[-1].shape
    listed = _owners(inputs.own, shape)
    found = np.zeros(shape, np.uint8)
    if used:
        with tempfile.TemporaryDirectory(prefix=".darks-", dir=path.parent) as aside:
            found = bad_pixel_map(
                dark=_image(inputs.dark),
                flat=_image(inputs.flat),
                darks=_single_darks(store, source, inputs, recipe or Recipe(), Path(aside)),
                bayer=used[0].bayer_pattern is not None,
            )
    bits = found | np.where(listed.mask, np.uint8(MaskBit.USER), np.uint8(0))
    write_bad_list(
        path.with_suffix(".found.yaml"),
        as_list(found != 0),
        (
            f"What was found on {', '.join(m.path.stem for m in used) or 'nothing'}: in the map.",
            "What is missing goes into a file of this form, numbers from 1, ends included:",
            str(store.user_bad_pixels(source, camera)),
        ),
    )
    header = _header(camera, used or inputs.others[-1:], inputs.state, chain(path, inputs.state))
    write_image(path, ImageFile(image=bits.astype(np.float32), header=header))
    figures = _figures(bits)
    figures["from"] = ", ".join(m.path.stem for m in used) or "the list alone"
    return Summary(
        figures=figures,
        digest=inputs.state,
        path=path,
        picture_png=_picture(bits),
        remarks=listed.remarks,
    )


def _owners(path: Path | None, shape: tuple[int, int]) -> _Own:
    if path is None:
        return _Own(np.zeros(shape, bool), ())
    read = read_bad_list(path)
    mask, outside = as_mask(read.listed, shape)
    remarks = tuple(f"{path}: {clause}: correct it" for clause in (*read.unusable, *outside))
    return _Own(mask, remarks)


def _single_darks(
    store: Store, source: str, inputs: MapInputs, recipe: Recipe, aside: Path
) -> list[Rows]:
    """The raw darks of a master; where there are too few, the masters of its exposure time.

    aside : a folder for pixels that cannot be read row by row where they lie
    """
    dark = inputs.dark
    if dark is None:
        return []
    raws = raw_frames(store, source, set_of(dark.path))
    if len(raws) < ENOUGH_DARKS:
        return [
            put_aside(aside / f"{number}.pixels", read_image(other.path).image)
            for number, other in enumerate((dark, *inputs.others))
            if (other.kind, other.shape, other.exposure_s, other.bias_subtracted)
            == (dark.kind, dark.shape, dark.exposure_s, dark.bias_subtracted)
        ]
    opened, _ = open_all(raws, recipe, aside)  # of those that cannot be, the master's run has told
    return [one.rows for one in opened if _is_like(one, dark)]


def _is_like(one: Input, dark: MasterFile) -> bool:
    """Whether a frame of the set went into this master of it."""
    frame = one.frame
    seconds = math.isclose(frame.exposure_s or 0.0, dark.exposure_s, rel_tol=EXPOSURE_TOLERANCE)
    return tuple(one.rows.shape) == dark.shape and frame.camera == dark.camera and seconds


def _image(master: MasterFile | None) -> NDArray[np.float32] | None:
    return None if master is None else read_image(master.path).image


def _figures(bits: NDArray[np.uint8]) -> dict[str, int | float | str]:
    bad = int(np.count_nonzero(bits))
    return {
        "bad_pixels": bad,
        "bad_percent": round(100 * bad / bits.size, 3),
        "bad_columns": int(np.count_nonzero((bits != 0).mean(axis=0) > 0.5)),
        "bad_rows": int(np.count_nonzero((bits != 0).mean(axis=1) > 0.5)),
        "listed_by_the_user": int(np.count_nonzero(bits & MaskBit.USER)),
    }


def _picture(bits: NDArray[np.uint8]) -> bytes:
    """Orange what was found, blue what is listed, white what is both; single pixels show, too."""
    step = max(1, max(bits.shape) // pictures.THUMBNAIL_PX)
    pad = tuple((0, -side % step) for side in bits.shape)
    ny, nx = (-(-side // step) for side in bits.shape)
    small = np.bitwise_or.reduce(
        np.bitwise_or.reduce(np.pad(bits, pad).reshape(ny, step, nx, step), axis=3), axis=1
    )
    rgb = np.zeros((3, ny, nx), np.uint8)
    for bit, colour in (
        (MaskBit.BAD, _FOUND),
        (MaskBit.USER, _LISTED),
        (MaskBit.BAD | MaskBit.USER, _BOTH),
    ):
        rgb[:, small == bit] = np.array(colour, np.uint8)[:, np.newaxis]
    return pictures.encoded(rgb)


def _header(camera: str, used: Sequence[MasterFile], state: str, chained: str) -> fits.Header:
    header = fits.Header()
    header["IMAGETYP"] = "Bad Pixel Map"
    header["AAKIND"] = "bad_pixels"
    header["AACAMERA"] = (camera, "camera configuration")
    header["AANIGHT"] = (max((m.night for m in used), default=date.min).isoformat(), "newest input")
    if used and used[0].bayer_pattern:
        header["BAYERPAT"] = used[0].bayer_pattern
    for number, master in enumerate(used, start=1):
        header[f"AAUSE{number}"] = f"{master.path.stem} {master.digest}"
    provenance.stamp(header, "bad_pixel_map", state)
    header[CHAIN] = (chained, "of what it was made from, over time")
    return header
