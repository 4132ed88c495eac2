"""The frames of a calibration set, sorted into those that belong together.

What belongs here: opening them, and the groups. What does not: combining a group (`masters`).
"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.frame import Frame, FrameKind, key_part
from astro_assets.imaging.combine import Rows
from astro_assets.steps.inputs import OpenedFrame, RawFrame, open_raw
from astro_assets.steps.overscan import without_overscan
from astro_assets.steps.provenance import fingerprint
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.rules import EXPOSURE_TOLERANCE, TEMPERATURE_TOLERANCE_C
from astro_assets.steps.scratch import put_aside
from astro_assets.steps.setup import Setup, camera_parts, setup_of
from astro_assets.steps.words import counts_in_place

_OWN_MASTER = 3
"""So many frames that differ from the set's become a master of their own."""


@dataclass(frozen=True, slots=True)
class Input:
    """A calibration frame that could be read.

    rows : its pixels in ADU, less the level of its overscan, read from a file
    """

    raw: RawFrame
    header: fits.Header
    frame: Frame
    setup: Setup
    rows: Rows


@dataclass(frozen=True, slots=True)
class Group:
    """Frames of one setup. suffix : tells it from the set's main group, whose suffix is empty"""

    inputs: tuple[Input, ...]
    suffix: str


@dataclass(frozen=True, slots=True)
class _Property:
    """In what the frames of a group agree. within : by how much numbers may differ from another"""

    value: Callable[[Setup], object]
    shown: str
    kinds: tuple[FrameKind, ...]
    within: float = 0.0
    relative: bool = False


_RAW = (FrameKind.BIAS, FrameKind.DARK)
_ALL = (*_RAW, FrameKind.FLAT)

_PROPERTIES: tuple[_Property, ...] = (
    _Property(lambda s: camera_parts(s.camera)["instrument"], "camera {}", _ALL),
    _Property(lambda s: s.shape, "{0[1]} x {0[0]} px", _ALL),
    _Property(lambda s: camera_parts(s.camera)["binning"], "binning {}", _ALL),
    _Property(lambda s: camera_parts(s.camera)["gain"], "gain {}", _ALL),
    _Property(lambda s: camera_parts(s.camera)["offset"], "offset {}", _ALL),
    _Property(lambda s: s.read_mode, "read mode {}", _ALL),
    _Property(lambda s: s.bayer_pattern, "colour matrix {}", _ALL),
    _Property(lambda s: s.corrected, "CALSTAT '{}'", _ALL),
    _Property(
        lambda s: s.exposure_s, "{:g} s", (FrameKind.DARK,), EXPOSURE_TOLERANCE, relative=True
    ),
    _Property(lambda s: s.temperature_c, "{:g} °C", (FrameKind.DARK,), TEMPERATURE_TOLERANCE_C),
    _Property(lambda s: s.filter, "filter {}", (FrameKind.FLAT,)),
    _Property(lambda s: s.rotator_deg, "rotator at {:g}°", (FrameKind.FLAT,), 2.0),
)


def open_all(
    raws: Sequence[RawFrame], recipe: Recipe, aside: Path
) -> tuple[list[Input], list[str]]:
    """The frames that can be read, and a sentence for each of the others.

    aside : a folder for the pixels that cannot be read row by row where they lie, so that a set
        may be larger than the memory
    """
    inputs: list[Input] = []
    refused: list[str] = []
    for number, raw in enumerate(raws):
        try:
            inputs.append(_open(raw, recipe, aside / f"{number}.pixels"))
        except Unusable as error:
            refused.append(str(error))
    return inputs, refused


def _open(raw: RawFrame, recipe: Recipe, aside: Path) -> Input:
    there = counts_in_place(raw, recipe)
    if there is not None:
        rows, opened = there
        setup = setup_of(opened.frame, rows.shape)
        return Input(raw, opened.header, opened.frame, setup, rows)
    return _put_aside(raw, without_overscan(open_raw(raw), recipe, raw.path.name), aside)


