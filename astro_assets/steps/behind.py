"""Products written behind the work: while the disk takes one, the next frame is computed.

What belongs here: who waits for whom. What does not: how a product is written (`store`).
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from astro_assets.store import ImageFile, write_image

_AT_ONCE = 2
"""products that are being written; each keeps its planes in memory for so long"""


@contextmanager
def written_behind() -> Iterator[Callable[[Path, ImageFile], None]]:
    """Yield a `write_image` that waits only while `_AT_ONCE` products are being written.

    At the end of the block all of them are on the disk. Their planes must be left as they are.

    Raises
    ------
    OSError : at the end of the block, when one could not be written
    """
    room = threading.Semaphore(_AT_ONCE)
    written: list[Future[None]] = []

    def one(path: Path, file: ImageFile) -> None:
        try:
            write_image(path, file)
        finally:
            room.release()

    def write(path: Path, file: ImageFile) -> None:
        room.acquire()
        written.append(pool.submit(one, path, file))

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="write") as pool:
        yield write
    for product in written:
        product.result()


@contextmanager
def one_behind() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Yield a function that does the last piece of work of a product while the next one is made.

    One is done at a time: the next one waits for it, so that memory is that of two products. At the
    end of the block all is done.

    Raises
    ------
    Exception : what a piece of work raised, at the next one or at the end of the block
    """
    last: list[Future[None]] = []

    def later(work: Callable[[], None]) -> None:
        if last:
            last.pop().result()
        last.append(pool.submit(work))

    with ThreadPoolExecutor(1, thread_name_prefix="behind") as pool:
        yield later
        if last:
            last.pop().result()
