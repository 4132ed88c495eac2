"""`check` against real servers that are well, off, unknown, or set up wrongly."""

import socket
import ssl
from pathlib import Path

import pytest

from astro_assets.sources import check as checking
from astro_assets.sources.check import Mark, Step, check
from astro_assets_tests.sources.conftest import Night, frame, put, sha256
from astro_assets_tests.sources.smbd import Smbd

NETWORK = ["settings", "DNS", "connection", "log-in", "listing", "disk"]
CERTIFICATE = [*NETWORK[:3], "certificate", *NETWORK[3:]]
HOST_KEY = [*NETWORK[:3], "host key", *NETWORK[3:]]
STEPS = {
    "itelescope": CERTIFICATE,
    "telescope_org": CERTIFICATE,
    "pi": HOST_KEY,
    "vespera": NETWORK,
}


def changed(night: Night, old: str, new: str) -> Night:
    """The same night, with settings that somebody has edited."""
    text = night.file.read_text()
    assert old in text
    night.file.write_text(text.replace(old, new))
    return night.with_more_settings("")


def steps(night: Night, source: str, approve: checking.Approve | None = None) -> list[Step]:
    found = list(check(night.settings.source(source), night.settings, approve))
    if source in STEPS:
        assert [step.name for step in found] == STEPS[source]
    return found


def by_name(found: list[Step]) -> dict[str, Step]:
    return {step.name: step for step in found}


def failed(found: list[Step], name: str) -> str:
    """The sentence of the one step that failed; all later ones are not tried."""
    place = [step.name for step in found].index(name)
    assert {step.mark for step in found[:place]} <= {Mark.GOOD, Mark.WARNING}
    assert found[place].mark is Mark.FAILED
    assert [(s.mark, s.sentence) for s in found[place + 1 :]] == [(Mark.NOT_TRIED, "")] * len(
        found[place + 1 :]
    )
    return found[place].sentence


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("itelescope", "2 files in 1 session and 0 calibration sets"),
        ("vespera", "in 1 session and 1 calibration set"),
        ("telescope_org", "1 file in 1 session and 0 calibration sets"),
        ("pi", "3 files in 1 session and 1 calibration set"),
    ],
)
def test_a_source_that_is_well_has_a_tick_at_each_step(
    night: Night, source: str, listed: str
) -> None:
    found = steps(night, source)
    assert [step.mark for step in found] == [Mark.GOOD] * len(STEPS[source])
    said = by_name(found)
    assert listed in said["listing"].sentence
    assert "localhost is 127.0.0.1" in said["DNS"].sentence
    assert str(night.observatory.ports[source]) in said["connection"].sentence


