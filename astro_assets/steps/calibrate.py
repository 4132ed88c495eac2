"""Calibrated frames: each raw light in electrons, with its mask, masters named in its header."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.frame import Frame
from astro_assets.imaging.calibrate import (
    Calibrated,
    Masters,
    adopt,
    calibrate,
    trim_overscan,
)
from astro_assets.imaging.cosmic_rays import cosmic_rays
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.repair import interpolate_bad
from astro_assets.steps import pictures, provenance, versions
from astro_assets.steps.calibrated_header import calibrated_header
from astro_assets.steps.inputs import OpenedFrame, RawFrame, open_raw, quarantined, raw_frames
from astro_assets.steps.matching import MasterFile, Matched, masters, match
from astro_assets.steps.pool import map_frames
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.summary import Judgement, Summary
from astro_assets.store import ImageFile, Store, read_image, whole_file, write_image

LEDGER = "frames.parquet"
_DEFAULT_READ_NOISE_E = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one raw frame; ``reason`` is empty when it was calibrated.

    remark : what its owner may want to mend, though the frame goes on
    """

    frame: str
    raw_path: str
    reason: str
    masters: str
    missing: str
    remark: str = ""


def calibrate_session(
    store: Store, source: str, session: str, recipe: Recipe, gain: float | None
) -> Summary:
    """Calibrate every light of a session; frames that are done and still right are left alone.

    A frame that cannot be used is in the ledger with its reason, the others go on.

    Raises
    ------
    NothingToDo : the session has no frames
    """
    raws = raw_frames(store, source, session)
    if not raws and not quarantined(store, source, session):
        raise NothingToDo(f"{source}: {session} has no frames")
    folder = store.calibrated(source, session)
    lane = _Lane(folder, masters(store, source), date.fromisoformat(session[:10]), recipe, gain)
    outcomes = map_frames(lane.calibrate_one, raws)
    _forget_others(folder, {outcome.frame for outcome in outcomes if not outcome.reason})
    ledger = pd.DataFrame(outcomes, columns=list(Outcome.__dataclass_fields__))
    with whole_file(folder / LEDGER) as part:
        ledger.to_parquet(part, index=False)
    return _summary(folder, outcomes, recipe)


@dataclass(frozen=True, slots=True)
class _Lane:
    """What all frames of the session share."""

    folder: Path
    masters: Sequence[MasterFile]
    night: date
    recipe: Recipe
    gain: float | None

    def calibrate_one(self, raw: RawFrame) -> Outcome:
        path = self.folder / f"{raw.name}.fits"
        try:
            opened = open_raw(raw)
            matched = self._match(opened)
            made_from = provenance.fingerprint(
                versions.CALIBRATED, raw.sha256, str(self.gain), *(m.digest for m in matched.files)
            )
            if not provenance.is_current(path, made_from):
                self._write(path, raw, opened, matched, made_from)
        except Unusable as error:
            return Outcome(raw.name, str(raw.path), str(error), "", "")
        return Outcome(
            frame=raw.name,
            raw_path=str(raw.path),
            reason="",
            masters=", ".join(m.path.stem for m in matched.files),
            missing="; ".join(matched.missing),
            remark="; ".join(_remarks(raw, opened)),
        )

    def _adopts(self, opened: OpenedFrame) -> bool:
        return self.recipe.arrives_calibrated or {"D", "F"} <= set(opened.frame.calibration_status)

    def _status(self, opened: OpenedFrame, matched: Matched) -> str:
        """CALSTAT: what has been corrected, by the provider or here."""
        if self._adopts(opened):
            return opened.frame.calibration_status or "BDF"
        bias = matched.bias is not None or matched.dark is not None
        parts = {"B": bias, "D": matched.dark is not None, "F": matched.flat is not None}
        return "".join(letter for letter, done in parts.items() if done)

    def _match(self, opened: OpenedFrame) -> Matched:
        if self._adopts(opened):
            return Matched(None, None, None, None, ())
        return match(opened.frame, opened.image_adu.shape, self.night, self.masters)

    def _write(
        self, path: Path, raw: RawFrame, opened: OpenedFrame, matched: Matched, made_from: str
    ) -> None:
        gain, gain_from = _gain(opened, matched, self.gain)
        result = self._electrons(opened, matched, gain)
        read_noise_e = _read_noise(opened, matched)
        bayer = opened.frame.bayer_pattern is not None
        saturation_e = _saturation_adu(opened, self.recipe) * gain
        rays = cosmic_rays(
            result.image_e,
            result.mask,
            read_noise_e=read_noise_e,
            saturation_e=saturation_e,
            bayer=bayer,
        )
        mask = np.where(rays, result.mask | np.uint8(MaskBit.COSMIC_RAY), result.mask)
        image, mask = interpolate_bad(result.image_e, mask, bayer=bayer)
        header = calibrated_header(opened, raw, matched, result.steps)
        header["CALSTAT"] = (self._status(opened, matched), "corrected for Bias, Dark, Flat")
        header["EGAIN"] = (gain, f"[e-/adu] gain, from {gain_from}")
        header["RDNOISE"] = (read_noise_e, "[e-] read noise")
        header["SATURATE"] = (saturation_e, "[e-]")
        header["AACOSMIC"] = (int(np.count_nonzero(mask & MaskBit.COSMIC_RAY)), "cosmic-ray pixels")
        provenance.stamp(header, "calibrated", made_from)
        write_image(path, ImageFile(image=image, header=header, mask=mask))

    def _electrons(self, opened: OpenedFrame, matched: Matched, gain: float) -> Calibrated:
        frame = opened.frame
        saturation_adu = _saturation_adu(opened, self.recipe)
        if self._adopts(opened):
            return adopt(
                trim_overscan(
                    opened.image_adu, self.recipe.overscan_top_px, self.recipe.overscan_right_px
                ),
                gain_e_per_adu=gain,
                saturation_adu=saturation_adu,
                pedestal_adu=frame.pedestal_adu,
            )
        return calibrate(
            opened.image_adu,
            masters=Masters(
                bias=_pixels(matched.bias, frame),
                dark=_pixels(matched.dark, frame),
                dark_exposure_s=matched.dark.exposure_s if matched.dark else None,
                dark_has_bias=matched.dark is not None and not matched.dark.bias_subtracted,
                flat=_pixels(matched.flat, frame),
                bad_pixels=_bad_pixels(matched.bad_pixels, frame),
            ),
            exposure_s=float(frame.exposure_s or 0.0),
            gain_e_per_adu=gain,
            saturation_adu=saturation_adu,
            pedestal_adu=frame.pedestal_adu,
        )


