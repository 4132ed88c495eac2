"""Which frames may go: only those that the collecting side has confirmed by hash.

What belongs here: `confirmed.jsonl`, age, the disk's floor. What does not: who confirms.

A confirmation that is lost, repeated, or of other bytes removes nothing: a line counts when its
file, size and SHA-256 are those of the manifest, and the bytes on the card still are.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from astro_assets.capture.config import Retention
from astro_assets.capture.frames import SIDECAR, NightFolder

CONFIRMED = "confirmed.jsonl"


@dataclass(frozen=True, slots=True)
class Kept:
    """A published frame on the card."""

    path: Path
    size_bytes: int
    taken_utc: datetime | None
    confirmed: bool


def frames_on_card(captures: Path) -> Iterator[Kept]:
    """Every frame in a manifest that is still there, oldest night first."""
    for night in sorted(path for path in captures.iterdir() if path.is_dir()):
        confirmed = _confirmations(night)
        for name, line in NightFolder(captures, night.name).lines().items():
            path = night / name
            if path.is_file():
                held = (line.get("size"), line.get("sha256"))
                yield Kept(
                    path,
                    path.stat().st_size,
                    _moment(line.get("time")),
                    held in confirmed.get(name, ()),
                )


def prune(captures: Path, retention: Retention, now_utc: datetime) -> list[Path]:
    """Remove confirmed frames: those older than the keeping time, then the oldest for space.

    Returns
    -------
    list : what was removed. Frames that are not confirmed are never among them.
    """
    if not captures.is_dir():
        return []
    removed = []
    deadline = now_utc - timedelta(days=retention.keep_days)
    # By night and name, not by date: the clock may have been wrong.
    for frame in frames_on_card(captures):
        old = frame.taken_utc is not None and frame.taken_utc < deadline
        if (
            frame.confirmed
            and (old or _short(captures, 2 * retention.disk_floor_gb))
            and _same(frame)
        ):
            frame.path.unlink()
            Path(f"{frame.path}{SIDECAR}").unlink(missing_ok=True)
            removed.append(frame.path)
    return removed


def at_floor(captures: Path, retention: Retention) -> bool:
    """Whether the card is so full that no picture may be taken."""
    return _short(captures, retention.disk_floor_gb)


def _short(captures: Path, gigabytes: float) -> bool:
    return shutil.disk_usage(captures).free < gigabytes * 1e9


def _same(frame: Kept) -> bool:
    """Whether the bytes on the card are still those that were confirmed."""
    line = NightFolder(frame.path.parent.parent, frame.path.parent.name).lines()[frame.path.name]
    with frame.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == line.get("sha256")


def _confirmations(night: Path) -> dict[str, set[tuple[object, object]]]:
    try:
        text = (night / CONFIRMED).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found: dict[str, set[tuple[object, object]]] = {}
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            found.setdefault(str(entry["file"]), set()).add((entry["size"], entry["sha256"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