def test_a_folder_that_is_well(night: Night, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    night = night.with_more_settings(
        '\n[[sources]]\nname = "archive"\nkind = "folder"\npath = "frames"\n'
    )
    found = steps(night, "archive")
    assert [step.name for step in found] == ["settings", "folder", "listing", "disk"]
    said = by_name(found)
    assert said["folder"].sentence == str(tmp_path / "frames")
    assert said["listing"] == Step("listing", Mark.WARNING, checking._NOTHING_LISTED)
    (tmp_path / "frames").rmdir()
    assert str(tmp_path / "frames") in failed(steps(night, "archive"), "folder")


def test_a_certificate_is_shown_as_other_programs_show_it(night: Night) -> None:
    port = night.observatory.ports["telescope_org"]
    pem = ssl.get_server_certificate(("localhost", port))
    fingerprint = sha256(ssl.PEM_cert_to_DER_cert(pem))
    for source in ("itelescope", "telescope_org"):
        sentence = by_name(steps(night, source))["certificate"].sentence
        assert fingerprint in sentence
        assert sentence.startswith("localhost, issued by Simulated observatory, valid until 20")


def test_a_certificate_that_nobody_vouches_for_comes_with_the_line_that_pins_it(
    night: Night,
) -> None:
    night = changed(night, f'ca_file = "{night.observatory.ca_file}"', "")
    refused = night.observatory.requests["itelescope"].refused
    for source in ("itelescope", "telescope_org"):
        sentence = failed(steps(night, source), "certificate")
        assert "no password was sent" in sentence
        fingerprint = sentence.partition("SHA-256 ")[2][:64]
        assert sentence.endswith(f'certificate_sha256="{fingerprint}"')
    assert night.observatory.requests["itelescope"].refused == refused


@pytest.mark.parametrize("source", ["itelescope", "telescope_org", "pi"])
def test_a_wrong_password_is_tried_once_and_the_identity_is_good(
    night: Night, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"SIM_{source.upper()}_PASSWORD"
    monkeypatch.setenv(variable, "wrong")
    night = night.with_more_settings("")
    sentence = failed(steps(night, source), "log-in")
    assert variable in sentence
    assert "wrong" not in sentence
    assert night.observatory.requests[source].refused == 1


def test_a_secret_that_is_missing_stops_at_the_settings(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_PI_PASSWORD", "")
    night = night.with_more_settings("")
    assert "SIM_PI_PASSWORD" in failed(steps(night, "pi"), "settings")


def test_a_ca_file_that_is_not_there_stops_at_the_settings(night: Night) -> None:
    night = changed(night, str(night.observatory.ca_file), "/no/such.pem")
    assert "/no/such.pem" in failed(steps(night, "itelescope"), "settings")


def test_passwords_that_others_can_read_are_told(night: Night) -> None:
    dotenv = night.file.parent / ".env"
    dotenv.chmod(0o644)
    first = steps(night, "pi")[0]
    assert (first.mark, first.sentence) == (
        Mark.WARNING,
        f"others can read your passwords: chmod 600 {dotenv}",
    )


def test_a_host_that_is_not_found(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*given: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failed(steps(night, "pi"), "DNS").startswith("localhost is not found")


def test_a_server_that_is_off(night: Night) -> None:
    for source in ("itelescope", "pi", "telescope_org"):
        night.observatory.stop(source)
        assert "Connection refused" in failed(steps(night, source), "connection")


def test_a_telescope_that_is_off_is_no_fault(night: Night) -> None:
    night.observatory.stop("vespera")
    found = steps(night, "vespera")
    assert Mark.FAILED not in {step.mark for step in found}
    off = by_name(found)["connection"]
    assert off.mark is Mark.NOT_TRIED
    assert "no fault" in off.sentence
    assert by_name(found)["disk"].mark is Mark.NOT_TRIED


def test_other_smart_telescopes_by_smb_and_ftp(night: Night, tmp_path: Path) -> None:
    put(tmp_path / "disk/MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250409-225435.fit", frame(1))
    share = Smbd(tmp_path / "smbd", tmp_path / "disk")
    share.start()
    night = night.with_more_settings(
        f'\n[[sources]]\nname = "star"\nkind = "seestar"\nhost = "127.0.0.1"\n'
        f"port = {share.port}\n"
        f'\n[[sources]]\nname = "dwarf"\nkind = "dwarf"\nhost = "localhost"\n'
        f"port = {night.observatory.ports['vespera']}\n"
    )
    try:
        for source, listed in (("star", Mark.GOOD), ("dwarf", Mark.WARNING)):
            found = steps(night, source)
            assert [step.name for step in found] == NETWORK
            assert {step.mark for step in found} - {listed} <= {Mark.GOOD}
            assert by_name(found)["listing"].mark is listed
    finally:
        share.stop()
    off = steps(night, "star")
    assert "no fault" in by_name(off)["connection"].sentence


# Host keys


def fingerprint(night: Night) -> str:
    return by_name(steps(night, "pi"))["host key"].sentence


def test_an_unknown_host_key_is_stored_when_somebody_agrees(night: Night, tmp_path: Path) -> None:
    right = fingerprint(night)
    known = tmp_path / "ssh/known_hosts"
    night = changed(night, str(night.observatory.known_hosts), str(known))
    sentence = failed(steps(night, "pi"), "host key")
    for word in right.split():
        assert word in sentence
    assert "astro-assets check pi --trust" in sentence
    asked = []

    def no(shown: object) -> bool:
        asked.append(shown)
        return False

    failed(steps(night, "pi", no), "host key")
    assert not known.exists()
    found = steps(night, "pi", lambda shown: shown.sentence == right)
    assert {step.mark for step in found} == {Mark.GOOD}
    assert len(asked) == 1
    assert known.exists()
    assert {step.mark for step in steps(night, "pi", no)} == {Mark.GOOD}
    assert len(asked) == 1


def test_another_host_key_is_not_replaced(night: Night, tmp_path: Path) -> None:
    port = night.observatory.ports["pi"]
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    known = put(tmp_path / "known_hosts", f"[localhost]:{port} {other}\n")
    night = changed(night, str(night.observatory.known_hosts), str(known))
    before = known.read_text()
    failed(steps(night, "pi", lambda shown: True), "host key")
    assert known.read_text() == before


# Listing and disk


def test_what_is_here_already_is_not_counted_as_to_be_fetched(night: Night) -> None:
    def to_fetch() -> str:
        return by_name(steps(night, "pi"))["listing"].sentence.rpartition(", ")[2]

    assert to_fetch() == "26 kB to fetch"
    night.fetch("pi")
    assert to_fetch() == "0 B to fetch"


def test_a_path_that_is_not_there_is_a_listing_that_fails(night: Night) -> None:
    night = changed(night, 'name = "pi"', 'name = "pi"\npath = "elsewhere"')
    assert "elsewhere" in failed(steps(night, "pi"), "listing")


def test_a_disk_that_is_too_small_is_told(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_SPARE_BYTES", 10**18)
    last = steps(night, "pi")[-1]
    assert last.mark is Mark.WARNING
    assert "make room" in last.sentence


def test_a_root_that_cannot_be_written_to_fails(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking.os, "access", lambda path, mode: False)
    assert "cannot be written to" in failed(steps(night, "pi"), "disk")


def test_nothing_is_fetched(night: Night) -> None:
    for source in STEPS:
        steps(night, source)
    assert not (night.settings.root / "raw").exists()
    assert not any(
        path.endswith((".fits", ".zip")) and times
        for requests in night.observatory.requests.values()
        for path, times in requests.downloads.items()
    )
