"""The night's folder on the Pi: names that are never used twice, whole frames, the manifest.

What belongs here: what lies in `<captures>/<night>/` and how a frame gets there. What does not:
what is in a frame (`header`, cameras), when it may go (`retention`).

A frame appears in this order: part file, fsync, rename without replacing, folder synced, a line in
`manifest.jsonl`, synced; then its number is written down as used. A kill between any two leaves a
part (removed at the next start) or a whole frame without its line (adopted at the next start).
A number is taken when a frame appears, not when its exposure begins: none is left out.
"""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from astro_assets.errors import StorageFailed
from astro_assets.files import make_folder, publish, sha256_of, sync_folder, write_text

MANIFEST = "manifest.jsonl"
PARTS = ".parts"
SEQUENCE = ".sequence"
SIDECAR = ".json"
_NAME = re.compile(r"(?:[a-z]+)-\d{8}T\d{6}Z-(\d{6,})\.[A-Za-z0-9]+$")


@dataclass(frozen=True, slots=True)
class Published:
    """A frame that is whole and in the manifest."""

    path: Path
    size_bytes: int
    sha256: str


class NightFolder:
    """The frames of one night. Only one process writes to it (`lock`). Open it first."""

    def __init__(self, captures: Path, night: str) -> None:
        self.captures = captures
        self.folder = captures / night
        self.parts = self.folder / PARTS
        self._used = 0
        """the highest number that a frame of this camera has had"""

    def open(self) -> None:
        """Make the folder, drop unfinished parts, adopt whole frames that lack their line."""
        with storage(self.folder):
            make_folder(self.parts)
            for part in self.parts.iterdir():
                part.unlink()
            self._mend_last_line()
            known = set(self.lines())
            frames = list(self._frames())
            self._drop_lone_sidecars({*known, *(frame.name for frame in frames)})
            for frame in frames:
                if frame.name not in known:
                    self._append(frame, _sidecar_facts(frame))
            # It does not depend on the clock, which may jump back, nor on frames, which may go.
            self._used = max(_number(self.captures / SEQUENCE), self._highest())

    def part(self) -> Path:
        """Where the worker writes a frame before it is whole, without its ending."""
        return self.parts / "frame"

    def publish(
        self, parts: Sequence[Path], kind: str, moment_utc: datetime, facts: Mapping[str, str]
    ) -> list[Published]:
        """Let an exposure's finished parts appear under one number, and write their lines.

        Raises
        ------
        StorageFailed : the card does not take it
        """
        number = self._used + 1
        published = []
        for part in parts:
            name = f"{kind}-{moment_utc:%Y%m%dT%H%M%S}Z-{number:06d}{part.suffix}"
            target = self.folder / name
            with storage(target):
                if part.suffix.lower() != ".fits":
                    sidecar = json.dumps(dict(facts), indent=1, sort_keys=True)
                    write_text(Path(f"{target}{SIDECAR}"), sidecar)
                publish(part, target, replace=False)
                self._used = number
                published.append(self._append(target, facts))
        with storage(self.captures):
            write_text(self.captures / SEQUENCE, f"{number}\n")
        return published

    def lines(self) -> dict[str, dict[str, Any]]:
        """The manifest by file; a cut last line is none."""
        try:
            text = (self.folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return {}
        found = {}
        for line in text.split("\n")[:-1]:
            try:
                entry = json.loads(line)
                found[str(entry["file"])] = entry
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _append(self, frame: Path, facts: Mapping[str, str]) -> Published:
        sha256, size = sha256_of(frame), frame.stat().st_size
        entry = {
            "file": frame.name,
            "size": size,
            "sha256": sha256,
            "time": facts.get("DATE-OBS", ""),
            "facts": dict(facts),
        }
        manifest = self.folder / MANIFEST
        new = not manifest.exists()
        with manifest.open("ab") as file:
            length = file.tell()
            try:
                file.write((json.dumps(entry, sort_keys=True) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                # Half a line would spoil the next one too; the frame is adopted at the next start.
                with suppress(OSError):
                    os.truncate(manifest, length)
                raise
        if new:
            sync_folder(self.folder)
        return Published(frame, size, sha256)

    def _mend_last_line(self) -> None:
        """Cut off the half line that a kill has left, so that the next one is whole."""
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            return
        content = manifest.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with manifest.open("r+b") as file:
                file.truncate(len(whole))
                os.fsync(file.fileno())

    def _drop_lone_sidecars(self, frames: set[str]) -> None:
        """Those that a kill has left without their frame."""
        for sidecar in self.folder.glob(f"*{SIDECAR}"):
            if _NAME.match(sidecar.stem) and sidecar.stem not in frames:
                sidecar.unlink()

    def _frames(self) -> Iterator[Path]:
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and _NAME.match(path.name) and path.suffix != SIDECAR:
                yield path

    def _highest(self) -> int:
        """The highest number on the card, should the counter's file be lost."""
        names = (path.name for path in self.captures.glob("*/*-*Z-*"))
        return max((int(m[1]) for name in names if (m := _NAME.match(name))), default=0)


class storage:  # noqa: N801 - reads as a statement: with storage(folder)
    """A failing card as one sentence. Only code that touches nothing but files belongs within."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free some space" if full else "check the card"
            raise StorageFailed(
                f"{self._place} does not take files ({error.strerror or error}): {remedy}"
            ) from error


def _sidecar_facts(frame: Path) -> dict[str, str]:
    """What is known of a frame whose line was lost: its sidecar, or its own header."""
    try:
        content = json.loads(Path(f"{frame}{SIDECAR}").read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in content.items()}
    except FileNotFoundError:
        from astro_assets.capture.header import facts_of

        return facts_of(frame)
    except (ValueError, AttributeError):
        return {}


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0
