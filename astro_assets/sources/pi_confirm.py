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
        _Night(session, root, night).confirm(held, as_fetched)


class _Night:
    """One night's folder on the Pi."""

    def __init__(self, session: SftpSession, root: str, night: str) -> None:
        self._session = session
        self._root = root
        self._folder = f"{root}/{night}"
        self._night = night

    def confirm(
        self, files: Sequence[Confirmed], as_fetched: Callable[[str], Status | None]
    ) -> None:
        new: Sequence[Confirmed] = files
        for attempt in range(_TRIES + 1):
            # Read back what was written; and somebody else may be confirming as well.
            lines, there = self._there()
            new = [file for file in new if self._key(file) not in there]
            if attempt == 0:
                same = [file for file in new if self._unchanged(file, as_fetched(file.path))]
                new = self._as_in_manifest(same) if same else []
            if not new:
                return
            if attempt < _TRIES:
                content = "".join([*lines, *(self._line(file) for file in new)])
                self._session.replace(f"{self._folder}/{CONFIRMED}", content.encode())
        raise SourceUnreachable(
            f"{self._session.where}: {self._folder}/{CONFIRMED} does not keep what is written to "
            "it: check the Pi's disk"
        )

    def _unchanged(self, file: Confirmed, then: Status | None) -> bool:
        now = self._session.status(f"{self._root}/{file.path}")
        if now is None:
            return False  # pruned, or taken away: nobody waits for this line
        if now.size_bytes == file.size_bytes and then in (None, now):
            return True
        log.warning(
            "%s: %s has changed since it was fetched and is not confirmed",
            self._session.where, spelled(file.path),
        )  # fmt: skip
        return False

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
            lines.append(f"{line}\n")
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

    def _key(self, file: Confirmed) -> tuple[object, ...]:
        return (file.path.split("/", 1)[1], file.size_bytes, file.sha256)

    def _line(self, file: Confirmed) -> str:
        name, size, sha256 = self._key(file)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        return json.dumps({"file": name, "size": size, "sha256": sha256, "time": moment}) + "\n"
