"""Work on two threads: the kernels release the interpreter.

What belongs here: sharing one frame's rows or stars among threads. What does not: frames side by
side (`steps.pool`).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_THREADS = 2
_WORTH_SHARING = 64


def over_rows(work: Callable[[int, int], None], count: int) -> None:
    """``work(first, last)`` of each part of ``range(count)``, side by side where it is worth it."""
    if count < _WORTH_SHARING and count < 2 * _THREADS:
        work(0, count)
        return
    edges = [count * part // _THREADS for part in range(_THREADS + 1)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="rows") as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
