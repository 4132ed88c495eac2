"""Pages of finished jobs, which do not change any more, kept from one look to the next.

What belongs here: the file. It saves a call for each request and can be deleted at any time; what
it holds is never the only copy of anything.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from astro_assets.store import write_json

log = logging.getLogger(__name__)

FILE_NAME = "pages.json"
_SAVED_AFTER = 50
"""new pages, so that a look which is ended by force leaves most of its work behind"""


class Pages:
    """Pages of one site by request (``R771716``) or job (``J423183``).

    folder : None keeps nothing beyond this object
    site : whose pages they are; those of another site are forgotten
    """

    def __init__(self, folder: Path | None, site: str) -> None:
        self._file = None if folder is None else folder / FILE_NAME
        self._site = site
        self._pages = _read(self._file, site) if self._file else {}
        self._new = 0

    def __len__(self) -> int:
        return len(self._pages)

    def get(self, key: str) -> dict[str, str] | None:
        return self._pages.get(key)

    def put(self, key: str, page: Mapping[str, str]) -> None:
        self._pages[key] = dict(page)
        self._new += 1
        if self._new >= _SAVED_AFTER:
            self.save()

    def save(self) -> None:
        """Write what is new. A disk that does not take it costs calls, and nothing else."""
        if self._file is None or not self._new:
            return
        try:
            write_json(self._file, {"site": self._site, "pages": self._pages})
        except OSError as error:
            log.warning("%s cannot be written (%s): each look asks anew", self._file, error)
        self._new = 0


def _read(file: Path, site: str) -> dict[str, dict[str, str]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s): its pages are asked for anew", file, error)
        return {}
    if not isinstance(content, dict) or content.get("site") != site:
        return {}
    pages = content.get("pages")
    return {k: v for k, v in pages.items() if _is_page(v)} if isinstance(pages, dict) else {}


def _is_page(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(fact, str) for fact in value.values())
