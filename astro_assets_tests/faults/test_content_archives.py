"""Archives and bombs: nothing in them is believed, and nothing they do holds anything up."""

import bz2
import gzip
import io
import stat
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import astro_assets
from astro_assets_tests.faults.far import Far
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame, zipped

GOOD = frame(1)
MB = 2**20


def put_archive(far: Far, content: bytes) -> str:
    """Serve an archive beside a good frame, or in the place of a job's. Returns its path."""
    if far.name == "telescope_org":
        return far.put_download(content)  # type: ignore[attr-defined, no-any-return]
    far.put("good.fit", GOOD)
    return far.put("a.fit.zip", content)


def assert_set_aside(far: Far, cell: Cell, archive: str, content: bytes) -> None:
    """That one archive, with its bytes and a reason; the frame beside it has landed."""
    outcome = far.fetch()
    beside = {} if far.name == "telescope_org" else {far.path("good.fit"): GOOD}
    assert outcome.published == beside
    assert set(outcome.quarantined) == {archive}
    assert far.kept() == [content]
    assert not outcome.failures
    cell.saw(f"quarantined: {outcome.quarantined[archive].partition(archive)[2].strip()}")


def with_flag(content: bytes) -> bytes:
    """Marked as encrypted, in both of the places where that is said."""
    marked = bytearray(content)
    marked[6] |= 1
    marked[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(marked)


WHOLE = zipped({"a.fit": GOOD})
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "cut by its table": lambda whole: whole[:-30],
    "CRC wrong": lambda whole: whole.replace(
        struct.pack("<I", zipfile.ZipFile(io.BytesIO(whole)).infolist()[0].CRC), b"\1\2\3\4"
    ),
    "a byte changed": lambda whole: whole[:900] + bytes([whole[900] ^ 0x55]) + whole[901:],
    "junk before": lambda whole: b"<html>sorry</html>" + whole,
    "encrypted": with_flag,
}


@cells(32, "FH", "Q")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive(far: Far, cell: Cell, damage: str) -> None:
    content = DAMAGES[damage](WHOLE)
    if far.name == "telescope_org" and damage == "junk before":
        content = content.replace(b"<html>", b"a note")  # a page is another row
    archive = put_archive(far, content)
    assert_set_aside(far, cell, archive, content)


