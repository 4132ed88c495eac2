"""Solved frames: a WCS, a star table and quality figures for each, and the verdict on each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table

from astro_assets.errors import NotSolved, Unusable
from astro_assets.imaging.grid import MAX_SEPARATION_DEG, strays
from astro_assets.imaging.photometry import transparency
from astro_assets.imaging.quality import Figures, Verdict, judge
from astro_assets.imaging.solve import Solution
from astro_assets.settings import Limits, Solving
from astro_assets.steps import calibrate, circumstances, pictures, provenance, versions
from astro_assets.steps.inputs import quarantined
from astro_assets.steps.measure import Measured, compared, figures_of, measure
from astro_assets.steps.pool import map_frames
from astro_assets.steps.solving import SessionSolver
from astro_assets.steps.summary import Judgement, Summary
from astro_assets.steps.usual import usual_zero_points
from astro_assets.store import ImageFile, Store, whole_file, write_image

TABLE = "frames.parquet"
GOOD_RESIDUAL_PX = 0.8
GOOD_SOLVED_FRACTION = 0.8

_MAGNITUDES = (
    ("zero_point_mag", "MAGZP", "mag", "of 1 e-/s"),
    ("limiting_mag", "MAGLIM", "mag", "5 sigma"),
    ("sky_mag_arcsec2", "MAGSKY", "mag/arcsec2", "sky"),
)

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
    tried = map_frames(lambda name: _measured(calibrated / f"{name}.fits"), names)
    measured = [m for m in tried if isinstance(m, Measured)]
    solutions = SessionSolver(store, folder, solving, log, nova_key).solve_all(measured)
    figures = compared(
        measured, solutions, [figures_of(m, s) for m, s in zip(measured, solutions, strict=True)]
    )
    verdicts = _at_home(measured, solutions, judge(figures, limits))
    skies = circumstances.sky_of(
        [m.frame for m in measured],
        [_centre(m, s) for m, s in zip(measured, solutions, strict=True)],
    )
    usual = usual_zero_points(folder.parent, session, TABLE)
    rows = []
    for m, solution, figure, verdict, sky in zip(
        measured, solutions, figures, verdicts, skies, strict=True
    ):
        reason = verdict.reason or (str(solution) if isinstance(solution, NotSolved) else "")
        if isinstance(solution, Solution):
            _write(folder / m.path.name, m, solution, figure, verdict, sky)
        usual_mag = usual.get((m.frame.camera, figure.filter), math.nan)
        clear = {"transparency_source": transparency(figure.zero_point_mag, usual_mag)}
        of_sky = circumstances.columns(m.frame, sky)
        rows.append({**_row(m, figure, verdict, reason), **clear, **of_sky})
    solved = {m.path for m, s in zip(measured, solutions, strict=True) if isinstance(s, Solution)}
    for stale in {p.name for p in folder.glob("*.fits")} - {path.name for path in solved}:
        (folder / stale).unlink()
    pairs = zip(names, tried, strict=True)
    blank = [_lost(name, "solve", error) for name, error in pairs if isinstance(error, Unusable)]
    table = pd.DataFrame([*rows, *blank, *_never_solved(store, source, session, ledger)])
    table = _labelled(table, source, session)
    with whole_file(folder / TABLE) as part:
        table.to_parquet(part, index=False)
    return _summary(folder, table, measured)


def _measured(path: Path) -> Measured | Unusable:
    """The frame with its stars, or why there is nothing to be seen in it."""
    try:
        return measure(path)
    except Unusable as error:
        return error


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
    shapes = [(m.file.image.shape[0], m.file.image.shape[1]) for m in measured]
    away = strays([s.wcs for _, s in found], [shapes[i] for i, _ in found])
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


def _write(
    path: Path,
    m: Measured,
    solution: Solution,
    figures: Figures,
    verdict: Verdict,
    sky: circumstances.Sky,
) -> None:
    header = m.file.header.copy()
    header.update(solution.wcs.to_header(relax=True))
    circumstances.describe(header, m.frame, sky)
    header["ASTRRMS"] = (solution.residual_arcsec, "[arcsec] RMS of the plate solution")
    header["ASTRNUM"] = (solution.n_matched, "catalogue stars matched")
    header["FWHM"] = (_finite(figures.fwhm_px), "[px] of unsaturated stars")
    header["ELONG"] = (_finite(figures.elongation), "major over minor axis of stars")
    header["BKGLEVEL"] = (figures.background_e, "[e-] median background")
    header["BKGNOISE"] = (figures.noise_e, "[e-] noise of the background")
    header["AAWEIGHT"] = (verdict.weight, "worth of the frame; the usual one is 1")
    header["AAACCEPT"] = (verdict.accepted, "accepted by the quality filter")
    if verdict.reason:
        provenance.note(header, f"rejected: {verdict.reason}")
    for name, keyword, unit, what in _MAGNITUDES:
        value = getattr(figures, name)
        if value is not None and np.isfinite(value):
            header[keyword] = (value, f"[{unit}] {solution.band}, {what}")
    stamp = provenance.fingerprint(versions.SOLVED, str(header.get(provenance.KEYWORD)))
    provenance.stamp(header, "solved", stamp)
    write_image(
        path,
        ImageFile(
            image=m.file.image,
            header=header,
            mask=m.file.mask,
            tables={"STARS": Table.from_pandas(m.stars)},
        ),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _row(m: Measured, figures: Figures, verdict: Verdict, reason: str) -> dict[str, object]:
    frame = m.frame
    return {
        "frame": m.path.stem,
        "camera": frame.camera,
        "gain_e_per_adu": frame.gain_e_per_adu,
        "read_noise_e": frame.read_noise_e,
        "start_utc": frame.start_utc,
        "sensor_temperature_c": frame.sensor_temperature_c,
        "accepted": verdict.accepted and not reason,
        "stage": "judge" if figures.solved else "solve",
        "reason": reason,
        "weight": verdict.weight,
        "transparency": verdict.transparency,
        "transparency_best": verdict.transparency_best,
        "solved": figures.solved,
        **asdict(figures),
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
        picture_png=pictures.thumbnail(measured[0].file.image) if measured else None,
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
    return [p for p in sorted(folder.glob("*.fits")) if fits.getheader(p).get("AAACCEPT")]
