"""Which part of a night's processor time is Dagster's: `astro-assets sync` with its steps timed.

What belongs here: the clock around the steps, in the process that syncs. What does not: the night
(`whole_night`), what is wanted (`rows`).

Everything that is neither a step nor the import of the steps counts as Dagster's: its own import,
the definitions, the look, the runs with their events and records, the closing table.
"""

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg


def _cpu_s() -> float:
    """Of this process and the children that it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main(page: Path) -> None:
    """Sync as the command does; write the seconds of all, of the steps, and of their import."""
    before = _cpu_s()
    from astro_assets.steps import (  # noqa: F401 - what the runs import
        bad_pixels,
        calibrate,
        composite,
        fetch,
        frames,
        masters,
        report,
        solve,
        stack,
    )

    figures = {"import_s": _cpu_s() - before, "steps_s": 0.0, "runs": 0.0}
    from astro_assets.defs import across, lane

    translated = lane.translated

    @contextmanager
    def timed(context: dg.AssetExecutionContext) -> Iterator[None]:
        begun = _cpu_s()
        try:
            with translated(context):
                yield
        finally:
            figures["steps_s"] += _cpu_s() - begun
            figures["runs"] += 1

    lane.translated = across.translated = timed  # type: ignore[attr-defined]
    from astro_assets.cli import main as command

    sys.argv = ["astro-assets", "sync"]
    try:
        command()
    finally:
        figures["all_s"] = _cpu_s()
        page.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
