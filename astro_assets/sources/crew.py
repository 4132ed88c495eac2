"""Threads, each with a connection of its own, that work off one queue of files.

What belongs here: who takes which file, and how all of them end. What does not: what is done with
a file (`fetch`).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass

from astro_assets.errors import LoginRefused, StorageFailed, Transient
from astro_assets.sources.beside import Beside
from astro_assets.sources.halt import Halt
from astro_assets.sources.lines import Door, Line
from astro_assets.sources.protocol import RemoteFile, Transport
from astro_assets.sources.records import Record

log = logging.getLogger(__name__)

_LOOK_S = 0.2
"""How often `Crew.news` comes back without any."""

Work = Callable[[Line, int, RemoteFile, Callable[[Record], None]], Callable[[], None]]
"""Fetches one file on a line, into the folder of that number. What it returns lets the file
land, which needs no line, and hands its record on."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A file did not arrive; others may."""

    error: Transient


@dataclass(frozen=True, slots=True)
class Ended:
    """A thread has ended; with an error that concerns all of them, or because all is done."""

    error: BaseException | None


News = Record | Missed | Ended


class Crew:
    """One thread at first; the others begin once it is logged in."""

    def __init__(
        self,
        connect: Callable[[], Transport],
        files: Sequence[RemoteFile],
        most: int,
        work: Work,
        halt: Halt,
    ) -> None:
        self._queue = deque(files)
        self._most = most
        self._work = work
        self._halt = halt
        self._door = Door(connect, halt, self._call_the_others)
        self._lock = threading.Lock()
        self._threads = 0
        self._working = 0
        self._told = threading.Condition()
        self._news: list[News] = []

    def news(self) -> Iterator[list[News]]:
        """What has happened, as it happens, until all is done; now and then an empty list.

        Raises, once, what ended a thread.
        """
        if self._queue:
            with self._lock:
                self._begin()
        seen = 0
        while self._threads:
            news = self._since(seen)
            seen += len(news)
            yield news
            for ended in (item for item in news if isinstance(item, Ended)):
                with self._lock:
                    self._threads -= 1
                if ended.error is not None:
                    raise ended.error

    def stopped(self) -> list[News]:
        """End all threads, and tell all that has happened. Waits for no server."""
        self._halt.settle()
        with self._told:
            return list(self._news)

    def _since(self, seen: int) -> list[News]:
        with self._told:
            self._told.wait_for(lambda: len(self._news) > seen, _LOOK_S)
            return self._news[seen:]

    def _tell(self, news: News) -> None:
        with self._told:
            self._news.append(news)
            self._told.notify_all()

    def _begin(self) -> None:
        number = self._threads
        self._threads += 1
        self._working += 1
        # A thread that waits for a server must not keep the process from ending.
        threading.Thread(
            target=self._run, args=(number,), name=f"fetch-{number}", daemon=True
        ).start()

    def _call_the_others(self) -> None:
        with self._lock:
            for _ in range(min(self._most - 1, len(self._queue))):
                self._begin()

    def _run(self, number: int) -> None:
        failure: BaseException | None = None
        try:
            with Line(self._door) as line:
                self._work_off(line, number)
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `news`
            failure = error
        self._tell(Ended(failure))

    def _work_off(self, line: Line, number: int) -> None:
        landings = 0
        with Beside(self._halt, f"land-{number}") as beside:
            while (file := self._taken()) is not None:
                # In the other of two folders the last file may still be landing.
                folder = 2 * number + landings % 2
                try:
                    landing = self._work(line, folder, file, self._tell)
                except StorageFailed:
                    raise
                except (Transient, LoginRefused) as error:
                    if line.dead and self._given_back(file):
                        log.info("%s; going on with one connection less", error)
                        return
                    if not isinstance(error, Transient):
                        raise
                    self._tell(Missed(error))
                    if line.dead:
                        self._halt.stop()
                else:
                    beside.do(landing)
                    landings += 1

    def _taken(self) -> RemoteFile | None:
        self._halt.check()
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._working -= 1
            return None

    def _given_back(self, file: RemoteFile) -> bool:
        """Leave a file to the others, if there are any that are inside."""
        with self._lock:
            if self._working == 1 or self._door.inside == 0:
                return False
            self._working -= 1
            self._queue.appendleft(file)
            return True
