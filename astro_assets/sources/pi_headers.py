"""What a frame on the Pi says of itself, where no manifest does: its sidecar, or its header.

What belongs here: reading them, as little as possible and once. What does not: what the keywords
mean for the frame's place (`pi`).
"""

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.sources.fits_units import BLOCK, hdus
from astro_assets.sources.paths import is_fits, is_packed_fits, spelled
from astro_assets.sources.sftp import SftpSession
from astro_assets.store import make_folder, write_text

_FILE_NAME = "headers.jsonl"
_HEAD_BYTES = (4 * BLOCK, 64 * BLOCK)
"""Nearly all headers end within the first."""
_SIDECAR_BYTES = 2**16
_SAVE_EACH = 200
_KEYWORDS = (
    "IMAGETYP", "FRAME", "OBJECT", "DATE-OBS", "EXPTIME", "EXPOSURE", "FILTER", "INSTRUME",
    "TELESCOP", "GAIN", "OFFSET",
)  # fmt: skip

log = logging.getLogger(__name__)


class Headers:
    """Facts of frames, remembered from one look to the next.

    folder : where they are kept; without it they are read anew each time
    """

    def __init__(self, session: SftpSession, folder: Path | None) -> None:
        self._session = session
        self._file = folder / _FILE_NAME if folder else None
        self._before = dict(_remembered(self._file)) if self._file else {}
        self._now: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._unsaved: list[str] = []

    def facts(self, path: str, version: str, sidecars: Sequence[str]) -> Mapping[str, str]:
        """The frame's keywords; none when neither file says any. Raises `ListingFailed`.

        Parameters
        ----------
        path, sidecars : as the server wants them
        version : changes when one of the files does
        """
        if not sidecars and not _has_header(path):
            return {}
        known = self._before.get(path)
        if known is None or known[0] != version:
            known = (version, self._read(path, sidecars))
            self._unsaved.append(json.dumps([path, *known]) + "\n")
            if len(self._unsaved) >= _SAVE_EACH:
                self._append()
        self._now[path] = known
        return known[1]

    def save(self, *, all_seen: bool) -> None:
        """Keep what was read; after a whole look, forget the many files that are gone."""
        self._append()
        if self._file is not None and all_seen and len(self._before) > 2 * len(self._now):
            lines = (json.dumps([path, *known]) + "\n" for path, known in self._now.items())
            with _only_costs_time():
                write_text(self._file, "".join(lines))

    def _append(self) -> None:
        lines, self._unsaved = self._unsaved, []
        if self._file is not None and lines:
            with _only_costs_time():
                make_folder(self._file.parent)
                with self._file.open("a", encoding="utf-8") as file:
                    file.write("".join(lines))

    def _read(self, path: str, sidecars: Sequence[str]) -> dict[str, str]:
        for sidecar in sidecars:
            content = self._session.head(sidecar, _SIDECAR_BYTES)
            if content is not None:
                return _of_sidecar(content)
        return self._of_header(path) if _has_header(path) else {}

    def _of_header(self, path: str) -> dict[str, str]:
        """A broken frame is to be listed, so that it is set aside for all to see."""
        for size in _HEAD_BYTES:
            head = self._session.head(path, size)
            if head is None:
                break
            with suppress(BrokenFile):
                return _chosen(head, path)
            if len(head) < size:
                break
        return {}


def _has_header(path: str) -> bool:
    """Whether the first bytes of a file are a header that we can read by itself."""
    return is_fits(path) and not is_packed_fits(path)


def _chosen(head: bytes, path: str) -> dict[str, str]:
    """The keywords of the first image and of what stands before it. Raises `BrokenFile`."""
    cards: dict[str, str] = {}
    for hdu in hdus(io.BytesIO(head), None, path):
        cards = {**hdu.cards, **cards}
        if hdu.data_size:
            break
    return {key: cards[key] for key in _KEYWORDS if cards.get(key, "").strip()}


def _of_sidecar(content: bytes) -> dict[str, str]:
    try:
        entries: Any = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {
        spelled(key): spelled(str(value))
        for key, value in entries.items()
        if isinstance(value, str | int | float)
    }


def _remembered(file: Path) -> Iterator[tuple[str, tuple[str, Mapping[str, str]]]]:
    with _only_costs_time(), file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            # A line that was cut is read anew.
            with suppress(ValueError, TypeError):
                path, version, facts = json.loads(line)
                yield path, (version, facts)


class _only_costs_time(suppress):  # noqa: N801 - reads as a statement
    """What is not remembered is read again."""

    def __init__(self) -> None:
        super().__init__(OSError)
