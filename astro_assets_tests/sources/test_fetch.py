"""One fetch for all: broken neighbours, versions, records; crashes are in the matrix of faults."""

import datetime as dt
import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from astro_assets import files
from astro_assets.errors import BrokenFile, SourceUnreachable, StorageFailed
from astro_assets.frame import FrameKind
from astro_assets.sources import journal, landing
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import Progress, fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.manifest import Manifest, Status
from astro_assets.sources.protocol import RemoteFile
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put, sha256, zipped

KEY = "2026-11-20_M31_T20"


def batch(far: Path) -> Batch:
    transport = FolderTransport("far", far)
    files = {file.path: file for file in transport.list()}
    # The folder source leaves zips alone; fetch does not.
    files |= {
        file.path: file
        for file in (transport._file(path, path.stat()) for path in far.rglob("*.zip"))
    }
    ordered = tuple(files[path] for path in sorted(files))
    return Batch("far", KEY, FrameKind.LIGHT, dt.date(2026, 11, 20), "M 31", "T20", ordered)


def fetched(
    far: Path,
    root: Path,
    told: Callable[[Progress], None] | None = None,
) -> Manifest:
    return fetch_batch(lambda: FolderTransport("far", far), batch(far), Store(root), told)


def published(root: Path) -> dict[str, bytes]:
    folder = Store(root).raw("far", KEY)
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in (".lock", "manifest.json")
    }


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def far(tmp_path: Path) -> Path:
    folder = tmp_path / "far"
    for number in range(6):
        put(folder / f"night/{number}.fits", frame(number, checksum=number % 2 == 0))
    return folder


def test_one_poisoned_file_among_many(far: Path, tmp_path: Path) -> None:
    put(far / "night/3.fits", frame(3)[:5000])
    put(far / "night/empty.fits", b"")
    put(far / "night/empty.fit.zip", b"")
    put(far / "night/slip.fit.zip", zipped({"../../evil.fits": frame(9)}))
    put(far / "night/none.fit.zip", zipped({"readme.txt": b"no frames"}))
    manifest = fetched(far, tmp_path / "data")
    assert published(tmp_path / "data") == {
        f"night/{n}.fits": frame(n, checksum=n % 2 == 0) for n in range(6) if n != 3
    }
    reasons = {Path(record.path).name: record.reason for record in manifest.quarantined}
    assert {name: reason.split(":")[0].split(" ", 1)[1] for name, reason in reasons.items()} == {
        "3.fits": "is cut",
        "empty.fit.zip": "is empty",
        "empty.fits": "is empty",
        "none.fit.zip": "holds no FITS file",
        "slip.fit.zip": "holds a file whose name would lead astray",
    }
    quarantine = Store(tmp_path / "data").quarantine("far") / KEY / "night"
    assert (quarantine / "3.fits").read_bytes() == frame(3)[:5000]
    note = json.loads((quarantine / "3.fits.reason.json").read_text())
    assert note["reason"] == reasons["3.fits"]
    assert note["sha256"] == sha256(frame(3)[:5000])
    assert not list(tmp_path.rglob("evil*"))


def test_a_quarantined_file_is_not_fetched_again_until_it_changes(
    far: Path, tmp_path: Path
) -> None:
    put(far / "night/3.fits", frame(3)[:5000])
    first = fetched(far, tmp_path / "data")
    before = everything(tmp_path / "data")
    assert fetched(far, tmp_path / "data") == first
    assert everything(tmp_path / "data") == before
    put(far / "night/3.fits", frame(3))
    manifest = fetched(far, tmp_path / "data")
    assert published(tmp_path / "data")["night/3.fits"] == frame(3)
    assert len(list(manifest.frames())) == 6
    assert len(manifest.quarantined) == 1, "what was broken once stays on record"


