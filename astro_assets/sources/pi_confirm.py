"""Confirmations: the Pi is told by hash which of its frames are here, so that it may prune.

What belongs here: `confirmed.jsonl`, what may stand in it, that it is kept. What does not: when a
frame counts as published (`fetch`), pruning (the Pi's own program).
"""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from astro_assets.errors import SourceUnreachable
from astro_assets.sources.paths import spelled
from astro_assets.sources.pi_manifest import MANIFEST, parse_manifest
from astro_assets.sources.protocol import Confirmed
from astro_assets.sources.sftp import SftpSession
from astro_assets.sources.sftp_files import Status

CONFIRMED = "confirmed.jsonl"
_TRIES = 3

log = logging.getLogger(__name__)


def confirm(
    session: SftpSession,
    root: str,
    files: Iterable[Confirmed],
    as_fetched: Callable[[str], Status | None],
) -> None:
    """Write into each night's ``confirmed.jsonl`` what is here of it, and read it back.

    A frame that its manifest does not have (any more) with this size and hash, or that has changed
    since it was fetched, is left out. What stands there already is not written again.

    Parameters
    ----------
    root : the folder of all nights
    as_fetched : what the server said of a path when it was fetched, if that is known

    Raises
    ------
    SourceUnreachable, ListingFailed : nothing is lost by confirming again
    """
    nights: dict[str, list[Confirmed]] = defaultdict(list)
    for file in files:
        nights[file.path.split("/", 1)[0]].append(file)
    for night, held in sorted(nights.items()):
        folder = f"{root}/{night}"
        _Night(session, folder, night).confirm(
            [file for file in held if _unchanged(session, root, file, as_fetched(file.path))]
        )


def _unchanged(session: SftpSession, root: str, file: Confirmed, then: Status | None) -> bool:
    now = session.status(f"{root}/{file.path}")
    if now is None:
        return False  # pruned, or taken away: nobody waits for this line
    if now.size_bytes == file.size_bytes and then in (None, now):
        return True
    log.warning(
        "%s: %s has changed since it was fetched and is not confirmed",
        session.where, spelled(file.path),
    )  # fmt: skip
    return False


class _Night:
    """One night's folder on the Pi."""

    def __init__(self, session: SftpSession, folder: str, night: str) -> None:
        self._session = session
        self._folder = folder
        self._night = night

    def confirm(self, files: Sequence[Confirmed]) -> None:
        for _ in range(_TRIES):
            # Read anew each time: somebody else may be confirming as well.
            lines, there = self._there()
            new = [file for file in files if _key(self._name(file), file) not in there]
            if new:
                new = self._as_in_manifest(new)
            if not new:
                return
            content = "".join([*lines, *(self._line(file) for file in new)])
            self._session.replace(f"{self._folder}/{CONFIRMED}", content.encode())
        _, there = self._there()
        if any(_key(self._name(file), file) not in there for file in new):
            raise SourceUnreachable(
                f"{self._session.where}: {self._folder}/{CONFIRMED} does not keep what is written "
                "to it: check the Pi's disk"
            )

    def _there(self) -> tuple[list[str], set[tuple[object, ...]]]:
        """The lines that are there, and what they say."""
        lines: list[str] = []
        keys: set[tuple[object, ...]] = set()
        for line in self._session.lines(f"{self._folder}/{CONFIRMED}") or ():
            try:
                entry = json.loads(line)
                keys.add((entry["file"], entry["size"], entry["sha256"]))
            except (ValueError, KeyError, TypeError):
                continue
            lines.append(line + "\n")
        return lines, keys

    def _as_in_manifest(self, files: Sequence[Confirmed]) -> list[Confirmed]:
        manifest = self._session.lines(f"{self._folder}/{MANIFEST}") or ()
        listed = {
            (file.path, file.size_bytes, file.sha256)
            for file in parse_manifest(self._night, manifest, done=False)
        }
        same = [file for file in files if (file.path, file.size_bytes, file.sha256) in listed]
        for file in set(files) - set(same):
            log.warning(
                "%s: the manifest has %s with another size or hash by now; it is not confirmed",
                self._session.where, spelled(file.path),
            )  # fmt: skip
        return same

    def _name(self, file: Confirmed) -> str:
        return file.path.split("/", 1)[1]

    def _line(self, file: Confirmed) -> str:
        entry = {
            "file": self._name(file),
            "size": file.size_bytes,
            "sha256": file.sha256,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(entry) + "\n"


def _key(name: str, file: Confirmed) -> tuple[object, ...]:
    return (name, file.size_bytes, file.sha256)
