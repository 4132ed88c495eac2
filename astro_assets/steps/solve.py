"""Solved frames: a WCS, a star table and quality figures for each, and the verdict on each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from astro_assets.errors import NotSolved, Unusable
from astro_assets.files import parts_in
from astro_assets.fits_units import header_value
from astro_assets.imaging.grid import MAX_SEPARATION_DEG, strays
from astro_assets.imaging.photometry import transparency
from astro_assets.imaging.quality import Verdict, judge
from astro_assets.imaging.solve import Solution
from astro_assets.settings import Limits, Solving
from astro_assets.steps import calibrate, circumstances, pictures, provenance
from astro_assets.steps.inputs import quarantined
from astro_assets.steps.measure import Measured, compared, figures_of
from astro_assets.steps.pool import map_frames
from astro_assets.steps.solved_alone import ByItself, each_by_itself
from astro_assets.steps.solved_file import (
    ACCEPTED,
    Judged,
    Staged,
    publish_solved,
)
from astro_assets.steps.solving import SessionSolver
from astro_assets.steps.summary import Judgement, Summary
from astro_assets.steps.usual import Equipment, usual_zero_points
from astro_assets.store import Store, read_image, whole_file

TABLE = "frames.parquet"
GOOD_RESIDUAL_PX = 0.8
GOOD_SOLVED_FRACTION = 0.8

Log = Callable[[str], None]


def solve_session(
    store: Store,
    source: str,
    session: str,
    limits: Limits,
    solving: Solving,
    log: Log,
    nova_key: str | None = None,
) -> Summary:
    """Find stars, solve, measure and judge every calibrated frame of a session.

    The table has a row for each frame that was ever fetched, the rejected ones with the reason.

    nova_key : the API key of nova.astrometry.net, where the settings name one

    Raises
    ------
    NoSolverIndex : no index file serves these frames' field of view
    """
    calibrated = store.calibrated(source, session)
    folder = store.solved(source, session)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = pd.read_parquet(calibrated / calibrate.LEDGER)
    names = [
        str(name)
        for name, reason in zip(ledger["frame"], ledger["reason"], strict=True)
        if not reason
    ]
    solver = SessionSolver(store, folder, solving, log, nova_key)
    with parts_in(folder) as new_part:
        found = each_by_itself(calibrated, names, solver, new_part)
        lost = [_lost(name, "solve", e) for name, e in zip(names, found, strict=True)
                if isinstance(e, Unusable)]  # fmt: skip
        shown = [each for each in found if isinstance(each, ByItself)]
        pairs = solver.finished([(each.measured, each.solution) for each in shown])
        frames = _judged(pairs, limits)
        _publish_all(folder, frames, [each.staged for each in shown])
    usual = usual_zero_points(folder.parent, session, TABLE)
    rows = [_row(each, usual) for each in frames]
    table = pd.DataFrame([*rows, *lost, *_never_solved(store, source, session, ledger)])
    table = _labelled(table, source, session)
    with whole_file(folder / TABLE) as part:
        table.to_parquet(part, index=False)
    return _summary(folder, table, [m for m, _ in pairs])


def _judged(pairs: Sequence[tuple[Measured, Solution | NotSolved]], limits: Limits) -> list[Judged]:
    """The frames beside one another."""
    measured, solutions = [m for m, _ in pairs], [s for _, s in pairs]
    figures = compared(measured, solutions, [figures_of(m, s) for m, s in pairs])
    verdicts = _at_home(measured, solutions, judge(figures, limits))
    skies = circumstances.sky_of([m.frame for m in measured], [_centre(m, s) for m, s in pairs])
    return [
        Judged(*each) for each in zip(measured, solutions, figures, verdicts, skies, strict=True)
    ]


def _publish_all(folder: Path, frames: Sequence[Judged], staged: Sequence[Staged | None]) -> None:
    """The solved frames, and no others."""

    def publish(each: tuple[Judged, Staged | None]) -> None:
        frame, written = each
        if written is not None:
            publish_solved(folder / frame.measured.path.name, written, frame)

    map_frames(publish, zip(frames, staged, strict=True))
    solved = {f.measured.path.name for f in frames if isinstance(f.solution, Solution)}
    for path in folder.glob("*.fits"):
        if path.name not in solved:
            path.unlink()


def _at_home(
    measured: Sequence[Measured],
    solutions: Sequence[Solution | NotSolved],
    verdicts: Sequence[Verdict],
) -> list[Verdict]:
    """The verdicts, and a rejection for each frame that points where the session does not."""
    found = [(i, s) for i, s in enumerate(solutions) if isinstance(s, Solution)]
    result = list(verdicts)
    if not found:
        return result
    away = strays([s.wcs for _, s in found], [measured[i].shape for i, _ in found])
    for i in (found[number][0] for number in away):
        reason = (
            f"pointing: more than {MAX_SEPARATION_DEG:g}° from the session's other frames; if it "
            "is another target, give it that name"
        )
        result[i] = replace(result[i], accepted=False, reason=reason, weight=0.0)
    return result


def _centre(m: Measured, solution: Solution | NotSolved) -> circumstances.Position | None:
    """What the frame shows in its middle: by its solution, else as the telescope believed."""
    if isinstance(solution, Solution):
        ra_deg, dec_deg = solution.wcs.wcs.crval
        return float(ra_deg), float(dec_deg)
    return circumstances.pointing_of(m.frame)


def _row(each: Judged, usual: Mapping[Equipment, float]) -> dict[str, object]:
    frame, figures, verdict = each.measured.frame, each.figures, each.verdict
    usual_mag = usual.get((frame.camera, figures.filter), math.nan)
    return {
        "frame": each.measured.path.stem,
        "camera": frame.camera,
        "gain_e_per_adu": frame.gain_e_per_adu,
        "read_noise_e": frame.read_noise_e,
        "start_utc": frame.start_utc,
        "sensor_temperature_c": frame.sensor_temperature_c,
        "accepted": verdict.accepted and not each.reason,
        "stage": "judge" if figures.solved else "solve",
        "reason": each.reason,
        "weight": verdict.weight,
        "transparency": verdict.transparency,
        "transparency_best": verdict.transparency_best,
        "solved": figures.solved,
        **asdict(figures),
        "transparency_source": transparency(figures.zero_point_mag, usual_mag),
        **circumstances.columns(frame, each.sky),
    }


def _never_solved(
    store: Store, source: str, session: str, ledger: pd.DataFrame
) -> list[dict[str, object]]:
    """Rows for the frames that never came to be solved."""
    unusable = [
        _lost(str(name), "calibrate", reason)
        for name, reason in zip(ledger["frame"], ledger["reason"], strict=True)
        if reason
    ]
    broken = [
        _lost(Path(record.path).stem, "fetch", record.reason)
        for record in quarantined(store, source, session)
    ]
    return [*unusable, *broken]


def _lost(frame: str, stage: str, reason: object) -> dict[str, object]:
    lost = {"accepted": False, "solved": False}
    return {"frame": frame, "stage": stage, "reason": str(reason), **lost}


def _labelled(table: pd.DataFrame, source: str, session: str) -> pd.DataFrame:
    """Put source, session, night and target before the frame's own columns."""
    night, _, rest = session.partition("_")
    labels = {"source": source, "session": session, "night": night, "target": rest.split("_")[0]}
    for position, (name, value) in enumerate(labels.items()):
        table.insert(position, name, value)
    return table