def _put_aside(raw: RawFrame, opened: OpenedFrame, path: Path) -> Input:
    image = opened.image_adu
    if opened.overscan_adu is not None:
        image = image - opened.overscan_adu[:, np.newaxis]
    ny, nx = image.shape
    setup = setup_of(opened.frame, (ny, nx))
    return Input(raw, opened.header, opened.frame, setup, put_aside(path, _compact(image)))


def _compact(image: NDArray[np.float32]) -> NDArray[Any]:
    """As 16-bit counts where that is what they are: half the bytes."""
    with np.errstate(invalid="ignore"):
        counts = image.astype(np.uint16)
    return counts if np.array_equal(counts, image) else image


def grouped(inputs: Sequence[Input], kind: FrameKind) -> tuple[list[Group], list[str]]:
    """The largest group first, then those that are large enough for a master of their own.

    What is left over is refused, each frame by name with what it differs in.
    """
    if not inputs:
        return [], []
    rest = [(item, item.setup) for item in inputs]
    main, rest = _largest(rest, kind)
    reference = main[0][1]
    groups = [Group(tuple(item for item, _ in main), "")]
    refused: list[str] = []
    while rest:
        part, rest = _largest(rest, kind)
        differences = _differences(part[0][1], reference, kind)
        if len(part) >= _OWN_MASTER:
            words = [theirs for theirs, _ in differences]
            # Words lose their signs in a name: the hash tells -20 °C from 20 °C.
            suffix = f"{key_part('_'.join(words))}-{fingerprint(*words)[:4]}"
            groups.append(Group(tuple(item for item, _ in part), suffix))
            continue
        refused += [
            f"{item.raw.name}: "
            + ", ".join(
                f"{theirs} is not {own}" for theirs, own in _differences(setup, reference, kind)
            )
            for item, setup in part
        ]
    return groups, refused


_Pairs = list[tuple[Input, Setup]]


def _largest(pairs: _Pairs, kind: FrameKind) -> tuple[_Pairs, _Pairs]:
    """The frames around the commonest setup, of the middle temperature; and the others.

    The first pair's setup is the one that the others agree with.
    """
    exact = [p for p in _PROPERTIES if kind in p.kinds and not p.within]
    counts = Counter(tuple(p.value(setup) for p in exact) for _, setup in pairs)
    usual = counts.most_common(1)[0][0]
    common = [pair for pair in pairs if tuple(p.value(pair[1]) for p in exact) == usual]
    centre = _centre([setup for _, setup in common], kind)
    ordered = sorted(common, key=lambda pair: pair[1] != centre)  # stable: the centre goes first
    inside = [pair for pair in ordered if not _differences(pair[1], centre, kind)]
    taken = {id(item) for item, _ in inside}
    return inside, [pair for pair in pairs if id(pair[0]) not in taken]


def _centre(setups: Sequence[Setup], kind: FrameKind) -> Setup:
    """The setup that most others agree with; of several the one nearest to the middle."""
    agreeing = {
        setup: sum(not _differences(other, setup, kind) for other in setups)
        for setup in dict.fromkeys(setups)
    }
    most = max(agreeing.values())
    best = [setup for setup in agreeing if agreeing[setup] == most]
    known = [s.temperature_c for s in best if s.temperature_c is not None]
    middle = statistics.median_low(known) if known else None
    return next((s for s in best if s.temperature_c == middle), best[0])


def _differences(setup: Setup, reference: Setup, kind: FrameKind) -> list[tuple[str, str]]:
    """How both are worded in each property in which they differ."""
    found = []
    for rule in _PROPERTIES:
        theirs, own = rule.value(setup), rule.value(reference)
        if kind in rule.kinds and not _agree(theirs, own, rule):
            found.append((_worded(theirs, rule.shown), _worded(own, rule.shown)))
    return found


def _agree(one: object, other: object, rule: _Property) -> bool:
    if one == other:
        return True
    if not (rule.within and isinstance(one, int | float) and isinstance(other, int | float)):
        # A frame that does not tell its temperature or rotator goes with the others.
        return bool(rule.within) and None in (one, other)
    limit = rule.within * abs(other) if rule.relative else rule.within
    return abs(one - other) <= limit


def _worded(value: object, shown: str) -> str:
    return shown.replace("{:g}", "{}").format("unknown") if value is None else shown.format(value)
