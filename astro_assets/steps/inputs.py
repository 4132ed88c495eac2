"""The frames of a fetched batch, as the steps read them.

What belongs here: from a manifest to pixels and a `Frame`. What does not: fetching (`sources`),
what is done with the pixels.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.frame import Frame, Place, frame_from_header, key_part
from astro_assets.sources.manifest import Manifest, Record
from astro_assets.steps.odd_pixels import in_adu, one_plane, several_images
from astro_assets.steps.planes import filters_of_planes
from astro_assets.steps.sidecar import sidecar_keywords
from astro_assets.store import Store, read_image

_DIGITS_OF_A_TIME = 12
"""yyyymmddhhmm"""
_SAMPLED = 5
"""every so manieth row and column tells the sky"""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A downloaded frame.

    name : unique in its batch; products are called after it
    path : the file
    sha256 : of the file
    facts : FITS keywords that its name, its path and its server know
    plane : which plane of a cube it is, and its filter
    """

    name: str
    path: Path
    sha256: str
    facts: Mapping[str, str]
    plane: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """A downloaded frame's pixels (ny, nx) in ADU, its header, and what they mean.

    image_adu : float32, or uint16 where `words.opened_light` found counts
    remark : what its header says and its pixels do not bear out
    overscan_adu : (ny,), zero level of each row, still in the pixels
    """

    image_adu: NDArray[Any]
    header: fits.Header
    frame: Frame
    remark: str = ""
    overscan_adu: NDArray[np.float32] | None = None


def raw_frames(store: Store, source: str, batch: str) -> list[RawFrame]:
    """The published frames of a batch, sorted by path; each plane of a cube is a frame."""
    folder = store.raw(source, batch)
    manifest = Manifest.load(folder)
    frames = sorted(manifest.frames(), key=lambda frame: frame.file.path) if manifest else []
    stems = Counter(PurePosixPath(frame.file.path).stem for frame in frames)
    whole = (
        RawFrame(
            name=_product_name(frame.file.path, stems),
            path=folder / frame.file.path,
            sha256=frame.file.sha256,
            facts={**sidecar_keywords(folder / frame.file.path), **frame.facts},
        )
        for frame in frames
    )
    return [part for frame in whole for part in _planes(frame)]


def located(raws: list[RawFrame], place: Place | None) -> list[RawFrame]:
    """The frames with their telescope's site, for what neither header nor server says of it."""
    known = place.keywords() if place else {}
    return [replace(raw, facts={**known, **raw.facts}) for raw in raws]


def _planes(raw: RawFrame) -> list[RawFrame]:
    """The frame itself, or the planes of a cube."""
    planes = enumerate(filters_of_planes(raw.path))
    parts = [
        replace(raw, name=f"{raw.name}-{key_part(name)}", plane=(number, name))
        for number, name in planes
    ]
    return parts or [raw]


def quarantined(store: Store, source: str, batch: str) -> tuple[Record, ...]:
    """The files of a batch that were set aside when they were fetched."""
    manifest = Manifest.load(store.raw(source, batch))
    return manifest.quarantined if manifest else ()


def _product_name(path: str, stems: Counter[str]) -> str:
    """The file's stem; one that may recur in another folder gets a mark of its path.

    A stem with a date and time in it is taken to be unique; ``img-0001`` is in every folder.
    """
    stem = PurePosixPath(path).stem
    if stems[stem] == 1 and sum(character.isdigit() for character in stem) >= _DIGITS_OF_A_TIME:
        return stem
    return f"{stem}-{hashlib.sha256(path.encode()).hexdigest()[:6]}"


def open_raw(raw: RawFrame) -> OpenedFrame:
    """Read a frame.

    Raises
    ------
    BrokenFile : not an image of two axes
    MissingHeader : a keyword is blank that nothing can fill
    """
    file = read_image(raw.path)
    if raw.plane is not None:
        file.header["FILTER"] = raw.plane[1]
        file = replace(file, image=file.image[raw.plane[0]])
    image, shares = in_adu(raw.path.name, one_plane(file.image), file.header)
    if image.ndim != 2:
        raise BrokenFile(
            f"{raw.path.name} has {image.ndim} axes {image.shape} where a frame has two: "
            "split it into one file per filter"
        )
    frame = frame_from_header(file.header, raw.facts, raw.path.name)
    stale = _stale_pedestal(raw.path.name, frame, image)
    several = several_images(raw.path.name, file.planes, image.shape)
    return OpenedFrame(
        image_adu=image,
        header=file.header,
        frame=replace(frame, pedestal_adu=0.0) if stale else frame,
        remark="; ".join(sentence for sentence in (shares, several, stale) if sentence),
    )


def _stale_pedestal(name: str, frame: Frame, image_adu: NDArray[np.float32]) -> str:
    """A sentence where PEDESTAL tells of a constant that is not in the pixels any more.

    A frame that holds it has its sky, which is never below zero, above it.
    """
    pedestal_adu = abs(frame.pedestal_adu)
    if not pedestal_adu:
        return ""
    sky_adu = float(np.nanmedian(image_adu[::_SAMPLED, ::_SAMPLED]))
    if sky_adu >= pedestal_adu / 2:
        return ""
    return (
        f"{name} says PEDESTAL = {frame.pedestal_adu:g}, but its sky is at {sky_adu:.0f} ADU: the "
        "keyword is stale and was not used"
    )
