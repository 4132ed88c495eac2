"""The Raspberry Pi: folders by night, each with a manifest of finished frames, or without.

What belongs here: which files are frames, and where they belong. What does not: SSH (`sftp`), what
a manifest says (`pi_manifest`), the Pi's own program (`capture`).
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from astro_assets.errors import ListingFailed
from astro_assets.frame import FrameKind, kind_from_text
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.configuration import configuration
from astro_assets.sources.identity import ssh_host_key
from astro_assets.sources.paths import is_frame, stem
from astro_assets.sources.pi_confirm import confirm
from astro_assets.sources.pi_headers import Headers
from astro_assets.sources.pi_manifest import MANIFEST, STATUS, is_done, parse_manifest
from astro_assets.sources.protocol import (
    NO_NIGHT,
    Confirmed,
    Kind,
    Placement,
    RemoteFile,
    Sink,
    Transport,
)
from astro_assets.sources.sftp import SftpSession
from astro_assets.sources.sftp_files import Refused, Status

log = logging.getLogger(__name__)

_NIGHT = re.compile(r"(\d{4}-\d\d-\d\d)(?:_\d+)?")
"""with the number of a second run on the same evening"""
_SIDECAR = ".json"
_STATUS_BYTES = 2**16

_as_fetched: dict[tuple[str, str], Status] = {}
"""What the servers said of the files that this process has fetched, until they are confirmed."""


class PiTransport:
    """Lists what the manifests of all nights hold; a frame that is not in one is not finished.

    Without manifests, by setting, it lists every frame below the nights' folders.
    """

    def __init__(self, source: PiSource, secrets: Secrets) -> None:
        self._root = source.path.rstrip("/")
        self._manifest = source.manifest
        self._session = SftpSession(source, secrets)
        self._folder: Path | None = None

    def remember_in(self, folder: Path) -> None:
        self._folder = folder

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
        headers = Headers(self._session, self._folder)
        seen = False
        try:
            files = list(self._files(headers))
            seen = True
        finally:
            headers.save(all_seen=seen)
        return files

    def stat(self, file: RemoteFile) -> RemoteFile | None:
        status = self._session.status(self._path(file.path))
        if status is None:
            return None
        moment = _moment(status)
        return replace(file, size_bytes=status.size_bytes, modified_utc=moment, sha256=None)

    def download(self, file: RemoteFile, sink: Sink) -> None:
        status = self._session.download(self._path(file.path), sink, file)
        if file.sha256 is not None:
            _as_fetched[self._session.where, file.path] = status

    def confirm(self, files: Sequence[Confirmed]) -> None:
        """Tell the Pi by hash; one without manifests has no use for that."""
        if not self._manifest:
            return
        where = self._session.where
        confirm(self._session, self._root, files, lambda path: _as_fetched.get((where, path)))
        for file in files:
            _as_fetched.pop((where, file.path), None)

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _files(self, headers: Headers) -> Iterator[RemoteFile]:
        for name, status in self._session.entries(self._root):
            if not _NIGHT.fullmatch(name) or status.is_file:
                continue
            files = self._listed if self._manifest else self._lying
            yield from files(name, headers)

    def _listed(self, night: str, headers: Headers) -> Iterator[RemoteFile]:
        """The frames that the night's manifest names."""
        # The state first: frames that come between the two looks then belong to an open night.
        status = self._session.head(self._path(f"{night}/{STATUS}"), _STATUS_BYTES)
        done = status is not None and is_done(status)
        lines: Iterator[str] | None = None
        with _left_out_if_closed():
            lines = self._session.lines(self._path(f"{night}/{MANIFEST}"))
        if lines is None and status is None:
            log.warning(
                "%s: the night %s has no %s, nothing of it is fetched: if no program there writes "
                "one, set manifest = false",
                self._session.where, night, MANIFEST,
            )  # fmt: skip
        for file in parse_manifest(night, lines or (), done=done):
            if file.facts or not is_frame(file.path):
                yield file
            else:
                path = self._path(file.path)
                sidecars = [f"{path}{_SIDECAR}", f"{stem(path)}{_SIDECAR}"]
                yield replace(file, facts=headers.facts(path, file.sha256 or "", sidecars))

    def _lying(self, folder: str, headers: Headers) -> Iterator[RemoteFile]:
        """The frames that lie in a folder and below it."""
        entries: dict[str, Status] = {}
        with _left_out_if_closed():
            entries.update(self._session.entries(self._path(folder)))
        for name, status in entries.items():
            if name.startswith("."):
                continue
            if status.is_folder:
                yield from self._lying(f"{folder}/{name}", headers)
            elif status.is_file and is_frame(name):
                beside = (f"{name}{_SIDECAR}", f"{stem(name)}{_SIDECAR}")
                sidecars = [sidecar for sidecar in beside if sidecar in entries]
                version = repr([status, *(entries[sidecar] for sidecar in sidecars)])
                path = self._path(f"{folder}/{name}")
                found = [self._path(f"{folder}/{sidecar}") for sidecar in sidecars]
                yield RemoteFile(
                    path=f"{folder}/{name}",
                    size_bytes=status.size_bytes,
                    modified_utc=_moment(status),
                    facts=headers.facts(path, version, found),
                )


@contextmanager
def _left_out_if_closed() -> Iterator[None]:
    """One place that the server keeps closed does not keep us from the others."""
    try:
        yield
    except ListingFailed as error:
        if not isinstance(error.__cause__, Refused):
            raise
        log.warning("%s; it is left out", error)


def _moment(status: Status) -> datetime | None:
    if status.modified_s is None:
        return None
    return datetime.fromtimestamp(status.modified_s, UTC)


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place a frame by its folder's night and by what manifest, sidecar or header say of it."""
    del timezone
    if not is_frame(file.path):
        return None
    facts = file.facts
    kind = kind_from_text(facts.get("IMAGETYP") or facts.get("FRAME") or "light")
    return Placement(
        kind=kind,
        night=_date(file.path.split("/", 1)[0]),
        target=(facts.get("OBJECT") or "unknown") if kind is FrameKind.LIGHT else None,
        instrument=facts.get("INSTRUME") or facts.get("TELESCOP") or "camera",
        configuration=configuration(kind, facts),
    )


def _date(night: str) -> date:
    try:
        return date.fromisoformat(night[:10])
    except ValueError:
        return NO_NIGHT


def connect(source: PiSource, secrets: Secrets) -> Transport:
    """SFTP, with the host key checked."""
    return PiTransport(source, secrets)


PI = Kind("pi", connect, place, identity=ssh_host_key)
