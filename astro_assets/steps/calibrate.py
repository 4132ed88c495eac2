"""Calibrated frames: each raw light in electrons, with its mask, masters named in its header."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.imaging.cosmic_rays import remove_rays
from astro_assets.steps import circumstances, made_with, pictures, provenance, versions
from astro_assets.steps.behind import written_behind
from astro_assets.steps.calibrated_header import calibrated_header
from astro_assets.steps.correct import MasterPlanes, adopts, electrons, status, variance
from astro_assets.steps.detector import Detector, describe_detector, detector_of
from astro_assets.steps.inputs import (
    OpenedFrame,
    RawFrame,
    located,
    quarantined,
    raw_frames,
)
from astro_assets.steps.made_with import LEDGER
from astro_assets.steps.matching import Masters, Matched, masters
from astro_assets.steps.pool import map_frames
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.resources import largest
from astro_assets.steps.setup import Setup, setup_of
from astro_assets.steps.summary import Judgement, Summary
from astro_assets.steps.words import opened_light
from astro_assets.store import ImageFile, Store, read_image, whole_file

__all__ = ["LEDGER", "Outcome", "calibrate_session"]

_NEED = 14
"""memory for one frame, in sizes of its file: 16-bit counts become images of 32-bit numbers"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one raw frame; ``reason`` is empty when it was calibrated.

    remark : what its owner may want to mend, though the frame goes on
    warnings : in which its masters are not quite right
    refused : why others were not taken
    """

    frame: str
    raw_path: str
    reason: str
    masters: str
    missing: str
    remark: str = ""
    warnings: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class _Done:
    """A frame, its setup if masters were looked for, and the hash of what it was made from."""

    outcome: Outcome
    setup: Setup | None
    made_from: str = ""


def calibrate_session(
    store: Store, source: str, session: str, recipe: Recipe, gain: float | None
) -> Summary:
    """Calibrate every light of a session; frames that are done and still right are left alone.

    A frame that cannot be used is in the ledger with its reason, the others go on.

    Raises
    ------
    NothingToDo : the session has no frames
    """
    raws = located(raw_frames(store, source, session), recipe.place)
    if not raws and not quarantined(store, source, session):
        raise NothingToDo(f"{source}: {session} has no frames")
    folder = store.calibrated(source, session)
    night = date.fromisoformat(session[:10])
    inputs = made_with.session_inputs(Masters(masters(store, source)), session, recipe, gain)
    need_bytes = _NEED * largest(raw.path for raw in raws)
    with written_behind() as write:
        lane = _Lane(folder, inputs.masters, MasterPlanes(), night, recipe, gain, write)
        results = map_frames(lane.calibrate_one, raws, need_bytes)
    outcomes = [done.outcome for done in results]
    _forget_others(folder, {outcome.frame for outcome in outcomes if not outcome.reason})
    setups = [done.setup for done in results if done.setup is not None]
    made_with.note(folder / made_with.FILE, folder / LEDGER, night, inputs, setups)
    ledger = pd.DataFrame(outcomes, columns=list(Outcome.__dataclass_fields__))
    with whole_file(folder / LEDGER) as part:
        ledger.to_parquet(part, index=False)
    return _summary(folder, results, recipe)


@dataclass(frozen=True, slots=True)
class _Lane:
    """What all frames of the session share."""

    folder: Path
    masters: Masters
    planes: MasterPlanes
    night: date
    recipe: Recipe
    gain: float | None
    write: Callable[[Path, ImageFile], None]

    def calibrate_one(self, raw: RawFrame) -> _Done:
        setup = None
        try:
            opened = opened_light(raw, self.recipe)
            matched = Matched()
            if not adopts(opened.frame, self.recipe):
                setup = setup_of(opened.frame, _shape(opened), self.gain)
                matched = self.masters.match(setup, self.night)
            self._require(raw, matched, setup)
            detector = detector_of(opened, matched, self.recipe, self.gain)
            made_from = self._write_unless_current(raw, opened, matched, detector)
        except Unusable as error:
            return _Done(Outcome(raw.name, str(raw.path), str(error), "", ""), setup)
        outcome = Outcome(
            frame=raw.name,
            raw_path=str(raw.path),
            reason="",
            masters=", ".join(m.path.stem for m in matched.files),
            missing="; ".join(matched.missing),
            remark="; ".join(_remarks(raw, opened)),
            warnings="; ".join(matched.warnings),
            refused="; ".join(matched.refused),
        )
        return _Done(outcome, setup, made_from)

    def _require(self, raw: RawFrame, matched: Matched, setup: Setup | None) -> None:
        """Refuse a frame for which a master is missing that its source may not do without."""
        if setup is None:
            return
        for kind in self.recipe.required_masters:
            there = getattr(matched, kind) is not None
            within_dark = kind == "bias" and matched.dark is not None
            done = kind[0].upper() in setup.corrected
            if not (there or within_dark or done):
                why = [s for s in matched.missing if f"master {kind}" in s]
                raise Unusable(
                    f"{raw.path.name}: {(why or [f'no master {kind}'])[0]}, and its source "
                    "requires one (required_masters): add such frames to the source"
                )

    def _of_recipe(self) -> tuple[str, ...]:
        """What of the recipe is in a calibrated frame; the rest is of later steps."""
        recipe = self.recipe
        return (
            f"{recipe.overscan} {recipe.overscan_top_px} {recipe.overscan_right_px}",
            f"{recipe.arrives_calibrated} {recipe.saturation_adu} {recipe.variance_plane}",
            repr(recipe.place),
        )

    def _write_unless_current(
        self, raw: RawFrame, opened: OpenedFrame, matched: Matched, detector: Detector
    ) -> str:
        """The hash of what the product was made from."""
        path = self.folder / f"{raw.name}.fits"
        made_from = provenance.fingerprint(
            versions.CALIBRATED, raw.sha256, str(self.gain), *self._of_recipe(), *matched.digests
        )
        if not provenance.is_current(path, made_from):
            self._write(path, raw, opened, matched, detector, made_from)
        return made_from

    def _write(
        self,
        path: Path,
        raw: RawFrame,
        opened: OpenedFrame,
        matched: Matched,
        detector: Detector,
        made_from: str,
    ) -> None:
        done = electrons(opened, matched, self.recipe, detector, self.planes)
        image, mask = done.image_e, done.mask
        planes = (
            {"VARIANCE": variance(opened, matched, done, self.recipe, detector, self.planes)}
            if self.recipe.variance_plane
            else {}
        )
        hit = remove_rays(
            image,
            mask,
            read_noise_e=detector.read_noise_e,
            saturation_e=detector.saturation_e,
            bayer=opened.frame.bayer_pattern is not None,
        )
        header = calibrated_header(opened, raw, matched, done.steps)
        header["CALSTAT"] = (
            status(opened.frame, matched, self.recipe),
            "corrected for Bias, Dark, Flat",
        )
        describe_detector(header, detector)
        header["AACOSMIC"] = (hit, "cosmic-ray pixels")
        provenance.stamp(header, "calibrated", made_from)
        self.write(path, ImageFile(image=image, header=header, mask=mask, planes=planes))


def _shape(opened: OpenedFrame) -> tuple[int, int]:
    ny, nx = opened.image_adu.shape
    return ny, nx


def _remarks(raw: RawFrame, opened: OpenedFrame) -> list[str]:
    undated = "" if opened.frame.start_utc else _undated(raw.path.name)
    frame = opened.frame
    sky = circumstances.sky_of([frame], [circumstances.pointing_of(frame)])[0]
    doubts = circumstances.doubts(raw.path.name, frame, sky)
    return [sentence for sentence in (undated, opened.remark, *doubts) if sentence]


def _undated(name: str) -> str:
    return (
        f"{name} has no time of its start (DATE-OBS), so its night is that of its path or "
        "file: add the keyword if that is wrong"
    )


def _forget_others(folder: Path, names: set[str]) -> None:
    """Remove products whose raw frame is not in the session any more."""
    for path in folder.glob("*.fits"):
        if path.stem not in names:
            path.unlink()


def _summary(folder: Path, results: Sequence[_Done], recipe: Recipe) -> Summary:
    outcomes = [result.outcome for result in results]
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
            "masters_warned_of": _each(done, "warnings"),
            "masters_refused": _each(done, "refused"),
        },
        digest=provenance.fingerprint(*(r.made_from for r in results if not r.outcome.reason)),
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


def _each(outcomes: Sequence[Outcome], what: str) -> str:
    """Every sentence once."""
    sentences = {s for o in outcomes for s in getattr(o, what).split("; ") if s}
    return "; ".join(sorted(sentences)) or "none"