def test_a_changed_far_file_is_a_new_version_beside_the_old(far: Path, tmp_path: Path) -> None:
    old = fetched(far, tmp_path / "data")
    put(far / "night/0.fits", frame(100))
    new = fetched(far, tmp_path / "data")
    files = published(tmp_path / "data")
    assert files["night/0.fits"] == frame(0, checksum=True)
    assert files["night/0~2.fits"] == frame(100)
    assert len(files) == 7
    frames = {frame.file.path for frame in new.frames()}
    assert frames == {"night/0~2.fits", *(f"night/{n}.fits" for n in range(1, 6))}
    assert new.digest != old.digest


def test_a_touched_file_with_the_same_bytes_is_no_new_version(far: Path, tmp_path: Path) -> None:
    old = fetched(far, tmp_path / "data")
    os.utime(far / "night/0.fits", (1, 1))
    new = fetched(far, tmp_path / "data")
    assert len(published(tmp_path / "data")) == 6
    assert new.digest == old.digest
    assert len(new.records) == 6


def test_a_picture_of_a_frame_that_is_here_stays_one(far: Path, tmp_path: Path) -> None:
    """Also when the frame itself was deleted at its source, as after a fetch."""
    old = fetched(far, tmp_path / "data")
    picture = RemoteFile("night/0.tif", 8, None)
    assert old.missing([picture]) == []
    assert old.missing([replace(picture, path="night/7.tif")]) != []


def test_members_of_a_zip_take_its_place(far: Path, tmp_path: Path) -> None:
    put(far / "a/x.fit.zip", zipped({"x.fit": frame(10)}))
    put(far / "a/423.zip", zipped({"B.fits": frame(11), "V.fits": frame(12)}))
    put(far / "a/424.zip", zipped({"B.fits": frame(13)}))
    manifest = fetched(far, tmp_path / "data")
    files = {p: content for p, content in published(tmp_path / "data").items() if p[0] == "a"}
    assert files == {
        "a/x.fit": frame(10),
        "a/423/B.fits": frame(11),
        "a/423/V.fits": frame(12),
        "a/424/B.fits": frame(13),
    }
    record = next(r for r in manifest.records if r.path == "a/x.fit.zip")
    served = (far / "a/x.fit.zip").read_bytes()
    assert record.sha256 == sha256(served), "of the bytes as served"


def test_one_poisoned_member_does_not_keep_the_others(far: Path, tmp_path: Path) -> None:
    members = {"B.fits": frame(11), "V.fits": frame(12)[:4000], "R.fits": frame(13)}
    archive = put(far / "a/423.zip", zipped(members))
    manifest = fetched(far, tmp_path / "data")
    files = {p: content for p, content in published(tmp_path / "data").items() if p[0] == "a"}
    assert files == {"a/423/B.fits": frame(11), "a/423/R.fits": frame(13)}
    assert {f.file.path for f in manifest.frames()} >= files.keys()
    (record,) = manifest.quarantined
    assert record.reason.startswith("a/423/V.fits is cut")
    kept = Store(tmp_path / "data").quarantine("far") / KEY / "a/423.zip"
    assert kept.read_bytes() == archive.read_bytes()
    before = everything(tmp_path / "data")
    assert fetched(far, tmp_path / "data") == manifest
    assert everything(tmp_path / "data") == before


def test_the_manifest_says_what_is_vouched_for(far: Path, tmp_path: Path) -> None:
    fetched(far, tmp_path / "data")
    manifest = Manifest.load(Store(tmp_path / "data").raw("far", KEY))
    assert manifest is not None
    vouched = {f.file.path: f.file.checksum_verified for f in manifest.frames()}
    assert vouched == {f"night/{n}.fits": n % 2 == 0 for n in range(6)}
    assert all(record.status is Status.PUBLISHED for record in manifest.records)


def test_a_damaged_manifest_is_told(far: Path, tmp_path: Path) -> None:
    put(Store(tmp_path / "data").raw("far", KEY) / "manifest.json", '{"records"')
    with pytest.raises(BrokenFile, match=r"manifest\.json is damaged .* move it away"):
        fetched(far, tmp_path / "data")


