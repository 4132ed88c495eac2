"""What the Pi source takes for a frame, what it knows of it, and what it tells the Pi."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from astro_assets.errors import ListingFailed, SourceUnreachable
from astro_assets.frame import FrameKind
from astro_assets.settings import Settings
from astro_assets.sources import pi
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.pi import PiTransport
from astro_assets.sources.pi_manifest import parse_manifest
from astro_assets.sources.protocol import (
    Confirmed,
    Confirming,
    Deleting,
    Remembering,
    RemoteFile,
    Statting,
)
from astro_assets.sources.release import confirm_batch
from astro_assets.sources.sftp import SftpSession
from astro_assets.store import Store
from astro_assets_tests.faults.servers.process import IS_ROOT
from astro_assets_tests.sources.conftest import NIGHT, Night, frame, put, sha256
from astro_assets_tests.sources.sshd import Sshd, sshd

FACTS = {"IMAGETYP": "Light Frame", "OBJECT": "M 42", "INSTRUME": "ZWO ASI294MC"}


@pytest.fixture
def server() -> Iterator[Sshd]:
    with sshd() as running:
        (running.root / "captures").mkdir()
        yield running


@pytest.fixture
def settings(server: Sshd, tmp_path: Path) -> Settings:
    return server.settings(tmp_path)


@pytest.fixture
def bare(server: Sshd, tmp_path: Path) -> Settings:
    """For a Pi without our program."""
    return server.settings(tmp_path, "manifest = false")


def opened(settings: Settings) -> PiTransport:
    source = settings.source("pi")
    transport = connect(source, settings.secrets)
    assert isinstance(transport, PiTransport)
    return transport


def looked(settings: Settings) -> list[Batch]:
    return look(settings.source("pi"), settings)


def listed(settings: Settings) -> dict[str, RemoteFile]:
    return {file.path: file for batch in looked(settings) for file in batch.files}


def fetched(settings: Settings) -> None:
    make = partial(connect, settings.source("pi"), settings.secrets)
    for batch in looked(settings):
        fetch_batch(make, batch, Store(settings.root))
        confirm_batch(make, batch, Store(settings.root))


def captured(server: Sshd, name: str, content: bytes, night: str = NIGHT, **line: Any) -> Path:
    path = put(server.root / "captures" / night / name, content)
    entry = {"file": name, "size": len(content), "sha256": sha256(content), "facts": FACTS, **line}
    with (server.root / "captures" / night / "manifest.jsonl").open("a") as manifest:
        manifest.write(json.dumps(entry) + "\n")
    return path


def confirmed(server: Sshd, night: str = NIGHT) -> dict[str, dict[str, Any]]:
    lines = (server.root / "captures" / night / "confirmed.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert len({entry["file"] for entry in entries}) == len(entries)
    return {entry["file"]: entry for entry in entries}


def as_confirmed(name: str, content: bytes) -> Confirmed:
    return Confirmed(f"{NIGHT}/{name}", len(content), sha256(content))


def test_what_it_is_able_to_do(settings: Settings) -> None:
    transport = opened(settings)
    assert isinstance(transport, Statting)
    assert isinstance(transport, Confirming)
    assert isinstance(transport, Remembering)
    assert not isinstance(transport, Deleting), "the Pi prunes by itself"


def test_only_what_a_manifest_names(
    server: Sshd, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    captured(server, "a.fits", frame(1))
    captured(server, "shot.CR2", b"raw")
    captured(server, "notes.txt", b"no frame")
    put(server.root / "captures" / NIGHT / "unfinished.fits", frame(2))
    put(server.root / "captures" / "2026-11-21" / "forgotten.fits", frame(2))
    put(server.root / "captures" / "plans" / "x.fits", frame(2))
    put(server.root / "captures" / "2026-11-22", b"a file in the place of a night")
    assert set(listed(settings)) == {f"{NIGHT}/a.fits", f"{NIGHT}/shot.CR2"}
    assert "2026-11-21 has no manifest.jsonl" in caplog.text
    assert "set manifest = false" in caplog.text


def test_a_night_that_is_over(server: Sshd, settings: Settings) -> None:
    captured(server, "a.fits", frame(1))
    assert not looked(settings)[0].closed
    put(server.root / "captures" / NIGHT / "status.json", '{"phase": "done"}')
    assert looked(settings)[0].closed
    put(server.root / "captures" / NIGHT / "status.json", '{"phase": "exposing"')
    assert not looked(settings)[0].closed


def test_lines_that_are_not_understood(caplog: pytest.LogCaptureFixture) -> None:
    good = json.dumps({"file": "a.fits", "size": 1, "sha256": "AB", "facts": None})
    odd = ["", "{", "[]", '{"file": 1, "size": 1, "sha256": ""}', '{"file": "a", "size": true}',
           '{"file": "a", "size": -1, "sha256": ""}', '{"file": "", "size": 1, "sha256": ""}',
           '{"file": "a", "size": 1.5, "sha256": ""}', "[" * 100_000]  # fmt: skip
    files = parse_manifest(NIGHT, [*odd, good, good], done=True)
    assert [(file.path, file.sha256, dict(file.facts)) for file in files] == [
        (f"{NIGHT}/a.fits", "ab", {})
    ]
    assert caplog.text.count("not understood") == len(odd) - 1
    assert len(caplog.text) < 10_000


def test_facts_from_the_sidecar_or_the_header(server: Sshd, settings: Settings) -> None:
    """Where the manifest's line has none."""
    dark = frame(3, IMAGETYP="Dark Frame", INSTRUME="ASI", EXPTIME=10.0)
    captured(server, "a.fits", dark, facts={})
    put(server.root / "captures" / NIGHT / "b.cr2.json", json.dumps(FACTS | {"ISO": 800}))
    captured(server, "b.cr2", b"raw", facts=None)
    put(server.root / "captures" / NIGHT / "c.json", json.dumps(FACTS))
    captured(server, "c.fits", dark, facts={})
    captured(server, "d.fits", b"no FITS", facts={})
    captured(server, "e.fits", frame(4, OBJECT="in the file"))
    gone = captured(server, "f.fits", frame(4), facts={})
    gone.unlink()
    files = listed(settings)
    facts = {path.split("/")[1]: dict(file.facts) for path, file in files.items()}
    assert facts["a.fits"].items() >= {"IMAGETYP": "Dark Frame", "INSTRUME": "ASI"}.items()
    assert facts["b.cr2"] == FACTS | {"ISO": "800"}
    assert facts["c.fits"] == FACTS
    assert facts["d.fits"] == facts["f.fits"] == {}
    assert facts["e.fits"] == FACTS
    kinds = {batch.kind for batch in looked(settings)}
    assert kinds == {FrameKind.LIGHT, FrameKind.DARK}


