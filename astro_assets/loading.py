"""Large libraries loaded without loss of time: quickly, and while something else waits.

What belongs here: how modules are loaded. What does not: which of them somebody needs (its own
imports say so).
"""

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module

_TURN_S = 0.0005
"""for as long a thread computes while others want the interpreter; ten times less than usual, for
a copy asks for it four times per megabyte"""


@contextmanager
def loading() -> Iterator[None]:
    """Import within: a fifth of the time goes when nobody searches half-loaded modules for garbage.

    Nor are modules ever searched again: they stay as long as the process does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def loaded_meanwhile(*modules: str) -> Iterator[None]:
    """Import the modules in a second thread while the block, which waits for disks, goes on.

    At its end they are there. One that cannot be imported is so again, and tells it, where it is
    used.
    """
    missing = [name for name in modules if name not in sys.modules]
    if not missing:
        yield
        return
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="import") as beside:
            beside.submit(_load, missing)
            yield
    finally:
        sys.setswitchinterval(turn_s)


def _load(modules: list[str]) -> None:
    with loading():
        for name in modules:
            import_module(name)