@cells(32, "F", "R")
def test_an_archive_that_is_mended_meanwhile(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken one is asked for once more: it may have been the transfer's doing."""
    from astro_assets.sources import contents

    archive = put_archive(far, DAMAGES["a byte changed"](WHOLE))
    unzip = contents.unzip

    def mended(*args: object) -> object:
        far.file("a.fit.zip").write_bytes(WHOLE)
        return unzip(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(contents, "unzip", mended)
    outcome = far.fetch()
    if outcome.failures:  # it is another file now: the next look takes it
        outcome = far.fetch()
    assert archive not in outcome.quarantined
    assert GOOD in [content for path, content in outcome.published.items() if "a.fit" in path]
    cell.saw("asked for again, exact bytes")


def with_entry(name: str, mode: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("good.fit", GOOD)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, b"../../../secret.fit")
    return made.getvalue()


MEMBERS = {
    "climbs": with_entry("../../climbing.fit", 0),
    "is absolute": with_entry("/climbing.fit", 0),
    "climbs inside": with_entry("a/../../climbing.fit", 0),
    "climbs as in DOS": with_entry("..\\climbing.fit", 0),
    "is a link": with_entry("link.fit", stat.S_IFLNK | 0o777),
    "is a device": with_entry("device.fit", stat.S_IFCHR | 0o666),
    "has no name": with_entry("..", 0),
}


@cells(33, "FH", "Q")
@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_that_leads_astray(far: Far, cell: Cell, tmp_path: Path, member: str) -> None:
    archive = put_archive(far, MEMBERS[member])
    assert_set_aside(far, cell, archive, MEMBERS[member])
    names = {path.name for path in tmp_path.rglob("*")}
    assert not names & {"climbing.fit", "link.fit", "device.fit", "secret.fit"}


@cells(34, "FH", "K or Q")
def test_two_members_of_one_name(far: Far, cell: Cell) -> None:
    content = zipped({"a.fit": GOOD, "b.fit": frame(2)}).replace(b"b.fit", b"a.fit")
    archive = put_archive(far, content)
    assert_set_aside(far, cell, archive, content)


def zip_bomb() -> bytes:
    """1000 : 1."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.fit", "w") as member,
    ):
        for _ in range(400):
            member.write(bytes(MB))
    return made.getvalue()


def lying_zip_bomb() -> bytes:
    """The same, and it says that it holds a few bytes."""
    content = bytearray(zip_bomb())
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<I", 8640)
    return bytes(content)


def overlapping_zip() -> bytes:
    """Many names for the same packed bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.fit", bytes(20 * MB))
        first = archive.infolist()[0]
        for number in range(500):
            twin = zipfile.ZipInfo(f"{number}.fit")
            twin.compress_type, twin.CRC = first.compress_type, first.CRC
            twin.compress_size, twin.file_size = first.compress_size, first.file_size
            twin.header_offset = first.header_offset
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    return made.getvalue()


def header(side: int, bitpix: int = 16) -> bytes:
    cards = fits.Header([("SIMPLE", True), ("BITPIX", bitpix), ("NAXIS", 2)])
    cards.update({"NAXIS1": side, "NAXIS2": side})
    return cards.tostring().encode()


def swollen(start: bytes, rest: bytes = bytes(8 * MB)) -> bytes:
    """A gigabyte, packed by gzip."""
    return gzip.compress(start + rest, 1) + gzip.compress(rest, 1) * 127


def fpacked_bomb() -> bytes:
    """An image of 4 × 4 that says that it becomes one of 200000 × 200000."""
    made = io.BytesIO()
    hdu = fits.CompImageHDU(np.arange(16, dtype=np.int16).reshape(4, 4))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(made)
    content = made.getvalue()
    for keyword in (b"ZNAXIS1 =", b"ZNAXIS2 ="):
        at = content.index(keyword)
        content = content[: at + 10] + b"200000".rjust(20) + content[at + 30 :]
    return content


@cache
def zip_bombs() -> dict[str, bytes]:
    return {
        "swells.fit.zip": zip_bomb(),
        "lies.fit.zip": lying_zip_bomb(),
        "overlaps.fit.zip": overlapping_zip(),
    }


@cache
def bombs() -> dict[str, bytes]:
    blanks = b" " * (8 * MB)
    return {
        "zeros.fits.gz": swollen(b""),
        "frame-and-zeros.fits.gz": swollen(GOOD),
        "frame-and-blanks.fits.gz": swollen(GOOD, blanks),
        "announced.fits.gz": swollen(header(200_000)),
        "frame-and-blanks.fits.bz2": bz2.compress(GOOD + blanks, 1) + bz2.compress(blanks, 1) * 35,
        "announced.fits": header(200_000),
        "announced.fits.fz": fpacked_bomb(),
    }


FETCH = """
    import resource, sys
    from functools import partial
    from pathlib import Path
    from astro_assets.settings import load_settings
    from astro_assets.sources.batches import look
    from astro_assets.sources.fetch import fetch_batch
    from astro_assets.sources.kinds import connect
    from astro_assets.store import Store
    settings = load_settings(Path(sys.argv[1]))
    source = settings.sources[0]
    batches = look(source, settings)
    used = lambda: sum(sum(resource.getrusage(who)[:2]) for who in (0, -1))
    start = used()
    for batch in batches:
        fetch_batch(partial(connect, source, settings.secrets), batch, Store(settings.root))
    print(used() - start)
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def measured_fetch(far: Far) -> tuple[float, float]:
    """A whole fetch in a process of its own: the seconds that it computes, and its most MB."""
    far.settings  # noqa: B018 - which writes the file
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FETCH), str(far.root.parent / "observatory.toml")],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(astro_assets.__file__).parents[1],
    )
    seconds, peak_kb = run.stdout.split()
    return float(seconds), int(peak_kb) / 1024


@cells(35, "FVS", "Q in <= 5 s and <= 512 MB")
def test_bombs(far: Far, cell: Cell) -> None:
    """All of them together, each asked for twice, take less than one may."""
    contents = bombs() | (zip_bombs() if far.name == "itelescope" else {})
    far.put("good.fit", GOOD)
    paths = {far.put(name, content): content for name, content in contents.items()}
    seconds, peak_mb = measured_fetch(far)
    outcome = far.outcome()
    assert outcome.published == {far.path("good.fit"): GOOD}
    assert set(outcome.quarantined) == set(paths)
    assert sorted(far.kept()) == sorted(paths.values())
    for path, reason in outcome.quarantined.items():
        swells = path.endswith(("swells.fit.zip", "overlaps.fit.zip", "blanks.fits.gz", ".fz"))
        assert not swells or "would swell" in reason
    assert seconds < 5
    assert peak_mb < 512
    cell.saw(f"{len(paths)} bombs quarantined, {seconds:.1f} s in all, {peak_mb:.0f} MB")


@cells(35, "H", "Q in <= 5 s and <= 512 MB")
@pytest.mark.parametrize(
    "name", ["swells.fit.zip", "lies.fit.zip", "overlaps.fit.zip", "frame-and-blanks.fits.gz"]
)
def test_a_bomb_in_the_place_of_a_job_s_archive(far: Far, cell: Cell, name: str) -> None:
    content = zip_bombs().get(name) or zipped({name: bombs()[name]})
    archive = put_archive(far, content)
    seconds, peak_mb = measured_fetch(far)
    outcome = far.outcome()
    assert outcome.published == {}
    assert set(outcome.quarantined) == {archive}
    assert far.kept() == [content]
    assert seconds < 5
    assert peak_mb < 512
    cell.saw(f"{name}: quarantined, {seconds:.1f} s, {peak_mb:.0f} MB")