def test_headers_are_read_once(
    server: Sshd, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured(server, "a.fits", frame(3, OBJECT="M 1"), facts={})
    captured(server, "b.fits", frame(3, OBJECT="M 1"))
    asked: list[str] = []
    head = SftpSession.head

    def counted(session: SftpSession, path: str, size: int) -> bytes | None:
        if not path.endswith("status.json"):
            asked.append(path)
        return head(session, path, size)

    monkeypatch.setattr(SftpSession, "head", counted)
    first = listed(settings)
    assert {path.rsplit("/", 1)[1] for path in asked} == {"a.fits", "a.fits.json", "a.json"}
    asked.clear()
    assert listed(settings) == first
    assert asked == []
    captured(server, "a.fits", frame(4, OBJECT="M 2"), facts={})
    assert listed(settings)[f"{NIGHT}/a.fits"].facts["OBJECT"] == "M 2"
    (remembered,) = Store(settings.root).remembered("pi").glob("headers*")
    remembered.write_text(remembered.read_text()[:-20] + "\n[1]\nnull\n")
    assert listed(settings)[f"{NIGHT}/a.fits"].facts["OBJECT"] == "M 2"
    remembered.unlink()
    remembered.mkdir()
    assert listed(settings)[f"{NIGHT}/a.fits"].facts["OBJECT"] == "M 2"


def test_a_header_of_many_cards(server: Sshd, bare: Settings) -> None:
    many = {f"KEY{number}": number for number in range(400)} | {"OBJECT": "M 13"}
    put(server.root / "captures" / NIGHT / "a.fits", frame(5, **many))
    assert listed(bare)[f"{NIGHT}/a.fits"].facts["OBJECT"] == "M 13"


def test_without_manifests_all_that_lies_there(server: Sshd, bare: Settings) -> None:
    captures = server.root / "captures"
    dark = frame(3, IMAGETYP="Dark Frame", INSTRUME="ASI", EXPTIME=10.0)
    put(captures / NIGHT / "a.fits", frame(1, OBJECT="M 42"))
    put(captures / f"{NIGHT}_2" / "a.fits", frame(2, OBJECT="M 42"))
    put(captures / NIGHT / "darks" / "deep" / "d.fits", dark)
    put(captures / NIGHT / ".part.fits", frame(1))
    put(captures / NIGHT / "notes.txt", "no frame")
    put(captures / NIGHT / "img.cr2", b"raw")
    put(captures / NIGHT / "img.json", json.dumps(FACTS))
    put(captures / "elsewhere" / "a.fits", frame(1))
    (captures / NIGHT / "link.fits").symlink_to("a.fits")
    (captures / NIGHT / "loop").symlink_to(".")
    os.utime(captures / NIGHT / "a.fits", (0, 0))
    files = listed(bare)
    assert set(files) == {
        f"{NIGHT}/a.fits", f"{NIGHT}_2/a.fits", f"{NIGHT}/darks/deep/d.fits", f"{NIGHT}/img.cr2"
    }  # fmt: skip
    assert files[f"{NIGHT}/img.cr2"].facts == FACTS
    first = files[f"{NIGHT}/a.fits"]
    assert (first.size_bytes, first.sha256, first.complete) == (len(frame(1)), None, False)
    assert first.modified_utc is not None
    assert first.modified_utc.timestamp() == 0
    keys = [batch.key for batch in looked(bare)]
    assert keys == [f"{NIGHT}_M42_ZWO-ASI294MC", f"{NIGHT}_M42_camera", f"{NIGHT}_dark_ASI_10s"]


def test_a_sidecar_that_comes_later(server: Sshd, bare: Settings) -> None:
    put(server.root / "captures" / NIGHT / "img.cr2", b"raw")
    assert listed(bare)[f"{NIGHT}/img.cr2"].facts == {}
    put(server.root / "captures" / NIGHT / "img.cr2.json", json.dumps(FACTS))
    assert listed(bare)[f"{NIGHT}/img.cr2"].facts == FACTS


def test_without_manifests_nothing_is_confirmed(server: Sshd, bare: Settings) -> None:
    captured(server, "a.fits", frame(1))
    with opened(bare) as transport:
        transport.confirm([as_confirmed("a.fits", frame(1))])
    assert not (server.root / "captures" / NIGHT / "confirmed.jsonl").exists()


@pytest.mark.parametrize("manifest", [True, False])
def test_a_closed_folder_does_not_hold_up_the_others(tmp_path: Path, manifest: bool) -> None:
    with sshd("nobody" if IS_ROOT else None) as server:
        captured(server, "a.fits", frame(1))
        captured(server, "a.fits", frame(1), night="2026-11-21")
        closed = server.root / "captures" / "2026-11-21"
        (closed / "manifest.jsonl" if manifest else closed).chmod(0)
        settings = server.settings(tmp_path, f"manifest = {str(manifest).lower()}")
        assert set(listed(settings)) == {f"{NIGHT}/a.fits"}
        closed.chmod(0o755)
        (server.root / "captures").chmod(0)
        with pytest.raises(ListingFailed):
            looked(settings)
        (server.root / "captures").chmod(0o755)


def test_a_file_as_it_is_now(server: Sshd, settings: Settings) -> None:
    path = captured(server, "a.fits", frame(1))
    (file,) = listed(settings).values()
    with opened(settings) as transport:
        os.utime(path, (5, 5))
        now = transport.stat(file)
        assert now is not None
        assert now.size_bytes == len(frame(1))
        assert now.modified_utc is not None
        assert now.modified_utc.timestamp() == 5
        path.unlink()
        assert transport.stat(file) is None


def test_what_is_here_is_confirmed_by_hash(server: Sshd, settings: Settings) -> None:
    for number in (1, 2):
        captured(server, f"{number}.fits", frame(number))
    captured(server, "other.fits", frame(3), night="2026-11-21")
    fetched(settings)
    told = confirmed(server)
    assert {name: (e["size"], e["sha256"]) for name, e in told.items()} == {
        f"{number}.fits": (len(frame(number)), sha256(frame(number))) for number in (1, 2)
    }
    assert set(told["1.fits"]) == {"file", "size", "sha256", "time"}
    assert set(confirmed(server, "2026-11-21")) == {"other.fits"}
    names = [path.name for path in (server.root / "captures" / NIGHT).iterdir()]
    assert sorted(names) == ["1.fits", "2.fits", "confirmed.jsonl", "manifest.jsonl"]


def test_confirming_again_changes_nothing(server: Sshd, settings: Settings) -> None:
    captured(server, "1.fits", frame(1))
    fetched(settings)
    file = server.root / "captures" / NIGHT / "confirmed.jsonl"
    before = file.stat()
    fetched(settings)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    captured(server, "2.fits", frame(2))
    fetched(settings)
    assert set(confirmed(server)) == {"1.fits", "2.fits"}
    file.unlink()
    fetched(settings)
    assert set(confirmed(server)) == {"1.fits", "2.fits"}, "a confirmation that was lost"


def test_a_damaged_list_of_confirmations(server: Sshd, settings: Settings) -> None:
    captured(server, "1.fits", frame(1))
    put(server.root / "captures" / NIGHT / "confirmed.jsonl", '{"file": "0.fits"}\nhalf a li')
    fetched(settings)
    assert set(confirmed(server)) == {"1.fits"}


@pytest.mark.parametrize("change", ["manifest", "size", "hash", "gone", "link"])
def test_what_is_not_confirmed(
    server: Sshd, settings: Settings, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    captured(server, "1.fits", frame(1))
    path = captured(server, "2.fits", frame(2))
    told = as_confirmed("2.fits", frame(2))
    if change == "manifest":
        captured(server, "2.fits", frame(2), sha256=sha256(b"other"))
    elif change == "size":
        path.write_bytes(frame(2) + b"more")
    elif change == "hash":
        told = Confirmed(told.path, told.size_bytes, sha256(b"other"))
    else:
        path.unlink()
        if change == "link":
            path.symlink_to("1.fits")
    with opened(settings) as transport:
        transport.confirm([as_confirmed("1.fits", frame(1)), told])
    assert set(confirmed(server)) == {"1.fits"}
    assert (change == "gone") != ("2.fits" in caplog.text)


def test_a_disk_that_does_not_keep_confirmations(
    server: Sshd, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured(server, "1.fits", frame(1))
    writes = []
    monkeypatch.setattr(SftpSession, "replace", lambda *args: writes.append(args))
    with (
        opened(settings) as transport,
        pytest.raises(SourceUnreachable, match="does not keep what is written"),
    ):
        transport.confirm([as_confirmed("1.fits", frame(1))])
    assert len(writes) == 3


def test_two_who_confirm_at_once(
    server: Sshd, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        captured(server, f"{number}.fits", frame(number))
    replace = SftpSession.replace
    file = server.root / "captures" / NIGHT / "confirmed.jsonl"
    other = {"file": "2.fits", "size": len(frame(2)), "sha256": sha256(frame(2)), "time": "now"}

    def raced(session: SftpSession, path: str, content: bytes) -> None:
        replace(session, path, content)
        if len(content.splitlines()) == 1 and not raced_once:
            raced_once.append(1)
            file.write_text(json.dumps(other) + "\n")

    raced_once: list[int] = []
    monkeypatch.setattr(SftpSession, "replace", raced)
    with opened(settings) as transport:
        transport.confirm([as_confirmed("1.fits", frame(1))])
    assert raced_once
    assert set(confirmed(server)) == {"1.fits", "2.fits"}


def test_a_folder_that_takes_no_confirmations(tmp_path: Path) -> None:
    with sshd("nobody" if IS_ROOT else None) as server:
        captured(server, "1.fits", frame(1))
        (server.root / "captures" / NIGHT).chmod(0o555)
        settings = server.settings(tmp_path)
        with (
            opened(settings) as transport,
            pytest.raises(SourceUnreachable, match="Permission denied"),
        ):
            transport.confirm([as_confirmed("1.fits", frame(1))])
        (server.root / "captures" / NIGHT).chmod(0o755)


def test_nothing_is_kept_of_what_was_confirmed(server: Sshd, settings: Settings) -> None:
    captured(server, "1.fits", frame(1))
    fetched(settings)
    port = str(server.port)
    assert not [key for key in pi._as_fetched if port in key[0]]


def test_the_simulated_pi_is_told_as_well(night: Night) -> None:
    fetched(night.settings)
    told = (night.served / "pi/captures" / NIGHT / "confirmed.jsonl").read_text().splitlines()
    hashes = {json.loads(line)["file"]: json.loads(line)["sha256"] for line in told}
    lights = {f"light-{number}.fits": sha256(frame(40 + number)) for number in (1, 2)}
    assert hashes == lights | {"dark-1.fits": sha256(frame(50))}
