"""The disk below a folder, watched call by call: each may be counted, recorded, or made to fail.

What belongs here: a layer around what Python asks of the file system. What does not: what a test
makes of it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from unittest import mock

Hook = Callable[[str, Path, Path | None], object]
"""The call's name, its path, and its target where it has two; called before it is done."""

_NOTHING: Hook = lambda name, path, target: None  # noqa: E731
_BY_PATH = ("mkdir", "rmdir", "unlink", "chmod")
_BY_TWO = ("link", "replace", "rename")


@contextmanager
def watched(root: Path, before: Hook = _NOTHING, after: Hook = _NOTHING) -> Iterator[None]:
    """Call ``before`` and ``after`` around each change below ``root``: also open, write, close.

    Nothing is really synced, for no power is cut here.
    """
    around = _Around(root, before, after)

    def opened(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        if not set(mode) & set("wax+") or not around.is_below(path):
            return _OPEN(path, mode, *args, **more)
        file = around("open", path, None, lambda: _OPEN(path, mode, *args, **more))
        return _Watched(file, path, around)

    with (
        mock.patch.multiple(
            os,
            fsync=lambda descriptor: around("fsync", _of(descriptor), None, lambda: None),
            **{name: around.by_path(name) for name in _BY_PATH},
            **{name: around.by_two(name) for name in _BY_TWO},
        ),
        mock.patch.object(Path, "open", opened),
    ):
        yield


class _Around:
    def __init__(self, root: Path, before: Hook, after: Hook) -> None:
        self._root = root
        self._before = before
        self._after = after
        self._lock = threading.RLock()

    def is_below(self, path: Path) -> bool:
        return path == self._root or self._root in path.parents

    def __call__(self, name: str, path: Path, target: Path | None, call: Callable[[], Any]) -> Any:
        if not self.is_below(path):
            return call()
        with self._lock:
            self._before(name, path, target)
        result = call()
        with self._lock:
            self._after(name, path, target)
        return result

    def by_path(self, name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(path: Any, *args: Any, **more: Any) -> Any:
            at = _absolute(path, more.get("dir_fd"))
            return self(name, at, None, lambda: original(path, *args, **more))

        return call

    def by_two(self, name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(source: Any, target: Any, **more: Any) -> Any:
            at, to = Path(os.fspath(source)), Path(os.fspath(target))
            return self(name, at, to, lambda: original(source, target, **more))

        return call


_OPEN = Path.open


def _of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _absolute(path: Any, folder: int | None) -> Path:
    return Path(os.fspath(path)) if folder is None else _of(folder) / os.fspath(path)


class _Watched:
    """A file that is open for writing."""

    def __init__(self, file: Any, path: Path, around: Callable[..., Any]) -> None:
        self._file = file
        self._path = path
        self._around = around

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._file, name)
        if name not in ("write", "flush", "truncate"):
            return value
        return lambda *args: self._around(name, self._path, None, lambda: value(*args))

    def close(self) -> None:
        """The descriptor is closed also when that fails."""
        try:
            self._around("close", self._path, None, lambda: None)
        finally:
            self._file.close()
