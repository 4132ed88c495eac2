"""A disk that gets full while a session is worked on: told, nothing half done, and mended later."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.frame import FrameKind
from astro_assets.store import Store
from astro_assets_tests.steps.raw_files import NIGHT, SESSION, SHAPE, Lane

resource = pytest.importorskip("resource")
_LESS_THAN_A_PRODUCT = 12_000


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: the system's own limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def fetched(lane: Lane, count: int) -> None:
    """Lights of a session, the same ones each time."""
    rng = np.random.default_rng(5)
    frames = {f"light{number}": rng.normal(1500, 5, SHAPE) for number in range(count)}
    cards = {"EXPTIME": 300.0, "DATE-OBS": f"{NIGHT}T22:00:00"}
    lane.put(SESSION, FrameKind.LIGHT, frames, {"OBJECT": "M 31"}, **cards)


def test_calibration_reports_nothing_that_it_could_not_write(tmp_path: Path) -> None:
    lane = Lane(Store(tmp_path))
    lane.master(FrameKind.BIAS, 1000)
    folder = lane.store.calibrated("far", SESSION)
    fetched(lane, 4)
    with room_for(_LESS_THAN_A_PRODUCT), pytest.raises(OSError, match="too large"):
        lane.calibrated()
    assert list(folder.iterdir()) == [], "neither products nor a table that has them"
    assert lane.calibrated().figures["calibrated"] == 4
    for path in folder.glob("*.fits"):
        with fits.open(path, checksum=True) as hdus:
            assert hdus[0].verify_datasum() == 1


def test_a_disk_that_got_full_half_way_keeps_what_was_whole(tmp_path: Path) -> None:
    lane = Lane(Store(tmp_path))
    lane.master(FrameKind.BIAS, 1000)
    folder = lane.store.calibrated("far", SESSION)
    fetched(lane, 2)
    lane.calibrated()
    before = {path: path.stat().st_ino for path in folder.glob("*.fits")}
    table = lane.ledger.read_bytes()
    fetched(lane, 4)
    with room_for(_LESS_THAN_A_PRODUCT), pytest.raises(OSError, match="too large"):
        lane.calibrated()
    assert lane.ledger.read_bytes() == table
    assert {path: path.stat().st_ino for path in folder.glob("*.fits")} == before
    assert lane.calibrated().figures["calibrated"] == 4
    assert before.items() <= {path: path.stat().st_ino for path in folder.glob("*.fits")}.items()
