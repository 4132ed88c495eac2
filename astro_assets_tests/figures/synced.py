"""A small simulated night on real servers, fetched and processed by the command line, twice.

What belongs here: running it, and finding what became of a frame. What does not: figures.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from dagster import DagsterInstance

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.truth import SimulatedNight
from astro_assets.sources.manifest import Manifest
from astro_assets.steps import calibrate, solve
from astro_assets.store import Store, sha256_of

QUICK_S = 10.0
"""What a sync without news may take."""
COMMAND = Path(sys.executable).with_name("astro-assets")


@dataclass(frozen=True, slots=True)
class Sync:
    """One `astro-assets sync`.

    runs : in the instance when it had ended
    downloads : so far, per source and path
    """

    status: int
    output: str
    duration_s: float
    runs: int
    downloads: Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class SyncedNight:
    """The night's truth, the products, and the two syncs that made them."""

    truth: SimulatedNight
    store: Store
    first: Sync
    second: Sync

    def manifests(self, source: str) -> list[Manifest]:
        found = [Manifest.load(f) for f in sorted((self.store.root / "raw" / source).iterdir())]
        return [manifest for manifest in found if manifest is not None]

    def session(self, source: str) -> str:
        """The key of the source's only session."""
        (folder,) = (self.store.root / "solved" / source).iterdir()
        return folder.name

    def frames(self, source: str) -> pd.DataFrame:
        """The session's table with ``id``, the truth's name for each frame."""
        session = self.session(source)
        names = {frame.fits_sha256: frame.frame_id for frame in self.truth.of(source)}
        ledger = pd.read_parquet(self.store.calibrated(source, session) / calibrate.LEDGER)
        ids = {row.frame: names[sha256_of(Path(str(row.raw_path)))] for row in ledger.itertuples()}
        table = solve.read_table(self.store.solved(source, session))
        return table.assign(id=table["frame"].map(ids))


def sync_twice(root: Path, night: SimulatedNight) -> SyncedNight:
    """Serve the night, and sync until there is nothing new."""
    with SimulatedObservatory(night.root) as observatory:
        settings = root / "observatory.toml"
        settings.write_text(observatory.settings_toml(root / "data"), encoding="utf-8")
        observatory.write_environment(root / ".env")
        first, second = (_sync(root, settings, observatory) for _ in range(2))
        for _ in range(2):  # other work on the machine may have held it up
            if second.duration_s > QUICK_S:
                second = min(second, _sync(root, settings, observatory), key=_duration)
    return SyncedNight(night, Store(root / "data"), first, second)


def _duration(sync: Sync) -> float:
    return sync.duration_s


def _sync(root: Path, settings: Path, observatory: SimulatedObservatory) -> Sync:
    home = root / "dagster"
    environment = os.environ | {
        "ASTRO_ASSETS_SETTINGS": str(settings),
        "DAGSTER_HOME": str(home),
        "COLUMNS": "200",
    }
    start = time.monotonic()
    done = subprocess.run(
        [COMMAND, "sync"],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )
    duration_s = time.monotonic() - start
    with DagsterInstance.from_config(str(home)) as instance:
        runs = instance.get_runs_count()
    downloads = {name: Counter(asked.downloads) for name, asked in observatory.requests.items()}
    return Sync(done.returncode, done.stdout, duration_s, runs, downloads)
