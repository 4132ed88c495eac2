"""Master calibrations: the frames of one set, combined into one file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from astropy.io import fits

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.frame import Frame, FrameKind
from astro_assets.imaging.masters import Master, master_bias, master_dark, master_flat
from astro_assets.imaging.noise import gain_e_per_adu
from astro_assets.steps import pictures, provenance, versions
from astro_assets.steps.inputs import OpenedFrame, RawFrame, open_raw, raw_frames
from astro_assets.steps.matching import MasterFile, Matched, masters, match
from astro_assets.steps.ready_made import is_free_of_bias, is_ready_made, taken_over
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, read_image, write_image


@dataclass(frozen=True, slots=True)
class _Input:
    raw: RawFrame
    opened: OpenedFrame


def make_master(
    store: Store, source: str, calibration_set: str, kind: FrameKind, gain: float | None
) -> Summary:
    """Combine the frames of one calibration set, or take over the ready-made master that it is.

    Frames that differ from the set's commonest configuration, those that cannot be read, and
    those beside a ready-made master are refused by name.

    Raises
    ------
    NothingToDo : no usable frame is left
    """
    inputs, unusable = _open_all(raw_frames(store, source, calibration_set))
    refused = list(unusable)
    inputs, odd = _of_one_configuration(inputs)
    refused += odd
    inputs, beside = _ready_made_first(inputs)
    refused += beside
    if not inputs:
        raise NothingToDo(
            f"{source}: no usable {kind} frame in {calibration_set}: "
            + ("; ".join(refused) or "the set is empty")
        )
    night = date.fromisoformat(calibration_set[:10])
    first = inputs[0].opened
    earlier = [m for m in masters(store, source) if _serves(m, kind)]
    matched = match(first.frame, first.image_adu.shape, night, earlier)
    ready = is_ready_made(inputs[0].raw)
    combined, used = (taken_over(kind, first), []) if ready else _combine(kind, inputs, matched)
    refused += [f"{inputs[i].raw.name}: {reason}" for i, reason in combined.rejected_inputs]
    path = store.master(source, kind, calibration_set)
    digest = provenance.fingerprint(
        versions.MASTER, *(i.raw.sha256 for i in inputs), *(master.digest for master in used)
    )
    gain = _gain(kind, inputs, matched, gain)
    header = _header(kind, first.frame, night, combined, used, gain)
    free_of_bias = is_free_of_bias(first) if ready else matched.bias is not None
    header["AANOBIAS"] = (kind is FrameKind.DARK and free_of_bias, "bias is taken off")
    if ready:
        provenance.note(header, f"ready-made master, taken over: {inputs[0].raw.path.name}")
    provenance.stamp(header, f"master {kind}", digest)
    for line in refused:
        provenance.note(header, f"refused {line}")
    write_image(path, ImageFile(image=combined.image, header=header))
    return replace(_summary(path, digest, combined, gain, refused, used), unusable=tuple(unusable))


def _ready_made_first(inputs: Sequence[_Input]) -> tuple[list[_Input], list[str]]:
    """The one ready-made master of the set alone, if there is any."""
    chosen = next((item for item in inputs if is_ready_made(item.raw)), None)
    if chosen is None:
        return list(inputs), []
    reason = f"the set has a ready-made master, {chosen.raw.name}"
    return [chosen], [f"{item.raw.name}: {reason}" for item in inputs if item is not chosen]


def _serves(master: MasterFile, kind: FrameKind) -> bool:
    """Whether such a master goes into one of ``kind``: a bias into all else, a dark into flats."""
    if master.kind == "bias":
        return kind is not FrameKind.BIAS
    return kind is FrameKind.FLAT and master.kind == "dark" and master.bias_subtracted


def _open_all(raws: Sequence[RawFrame]) -> tuple[list[_Input], list[str]]:
    inputs: list[_Input] = []
    refused: list[str] = []
    for raw in raws:
        try:
            inputs.append(_Input(raw, open_raw(raw)))
        except Unusable as error:
            refused.append(str(error))
    return inputs, refused


def _of_one_configuration(inputs: Sequence[_Input]) -> tuple[list[_Input], list[str]]:
    """Keep the commonest camera, shape, exposure and filter; refuse the others by name."""

    def configuration(item: _Input) -> tuple[object, ...]:
        frame = item.opened.frame
        exposure = None if frame.kind in (FrameKind.BIAS, FrameKind.FLAT) else frame.exposure_s
        return frame.camera, item.opened.image_adu.shape, exposure, frame.filter

    counts = Counter(configuration(item) for item in inputs)
    if len(counts) <= 1:
        return list(inputs), []
    usual = counts.most_common(1)[0][0]
    return (
        [item for item in inputs if configuration(item) == usual],
        [
            f"{item.raw.name}: {configuration(item)} is not the set's {usual}"
            for item in inputs
            if configuration(item) != usual
        ],
    )


def _combine(
    kind: FrameKind, inputs: Sequence[_Input], matched: Matched
) -> tuple[Master, list[MasterFile]]:
    images = [item.opened.image_adu for item in inputs]
    frame = inputs[0].opened.frame
    bias = None if matched.bias is None else read_image(matched.bias.path).image
    if kind is FrameKind.BIAS:
        return master_bias(images), []
    if kind is FrameKind.DARK:
        used = [m for m in (matched.bias,) if m is not None]
        return master_dark(images, float(frame.exposure_s or 0.0), bias=bias), used
    dark = matched.dark
    used = [m for m in (matched.bias, dark) if m is not None]
    return (
        master_flat(
            images,
            bias=bias,
            dark=read_image(dark.path).image if dark else None,
            dark_exposure_s=dark.exposure_s if dark else None,
            exposures_s=[float(item.opened.frame.exposure_s or 0.0) for item in inputs]
            if dark
            else None,
            saturation_adu=frame.saturation_adu or 65535.0,
            bayer=frame.bayer_pattern is not None,
        ),
        used,
    )


def _gain(
    kind: FrameKind, inputs: Sequence[_Input], matched: Matched, configured: float | None
) -> float | None:
    """From the header, the settings, or measured on the flats."""
    stated = inputs[0].opened.frame.gain_e_per_adu or configured
    if stated or kind is not FrameKind.FLAT or matched.bias is None or len(inputs) < 2:
        return stated
    images = [item.opened.image_adu for item in inputs]
    try:
        gain, _ = gain_e_per_adu(
            list(zip(images[::2], images[1::2], strict=False)), read_image(matched.bias.path).image
        )
    except ValueError:  # the flats hold no signal above the bias
        return None
    return gain


def _header(
    kind: FrameKind,
    frame: Frame,
    night: date,
    combined: Master,
    used: Sequence[MasterFile],
    gain: float | None,
) -> fits.Header:
    frame = replace(frame, kind=kind)
    header = fits.Header()
    header["IMAGETYP"] = f"Master {kind.capitalize()}"
    header["AAKIND"] = str(kind)
    header["AACAMERA"] = (frame.camera, "camera configuration")
    header["AANIGHT"] = (night.isoformat(), "night of the inputs")
    header["INSTRUME"] = provenance.fits_text(frame.instrument or "")
    header["NCOMBINE"] = (combined.n_inputs, "frames combined")
    header["EXPTIME"] = (frame.exposure_s or 0.0, "[s] exposure of one input")
    header["BUNIT"] = "" if kind is FrameKind.FLAT else "adu"
    if frame.sensor_temperature_c is not None:
        header["CCD-TEMP"] = (frame.sensor_temperature_c, "[deg C]")
    if frame.filter and kind is FrameKind.FLAT:
        header["FILTER"] = provenance.fits_text(frame.filter)
    if frame.bayer_pattern:
        header["BAYERPAT"] = frame.bayer_pattern
    if gain is not None:
        header["EGAIN"] = (gain, "[e-/adu]")
    if combined.read_noise_adu is not None:
        header["RDNOIADU"] = (combined.read_noise_adu, "[adu] read noise of one frame")
        if gain is not None:
            header["RDNOISE"] = (combined.read_noise_adu * gain, "[e-] read noise of one frame")
    for number, master in enumerate(used, start=1):
        header[f"AAUSE{number}"] = f"{master.path.stem} {master.digest}"
    return header


def _summary(
    path: Path,
    digest: str,
    combined: Master,
    gain: float | None,
    refused: Sequence[str],
    used: Sequence[MasterFile],
) -> Summary:
    figures: dict[str, int | float | str] = {
        "frames": combined.n_inputs,
        "refused": "; ".join(refused) or "none",
        "masters_used": ", ".join(master.path.stem for master in used) or "none",
    }
    if combined.read_noise_adu is not None:
        figures["read_noise_adu"] = round(combined.read_noise_adu, 3)
        if gain is not None:
            figures["read_noise_e"] = round(combined.read_noise_adu * gain, 3)
    if gain is not None:
        figures["gain_e_per_adu"] = round(gain, 4)
    return Summary(
        figures=figures,
        digest=digest,
        path=path,
        picture_png=pictures.thumbnail(combined.image),
    )
