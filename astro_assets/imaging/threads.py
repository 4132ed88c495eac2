"""Work on several threads: the kernels release the interpreter.

What belongs here: how many there are, and sharing one frame's rows or stars among them. What does
not: frames side by side (`steps.pool`), what the settings allow (`steps.resources`).
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_WORTH_SHARING = 64
_here = threading.local()


class _Process:
    """As many threads as this process may run on cores, unless it is told otherwise."""

    threads = len(os.sched_getaffinity(0))


def use_threads(count: int) -> None:
    """Share work among so many threads from now on."""
    _Process.threads = count


def threads() -> int:
    """Among how many one piece of work is shared."""
    return _Process.threads


def one_of_many() -> None:
    """From now on what this thread does is not shared: the other threads have their own frames."""
    _here.alone = True


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each gives, side by side where this thread may share its work."""
    if threads() == 1 or getattr(_here, "alone", False):
        return [work() for work in works]
    with ThreadPoolExecutor(threads(), thread_name_prefix="part") as pool:
        return list(pool.map(lambda work: work(), works))


def over_rows(work: Callable[[int, int], None], count: int) -> None:
    """``work(first, last)`` of each part of ``range(count)``, side by side where it is worth it."""
    among = threads()
    few = count < _WORTH_SHARING and count < 2 * among
    if among == 1 or few or getattr(_here, "alone", False):
        work(0, count)
        return
    edges = [count * part // among for part in range(among + 1)]
    with ThreadPoolExecutor(among, thread_name_prefix="rows") as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
