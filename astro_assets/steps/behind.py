"""The disk, waited for behind the work.

What belongs here: who waits for whom. What does not: how a product is written (`store`).
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from astro_assets.store import ImageFile, whole_file, write_units

_AT_ONCE = 2
"""threads that wait for the disk"""
_AHEAD = 8
"""products that wait for it; each keeps its folder open, but no planes"""


@contextmanager
def written_behind() -> Iterator[Callable[[Path, ImageFile], None]]:
    """Yield a `write_image` that does not wait until the disk has the bytes.

    Whoever made a product hands its bytes to the system, so that it keeps no memory; another thread
    waits for the disk and publishes it. At the end of the block all are published.

    Raises
    ------
    OSError : at the end of the block, when one could not be written; the others are
    """
    room = threading.Semaphore(_AHEAD)
    published: list[Future[None]] = []

    def write(path: Path, file: ImageFile) -> None:
        room.acquire()
        try:
            with ExitStack() as product:
                product.callback(room.release)
                write_units(product.enter_context(whole_file(path)), file)
                published.append(pool.submit(product.pop_all().close))
        except OSError as error:
            failed: Future[None] = Future()
            failed.set_exception(error)
            published.append(failed)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="publish") as pool:
        yield write
    for product in published:
        product.result()
