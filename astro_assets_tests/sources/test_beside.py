"""One file lands while the next one comes; no error and no bytes are lost between the two."""

import os
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from astro_assets.errors import StorageFailed
from astro_assets.sources.beside import Beside
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.halt import Halt
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.store import Store
from astro_assets_tests.faults.landing_scene import Scene

_PATIENCE_S = 10


def _is_a_part(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").readlink().name == "download.part"


def test_it_goes_on_at_once_and_waits_before_the_next() -> None:
    going_on, seen = threading.Event(), []

    def first() -> None:
        assert going_on.wait(_PATIENCE_S)
        seen.append("first")

    with Beside(Halt(), "test") as beside:
        beside.do(first)
        seen.append("meanwhile")
        going_on.set()
        beside.do(lambda: seen.append("second"))
        assert seen[:2] == ["meanwhile", "first"]
    assert seen[2:] == ["second"]


@pytest.mark.parametrize("at", ["the next", "the end"])
def test_an_error_is_raised_by_whatever_comes_next(at: str) -> None:
    def fail() -> None:
        raise StorageFailed("the disk is full")

    done: list[str] = []

    def both() -> None:
        with Beside(Halt(), "test") as beside:
            beside.do(fail)
            if at == "the next":
                beside.do(lambda: done.append("the next"))

    with pytest.raises(StorageFailed, match="full"):
        both()
    assert done == []


def test_what_was_begun_is_waited_for_and_nothing_more_is_begun() -> None:
    halt, going_on, seen = Halt(), threading.Event(), []

    def first() -> None:
        assert going_on.wait(_PATIENCE_S)
        seen.append("landed")

    with Beside(halt, "test") as beside:
        beside.do(first)
        halt.stop()
        settling = threading.Thread(target=lambda: (halt.settle(), seen.append("settled")))
        settling.start()
        going_on.set()
        settling.join(_PATIENCE_S)
        with pytest.raises(CancelledError):
            beside.do(lambda: seen.append("begun"))
    assert seen == ["landed", "settled"]


def test_a_file_is_synced_while_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.made(tmp_path)
    second_comes = threading.Event()
    waited: list[bool] = []
    fsync = os.fsync

    class Telling(FolderTransport):
        def download(self, file: RemoteFile, sink: Sink) -> None:
            if file.path != "a/0.fits":
                second_comes.set()
            super().download(file, sink)

    def slow(descriptor: int) -> None:
        if _is_a_part(descriptor):
            waited.append(second_comes.wait(_PATIENCE_S))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    manifest = fetch_batch(
        lambda: Telling("far", scene.far), scene.batch(), Store(tmp_path / "data")
    )
    assert waited
    assert all(waited)
    assert len(manifest.records) == 3


def test_a_disk_that_does_not_take_the_last_file_ends_the_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.made(tmp_path)
    fsync = os.fsync
    synced = []

    def failing(descriptor: int) -> None:
        if _is_a_part(descriptor):
            synced.append(descriptor)
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)

    def connect() -> Any:
        return FolderTransport("far", scene.far)

    with pytest.raises(StorageFailed, match="Input/output error"):
        fetch_batch(connect, scene.batch(), Store(tmp_path / "data"))
    assert len(synced) == 1
