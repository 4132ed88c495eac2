"""Whether a source can be used, step by step, each with what to do when it cannot.

What belongs here: the order of the steps, and their sentences. What does not: how a step is done;
log-in and listing are those of every fetch, so that the check cannot be of another opinion.
"""

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from astro_assets.errors import (
    AstroAssetsError,
    IdentityRefused,
    SettingsError,
    SourceUnreachable,
    StorageFailed,
)
from astro_assets.frame import FrameKind
from astro_assets.settings import OftenOff, Settings, SourceSettings, Trust
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.cautions import cautions
from astro_assets.sources.identity import Identity
from astro_assets.sources.kinds import KINDS, connect
from astro_assets.sources.manifest import Manifest
from astro_assets.store import Store

CONNECT_TIMEOUT_S = 5
_SPARE_BYTES = 10**9
"""for the products of a night, beside what is fetched"""
_THOUSAND = 1000
_NOTHING_LISTED = "nothing there that is wanted: if there should be, check path and select"


class Mark(StrEnum):
    """How a step went."""

    GOOD = "✓"
    WARNING = "!"
    FAILED = "✗"
    NOT_TRIED = "–"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a check, and what there is to say of it."""

    name: str
    mark: Mark
    sentence: str = ""


Approve = Callable[[Identity], bool]
"""whether a person who was shown a host key wants it to be trusted"""


class _Off(Exception):
    """A source that is switched off most of the time does not answer; that is no fault."""


def check(
    source: SourceSettings, settings: Settings, approve: Approve | None = None
) -> Iterator[Step]:
    """Yield the steps as they are done. After a failed one, the later ones are not tried.

    Parameters
    ----------
    approve : asked about a host key that is not trusted yet; it is stored when the answer is yes
    """
    going = True
    for name, step in _Check(source, settings, approve).steps():
        if not going:
            yield Step(name, Mark.NOT_TRIED)
            continue
        try:
            yield Step(name, *step())
        except _Off as off:
            going = False
            yield Step(name, Mark.NOT_TRIED, str(off))
        except AstroAssetsError as error:
            going = False
            yield Step(name, Mark.FAILED, _without_name(str(error), source))


Found = tuple[Mark, str]


class _Check:
    """The steps of one source, and what a later one has to know of an earlier one."""

    def __init__(self, source: SourceSettings, settings: Settings, approve: Approve | None) -> None:
        self._source = source
        self._settings = settings
        self._approve = approve
        self._kind = KINDS[source.kind]
        self._host: str = getattr(source, "host", "")
        self._port: int = getattr(source, "port", 0)
        self._batches: list[Batch] = []
        self._tried = False
        self._refusal: AstroAssetsError | None = None

    def steps(self) -> Iterator[tuple[str, Callable[[], Found]]]:
        yield "settings", self._settings_are_complete
        if self._host:
            yield "DNS", self._name_is_found
            yield "connection", self._port_answers
        ask = self._kind.identity
        if ask is not None:
            what = "certificate" if isinstance(self._source, Trust) else "host key"
            yield what, partial(self._is_trusted, ask)
        yield ("log-in" if self._host else "folder"), self._lets_in
        yield "listing", self._lists
        yield "disk", self._has_room

    def _settings_are_complete(self) -> Found:
        source, settings = self._source, self._settings
        for key in type(source).model_fields:
            if key.endswith("_env") and getattr(source, key) is not None:
                settings.secrets.value(source, key)
        for key in ("ca_file", "key_file"):
            file = getattr(source, key, None)
            if file is not None and not file.is_file():
                raise SettingsError(
                    settings.file, f"sources.{source.name}.{key}", f"there is no file {file}"
                )
        dotenv = settings.file.parent / ".env"
        if dotenv.exists() and dotenv.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            return Mark.WARNING, f"others can read your passwords: chmod 600 {dotenv}"
        return Mark.GOOD, str(settings.file)

    def _name_is_found(self) -> Found:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise self._unreachable(
                f"{self._host} is not found: check the host and the network"
            ) from error
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        return Mark.GOOD, f"{self._host} is {', '.join(addresses)}"

    def _port_answers(self) -> Found:
        try:
            socket.create_connection((self._host, self._port), timeout=CONNECT_TIMEOUT_S).close()
        except OSError as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
            raise self._unreachable(
                f"nothing answers on port {self._port} ({reason}): is it on, is the port right, "
                "is there a firewall between?"
            ) from error
        return Mark.GOOD, f"port {self._port} answers"

    def _unreachable(self, sentence: str) -> Exception:
        if isinstance(self._source, OftenOff):
            return _Off("does not answer; it is off most of the time, and that is no fault")
        return SourceUnreachable(sentence)

    def _is_trusted(self, ask: Callable[[SourceSettings], Identity]) -> Found:
        """What is shown, and whether a log-in would go through with it."""
        shown = ask(self._source)
        self._try_log_in()
        if isinstance(self._refusal, IdentityRefused):
            self._trusted_now(shown, self._refusal)
            self._try_log_in()
        if isinstance(self._refusal, IdentityRefused):
            raise self._refusal
        dangers = [_without_name(caution, self._source) for caution in cautions(self._source)]
        mark = Mark.WARNING if dangers else Mark.GOOD
        return mark, ". ".join([shown.sentence, *dangers])

    def _trusted_now(self, shown: Identity, refusal: IdentityRefused) -> None:
        """Store a host key that somebody has agreed to. Raises `IdentityRefused` otherwise."""
        if shown.store is None:
            reason = _without_name(str(refusal), self._source)
            raise IdentityRefused(
                f"{reason}. It is: {shown.sentence}. Once you have compared it, this line trusts "
                f"just this one: {shown.remedy}"
            ) from refusal
        if self._approve is None or not self._approve(shown):
            raise refusal
        shown.store()

    def _try_log_in(self) -> None:
        """Log in once, for this step and the next: a refusal is not asked for twice."""
        self._refusal = None
        try:
            with connect(self._source, self._settings.secrets):
                pass
        except AstroAssetsError as error:
            self._refusal = error
        self._tried = True

    def _lets_in(self) -> Found:
        if not self._tried:
            self._try_log_in()
        if self._refusal is not None:
            raise self._refusal
        if not self._host:
            return Mark.GOOD, str(getattr(self._source, "path", ""))
        variable = getattr(self._source, "user_env", None)
        return Mark.GOOD, f"as the user in {variable}" if variable else "without a password"

    def _lists(self) -> Found:
        self._batches = look(self._source, self._settings)
        files = sum(len(batch.files) for batch in self._batches)
        if not files:
            return Mark.WARNING, _NOTHING_LISTED
        sessions = sum(batch.kind is FrameKind.LIGHT for batch in self._batches)
        sets = len(self._batches) - sessions
        sentence = (
            f"{_count(files, 'file')} in {_count(sessions, 'session')} and "
            f"{_count(sets, 'calibration set')}"
        )
        if any(file.size_bytes is None for batch in self._batches for file in batch.files):
            return Mark.GOOD, sentence
        return Mark.GOOD, f"{sentence}, {_size(self._to_fetch())} to fetch"

    def _has_room(self) -> Found:
        root = self._settings.root
        there = next(folder for folder in (root, *root.parents) if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise StorageFailed(
                f"{there} cannot be written to: correct its rights, or root in the settings"
            )
        free = shutil.disk_usage(there).free
        needed = self._to_fetch()
        sentence = f"{_size(free)} free at {root}"
        if free < needed + _SPARE_BYTES:
            return Mark.WARNING, f"{sentence}, {_size(needed)} to fetch: make room"
        return Mark.GOOD, sentence

    def _to_fetch(self) -> int:
        """Bytes that are listed and not here yet, as far as the far side tells sizes."""
        store = Store(self._settings.root)
        missing = 0
        for batch in self._batches:
            manifest = Manifest.load(store.raw(batch.source, batch.key))
            files = batch.files if manifest is None else manifest.missing(batch.files)
            missing += sum(file.size_bytes or 0 for file in files)
        return missing


def _without_name(sentence: str, source: SourceSettings) -> str:
    """The steps stand under the source's name already."""
    return sentence.removeprefix(f"{source.name}: ")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < _THOUSAND:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= _THOUSAND
    return f"{size_bytes:.0f} TB"
