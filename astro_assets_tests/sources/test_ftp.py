"""FTP and FTPS when the server, the network or somebody between them does not behave."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astro_assets.errors import (
    BrokenFile,
    IdentityRefused,
    ListingFailed,
    LoginRefused,
    SourceUnreachable,
    TransferCut,
    Transient,
)
from astro_assets.frame import FrameKind
from astro_assets.settings.sources import Trust
from astro_assets.sim.servers.certificates import make_certificates
from astro_assets.sources import ftp_client
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.ftp import FtpTransport
from astro_assets.sources.ftp_client import FtpServer
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.protocol import RemoteFile
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import Kept, frame
from astro_assets_tests.sources.scripted_ftp import Script, ScriptedFtp, server_context

PASSWORD = "canary-4711"
A, B = frame(1), frame(2)


def server(port: int, **more: object) -> FtpServer:
    given = {
        "name": "scope", "host": "localhost", "port": port, "path": "/", "user": "observer",
        "password": PASSWORD, "login_hint": "check the variables U and P",
    }  # fmt: skip
    return FtpServer(**(given | more))  # type: ignore[arg-type]


@contextmanager
def scripted(script: Script, **more: object) -> Iterator[FtpTransport]:
    with ScriptedFtp(script) as running:
        yield FtpTransport(server(running.port, **more))


def batch(files: list[RemoteFile]) -> Batch:
    return Batch(
        "scope",
        "2026-11-20_M31_V",
        FrameKind.LIGHT,
        dt.date(2026, 11, 20),
        "M 31",
        "V",
        tuple(files),
    )


def fetched(transport: FtpTransport, root: Path) -> Manifest:
    with transport:
        files = transport.list()
    return fetch_batch(lambda: transport, batch(files), Store(root))


def raw(root: Path) -> dict[str, bytes]:
    folder = Store(root).raw("scope", "2026-11-20_M31_V")
    return {p.name: p.read_bytes() for p in folder.rglob("*.fits")}


@pytest.mark.parametrize(
    "fault", ["short", "half", "reset", "hang-up", "426 cut", "450 busy", "421 bye"]
)
def test_a_fault_that_passes_is_tried_again(tmp_path: Path, fault: str) -> None:
    script = Script(files={b"/a.fits": A, b"/b.fits": B})
    script.faults[b"/a.fits"] = [fault]
    with scripted(script) as transport:
        fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A, "b.fits": B}
    assert script.retrieved == {b"/a.fits": 2, b"/b.fits": 1}


def test_a_fault_that_stays_lets_the_others_land_and_is_told(tmp_path: Path) -> None:
    script = Script(files={b"/a.fits": A, b"/b.fits": B})
    script.faults[b"/a.fits"] = ["short"] * 9
    with scripted(script) as transport:
        with pytest.raises(TransferCut, match=r"a\.fits arrived with \d+ of \d+ bytes"):
            fetched(transport, tmp_path)
        assert raw(tmp_path) == {"b.fits": B}
        script.faults.clear()
        fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A, "b.fits": B}
    assert script.retrieved[b"/b.fits"] == 1


def test_a_stalled_transfer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ftp_client, "DATA_TIMEOUT_S", 0.3)
    script = Script(files={b"/a.fits": A})
    script.faults[b"/a.fits"] = ["stall"]
    with scripted(script) as transport:
        fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A}


def test_more_bytes_than_listed_are_quarantined(tmp_path: Path) -> None:
    script = Script(files={b"/a.fits": A, b"/b.fits": B})
    script.faults[b"/a.fits"] = ["long"] * 9
    with scripted(script) as transport:
        manifest = fetched(transport, tmp_path)
    assert raw(tmp_path) == {"b.fits": B}
    assert "are listed" in manifest.quarantined[0].reason
    kept = Store(tmp_path).quarantine("scope") / "2026-11-20_M31_V/a.fits"
    assert kept.read_bytes() == A + b"more"
    assert script.retrieved[b"/a.fits"] == 2, "asked for twice, to make sure"


def test_a_refused_file_is_noted_and_asked_for_again_later(tmp_path: Path) -> None:
    script = Script(files={b"/a.fits": A, b"/b.fits": B})
    script.faults[b"/a.fits"] = ["550 no permission"] * 2
    with scripted(script) as transport:
        manifest = fetched(transport, tmp_path)
        assert raw(tmp_path) == {"b.fits": B}
        assert "550 no permission" in manifest.quarantined[0].reason
        manifest = fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A, "b.fits": B}
    assert not manifest.quarantined


def test_a_file_that_grows_is_left_for_later(tmp_path: Path) -> None:
    script = Script(files={b"/a.fits": A})
    script.faults[b"/a.fits"] = ["grows"]
    with scripted(script) as transport:
        with transport:
            files = transport.list()
        script.faults[b"/a.fits"] = ["grows"]
        with (
            transport,
            pytest.raises(TransferCut, match="changed while it was downloaded"),
        ):
            transport.download(files[0], Kept())


@pytest.mark.parametrize("mlsd", [True, False])
def test_a_cut_listing_is_no_listing(mlsd: bool) -> None:
    script = Script(listing=b"type=file;size=1; a.fits\r\ntype=file;size=1; b.fi", mlsd=mlsd)
    with scripted(script) as transport, transport, pytest.raises(ListingFailed, match="in part"):
        transport.list()


def test_names_of_any_bytes_come_back_as_they_are(tmp_path: Path) -> None:
    names = ["/Ω Cen.fits".encode(), b"/caf\xe9.fits", b"/two  blanks.fits"]
    with scripted(Script(files=dict.fromkeys(names, A))) as transport:
        manifest = fetched(transport, tmp_path)
    assert set(raw(tmp_path)) == {"Ω Cen.fits", "two  blanks.fits"}
    (odd,) = manifest.quarantined
    assert odd.path == r"caf\xe9.fits"
    assert odd.sha256 is not None, "its bytes are kept"


def test_a_name_that_climbs_touches_nothing_outside(tmp_path: Path) -> None:
    listing = b"type=file;size=%d;modify=20261120220000; ../../../../evil.fits\r\n" % len(A)
    script = Script(files={b"/../../../../evil.fits": A}, listing=listing)
    with scripted(script) as transport:
        manifest = fetched(transport, tmp_path / "deep/er/data")
    assert "no safe name" in manifest.quarantined[0].reason
    found = [p for p in tmp_path.rglob("*evil*") if "quarantine" not in p.parts]
    assert found == []


def test_the_passive_address_is_ignored(tmp_path: Path) -> None:
    with scripted(Script(files={b"/a.fits": A}, passive_host="10,9,8,7")) as transport:
        fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A}


def test_a_refused_login_says_what_to_check_and_no_secret() -> None:
    script = Script(login_reply=f"530 wrong password {PASSWORD}")
    with scripted(script) as transport, pytest.raises(LoginRefused) as caught, transport:
        pass
    assert "refuses user and password" in str(caught.value)
    assert "check the variables U and P" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(server(1))
    assert sum(line.startswith(b"PASS") for line in script.seen) == 1, "never hammered"


def test_nobody_there() -> None:
    with pytest.raises(SourceUnreachable, match=r"scope: localhost:1 is not reached \(Connection"):
        FtpTransport(server(1)).__enter__()


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(SourceUnreachable, match="is not found"):
        FtpTransport(server(21, host="no-such-host.invalid")).__enter__()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Script, Path]]:
    certificates = make_certificates(tmp_path_factory.mktemp("tls"))

    def make() -> tuple[Script, Path]:
        context = server_context(certificates.certificate_file, certificates.key_file)
        return Script(files={b"/a.fits": A}, tls=context), certificates.ca_file

    return make


def test_a_cut_without_goodbye_is_a_cut(
    tmp_path: Path, tls: Callable[[], tuple[Script, Path]]
) -> None:
    script, ca_file = tls()
    with scripted(script, tls=True, trust=Trust(ca_file=ca_file)) as transport:
        with transport:
            (file,) = transport.list()
        # Of unknown length: nothing but the missing good-bye tells that half is missing.
        unknown = RemoteFile(file.path, None, None)
        script.faults[b"/a.fits"] = ["no-goodbye"]
        with transport, pytest.raises(Transient):
            transport.download(unknown, Kept())
        script.faults[b"/a.fits"] = ["no-goodbye"]
        fetch_batch(lambda: transport, batch([unknown]), Store(tmp_path))
    assert raw(tmp_path) == {"a.fits": A}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"auth_reply": "500 no"}, "offers no TLS"),
        ({"prot_reply": "536 no"}, "refuses to protect the data"),
    ],
)
def test_no_tls_no_data(
    tls: Callable[[], tuple[Script, Path]], change: dict[str, str], sentence: str
) -> None:
    script, ca_file = tls()
    for name, value in change.items():
        setattr(script, name, value)
    with (
        scripted(script, tls=True, trust=Trust(ca_file=ca_file)) as transport,
        pytest.raises(IdentityRefused, match=sentence),
        transport,
    ):
        pass
    assert not any(line.startswith((b"RETR", b"MLSD")) for line in script.seen)
    if "auth_reply" in change:
        assert not any(line.startswith((b"USER", b"PASS")) for line in script.seen)


@pytest.mark.parametrize("wrong", ["authority", "host"])
def test_a_wrong_certificate_gets_no_password(
    tmp_path: Path, tls: Callable[[], tuple[Script, Path]], wrong: str
) -> None:
    script, ca_file = tls()
    more: dict[str, object] = {"trust": Trust(ca_file=ca_file), "host": "127.0.0.2"}
    if wrong == "authority":
        more = {"trust": Trust(ca_file=make_certificates(tmp_path / "other").ca_file)}
    # The certificate speaks of localhost and of 127.0.0.1 alone.
    with ScriptedFtp(script, "127.0.0.2" if wrong == "host" else "127.0.0.1") as running:
        transport = FtpTransport(server(running.port, tls=True, **more))
        with pytest.raises(IdentityRefused, match="certificate that is not trusted"):
            transport.__enter__()
    assert not any(line.startswith((b"USER", b"PASS")) for line in script.seen)


@pytest.mark.parametrize("mlst", [True, False])
def test_what_is_here_already_is_not_sent_again(tmp_path: Path, mlst: bool) -> None:
    script = Script(files={b"/a.fits": A}, mlst=mlst)
    script.faults[b"/a.fits"] = ["hang-up", "no-226"]
    with scripted(script) as transport:
        fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A}
    assert script.sent_bytes[b"/a.fits"] == len(A)
    assert script.retrieved[b"/a.fits"] == 2, "all was here when the reply was missing"


def test_what_changes_is_not_gone_on_with(tmp_path: Path) -> None:
    script = Script(files={b"/a.fits": A})
    with scripted(script) as transport:
        with transport:
            (file,) = transport.list()
        sink = Resumed()
        script.faults[b"/a.fits"] = ["hang-up"]
        with transport, pytest.raises(Transient):
            transport.download(file, sink)
        assert sink == A[: len(A) // 2]
        script.files[b"/a.fits"], script.modified[b"/a.fits"] = B, "20261120220001"
        with transport:
            transport.download(file, sink)
    assert sink == B


class Resumed(Kept):
    """A sink that continues what it has of the same version."""

    version = ""

    def begin(self, version: str) -> int:
        if version != self.version:
            self.clear()
        self.version = version
        return len(self)


def test_a_file_that_changes_while_it_is_sent_is_left_for_later() -> None:
    script = Script(files={b"/a.fits": A})
    with scripted(script) as transport, transport:
        (file,) = transport.list()
        script.faults[b"/a.fits"] = ["changes"]
        with pytest.raises(TransferCut, match="changed while it was downloaded"):
            transport.download(file, Kept())


@pytest.mark.parametrize("reply", ["530 log in first", "500 what?", "421 good-bye"])
def test_a_refusal_of_the_connection_is_not_the_files(tmp_path: Path, reply: str) -> None:
    script = Script(files={b"/a.fits": A})
    script.faults[b"/a.fits"] = [reply] * 2
    with scripted(script) as transport:
        manifest = fetched(transport, tmp_path)
    assert raw(tmp_path) == {"a.fits": A}
    assert not manifest.quarantined


def test_no_password_in_what_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that repeats the password in whatever it answers."""
    script = Script(files={b"/a.fits": A, b"/deep/b.fits": B}, rest_reply=f"550 {PASSWORD}")
    script.faults[b"/a.fits"] = ["hang-up"]
    script.listing_faults = ["", f"550 {PASSWORD}"]
    with caplog.at_level("DEBUG"), scripted(script) as transport:
        fetched(transport, tmp_path)
        with transport, pytest.raises(BrokenFile) as caught:
            transport.delete(RemoteFile(f"{PASSWORD}/x.fits", None, None))
    assert "left out" in caplog.text
    assert "does not go on" in caplog.text
    assert PASSWORD not in caplog.text
    assert "is not deleted" in str(caught.value)


def test_no_password_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(greeting=f"220 hello {PASSWORD}")
    with caplog.at_level("DEBUG"), scripted(script) as transport, transport:
        pass
    assert "greets with '220 hello …'" in caplog.text.replace('"', "'")
    assert PASSWORD not in caplog.text