def _summary(folder: Path, table: pd.DataFrame, measured: Sequence[Measured]) -> Summary:
    frames = len(table)
    solved = table[table["solved"]] if frames else table
    rejected = table[~table["accepted"]] if frames else table
    fraction = len(solved) / frames if frames else 0.0

    def median(column: str) -> float:
        return float(solved[column].median()) if len(solved) else float("nan")

    residual, fwhm = median("residual_arcsec"), median("fwhm_px")
    scale = median("fwhm_arcsec") / fwhm if fwhm else float("nan")
    shown = ["frame", "filter", "accepted", "reason", "n_stars", "fwhm_px", "elongation",
             "background_e", "residual_arcsec", "limiting_mag"]  # fmt: skip
    return Summary(
        figures={
            "frames": frames,
            "solved": len(solved),
            "accepted": frames - len(rejected),
            "rejected": "; ".join(f"{r.frame}: {r.reason}" for r in rejected.itertuples())
            or "none",
            "fwhm_px": round(fwhm, 2),
            "fwhm_arcsec": round(median("fwhm_arcsec"), 2),
            "elongation": round(median("elongation"), 3),
            "background_e": round(median("background_e"), 1),
            "residual_arcsec": round(residual, 3),
            "limiting_mag": round(median("limiting_mag"), 2),
            **circumstances.summary(table),
        },
        digest=provenance.fingerprint(table.to_csv(index=False)),
        path=folder,
        picture_png=pictures.thumbnail(read_image(measured[0].path).image) if measured else None,
        rows=table[[c for c in shown if c in table.columns]] if frames else None,
        judgements=(
            Judgement(
                "solved_fraction",
                fraction >= GOOD_SOLVED_FRACTION,
                f"{len(solved)} of {frames} frames are solved.",
            ),
            Judgement(
                "residual",
                residual <= GOOD_RESIDUAL_PX * scale,
                f"The plate solutions' median residual is {residual:.2f}″ RMS.",
            ),
            Judgement(
                "fwhm",
                bool(np.isfinite(fwhm)) and fwhm < 8,
                f"The median FWHM is {fwhm:.2f} px ({median('fwhm_arcsec'):.1f}″).",
            ),
        ),
    )


def read_table(path: Path) -> pd.DataFrame:
    """The session's table of frames."""
    return pd.read_parquet(path / TABLE)


def accepted_files(folder: Path) -> list[Path]:
    """The solved frames of a session that passed the filter."""
    return [path for path in sorted(folder.glob("*.fits")) if header_value(path, ACCEPTED)]
