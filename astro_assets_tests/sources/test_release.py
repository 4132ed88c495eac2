"""Deletion at the source: only what is surely here; each doubt keeps the file.

The far side is a folder whose transport can also stat and delete.
"""

import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from astro_assets.errors import SourceUnreachable
from astro_assets.frame import FrameKind
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.protocol import Confirmed, RemoteFile, Sink
from astro_assets.sources.release import Released, confirm_batch, delete_batch
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put, sha256, zipped

KEY = "2026-11-20_M31_V"


class Telescope(FolderTransport):
    """A folder that can be deleted from; ``hooks`` are called before an operation on a file."""

    def __init__(self, root: Path) -> None:
        super().__init__("scope", root)
        self.root = root
        self.hooks: dict[tuple[str, int], Callable[[Path], object]] = {}
        self.calls: list[tuple[str, str]] = []

    def _called(self, what: str, file: RemoteFile) -> Path:
        self.calls.append((what, file.path))
        number = self.calls.count((what, file.path))
        self.hooks.pop((what, number), lambda path: None)(self.root / file.path)
        return self.root / file.path

    def stat(self, file: RemoteFile) -> RemoteFile | None:
        path = self._called("stat", file)
        return self._file(path, path.stat()) if path.exists() else None

    def download(self, file: RemoteFile, sink: Sink) -> None:
        self._called("download", file)
        path = self.root / file.path
        super().download(self._file(path, path.stat()), sink)

    def delete(self, file: RemoteFile) -> None:
        self._called("delete", file).unlink()


class Scene:
    def __init__(self, folder: Path) -> None:
        self.far = folder / "far"
        self.store = Store(folder / "data")
        self.transport = Telescope(self.far)
        for number in range(3):
            put(self.far / f"s/{number}.fits", frame(number))

    def batch(self) -> Batch:
        paths = [path for path in sorted(self.far.rglob("*")) if path.is_file()]
        files = tuple(self.transport._file(path, path.stat()) for path in paths)
        night = dt.date(2026, 11, 20)
        return Batch("scope", KEY, FrameKind.LIGHT, night, "M 31", "Vespera", files)

    def fetch(self) -> Batch:
        batch = self.batch()
        fetch_batch(lambda: FolderTransport("scope", self.far), batch, self.store)
        return batch

    def delete(self, batch: Batch) -> Released:
        return delete_batch(lambda: self.transport, batch, self.store, self.batch)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.far.rglob("*") if path.is_file())

    @property
    def manifest(self) -> Manifest:
        manifest = Manifest.load(self.store.raw("scope", KEY))
        assert manifest is not None
        return manifest

    def released(self) -> list[str]:
        return [Path(r.path).name for r in self.manifest.records if r.released_utc is not None]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_surely_here_is_deleted_and_that_is_recorded(scene: Scene) -> None:
    put(scene.far / "s/4.fit.zip", zipped({"4.fit": frame(4)}))
    batch = scene.fetch()
    before = scene.manifest.digest
    assert scene.delete(batch) == Released(deleted=4)
    assert scene.left == []
    assert scene.released() == ["0.fits", "1.fits", "2.fits", "4.fit.zip"]
    assert scene.manifest.digest == before
    assert len(list(scene.manifest.frames())) == 4
    order = [what for what, path in scene.transport.calls if path == "s/0.fits"]
    assert order == ["stat", "download", "stat", "delete"]


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def rewritten(path: Path) -> None:
    """Same size, same time, other bytes."""
    status = path.stat()
    path.write_bytes(frame(99))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


BEFORE, BETWEEN, AFTER = ("stat", 1), ("download", 1), ("stat", 2)


@pytest.mark.parametrize(
    ("change", "moment"),
    [
        (grown, BEFORE), (grown, BETWEEN), (grown, AFTER),
        (touched, BEFORE), (touched, BETWEEN), (touched, AFTER),
        # Same size and time after the second download: nobody could see that from afar.
        (rewritten, BEFORE), (rewritten, BETWEEN),
    ],
)  # fmt: skip
def test_a_file_that_changed_stays(
    scene: Scene, change: Callable[[Path], None], moment: tuple[str, int]
) -> None:
    batch = replace(scene.fetch(), files=scene.batch().files[1:2])
    scene.transport.hooks[moment] = change
    released = delete_batch(lambda: scene.transport, batch, scene.store, lambda: batch)
    assert released.deleted == 0
    assert scene.left == ["0.fits", "1.fits", "2.fits"]
    assert "it is not deleted at its source" in released.notes[0]
    assert scene.released() == []


def test_one_that_changed_does_not_keep_its_neighbours(scene: Scene) -> None:
    batch = scene.fetch()
    rewritten(scene.far / "s/1.fits")
    released = scene.delete(batch)
    assert released.deleted == 2
    assert scene.left == ["1.fits"]
    assert "1.fits came with other bytes" in released.notes[0]


def test_a_batch_that_still_grows_is_left_alone(scene: Scene) -> None:
    batch = scene.fetch()
    put(scene.far / "s/3.fits", frame(3))
    released = scene.delete(batch)
    assert released.deleted == 0
    assert len(scene.left) == 4
    assert "still changes" in released.notes[0]


def test_what_is_quarantined_stays(scene: Scene) -> None:
    put(scene.far / "s/1.fits", frame(1)[:4000])
    batch = scene.fetch()
    assert scene.manifest.quarantined
    assert scene.delete(batch).deleted == 2
    assert scene.left == ["1.fits"]


