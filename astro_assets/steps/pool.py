"""Frames side by side: the kernels release the interpreter, so threads serve."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from astro_assets.imaging.threads import one_of_many
from astro_assets.steps.resources import allowed

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_frames(
    function: Callable[[Item], Result], items: Iterable[Item], need_bytes: float = 0
) -> list[Result]:
    """``function`` of each item, in order, on as many threads as cores and memory allow.

    need_bytes : of memory, for one item
    """
    return list(frames_as_done(function, items, need_bytes))


def frames_as_done(
    function: Callable[[Item], Result], items: Iterable[Item], need_bytes: float = 0
) -> Iterator[Result]:
    """`map_frames`, each result as soon as it and those before it are there."""
    frames = list(items)
    threads = allowed().side_by_side(need_bytes)
    # A single frame may have all cores for itself.
    own = one_of_many if len(frames) >= threads else None
    with ThreadPoolExecutor(threads, initializer=own) as pool:
        yield from pool.map(function, frames)
