"""A server in a thread of its own, on loopback.

What does not belong here: any protocol.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from threading import Thread

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 15.0


def loopback_socket(port: int) -> socket.socket:
    """A socket bound to ``port`` on loopback; 0 takes a free one."""
    # With its protocol named asyncio turns off Nagle's delay, which costs 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A server that is stopped and started takes its own port again at once.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((LOOPBACK, port))
    return listening


class LoopThread:
    """Runs ``serve(started, stop)`` on an event loop of its own until it is stopped.

    ``serve`` sets ``started`` when it answers, and returns soon after ``stop`` is set.
    """

    def __init__(
        self, name: str, serve: Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]
    ) -> None:
        self._serve = serve
        self._begun: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = Thread(target=lambda: asyncio.run(self._main()), name=name, daemon=True)

    def start(self) -> None:
        """Return when the server answers; raises what kept it from starting."""
        self._thread.start()
        self._begun.result(_PATIENCE_S)

    def stop(self) -> None:
        """Return when the thread has ended."""
        loop = self._begun.result()
        loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the thread {self._thread.name} does not end")

    async def _main(self) -> None:
        started = asyncio.Event()
        serving = asyncio.ensure_future(self._serve(started, self._stop))
        waiting = asyncio.ensure_future(started.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            waiting.cancel()
            self._begun.set_exception(serving.exception() or RuntimeError("ended at once"))
            return
        self._begun.set_result(asyncio.get_running_loop())
        await serving
