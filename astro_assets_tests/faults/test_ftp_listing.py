"""FTP listings that are cut, empty, huge, of another form, or of another time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import DagsterInstance

from astro_assets.defs.absence import absence
from astro_assets.errors import ListingFailed
from astro_assets_tests.faults.far import Far, ItelescopeFar, Servers, VesperaFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.faults.scripted import TITLE, Scripted, scripted
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.pure_ftpd import pure_ftpd
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import frame

NAMES = ("1.fit", "two  blanks.fit", "Ω Cen.fits", "a-b_c (1).fit")


@pytest.fixture
def script(where: str, cell: Cell, tmp_path: Path) -> Iterator[Scripted]:
    cell.server = TITLE
    with scripted(where, tmp_path) as made:
        yield made


@pytest.fixture
def unix(cell: Cell, tmp_path: Path) -> Iterator[Far]:
    """vsftpd, which knows no MLSD, in the place of the telescope."""
    with vsftpd() as running:
        cell.server = running.title
        yield VesperaFar(running, tmp_path)


def paths(far: Far) -> list[str]:
    return [file.path for batch in far.look() for file in batch.files]


@cells(21, "FV", "no absence inferred, told")
def test_a_listing_that_is_cut_on_its_way(far: Far, cell: Cell) -> None:
    every = [far.put(f"{number}.fit", frame(number)) for number in range(40)]
    far.fetch()
    held = far.outcome()
    proxy = far.proxy
    far.look()
    listings = sum(seen.port != proxy.target for seen in proxy.connections)
    # Each listing of the look, and those of the second attempt, until one is reached that is long.
    proxy.data_faults.extend([Fault("close", 1500)] * 4 * listings)
    (failure,) = far.fetch().failures
    assert isinstance(failure, ListingFailed)
    proxy.data_faults.clear()
    assert far.outcome() == held, "what is here stays"
    assert sorted(paths(far)) == sorted(every)
    cell.saw("cut within a listing: the look fails and says so, what is here stays")


@cells(21, "FV", "no absence inferred, told")
@pytest.mark.parametrize("fault", ["half", "450 busy", "530 who?", "550 closed", "reset"])
def test_a_listing_that_the_server_breaks(script: Scripted, cell: Cell, fault: str) -> None:
    script.put("1.fit", frame(1))
    script.script.listing_faults = [fault]
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, ListingFailed)
    assert script.far.fetch().published == {script.far.path("1.fit"): frame(1)}
    cell.saw(f"{fault}: the look fails and says so, the next one has all")


@cells(21, "FV", "no absence inferred, told")
def test_one_broken_listing_among_many(script: Scripted, cell: Cell) -> None:
    script.put("1.fit", frame(1))
    script.script.listing_faults = ["", "half"]
    assert script.far.fetch().published == {script.far.path("1.fit"): frame(1)}
    cell.saw("the second folder's listing broke: asked again on a new connection, all is there")


@cells(21, "FV", "no absence inferred, told")
@pytest.mark.parametrize("listing", [b"", b"truncated"])
def test_a_listing_that_is_short_and_well_formed(
    script: Scripted, cell: Cell, listing: bytes
) -> None:
    far = script.far
    for number in range(10):
        script.put(f"{number}.fit", frame(number))
    with DagsterInstance.ephemeral() as instance:
        now = datetime.now(UTC)
        batches = far.look()
        assert absence(far.source, batches, far.store, instance, now) is None
        held = far.fetch_batches(batches)
        every = dict(script.script.files)
        script.script.files.clear()
        if listing:
            script.script.files |= dict(list(every.items())[:3])
        batches = far.look()
        told = absence(far.source, batches, far.store, instance, now)
        assert told is not None
        assert "nothing is taken for deleted" in told
    assert far.fetch_batches(batches).published == held.published
    script.script.files |= every
    before = script.script.retrieved.copy()
    assert far.fetch().published == held.published
    assert script.script.retrieved == before, "nothing is fetched again"
    cell.saw(f"{'3 of 10' if listing else 'none'} listed: told, what is here stays")


@cells(21, "FV", "no absence inferred, told")
def test_a_form_that_nobody_knows(script: Scripted, cell: Cell) -> None:
    script.put("1.fit", frame(1))
    script.script.listing = b"1.fit is here\r\nand so is 2.fit\r\n"
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, ListingFailed)
    assert "not understood" in str(failure)
    cell.saw("no line is understood: the look fails and says so, rather than listing nothing")


_CHILD = """
import json, sys, time
from pathlib import Path
from astro_assets.settings import load_settings
from astro_assets.sources.kinds import connect
settings = load_settings(Path(sys.argv[1]))
before, began = time.process_time(), time.monotonic()
with connect(settings.sources[0], settings.secrets) as transport:
    files = transport.list()
wall, used = time.monotonic() - began, time.process_time() - before
# Its own peak: what getrusage tells is inherited from whoever started it.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([len(files), wall, used, peak]))
"""


@cells(22, "FV", "<= 5 s, <= 300 MB")
def test_a_hundred_thousand_entries(where: str, cell: Cell, tmp_path: Path) -> None:
    shown = identity(tmp_path / "identity")
    serving = vsftpd(shown, in_memory=True) if where == "F" else pure_ftpd(in_memory=True)
    with serving as running:
        far = (ItelescopeFar if where == "F" else VesperaFar)(running, tmp_path)
        cell.server = far.server
        _list_many(far, cell)


def _list_many(far: Far, cell: Cell) -> None:
    far.put("first.fit", b"")
    folder = far.file("first.fit").parent
    for number in range(20):
        part = folder / f"part {number}"
        part.mkdir()
        for count in range(5000):
            os.close(os.open(part / f"calibrated-T20-observer-{count:05d}.fit", os.O_CREAT))
    assert far.settings.sources
    command = [sys.executable, "-c", _CHILD, str(far.settings.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    files, wall_s, used_s, peak_mb = json.loads(done.stdout)
    assert files == 100_001
    # The time of its own, which does not depend on what else the machine does.
    assert used_s <= 5
    assert peak_mb <= 300
    cell.saw(f"{files} in {wall_s:.1f} s ({used_s:.1f} s of them ours), {peak_mb:.0f} MB")


@cells(23, "V", "the same set")
def test_unix_lines(unix: Far, servers: Servers, cell: Cell, tmp_path: Path) -> None:
    exact = servers.far("V", tmp_path / "exact")
    for number, name in enumerate(NAMES):
        unix.put(name, frame(number))
        exact.put(name, frame(number))
    assert unix.fetch().published == exact.fetch().published
    assert set(unix.outcome().published) == {unix.path(name) for name in NAMES}
    cell.saw(f"LIST of {unix.server} gives the same files as MLSD of {exact.server}")


@cells(23, "V", "the same set")
@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("dos", [False, True])
def test_dos_lines(script: Scripted, cell: Cell, dos: bool, tells: bool) -> None:
    script.script.mlsd, script.script.dos, script.script.feat = False, dos, tells
    for number, name in enumerate(NAMES):
        script.put(name, frame(number))
    published = script.far.fetch().published
    assert published == {script.far.path(n): frame(number) for number, n in enumerate(NAMES)}
    cell.saw(
        f"{'DOS' if dos else 'Unix'} lines, blanks in names, FEAT {'' if tells else 'not '}known: "
        "the same files"
    )
