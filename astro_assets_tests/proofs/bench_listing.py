"""A look at a hundred thousand files.

What belongs here: making them, looking, the figures. What does not: the program that looks
(`bench_fetch`).
"""

import json
from dataclasses import dataclass
from pathlib import Path

from astro_assets_tests.proofs.bench_sources import FRAME_BYTES, far_side, name, write_manifest
from astro_assets_tests.proofs.bench_transfer import ours

_SERVED_IN = 10
"""folders"""
_HOW = {"F": "LIST over TLS", "V": "MLSD", "S": "the manifest over SFTP"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A look at many files. ``looked_s`` is the look alone, without the program's start."""

    letter: str
    server: str
    how: str
    files: int
    looked_s: tuple[float, ...]
    peak_mb: float


def list_many(letter: str, count: int, rounds: int, work: Path) -> Listed:
    """Look at ``count`` files."""
    with far_side(letter, work) as far:
        if letter == "S":
            names = ((f"light-{n:06d}.fits", FRAME_BYTES, f"{n:064x}") for n in range(count))
            write_manifest(far, names)
        else:
            for number in range(count):
                folder, within = divmod(number, count // _SERVED_IN)
                path = far.served / name(letter, within).replace("31", str(31 + folder), 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        far.root.mkdir()
        runs = [ours(far, far.root, "look") for _ in range(rounds)]
        told = [json.loads(run.output) for run in runs]
        if {each["files"] for each in told} != {count}:
            raise RuntimeError(f"{told} are not {count} files")
        looked_s = tuple(each["looked_s"] for each in told)
        peak_mb = max(run.peak_mb for run in runs)
        return Listed(letter, far.server, _HOW[letter], count, looked_s, peak_mb)