@pytest.mark.parametrize("untold", ["size_bytes", "modified_utc"])
def test_what_cannot_be_looked_at_again_stays(
    scene: Scene, untold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = scene.fetch()
    stat = Telescope.stat

    def silent(self: Telescope, file: RemoteFile) -> RemoteFile | None:
        seen = stat(self, file)
        return seen and replace(seen, **{untold: None})

    monkeypatch.setattr(Telescope, "stat", silent)
    released = scene.delete(batch)
    assert released.deleted == 0
    assert len(scene.left) == 3
    assert "does not show the size and time" in released.notes[0]


def test_a_listing_without_seconds_is_proof_enough(scene: Scene) -> None:
    for path in scene.far.rglob("*.fits"):
        os.utime(path, (1_795_200_037, 1_795_200_037))
    batch = scene.batch()
    minute = dt.datetime.fromtimestamp(1_795_200_000, dt.UTC)
    listed = replace(batch, files=tuple(replace(f, modified_utc=minute) for f in batch.files))

    class Minutes(FolderTransport):
        def download(self, file: RemoteFile, sink: Sink) -> None:
            path = scene.far / file.path
            super().download(self._file(path, path.stat()), sink)

    fetch_batch(lambda: Minutes("scope", scene.far), listed, scene.store)
    assert delete_batch(lambda: scene.transport, listed, scene.store, lambda: listed).deleted == 3


def test_a_length_that_nobody_told_is_no_proof(scene: Scene) -> None:
    batch = scene.batch()
    untold = replace(batch, files=tuple(replace(f, size_bytes=None) for f in batch.files))

    class Untold(Telescope):
        def download(self, file: RemoteFile, sink: Sink) -> None:
            path = self.root / file.path
            super().download(self._file(path, path.stat()), sink)

    fetch_batch(lambda: Untold(scene.far), untold, scene.store)
    released = delete_batch(lambda: scene.transport, untold, scene.store, lambda: untold)
    assert len(scene.manifest.records) == 3
    assert released.deleted == 0


@pytest.mark.parametrize("harm", ["other bytes", "gone"])
def test_our_own_copy_must_be_intact(scene: Scene, harm: str) -> None:
    batch = scene.fetch()
    ours = scene.store.raw("scope", KEY) / "s/1.fits"
    ours.unlink()
    if harm == "other bytes":
        ours.write_bytes(frame(98))
    assert scene.delete(batch).deleted == 2
    assert scene.left == ["1.fits"]


def test_what_was_deleted_until_the_source_went_is_recorded(scene: Scene) -> None:
    batch = scene.fetch()

    def gone(path: Path) -> None:
        raise SourceUnreachable("off")

    scene.transport.hooks["delete", 1] = lambda path: scene.transport.hooks.update(
        {("delete", 1): gone}
    )
    with pytest.raises(SourceUnreachable):
        scene.delete(batch)
    assert scene.left == ["1.fits", "2.fits"]
    assert scene.released() == ["0.fits"]


def test_without_the_ability_nothing_happens(scene: Scene) -> None:
    batch = scene.fetch()
    plain = FolderTransport("scope", scene.far)
    released = delete_batch(lambda: plain, batch, scene.store, scene.batch)
    assert released.notes == ("scope deletes no files: switch delete_after_fetch off",)
    assert len(scene.left) == 3


class Pi(FolderTransport):
    """A folder that takes confirmations, and lists hashes."""

    def __init__(self, root: Path) -> None:
        super().__init__("scope", root)
        self.told: list[list[Confirmed]] = []

    def confirm(self, files: Sequence[Confirmed]) -> None:
        self.told.append(list(files))


def hashed(batch: Batch, far: Path) -> Batch:
    files = (replace(f, sha256=sha256((far / f.path).read_bytes())) for f in batch.files)
    return replace(batch, files=tuple(files))


def test_confirmed_is_what_is_here_with_the_far_sides_hash(scene: Scene) -> None:
    put(scene.far / "s/1.fits", frame(1)[:4000])
    pi = Pi(scene.far)
    batch = hashed(scene.batch(), scene.far)
    wrong = replace(batch.files[2], sha256=sha256(b"another"))
    batch = replace(batch, files=(*batch.files[:2], wrong))
    fetch_batch(lambda: FolderTransport("scope", scene.far), batch, scene.store)
    assert confirm_batch(lambda: pi, batch, scene.store).confirmed == 1
    expected = [Confirmed("s/0.fits", len(frame(0)), sha256(frame(0)))]
    assert pi.told == [expected]
    confirm_batch(lambda: pi, batch, scene.store)
    assert pi.told == [expected, expected], "the far side may have lost it"
    assert [r.path for r in scene.manifest.records if r.confirmed] == ["s/0.fits"]


def test_what_is_broken_here_is_not_confirmed(scene: Scene) -> None:
    pi = Pi(scene.far)
    batch = hashed(scene.batch(), scene.far)
    fetch_batch(lambda: FolderTransport("scope", scene.far), batch, scene.store)
    ours = scene.store.raw("scope", KEY) / "s/1.fits"
    ours.write_bytes(frame(98))
    released = confirm_batch(lambda: pi, batch, scene.store)
    assert [file.path for file in pi.told[0]] == ["s/0.fits", "s/2.fits"]
    assert "1.fits is not here any more as it was published" in released.notes[0]


def test_a_file_without_a_far_hash_is_not_confirmed(scene: Scene) -> None:
    pi = Pi(scene.far)
    assert confirm_batch(lambda: pi, scene.fetch(), scene.store).confirmed == 0
    assert pi.told == []
