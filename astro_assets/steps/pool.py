"""Frames side by side: the kernels release the interpreter, so threads serve."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_frames(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``function`` of each item, in order, on as many threads as there are cores (4 at most)."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 4)) as pool:
        return list(pool.map(function, items))
