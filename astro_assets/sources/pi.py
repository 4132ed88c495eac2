"""The Raspberry Pi's naming rules: folders by night, each with a manifest of finished frames.

What belongs here: what a Pi's manifest says. What does not: SSH (`sftp`), the Pi's own program
(`capture`).
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self

from astro_assets.frame import FrameKind, kind_from_text
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.configuration import configuration
from astro_assets.sources.identity import ssh_host_key
from astro_assets.sources.paths import is_fits, is_tiff, spelled
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Sink, Transport
from astro_assets.sources.sftp import SftpSession

log = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
STATUS = "status.json"
_NIGHT = re.compile(r"\d{4}-\d\d-\d\d")


class PiTransport:
    """Lists what the manifests of all nights hold; a frame that is not in one is not finished."""

    def __init__(self, source: PiSource, secrets: Secrets) -> None:
        self._root = source.path.rstrip("/")
        self._session = SftpSession(source, secrets)

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.__exit__(kind, error, trace)

    def list(self) -> list[RemoteFile]:
        nights = [name for name in self._session.names(self._root) if _NIGHT.fullmatch(name)]
        return [file for night in nights for file in self._night(night)]

    def download(self, file: RemoteFile, sink: Sink) -> None:
        self._session.download(f"{self._root}/{file.path}", sink)

    def _night(self, night: str) -> Sequence[RemoteFile]:
        # The state first: frames that come between the two looks then belong to an open night.
        done = is_done(self._session.text(f"{self._root}/{night}/{STATUS}"))
        manifest = self._session.text(f"{self._root}/{night}/{MANIFEST}") or ""
        return list(parse_manifest(night, manifest, done))


def is_done(status: str | None) -> bool:
    """Whether ``status.json`` says that the night is over."""
    try:
        content = json.loads(status or "{}")
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("phase") == "done"


def parse_manifest(night: str, text: str, done: bool) -> Iterator[RemoteFile]:
    """The files of a manifest. A last line without its end is still being written.

    A file that is named again (taken once more) counts as named last.
    """
    files: dict[str, RemoteFile] = {}
    for line in text.split("\n")[:-1]:
        file = _parse_line(night, line, done) if line.strip() else None
        if file is not None:
            files[file.path] = file
        elif line.strip():
            log.warning(
                "the manifest of night %s has a line that is not understood: %r", night, line
            )
    yield from files.values()


def _parse_line(night: str, line: str, done: bool) -> RemoteFile | None:
    try:
        entry: Any = json.loads(line)
        name, size, sha256 = entry["file"], entry["size"], entry["sha256"]
        facts = {
            spelled(str(key)): spelled(str(value)) for key, value in entry.get("facts", {}).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not (isinstance(name, str) and name and isinstance(size, int) and isinstance(sha256, str)):
        return None
    return RemoteFile(
        path=f"{night}/{name}",
        size_bytes=size,
        modified_utc=_moment(entry.get("time")),
        facts=facts,
        sha256=spelled(sha256).lower(),
        complete=done,
    )


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place a frame by its folder's night and by what the manifest says of it."""
    del timezone
    if not (is_fits(file.path) or is_tiff(file.path)):
        return None
    facts = file.facts
    kind = kind_from_text(facts.get("IMAGETYP") or "light")
    return Placement(
        kind=kind,
        night=_date(file.path.split("/", 1)[0]),
        target=(facts.get("OBJECT") or "unknown") if kind is FrameKind.LIGHT else None,
        instrument=facts.get("INSTRUME") or "camera",
        configuration=configuration(kind, facts),
    )


def _date(night: str) -> date:
    try:
        return date.fromisoformat(night)
    except ValueError:
        return date(1970, 1, 1)


def connect(source: PiSource, secrets: Secrets) -> Transport:
    """SFTP, with the host key checked."""
    return PiTransport(source, secrets)


PI = Kind("pi", connect, place, identity=ssh_host_key)
