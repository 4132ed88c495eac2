"""Eleven real frames of M 94 through `sync`: once from a folder, once from a telescope's FTP."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import astro_assets
from astro_assets.sim.servers.ftp import FtpServer
from astro_assets_tests.bad_input.bench import Bench, Ended, folder_source

FRAMES = Path(astro_assets.__file__).parents[2] / "shared" / "data" / "seestar_m94"
OBSERVATION = "user/2025-04-09_22-54-35_observation_M94/01-images-initial"
SESSIONS = {"seestar": "2025-04-09_M94_Seestar-S50", "vespera": "2025-04-09_M94_Vespera"}


@dataclass(frozen=True)
class Night:
    """What came of both ways, and what was served."""

    bench: Bench
    ended: Ended
    served: dict[str, list[Path]]

    def stacks(self, source: str) -> Path:
        return self.bench.store.stacks(source, SESSIONS[source])

    def solved(self, source: str) -> list[Path]:
        return sorted(self.bench.store.solved(source, SESSIONS[source]).glob("*.fits"))


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    if not FRAMES.is_dir():
        pytest.skip(
            "the real frames (shared/data/seestar_m94) are not beside the project",
        )
    folder = tmp_path_factory.mktemp("real")
    frames = sorted(FRAMES.glob("*.fit"))
    stage = folder / "served" / OBSERVATION
    stage.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        shutil.copy2(frame, stage / f"img-{number:04d}.fits")
    server = FtpServer(folder / "served")
    server.start()
    try:
        bench = Bench(folder)
        bench.write(
            folder_source("seestar", FRAMES),
            f'name = "vespera"\nkind = "vespera"\nhost = "127.0.0.1"\nport = {server.port}',
        )
        ended = bench.sync()
        yield Night(bench, ended, {"seestar": frames, "vespera": sorted(stage.iterdir())})
    finally:
        server.stop()
