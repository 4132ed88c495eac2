"""Guards behind which others stand, so that no cell of the matrix fails without them."""

import datetime as dt
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from astro_assets.errors import BrokenFile, StorageFailed
from astro_assets.frame import FrameKind
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.ftp import FtpTransport
from astro_assets.sources.ftp_client import FtpServer
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets.steps.fetch import fetch_raw
from astro_assets.store import Store
from astro_assets_tests.faults.far import Servers
from astro_assets_tests.faults.test_content_archives import fpacked_bomb
from astro_assets_tests.sources.conftest import frame, put, zipped
from astro_assets_tests.sources.scripted_ftp import Script, ScriptedFtp

_CHUNK = bytes(2**18)
_FILE = RemoteFile("night/1.fits", 8640, dt.datetime(2026, 11, 20, 22, tzinfo=dt.UTC))


class Endless:
    """Sends as long as somebody takes it, up to 64 MB."""

    sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def list(self) -> list[RemoteFile]:
        return [_FILE]

    def download(self, file: RemoteFile, sink: Sink) -> None:
        sink.begin("")
        for _ in range(256):
            self.sent += sink.write(_CHUNK)


def test_a_sender_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    endless = Endless()
    night = dt.date(2026, 11, 20)
    batch = Batch("far", "2026-11-20_M31_T20", FrameKind.LIGHT, night, "M 31", "T20", (_FILE,))
    manifest = fetch_batch(lambda: endless, batch, Store(tmp_path))
    assert "8640 are listed" in manifest.quarantined[0].reason
    assert endless.sent < 2 * 2 * 2**20, "twice, and not much more than a megabyte each"


def test_a_folder_whose_name_leads_elsewhere_is_not_entered() -> None:
    script = Script(listing=b"type=dir; ../elsewhere\r\ntype=file;size=1; 1.fits\r\n")
    with ScriptedFtp(script) as server:
        far = FtpServer("scope", "127.0.0.1", server.port, "/user", "anonymous", "", password="")
        with FtpTransport(far) as transport:
            files = transport.list()
    assert [file.path for file in files] == ["1.fits"]
    assert [line for line in script.seen if line.startswith(b"CWD")] == [b"CWD /user"]


def test_a_compressed_image_that_announces_too_much_is_not_decoded(tmp_path: Path) -> None:
    path = put(tmp_path / "a.fits.fz", fpacked_bomb())
    with pytest.raises(BrokenFile, match="would swell"):
        verify(path, "a.fits.fz")


def test_nothing_is_deleted_unless_that_is_wished_for(tmp_path: Path) -> None:
    with closing(Servers()) as servers:
        far = servers.far("V", tmp_path)
        far.put("1.fits", frame(1))
        (batch,) = far.look()
        kept = fetch_raw(far.settings, far.source, batch.key, lambda _: None)
        assert far.file("1.fits").exists()
        far.options["delete_after_fetch"] = True
        gone = fetch_raw(far.settings, far.source, batch.key, lambda _: None)
        assert not far.file("1.fits").exists()
    assert (kept.figures["deleted_at_source"], gone.figures["deleted_at_source"]) == (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("size", [100, 2**22], ids=["told when it is closed", "told at once"])
def test_a_full_disk_is_not_the_archive_s_fault(tmp_path: Path, size: int) -> None:
    archive = put(tmp_path / "a.zip", zipped({"a.fit": bytes(size)}))
    (tmp_path / "member-0").symlink_to("/dev/full")
    with pytest.raises(StorageFailed, match="free some space"):
        unzip(archive, tmp_path, "a.zip")
