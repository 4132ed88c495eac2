"""Master calibrations: the frames of one set, combined into one file.

What belongs here: the step. What does not: which frames belong together (`sets`), ready-made
masters (`ready_made`), the header (`master_header`), pixels (`imaging`).
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.frame import FrameKind
from astro_assets.imaging.masters import Master, master_bias, master_dark, master_flat
from astro_assets.imaging.noise import gain_e_per_adu, read_noise_adu
from astro_assets.imaging.threads import at_once
from astro_assets.steps import made_with, pictures, provenance, versions
from astro_assets.steps.inputs import raw_frames
from astro_assets.steps.master_files import MasterFile, masters
from astro_assets.steps.master_header import Measured, master_header
from astro_assets.steps.master_rows import MasterRows, master_rows
from astro_assets.steps.matching import Matched
from astro_assets.steps.ready_made import Bias, bias_of, is_ready_made, taken_over
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.sets import Group, Input, grouped, open_all
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, make_folder, write_image

_NOISE_OF_DARKS = 4
"""darks are enough to see how noisy a frame is at least"""
_BESIDE = "~"
"""between a set's name and what tells a further master of it; no key holds this sign"""


@dataclass(frozen=True, slots=True)
class _Made:
    """One master of a set."""

    path: Path
    digest: str
    combined: Master
    measured: Measured
    used: tuple[MasterFile, ...]
    bias: Bias
    picture_png: bytes


def make_master(
    store: Store,
    source: str,
    calibration_set: str,
    kind: FrameKind,
    gain: float | None,
    recipe: Recipe | None = None,
) -> Summary:
    """Combine the frames of one calibration set, or take over the ready-made master that it is.

    Frames that differ from the others in their setup become a master of their own if they are
    three or more; fewer, those that cannot be read, and those beside a ready-made master are
    refused by name.

    Raises
    ------
    NothingToDo : no usable frame is left
    """
    folder = store.master(source, kind, calibration_set).parent
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=folder) as aside:
        lane = _Lane(store, source, kind, gain, recipe or Recipe())
        return _make_all(lane, calibration_set, Path(aside))


@dataclass(frozen=True, slots=True)
class _Lane:
    store: Store
    source: str
    kind: FrameKind
    gain: float | None
    recipe: Recipe


def _make_all(lane: _Lane, calibration_set: str, aside: Path) -> Summary:
    store, source, kind, gain = lane.store, lane.source, lane.kind, lane.gain
    raws = raw_frames(store, source, calibration_set)
    inputs, unusable = open_all(raws, lane.recipe, aside)
    inputs, beside = _ready_made_first(inputs)
    groups, odd = grouped(inputs, kind)
    refused = [*unusable, *beside, *odd]
    if not groups:
        raise NothingToDo(
            f"{source}: no usable {kind} frame in {calibration_set}: "
            + ("; ".join(refused) or "the set is empty")
        )
    night = date.fromisoformat(calibration_set[:10])
    others = [m for m in masters(store, source) if not _is_of(m.path, calibration_set)]
    available = made_with.master_inputs(others, kind, lane.recipe, gain)
    path = store.master(source, kind, calibration_set)
    setups = [group.inputs[0].setup for group in groups]
    made_with.note(path.with_suffix(".json"), path, night, available, setups)
    made = [
        _make(_named(path, group), group, kind, night, available, gain, refused) for group in groups
    ]
    _forget_others(path, {one.path for one in made})
    refused += [sentence for one in made for sentence in _rejected(one, groups)]
    remarks = tuple(f"{one.path.stem}: {d}" for one in made if (d := one.measured.doubt()))
    return replace(_summary(made, refused), unusable=tuple(unusable), remarks=remarks)


def set_of(path: Path) -> str:
    """The calibration set that a master was made of."""
    return path.stem.split(_BESIDE)[0]


def _is_of(path: Path, calibration_set: str) -> bool:
    return set_of(path) == calibration_set


def _named(path: Path, group: Group) -> Path:
    return path.with_name(f"{path.stem}{_BESIDE}{group.suffix}.fits") if group.suffix else path


def _forget_others(path: Path, made: set[Path]) -> None:
    """Remove further masters of the set that its frames do not give any more."""
    for other in path.parent.glob("*.fits"):
        if _is_of(other, path.stem) and other not in made:
            other.unlink()


def _ready_made_first(inputs: Sequence[Input]) -> tuple[list[Input], list[str]]:
    """The one ready-made master of the set alone, if there is any."""
    chosen = next((item for item in inputs if is_ready_made(item.raw)), None)
    if chosen is None:
        return list(inputs), []
    reason = f"the set has a ready-made master, {chosen.raw.name}"
    return [chosen], [f"{item.raw.name}: {reason}" for item in inputs if item is not chosen]


