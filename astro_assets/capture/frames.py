"""The night's folder on the Pi: names that are never used twice, whole frames, the manifest.

What belongs here: what lies in `<captures>/<night>/` and how a frame gets there. What does not:
what is in a frame (`header`, cameras), when it may go (`retention`).

A frame appears in this order: part file, fsync, hash, rename without replacing, folder synced, a
line in `manifest.jsonl`, synced. A kill between any two leaves a part (removed at the next start)
or a whole frame without its line (adopted at the next start).
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from astro_assets.errors import StorageFailed

MANIFEST = "manifest.jsonl"
PARTS = ".parts"
SEQUENCE = ".sequence"
SIDECAR = ".json"
_NAME = re.compile(r"(?:[a-z]+)-\d{8}T\d{6}Z-(\d{6,})\.[A-Za-z0-9]+$")
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Published:
    """A frame that is whole and in the manifest."""

    path: Path
    size_bytes: int
    sha256: str


class NightFolder:
    """The frames of one night. Only one process writes to it (`lock`)."""

    def __init__(self, captures: Path, night: str) -> None:
        self.captures = captures
        self.folder = captures / night
        self.parts = self.folder / PARTS

    def open(self) -> None:
        """Make the folder, drop unfinished parts, adopt whole frames that lack their line."""
        with storage(self.folder):
            self.parts.mkdir(parents=True, exist_ok=True)
            for part in self.parts.iterdir():
                part.unlink()
            self._mend_last_line()
            known = set(self.lines())
            for frame in self._frames():
                if frame.name not in known:
                    self._append(frame, _sidecar_facts(frame))

    def next_sequence(self) -> int:
        """A number that no frame of this camera has had, on stable storage before it is used.

        It does not depend on the clock, which may jump back.
        """
        file = self.captures / SEQUENCE
        with storage(self.captures):
            self.captures.mkdir(parents=True, exist_ok=True)
            number = max(_number(file), self._highest()) + 1
            _write_synced(file, f"{number}\n".encode())
        return number

    def part(self, sequence: int) -> Path:
        """Where the worker writes a frame before it is whole, without its ending."""
        return self.parts / f"{sequence:06d}"

    def publish(
        self, part: Path, kind: str, moment_utc: datetime, sequence: int, facts: Mapping[str, str]
    ) -> Published:
        """Let a finished part appear under its name, then write its line.

        Raises
        ------
        StorageFailed : the card does not take it
        """
        name = f"{kind}-{moment_utc:%Y%m%dT%H%M%S}Z-{sequence:06d}{part.suffix}"
        target = self.folder / name
        with storage(target):
            _sync(part)
            if part.suffix.lower() != ".fits":
                content = json.dumps(dict(facts), indent=1, sort_keys=True).encode()
                _write_synced(Path(f"{target}{SIDECAR}"), content)
            os.link(part, target)  # fails where the name is taken
            part.unlink()
            _sync_folder(self.folder)
            return self._append(target, facts)

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
        sha256 = _sha256(frame)
        size = frame.stat().st_size
        entry = {
            "file": frame.name,
            "size": size,
            "sha256": sha256,
            "time": facts.get("DATE-OBS", ""),
            "facts": dict(facts),
        }
        line = json.dumps(entry, sort_keys=True) + "\n"
        new = not (self.folder / MANIFEST).exists()
        with (self.folder / MANIFEST).open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(self.folder)
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_synced(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
