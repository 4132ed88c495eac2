"""What clients asked one server for, so that a test can say "nothing twice"."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class Requests:
    """Counts since the observatory began; stopping and starting the server keeps them.

    logins : accepted
    refused : log-ins that were refused
    listings : folders listed, or pages of a request list
    downloads : transfers begun, by path below the folder that the source's settings name
    pages : pages of single requests that were looked at
    submissions : observation requests that were taken
    """

    logins: int = 0
    refused: int = 0
    listings: int = 0
    downloads: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    submissions: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def login(self, *, accepted: bool) -> None:
        with self._lock:
            if accepted:
                self.logins += 1
            else:
                self.refused += 1

    def listing(self) -> None:
        with self._lock:
            self.listings += 1

    def download(self, path: str) -> None:
        with self._lock:
            self.downloads[path.lstrip("/")] += 1

    def page(self) -> None:
        with self._lock:
            self.pages += 1

    def submission(self) -> None:
        with self._lock:
            self.submissions += 1