def _make(
    path: Path,
    group: Group,
    kind: FrameKind,
    night: date,
    available: made_with.Inputs,
    gain: float | None,
    refused: Sequence[str],
) -> _Made:
    inputs = group.inputs
    setup = inputs[0].setup
    matched = available.masters.match(setup, night)
    used: tuple[MasterFile, ...] = ()
    if is_ready_made(inputs[0].raw):
        known = _rows(matched.bias)
        bias = bias_of(kind, inputs[0], None if known is None else known[:])
        combined = taken_over(kind, inputs[0])
    else:
        combined, used, bias = _combine(kind, inputs, matched)
    measured = _measure(kind, inputs, combined, matched, gain)
    digest = provenance.fingerprint(
        versions.MASTER,
        group.suffix,
        *(i.raw.sha256 for i in inputs),
        *(m.digest for m in used),
        *matched.digests,
    )
    header = master_header(kind, inputs[0].frame, night, combined, used, measured)
    header["AANOBIAS"] = (bias.is_off, "bias is taken off")
    header["AABIASBY"] = (bias.known_by, "how that is known")
    if is_ready_made(inputs[0].raw):
        provenance.note(header, f"ready-made master, taken over: {inputs[0].raw.path.name}")
        provenance.note(header, bias.sentence)
    provenance.stamp(header, f"master {kind}", digest)
    named = [f"{inputs[i].raw.name}: {reason}" for i, reason in combined.rejected_inputs]
    for line in (*(f"refused {line}" for line in (*refused, *named)), *matched.warnings):
        provenance.note(header, line)
    _, picture_png = at_once(
        partial(write_image, path, ImageFile(image=combined.image, header=header)),
        partial(pictures.thumbnail, combined.image),
    )
    return _Made(path, digest, combined, measured, used, bias, picture_png)


def _rows(master: MasterFile | None) -> MasterRows | None:
    return None if master is None else master_rows(master.path)


def _combine(
    kind: FrameKind, inputs: Sequence[Input], matched: Matched
) -> tuple[Master, tuple[MasterFile, ...], Bias]:
    images = [item.rows for item in inputs]
    frame = inputs[0].frame
    was_off = bool(set(inputs[0].setup.corrected) & {"B", "D"})
    bias = _rows(matched.bias)
    if kind is FrameKind.BIAS:
        return master_bias(images), (), Bias(False, "its kind", "")
    told = Bias(
        was_off or matched.bias is not None,
        "CALSTAT" if was_off else "made here",
        "",
    )
    if kind is FrameKind.DARK:
        if not frame.exposure_s:
            raise Unusable(
                f"{inputs[0].raw.name} and its set are darks of 0 s: if they are bias frames, say "
                "so in their IMAGETYP"
            )
        used = tuple(m for m in (matched.bias,) if m is not None)
        return master_dark(images, frame.exposure_s, bias=bias), used, told
    dark = matched.dark
    combined = master_flat(
        images,
        bias=bias,
        dark=_rows(dark),
        dark_exposure_s=dark.exposure_s if dark else None,
        exposures_s=[float(item.frame.exposure_s or 0.0) for item in inputs] if dark else None,
        saturation_adu=frame.saturation_adu or 65535.0,
        bayer=frame.bayer_pattern is not None,
    )
    return combined, tuple(m for m in (matched.bias, dark) if m is not None), told


def _measure(
    kind: FrameKind,
    inputs: Sequence[Input],
    combined: Master,
    matched: Matched,
    configured: float | None,
) -> Measured:
    """Read noise on biases, the gain on flats; each where it can be."""
    stated = inputs[0].frame.gain_e_per_adu or configured
    gain, error = _measured_gain(kind, inputs, combined, matched)
    known = gain if gain is not None else stated or _gain_of(matched)
    noise, noise_error = combined.read_noise_adu, combined.read_noise_error
    if kind is FrameKind.DARK and matched.read_noise_from is None and len(inputs) > 1:
        # A camera without biases: not below the read noise, and told without an error.
        noise, _ = read_noise_adu([item.rows for item in inputs[:_NOISE_OF_DARKS]])
    return Measured(stated, gain, error, noise, noise_error, known)


def _gain_of(matched: Matched) -> float | None:
    return matched.gain_from.gain_e_per_adu if matched.gain_from else None


def _measured_gain(
    kind: FrameKind, inputs: Sequence[Input], combined: Master, matched: Matched
) -> tuple[float | None, float | None]:
    bias = matched.bias
    refused = {index for index, _ in combined.rejected_inputs}
    fit = [item for index, item in enumerate(inputs) if index not in refused]
    if kind is not FrameKind.FLAT or bias is None or len(fit) < 2 or combined.n_inputs != len(fit):
        return None, None
    images = [item.rows for item in fit]
    pairs = list(zip(images[::2], images[1::2], strict=False))
    try:
        return gain_e_per_adu(pairs, master_rows(bias.path), bias.read_noise_adu or 0.0)
    except ValueError:  # the flats hold no signal above the bias
        return None, None


def _rejected(made: _Made, groups: Sequence[Group]) -> list[str]:
    suffix = made.path.stem.partition(_BESIDE)[2]
    (inputs,) = (group.inputs for group in groups if group.suffix == suffix)
    return [f"{inputs[i].raw.name}: {reason}" for i, reason in made.combined.rejected_inputs]


def _summary(made: Sequence[_Made], refused: Sequence[str]) -> Summary:
    main = made[0]
    figures: dict[str, int | float | str] = {
        "frames": main.combined.n_inputs,
        "refused": "; ".join(refused) or "none",
        "masters_used": ", ".join(master.path.stem for master in main.used) or "none",
        **main.measured.figures(),
    }
    if len(made) > 1:
        figures["further_masters"] = ", ".join(
            f"{one.path.stem} ({one.combined.n_inputs} frames)" for one in made[1:]
        )
    if main.bias.sentence:
        figures["bias"] = main.bias.sentence
    digests = [one.digest for one in made]
    return Summary(
        figures=figures,
        digest=digests[0] if len(digests) == 1 else provenance.fingerprint(*digests),
        path=main.path,
        picture_png=main.picture_png,
    )
