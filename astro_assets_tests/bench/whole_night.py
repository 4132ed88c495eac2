"""The whole night as people run it: `astro-assets sync` on a folder of raw frames.

What belongs here: settings for it and its command. What does not: what it is compared with.
"""

import json
import shutil
import sys
from pathlib import Path

from astro_assets_tests.bench.compared import Peer, Row
from astro_assets_tests.bench.measured import Cost, of_command
from astro_assets_tests.bench.night import Night

_SETTINGS = """\
root = "products"

[site]
name = "Bench"
latitude_deg = 53.2
longitude_deg = 6.6
elevation_m = 5
timezone = "Europe/Amsterdam"

[[sources]]
name = "bench"
kind = "folder"
path = {path}
"""


def settings_for(night: Night, folder: Path) -> Path:
    """Write settings whose products go below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "observatory.toml"
    file.write_text(_SETTINGS.format(path=json.dumps(str(night.folder))), encoding="utf-8")
    return file


def sync(settings_file: Path) -> Cost:
    """Everything from the raw files to the composite, through Dagster."""
    program = Path(sys.executable).parent / "astro-assets"
    folder = settings_file.parent
    return of_command(
        [str(program), "sync"],
        folder,
        {"ASTRO_ASSETS_SETTINGS": str(settings_file), "DAGSTER_HOME": str(folder / "dagster")},
    )


def share_row(night: Night, folder: Path) -> Row:
    """One more night, below ``folder``, with a clock around each step: see `dagsters_share`."""
    told: dict[str, float] = {}

    def cost(cpu_s: float) -> Cost:
        return Cost(told["wall_s"], cpu_s, told["peak_mb"], 0.0, 0.0)

    def measured() -> Cost:
        shutil.rmtree(folder, ignore_errors=True)
        told.update(share(settings_for(night, folder)))
        shutil.rmtree(folder)
        return cost(told["all_s"] - told["steps_s"] - told["import_s"])

    return Row(
        "Dagster's share: start, definitions, looks, runs, events",
        measured,
        (Peer("all CPU of the night", lambda: cost(told["all_s"]), "cpu_s", 0.15),),
        once=True,
    )


def share(settings_file: Path) -> dict[str, float]:
    """The seconds of `dagsters_share`, with the run's wall time and peak memory."""
    folder = settings_file.parent
    home, page = folder / "dagster", folder / "share.json"
    home.mkdir(exist_ok=True)
    cost = of_command(
        [sys.executable, "-m", "astro_assets_tests.bench.dagsters_share", str(page)],
        Path.cwd(),
        {"ASTRO_ASSETS_SETTINGS": str(settings_file), "DAGSTER_HOME": str(home)},
    )
    told: dict[str, float] = json.loads(page.read_text(encoding="utf-8"))
    return told | {"wall_s": cost.wall_s, "peak_mb": cost.peak_mb}
