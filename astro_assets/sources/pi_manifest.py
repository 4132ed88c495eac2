"""What the Pi's capture program writes down of a night, read.

What belongs here: lines of `manifest.jsonl`, the phase in `status.json`. What does not: how they
get here (`sftp`), where a frame belongs (`pi`).
"""

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile

MANIFEST = "manifest.jsonl"
STATUS = "status.json"
_SHORT = 40
"""longer values are seldom the same twice"""

log = logging.getLogger(__name__)


def is_done(status: bytes) -> bool:
    """Whether ``status.json`` says that the night is over."""
    try:
        content = json.loads(status)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("phase") == "done"


def parse_manifest(night: str, lines: Iterable[str], *, done: bool) -> list[RemoteFile]:
    """The files of a manifest, from its whole lines.

    A file that is named again (taken once more) counts as named last.
    """
    files: dict[str, RemoteFile] = {}
    for line in lines:
        if not line.strip():
            continue
        file = _parse_line(night, line, done)
        if file is not None:
            files[file.path] = file
        else:
            log.warning(
                "the manifest of night %s has a line that is not understood: %.200r", night, line
            )
    return list(files.values())


def _parse_line(night: str, line: str, done: bool) -> RemoteFile | None:
    try:
        entry: Any = json.loads(line)
        name, size, sha256 = entry["file"], entry["size"], entry["sha256"]
        facts = {_text(key): _text(value) for key, value in (entry.get("facts") or {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not (isinstance(name, str) and name and isinstance(sha256, str)):
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    return RemoteFile(
        path=f"{night}/{name}",
        size_bytes=size,
        modified_utc=_moment(entry.get("time")),
        facts=facts,
        sha256=spelled(sha256).lower(),
        complete=done,
    )


def _text(value: object) -> str:
    """As text; the same few words of all frames are kept once."""
    text = str(value)
    return _kept(text) if len(text) <= _SHORT else spelled(text)


@lru_cache(maxsize=4096)
def _kept(text: str) -> str:
    return sys.intern(spelled(text))


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
