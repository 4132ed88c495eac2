"""One far file, whole, from OpenSSH's own server; and a server that gives what it likes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest
from paramiko.sftp import CMD_DATA

from astro_assets.errors import BrokenFile, ListingFailed, SourceUnreachable, TransferCut
from astro_assets.settings import load_settings
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.servers import pi as simulated_pi
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.sftp import SftpSession
from astro_assets.sources.sftp_files import Reading, encoded
from astro_assets_tests.faults.servers.process import IS_ROOT
from astro_assets_tests.sources.conftest import Kept, put
from astro_assets_tests.sources.sshd import Sshd, sshd

CONTENT = bytes(range(256)) * 8000 + b"the end"


class Continued(Kept):
    """A sink that holds bytes of one version already, and calls back while more come."""

    def __init__(
        self, here: bytes = b"", version: str = "", meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(here)
        self.version = version
        self.began_at = -1
        self._meanwhile = meanwhile

    def begin(self, version: str) -> int:
        if not version or version != self.version:
            self.clear()
        self.version, self.began_at = version, len(self)
        return self.began_at

    def write(self, chunk: bytes | memoryview) -> int:
        self._meanwhile()
        return super().write(chunk)


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def session(server: Sshd, tmp_path: Path) -> Iterator[SftpSession]:
    with SftpSession(*server.source(tmp_path)) as opened:
        yield opened


@pytest.fixture
def path(server: Sshd) -> Iterator[Path]:
    file = put(server.root / "a" / "frame.fits", CONTENT)
    yield file
    file.unlink(missing_ok=True)


def listed(size: int | None = len(CONTENT), sha256: str | None = "as listed") -> RemoteFile:
    return RemoteFile("a/frame.fits", size, None, sha256=sha256)


def version(session: SftpSession) -> str:
    sink = Continued()
    session.download("a/frame.fits", sink, listed())
    return sink.version


@pytest.mark.parametrize("size", [0, 1, 255 * 1024, 255 * 1024 + 1, 5_000_000])
def test_every_byte(session: SftpSession, path: Path, size: int) -> None:
    content = os.urandom(size)
    path.write_bytes(content)
    sink = Kept()
    session.download("a/frame.fits", sink, listed(size))
    assert bytes(sink) == content


def test_it_goes_on_where_it_broke_off(session: SftpSession, path: Path) -> None:
    sink = Continued(CONTENT[:300_000], version(session))
    session.download("a/frame.fits", sink, listed())
    assert sink.began_at == 300_000
    assert bytes(sink) == CONTENT


@pytest.mark.parametrize("change", ["size", "time", "hash"])
def test_it_starts_over_on_another_version(session: SftpSession, path: Path, change: str) -> None:
    before = version(session)
    file = listed()
    if change == "size":
        path.write_bytes(CONTENT + b"more")
        os.utime(path, (1, path.stat().st_mtime))
    elif change == "time":
        os.utime(path, (1, path.stat().st_mtime + 1))
    else:
        file = listed(sha256="another one")
    sink = Continued(b"bytes of the old version", before)
    session.download("a/frame.fits", sink, file)
    assert sink.began_at == 0
    assert bytes(sink) == path.read_bytes()


@pytest.mark.parametrize(
    ("lie", "size"), [("/proc/cpuinfo", 0), ("/sys/devices/system/cpu/online", 4096)]
)
def test_the_size_in_stat_is_not_believed(session: SftpSession, lie: str, size: int) -> None:
    """Neither a hang where there is less, nor a cut where there is more."""
    real = Path(lie).read_bytes()
    assert Path(lie).stat().st_size == size != len(real)
    sink = Kept()
    session.download(lie, sink, listed(size))
    assert len(sink) == len(real)


def test_a_file_that_grows_meanwhile(session: SftpSession, path: Path) -> None:
    def grow() -> None:
        if path.stat().st_size == len(CONTENT):
            with path.open("ab") as file:
                file.write(b"more")

    with pytest.raises(TransferCut, match=r"frame\.fits changed while it was downloaded"):
        session.download("a/frame.fits", Continued(meanwhile=grow), listed())


def test_a_file_whose_name_another_one_takes(session: SftpSession, path: Path) -> None:
    other = put(path.with_name("other"), CONTENT[::-1])
    os.utime(other, (1, 1))
    with pytest.raises(TransferCut, match="changed while"):
        session.download(
            "a/frame.fits",
            Continued(meanwhile=lambda: other.exists() and other.replace(path)),
            listed(),
        )


def test_a_file_without_a_hash_that_changed_since_the_look(
    session: SftpSession, path: Path
) -> None:
    sink = Continued()
    with pytest.raises(TransferCut, match="has changed since the look"):
        session.download("a/frame.fits", sink, listed(len(CONTENT) - 1, sha256=None))
    assert sink.began_at == -1


def test_what_is_no_file_to_be_read(server: Sshd, session: SftpSession, path: Path) -> None:
    os.mkfifo(server.root / "a" / "pipe.fits")
    (server.root / "a" / "link.fits").symlink_to("frame.fits")
    cases = {
        "a/gone.fits": "No such file",
        "a": "is no file",
        "a/pipe.fits": "is no file",
        "a/link.fits": "is no file",
        "a/nul\0.fits": "no name",
        "a/half\ud800.fits": "no name",
    }
    for name, reason in cases.items():
        with pytest.raises(BrokenFile, match=reason):
            session.download(name, Kept(), listed())
    sink = Kept()
    session.download("a/frame.fits", sink, listed())  # on the same connection
    assert bytes(sink) == CONTENT


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    with sshd("nobody" if IS_ROOT else None) as server:
        put(server.root / "secret.fits", CONTENT).chmod(0)
        put(server.root / "open.fits", CONTENT)
        sink = Continued()
        with SftpSession(*server.source(tmp_path)) as session:
            with pytest.raises(BrokenFile, match="Permission denied"):
                session.download("secret.fits", sink, listed())
            assert sink.began_at == -1
            session.download("open.fits", sink, listed())
        assert bytes(sink) == CONTENT


def test_names_of_any_bytes(server: Sshd, session: SftpSession) -> None:
    names = [b"caf\xe9.fits", "Ω\u202e.fits".encode(), b"line\nend.fits", b" \\.fits"]
    for name in names:
        put(server.root / "odd" / os.fsdecode(name), name)
    entries = dict(session.entries("odd"))
    assert {encoded(name) for name in entries} == set(names)
    for name in entries:
        sink = Kept()
        session.download(f"odd/{name}", sink, listed(len(encoded(name))))
        assert bytes(sink) == encoded(name)


def test_a_folder_of_thousands(server: Sshd, session: SftpSession) -> None:
    for number in range(350):
        put(server.root / "many" / f"{number}.fits", "")
    (server.root / "many" / "sub").mkdir()
    (server.root / "many" / "link").symlink_to("sub")
    entries = dict(session.entries("many"))
    assert len(entries) == 352
    assert entries["sub"].is_folder
    assert not entries["link"].is_folder
    assert entries["7.fits"].is_file
    assert entries["7.fits"].size_bytes == 0


def test_folders_that_cannot_be_listed(session: SftpSession) -> None:
    with pytest.raises(ListingFailed, match="'nowhere' cannot be read"):
        session.entries("nowhere")


def test_lines_without_the_one_that_is_being_written(server: Sshd, session: SftpSession) -> None:
    put(server.root / "lines", b"one\n\xe9\ntwo" + b"x" * 300_000 + b"\nhal")
    assert [line[:3] for line in session.lines("lines") or ()] == ["one", "\udce9", "two"]
    assert session.lines("no-lines") is None


def test_a_manifest_without_end(
    server: Sshd, session: SftpSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astro_assets.sources.sftp._MAX_TEXT_BYTES", 1000)
    put(server.root / "long", "line\n" * 1000)
    with pytest.raises(ListingFailed, match="more than 1000 bytes"):
        list(session.lines("long") or ())


def test_a_file_is_written_whole_or_not_at_all(server: Sshd, session: SftpSession) -> None:
    folder = server.root / "written"
    folder.mkdir()
    session.replace("written/file", b"x" * 100_000)
    session.replace("written/file", b"short")
    assert (folder / "file").read_bytes() == b"short"
    (folder / "taken").mkdir()
    with pytest.raises(SourceUnreachable, match="written/taken"):
        session.replace("written/taken", b"")
    assert sorted(path.name for path in folder.iterdir()) == ["file", "taken"]


def test_nothing_without_a_connection(server: Sshd, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="is not connected"):
        SftpSession(*server.source(tmp_path)).status("a")


class Sparing(asyncssh.SFTPServer):
    """Gives less than it is asked for, and refuses to read on from some place."""

    most = 10_000
    broken_from: int | None = None

    def read(self, file_obj: Any, offset: int, size: int) -> Any:
        if self.broken_from is not None and offset >= self.broken_from:
            raise asyncssh.SFTPFailure("bad sector")
        return super().read(file_obj, offset, min(size, self.most))


@pytest.fixture
def sparing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SftpSession]:
    put(tmp_path / "sim/served/pi/captures/frame.fits", CONTENT)
    monkeypatch.setattr(
        simulated_pi, "_Files", lambda channel, root, _: Sparing(channel, chroot=str(root).encode())
    )
    with SimulatedObservatory(tmp_path / "sim") as observatory:
        file = put(tmp_path / "observatory.toml", observatory.settings_toml(tmp_path / "data"))
        observatory.write_environment(tmp_path / ".env")
        settings = load_settings(file)
        with SftpSession(settings.source("pi"), settings.secrets) as session:  # type: ignore[arg-type]
            yield session


def test_a_server_that_gives_less_at_once(sparing: SftpSession) -> None:
    sink = Continued(CONTENT[:12345])
    sparing.download("captures/frame.fits", sink, listed())
    assert bytes(sink) == CONTENT


def test_a_file_that_breaks_off_in_its_middle(
    sparing: SftpSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sparing, "broken_from", 1_000_000)
    sink = Kept()
    with pytest.raises(BrokenFile, match="the server refuses"):
        sparing.download("captures/frame.fits", sink, listed())
    assert CONTENT.startswith(sink)
    assert len(sink) >= 900_000


@pytest.mark.parametrize(
    "answer",
    [b"\0\0\0\x09short", b"\0\0\0\0", b"\0\0\0\x05longer", b"", b"\0\0\x10\0" + b"x" * 4096],
)
def test_an_answer_that_lies_about_its_length(answer: bytes) -> None:
    class Lying:
        def ask_ahead(self, answered: Any, kind: int, *args: object) -> int:
            answered._async_response(CMD_DATA, paramiko.Message(answer), 1)
            return 1

    reading = Reading(Lying(), b"handle")  # type: ignore[arg-type]
    with pytest.raises(paramiko.SFTPError, match="another number of bytes"):
        next(reading.chunks(0, 0, 100))
