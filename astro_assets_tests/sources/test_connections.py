"""Several connections at once: their number, speed and end; and going on where one broke."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from astro_assets.errors import IdentityRefused, LoginRefused, SourceUnreachable, TransferCut
from astro_assets.sources.fetch import Progress, fetch_batch
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.sources.throttle import Throttle
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, sha256
from astro_assets_tests.sources.counted import FILES, KEY, Connection, Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


ALL = [f"{number:02d}.fits" for number in range(FILES)]


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_connections_than_wished_for(server: Server, most: int) -> None:
    meet = threading.Barrier(most)
    first = threading.local()

    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if not getattr(first, "met", False):  # each connection once
            first.met = True
            meet.wait(10)

    server.during = during
    server.fetch(most)
    assert server.landed == ALL
    assert (server.together, server.logins) == (most, most)
    assert set(server.asked.values()) == {1}
    assert server.inside == 0, "every connection is closed"


def test_one_file_needs_one_connection(server: Server) -> None:
    for path in sorted(server.far.rglob("*.fits"))[1:]:
        path.unlink()
    server.fetch(4)
    assert server.logins == 1


@pytest.mark.parametrize("refusal", [LoginRefused("530"), IdentityRefused("another key")])
def test_a_refused_login_is_tried_once(server: Server, refusal: Exception) -> None:
    server.refuses = refusal
    with pytest.raises(type(refusal)):
        server.fetch(4)
    assert server.logins == 1


def test_a_server_that_takes_fewer_gets_fewer(server: Server) -> None:
    server.most = 1
    server.fetch(4)
    assert server.landed == ALL
    assert server.together == 1
    assert set(server.asked.values()) == {1}


@pytest.mark.parametrize("connections", [1, 3])
def test_a_login_refused_in_the_middle_of_the_night_is_tried_once(
    server: Server, connections: int
) -> None:
    together = threading.Barrier(connections)

    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        together.wait(10)
        server.refuses = LoginRefused("530 new password")
        raise SourceUnreachable("hung up")

    server.during = during
    with pytest.raises(LoginRefused):
        server.fetch(connections)
    assert server.logins == connections + 1


def test_a_source_that_goes_costs_one_file_s_patience(server: Server) -> None:
    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path >= "s/03.fits":
            while server.landed[:3] != ALL[:3]:
                time.sleep(0.01)
            server.refuses = SourceUnreachable("off")
            raise SourceUnreachable("hung up")

    server.during = during
    with pytest.raises(SourceUnreachable):
        server.fetch(4)
    assert server.landed == ALL[:3]
    assert server.logins <= 4 + 4 * 3
    assert len(server.asked) <= 3 + 4, "those that were under way, and no other"


def test_a_download_goes_on_where_it_broke(server: Server) -> None:
    cut: set[str] = set()

    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path not in cut:
            cut.add(file.path)
            sink.write(content[:1000])
            raise SourceUnreachable("reset")

    server.during = during
    manifest = server.fetch(3)
    assert server.landed == ALL
    assert sorted(server.offsets) == [0] * FILES + [1000] * FILES
    assert {r.sha256 for r in manifest.records} == {sha256(frame(n)) for n in range(FILES)}


def test_it_starts_over_when_the_far_file_changed(server: Server) -> None:
    path = server.far / "s/03.fits"

    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path == "s/03.fits" and server.asked[file.path] == 1:
            sink.write(content[:1000])
            path.write_bytes(frame(77))
            os.utime(path, (1, 1))
            raise SourceUnreachable("reset")

    server.during = during

    class Asking(Connection):
        def download(self, file: RemoteFile, sink: Sink) -> None:
            path = self.server.far / file.path
            super().download(self._file(path, path.stat()), sink)

    fetch_batch(lambda: Asking(server), server.batch(), server.store)
    assert set(server.offsets) == {0}
    assert (server.store.raw("scope", KEY) / "s/03.fits").read_bytes() == frame(77)


def test_the_limit_is_of_all_connections_together(tmp_path: Path) -> None:
    """Four that take turns wait as long as one, and twice the limit waits half as long."""
    waited: dict[tuple[float, int], float] = {}
    for limit in (1e6, 2e6):
        for threads in (1, 4):
            now = 0.0

            def wait(seconds: float) -> None:
                nonlocal now
                now += seconds

            throttle = Throttle(limit, wait, lambda: now)  # noqa: B023
            for _ in range(threads):
                for _ in range(40 // threads):
                    throttle.take(250_000)
            waited[limit, threads] = now
    assert waited[1e6, 1] == pytest.approx(waited[1e6, 4]) == pytest.approx(10, rel=0.06)
    assert waited[1e6, 1] / waited[2e6, 4] == pytest.approx(2, rel=0.06)


def test_a_limited_fetch_takes_its_time(server: Server) -> None:
    """In real time, against the same fetch with a limit four times as high."""
    size_mb = sum(path.stat().st_size for path in server.far.rglob("*.fits")) / 1e6
    took = []
    for part, limit in enumerate((size_mb / 1.2, size_mb / 0.3)):
        server.store = Store(server.far.parent / f"limited-{part}")
        begun = time.monotonic()
        server.fetch(4, megabytes_per_s=limit)
        took.append(time.monotonic() - begun)
    assert took[0] >= 0.6, "no machine is too fast for that"
    assert took[0] > took[1]


def test_progress_tells_rate_and_time_left(server: Server) -> None:
    told: list[Progress] = []
    caller = threading.get_ident()

    def tell(progress: Progress) -> None:
        assert threading.get_ident() == caller
        told.append(progress)

    size_mb = sum(path.stat().st_size for path in server.far.rglob("*.fits")) / 1e6
    server.fetch(2, tell, size_mb / 0.8)
    middle = [progress for progress in told if 0 < progress.files_done < FILES]
    assert middle, "told while it is under way"
    assert all(p.bytes_per_s > 0 for p in middle)
    for progress in middle:
        assert progress.left_s is not None
        left = progress.bytes_total - progress.bytes_done
        assert progress.left_s == pytest.approx(left / progress.bytes_per_s)
    assert told[-1].files_done == FILES


def test_ctrl_c_waits_for_no_server(server: Server) -> None:
    stalled = threading.Event()
    never = threading.Event()

    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path >= "s/02.fits":
            while server.landed[:2] != ALL[:2]:
                time.sleep(0.01)
            stalled.set()
            never.wait(20)

    server.during = during
    interrupt = threading.Thread(
        target=lambda: stalled.wait(20) and os.kill(os.getpid(), signal.SIGINT)
    )
    interrupt.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        server.fetch(3)
    assert time.monotonic() - begun < 10
    never.set()
    interrupt.join()
    landed = server.landed
    manifest = Manifest.load(server.store.raw("scope", KEY))
    assert manifest is not None
    assert [Path(record.path).name for record in manifest.records] == landed
    server.during = lambda file, sink, content: None
    server.fetch(3)
    assert server.landed == ALL


def test_an_error_of_ours_stops_all_threads_and_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path == "s/03.fits":
            raise ZeroDivisionError

    server.during = during
    with pytest.raises(ZeroDivisionError):
        server.fetch(3)
    assert len(server.asked) < FILES or server.landed == [n for n in ALL if n != "03.fits"]
    deadline = time.monotonic() + 10
    while any(t.name.startswith("fetch-") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_that_stays_cut_does_not_hold_up_the_others(server: Server) -> None:
    def during(file: RemoteFile, sink: Sink, content: bytes) -> None:
        if file.path == "s/03.fits":
            raise TransferCut("cut")

    server.during = during
    with pytest.raises(TransferCut):
        server.fetch(3)
    assert server.landed == [name for name in ALL if name != "03.fits"]