def test_a_journal_that_a_power_cut_left_is_taken_up(far: Path, tmp_path: Path) -> None:
    """Its last line is cut; what that told of is found again by its hash."""
    fetched(far, tmp_path / "data")
    expected = everything(tmp_path / "data")
    folder = Store(tmp_path / "data").raw("far", KEY)
    manifest = Manifest.load(folder)
    assert manifest is not None
    with journal.Journal(folder, manifest.about) as growing:
        growing.append(manifest.records)
    (folder / "manifest.json").unlink()
    lines = (folder / journal.FILE_NAME).read_bytes()
    for cut in (0, 30, 200, 400, len(lines) // 2, len(lines) - 3, len(lines)):
        put(folder / journal.FILE_NAME, lines[:cut] + bytes(cut % 3))
        known = Manifest.load(folder)
        whole = max(0, lines[:cut].count(b"\n") - 1)
        assert (known.records if known else ()) == manifest.records[:whole]
        assert fetched(far, tmp_path / "data") == manifest
        assert everything(tmp_path / "data") == expected
        (folder / "manifest.json").unlink()


def test_a_hole_in_a_journal_ends_it(far: Path, tmp_path: Path) -> None:
    manifest = fetched(far, tmp_path / "data")
    with journal.Journal(manifest.folder, manifest.about) as growing:
        growing.append(manifest.records)
    path = manifest.folder / journal.FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    (manifest.folder / "manifest.json").unlink()
    for torn in (bytes(len(lines[3]) - 1) + b"\n", b"{}\n", b"[1]\n"):
        path.write_bytes(b"".join([*lines[:3], torn, *lines[4:]]))
        known = Manifest.load(manifest.folder)
        assert known is not None
        assert known.records == manifest.records[:2]


def test_records_cost_a_line_each(
    far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest itself is written once for a fetch, however many files there are."""
    saved: list[int] = []
    save = Manifest.save

    def counted(self: Manifest) -> None:
        saved.append(len(self.records))
        save(self)

    monkeypatch.setattr(Manifest, "save", counted)
    fetched(far, tmp_path / "data")
    assert saved == [6]


def test_progress(far: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    fetched(far, tmp_path / "data", told.append)
    total = sum(path.stat().st_size for path in far.rglob("*.fits"))
    assert (told[-1].files_done, told[-1].files) == (6, 6)
    assert (told[-1].bytes_done, told[-1].bytes_total) == (total, total)
    assert told[-1].left_s == 0
    assert [p.bytes_done for p in told] == sorted(p.bytes_done for p in told)
    told.clear()
    fetched(far, tmp_path / "data", told.append)
    assert told == []


def test_a_vanished_file_is_noted_and_the_others_land(far: Path, tmp_path: Path) -> None:
    listed = batch(far)
    (far / "night/2.fits").unlink()
    manifest = fetch_batch(lambda: FolderTransport("far", far), listed, Store(tmp_path / "data"))
    assert len(published(tmp_path / "data")) == 5
    assert "not handed over" in manifest.quarantined[0].reason
    assert manifest.quarantined[0].sha256 is None


def test_a_source_that_is_gone_costs_one_file_s_patience(far: Path, tmp_path: Path) -> None:
    listed = batch(far)
    far.rename(tmp_path / "unplugged")
    with pytest.raises(SourceUnreachable, match="there is no folder"):
        fetch_batch(lambda: FolderTransport("far", far), listed, Store(tmp_path / "data"))


@pytest.mark.parametrize(("module", "where"), [(landing, "publish"), (files, "sync_folder")])
def test_a_full_disk_publishes_nothing_and_is_told(
    far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, where: str
) -> None:
    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, where, full)
        with pytest.raises(StorageFailed, match=r"No space left on device.*free some space"):
            fetched(far, tmp_path / "data")
        assert published(tmp_path / "data") == {}
    fetched(far, tmp_path / "data")
    assert len(published(tmp_path / "data")) == 6
