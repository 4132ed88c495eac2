"""The four servers when something is set up wrong or goes wrong: a sentence, and no secret."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from astro_assets.errors import (
    IdentityRefused,
    ListingFailed,
    LoginRefused,
    SettingsError,
    SourceUnreachable,
)
from astro_assets.settings import PiSource, load_settings
from astro_assets.sources.ssh import ssh_connection
from astro_assets_tests.sources.conftest import Night, add_pi, frame, put

FOUR = ["itelescope", "vespera", "telescope_org", "pi"]
WITH_LOGIN = ["itelescope", "telescope_org", "pi"]


def changed(night: Night, old: str, new: str) -> Night:
    text = night.file.read_text()
    assert old in text
    night.file.write_text(text.replace(old, new))
    return replace(night, settings=load_settings(night.file))


@pytest.mark.parametrize("source", WITH_LOGIN)
def test_a_wrong_password(night: Night, source: str) -> None:
    lines = (
        f"{name}={'canary-4711' if name.endswith('PASSWORD') else value}\n"
        for name, value in night.observatory.environment.items()
    )
    (night.file.parent / ".env").write_text("".join(lines))
    night = replace(night, settings=load_settings(night.file))
    with pytest.raises(LoginRefused) as caught:
        night.look(source)
    text = str(caught.value)
    port = night.observatory.ports[source]
    assert text.startswith(f"{source}: localhost:{port} refuses user and password")
    assert f"SIM_{source.upper()}_USER" in text
    assert f"SIM_{source.upper()}_PASSWORD" in text
    assert "canary-4711" not in text + repr(caught.value.__cause__)
    time.sleep(0.2)  # an FTP server counts after it has answered
    assert night.observatory.requests[source].refused == 1, "never hammered"


@pytest.mark.parametrize("source", FOUR)
def test_a_server_that_is_off(night: Night, source: str) -> None:
    night.observatory.stop(source)
    with pytest.raises(SourceUnreachable, match=f"{source}: localhost:.* is not reached"):
        night.look(source)
    assert all(night.look(name) for name in FOUR if name != source)
    night.observatory.start(source)
    assert night.look(source)


@pytest.mark.parametrize("source", ["itelescope", "telescope_org"])
def test_a_certificate_of_nobody_we_trust(night: Night, source: str) -> None:
    night = changed(night, f'ca_file = "{night.observatory.ca_file}"\n', "")
    with pytest.raises(IdentityRefused, match=r"certificate that is not trusted .* no password"):
        night.look(source)
    requests = night.observatory.requests[source]
    assert (requests.logins, requests.refused) == (0, 0)


def test_a_host_key_that_is_not_known(night: Night) -> None:
    empty = put(night.file.parent / "known_hosts", "")
    night = changed(night, str(night.observatory.known_hosts), str(empty))
    with pytest.raises(IdentityRefused, match=r"host key of .* \(ssh-ed25519 SHA256:.*--trust"):
        night.look("pi")
    empty.unlink()
    with pytest.raises(IdentityRefused, match="is not in"):
        night.look("pi")
    assert night.observatory.requests["pi"].logins == 0


def test_a_host_key_that_has_changed(night: Night, tmp_path: Path) -> None:
    host = night.observatory.known_hosts.read_text().split()[0]
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    known_hosts = put(tmp_path / "known_hosts", f"{host} {other}\n")
    night = changed(night, str(night.observatory.known_hosts), str(known_hosts))
    with pytest.raises(IdentityRefused, match="shows another host key"):
        night.look("pi")


def test_a_variable_that_is_not_set(night: Night) -> None:
    (night.file.parent / ".env").unlink()
    night = replace(night, settings=load_settings(night.file))
    for source in WITH_LOGIN:
        with pytest.raises(SettingsError, match=f"SIM_{source.upper()}_USER is not set"):
            night.look(source)


@pytest.mark.parametrize("source", ["vespera", "pi"])
def test_a_path_that_is_not_there_is_no_empty_listing(night: Night, source: str) -> None:
    kind = f'kind = "{source}"'
    night = changed(night, kind, f'{kind}\npath = "nowhere"')
    with pytest.raises(ListingFailed, match="nowhere"):
        night.look(source)


def test_the_pi_s_key_file_and_one_command(night: Night) -> None:
    by_key = f'key_file = "{night.observatory.pi_key_file}"'
    night = changed(night, 'password_env = "SIM_PI_PASSWORD"', by_key)
    source = night.settings.source("pi")
    assert isinstance(source, PiSource)
    with ssh_connection(source, night.settings.secrets) as client:
        _, output, _ = client.exec_command("astro-capture status", timeout=10)
        assert output.channel.recv_exit_status() in (0, 2)
    with (
        pytest.raises(SourceUnreachable, match="pi: localhost"),
        ssh_connection(source, night.settings.secrets),
    ):
        raise ConnectionResetError


def test_a_frame_that_is_not_what_the_pi_says_is_quarantined(night: Night) -> None:
    path = add_pi(night.served, "light-9.fits", frame(90), INSTRUME="ZWO ASI294MC")
    path.write_bytes(frame(91))
    manifest = night.fetch("pi")["2026-11-20_M42_ZWO-ASI294MC"]
    assert len(list(manifest.frames())) == 2
    assert "SHA-256 differs" in manifest.quarantined[0].reason