def _remarks(raw: RawFrame, opened: OpenedFrame) -> list[str]:
    undated = "" if opened.frame.start_utc else _undated(raw.path.name)
    return [sentence for sentence in (undated, opened.remark) if sentence]


def _undated(name: str) -> str:
    return (
        f"{name} has no time of its start (DATE-OBS), so its night is that of its path or "
        "file: add the keyword if that is wrong"
    )


@lru_cache(maxsize=8)
def _cached_pixels(path: Path, digest: str) -> NDArray[np.float32]:  # noqa: ARG001 - the key
    return read_image(path).image


def _pixels(master: MasterFile | None, frame: Frame) -> NDArray[np.float32] | None:
    """The master as the frame's detector lies: upside down where its colour matrix does.

    A telescope that turns a frame after its mount has flipped turns the detector's flaws with it.
    """
    if master is None:
        return None
    pixels = _cached_pixels(master.path, master.digest)
    pattern = master.bayer_pattern
    upside_down = pattern is not None and frame.bayer_pattern == pattern[::-1]
    return pixels[::-1, ::-1] if upside_down else pixels


def _bad_pixels(master: MasterFile | None, frame: Frame) -> NDArray[np.uint8] | None:
    pixels = _pixels(master, frame)
    return None if pixels is None else pixels.astype(np.uint8)


def _saturation_adu(opened: OpenedFrame, recipe: Recipe) -> float:
    return opened.frame.saturation_adu or recipe.saturation_adu


def _gain(opened: OpenedFrame, matched: Matched, configured: float | None) -> tuple[float, str]:
    """Electrons per ADU and who says so; 1 when nobody does."""
    if opened.frame.gain_e_per_adu:
        return opened.frame.gain_e_per_adu, "the frame's header"
    if configured:
        return configured, "the settings"
    for master in matched.files:
        measured = fits.getheader(master.path).get("EGAIN")
        if measured:
            return float(measured), f"master {master.kind}"
    return 1.0, "nobody: assumed"


def _read_noise(opened: OpenedFrame, matched: Matched) -> float:
    if matched.bias is not None:
        measured = fits.getheader(matched.bias.path).get("RDNOISE")
        if measured:
            return float(measured)
    return opened.frame.read_noise_e or _DEFAULT_READ_NOISE_E


def _forget_others(folder: Path, names: set[str]) -> None:
    """Remove products whose raw frame is not in the session any more."""
    for path in folder.glob("*.fits"):
        if path.stem not in names:
            path.unlink()


def _summary(folder: Path, outcomes: Sequence[Outcome], recipe: Recipe) -> Summary:
    done = [outcome for outcome in outcomes if not outcome.reason]
    missing = sorted({sentence for o in done for sentence in o.missing.split("; ") if sentence})
    used = sorted({name for o in done for name in o.masters.split(", ") if name})
    provided = recipe.arrives_calibrated
    return Summary(
        figures={
            "frames": len(outcomes),
            "calibrated": len(done),
            "unusable": "; ".join(o.reason for o in outcomes if o.reason) or "none",
            "masters": ", ".join(used) or ("the provider's" if provided else "none"),
            "missing_masters": "; ".join(missing) or "none",
        },
        digest=provenance.fingerprint(
            *(fits.getheader(folder / f"{o.frame}.fits")[provenance.KEYWORD] for o in done)
        ),
        path=folder,
        picture_png=pictures.thumbnail(read_image(folder / f"{done[0].frame}.fits").image)
        if done
        else None,
        judgements=(
            Judgement(
                "matched_masters",
                not missing,
                f"{'; '.join(missing)}: the frames go on without; add such frames to the source, "
                "then run the session again"
                if missing
                else "Every frame had the masters that its recipe asks for.",
            ),
        ),
        unusable=tuple(o.reason for o in outcomes if o.reason),
        remarks=tuple(o.remark for o in outcomes if o.remark),
    )
