"""The SMB transport against Samba's smbd: what it brings, and what it says when it cannot."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets.errors import (
    AstroAssetsError,
    BrokenFile,
    ListingFailed,
    LoginRefused,
    SourceUnreachable,
    TransferCut,
)
from astro_assets.sources import smb_client
from astro_assets.sources.protocol import RemoteFile, Statting
from astro_assets.sources.smb import SmbTransport
from astro_assets.sources.smb_client import SmbServer
from astro_assets_tests.sources.conftest import Kept, put
from astro_assets_tests.sources.smbd import SHARE, Smbd

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    put(folder / "MyWorks/M 94_sub/Light_1.fit", CONTENT)
    put(folder / "MyWorks/Ω Cen_sub/Light é.fit", b"omega")
    put(folder / "MyWorks/empty_sub/.keep", b"")
    put(folder / "elsewhere.fit", b"x")
    return folder


@pytest.fixture
def smbd(tmp_path: Path, served: Path) -> Iterator[Smbd]:
    server = Smbd(tmp_path / "samba", served)
    server.start()
    yield server
    server.stop()


def transport(smbd: Smbd, *, share: str = SHARE, path: str = "MyWorks") -> SmbTransport:
    return SmbTransport(SmbServer("star", "127.0.0.1", smbd.port, share, path))


def test_everything_below_the_path_is_listed_with_size_and_time(smbd: Smbd, served: Path) -> None:
    os.utime(served / "MyWorks/M 94_sub/Light_1.fit", ns=(0, 1_795_000_000_123_456_000))
    with transport(smbd) as far:
        files = {file.path: file for file in far.list()}
    assert set(files) == {"M 94_sub/Light_1.fit", "Ω Cen_sub/Light é.fit", "empty_sub/.keep"}
    light = files["M 94_sub/Light_1.fit"]
    assert light.size_bytes == len(CONTENT)
    assert light.modified_utc is not None
    assert light.modified_utc.timestamp() == pytest.approx(1_795_000_000.123456, abs=1e-6)


def test_a_second_look_tells_the_same(smbd: Smbd, served: Path) -> None:
    with transport(smbd) as far:
        assert isinstance(far, Statting)
        for file in far.list():
            assert far.stat(file) == file
        (served / "MyWorks/M 94_sub/Light_1.fit").unlink()
        assert far.stat(RemoteFile("M 94_sub/Light_1.fit", 1, None)) is None


def test_bytes_arrive_as_they_are(smbd: Smbd) -> None:
    with transport(smbd) as far:
        for file in far.list():
            kept = Kept()
            far.download(file, kept)
            assert len(kept) == file.size_bytes
            if file.path == "M 94_sub/Light_1.fit":
                assert bytes(kept) == CONTENT


class Continuing(Kept):
    """A sink that has the first bytes already."""

    def begin(self, version: str) -> int:
        self.version = version
        return len(self)


def test_a_download_goes_on_where_it_was_cut(smbd: Smbd, served: Path) -> None:
    with transport(smbd) as far:
        (file,) = [file for file in far.list() if "Light_1" in file.path]
        kept = Continuing(CONTENT[:700_001])
        far.download(file, kept)
        assert bytes(kept) == CONTENT
        first = kept.version
        put(served / "MyWorks/M 94_sub/Light_1.fit", CONTENT[::-1])
        far.download(file, kept := Continuing())
        assert kept.version != first, "other bytes are another version"


class Changing(Kept):
    """A sink during which the far file changes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def write(self, chunk: bytes | memoryview) -> int:
        self._path.write_bytes(CONTENT + b"more")
        return super().write(chunk)


def test_a_file_that_changes_meanwhile_is_cut(smbd: Smbd, served: Path) -> None:
    with transport(smbd) as far:
        (file,) = [file for file in far.list() if "Light_1" in file.path]
        with pytest.raises(TransferCut, match=r"Light_1.fit changed while it was downloaded"):
            far.download(file, Changing(served / "MyWorks/M 94_sub/Light_1.fit"))


def test_what_is_gone_or_forbidden_is_that_one_file_s_fault(smbd: Smbd) -> None:
    with transport(smbd) as far:
        with pytest.raises(BrokenFile, match="not handed over"):
            far.download(RemoteFile("M 94_sub/none.fit", 1, None), Kept())
        with pytest.raises(BrokenFile, match="not handed over"):
            far.download(RemoteFile("M 94_sub", 1, None), Kept())
        assert far.list(), "the session goes on"


@pytest.mark.parametrize(
    ("share", "path", "error", "said"),
    [
        ("Nothing", "MyWorks", ListingFailed, "has no share 'Nothing'"),
        (SHARE, "Nowhere", ListingFailed, r"folder 'Nowhere' cannot be read \(object name not"),
    ],
)
def test_a_wrong_setting_is_named(
    smbd: Smbd, share: str, path: str, error: type[AstroAssetsError], said: str
) -> None:
    with pytest.raises(error, match=said), transport(smbd, share=share, path=path) as far:
        far.list()


def test_a_server_without_guests(tmp_path: Path, served: Path) -> None:
    server = Smbd(tmp_path / "samba", served, guests=False)
    server.start()
    try:
        with pytest.raises(LoginRefused, match="does not let guests in"), transport(server):
            pass
    finally:
        server.stop()


def test_a_telescope_that_is_off(tmp_path: Path, served: Path) -> None:
    with (
        pytest.raises(SourceUnreachable, match="is not reached"),
        transport(Smbd(tmp_path, served)),
    ):
        pass


class Breaking(Kept):
    """A sink during which something happens to the server."""

    def __init__(self, happens: object) -> None:
        super().__init__()
        self._happens = happens

    def write(self, chunk: bytes | memoryview) -> int:
        self._happens()  # type: ignore[operator]
        return super().write(chunk)


def test_a_connection_that_breaks(smbd: Smbd) -> None:
    with transport(smbd) as far:
        (file,) = [file for file in far.list() if "Light_1" in file.path]
        with pytest.raises(SourceUnreachable, match=r"Light_1.fit is not reached"):
            far.download(file, Breaking(smbd.stop))


def test_a_server_that_says_no_more_is_not_waited_for(
    smbd: Smbd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smb_client, "ANSWER_TIMEOUT_S", 1)
    with transport(smbd) as far:
        (file,) = [file for file in far.list() if "Light_1" in file.path]
        began = time.monotonic()
        with pytest.raises(SourceUnreachable, match="does not answer in time"):
            far.download(file, Breaking(lambda: smbd.signal_all(signal.SIGSTOP)))
    assert time.monotonic() - began < 15
    smbd.signal_all(signal.SIGCONT)
