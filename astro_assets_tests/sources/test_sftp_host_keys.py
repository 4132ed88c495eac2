"""Which host keys are believed, and how one comes to be, against OpenSSH's own server."""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets.errors import IdentityRefused, SourceUnreachable, StorageFailed
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.known_hosts import HostKey, host_key, trust
from astro_assets.sources.ssh import ssh_connection
from astro_assets_tests.sources.sshd import Sshd, sshd


@pytest.fixture
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def pi(server: Sshd, tmp_path: Path) -> PiSource:
    return server.source(tmp_path)[0]


@pytest.fixture
def secrets(server: Sshd, tmp_path: Path) -> Secrets:
    return server.source(tmp_path)[1]


def fingerprint(server: Sshd, kind: str = "ed25519") -> str:
    """As OpenSSH tells it."""
    command = ["ssh-keygen", "-lf", str(server.folder / f"host_{kind}.pub")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def test_the_key_is_shown_without_a_log_in(server: Sshd, pi: PiSource) -> None:
    server.known_hosts.unlink()
    assert host_key(pi) == ("ssh-ed25519", fingerprint(server))
    assert not server.known_hosts.exists()
    assert "publickey" not in server.log
    assert "Invalid user" not in server.log
    assert f"Failed none for {server.user}" not in server.log


def test_a_key_becomes_trusted(server: Sshd, pi: PiSource, secrets: Secrets) -> None:
    server.known_hosts.unlink()
    with (
        pytest.raises(IdentityRefused, match=r"no password was sent.*check pi --trust"),
        ssh_connection(pi, secrets),
    ):
        pass
    assert trust(pi, host_key(pi)) == ("ssh-ed25519", fingerprint(server))
    assert server.known_hosts.read_text() == f"[127.0.0.1]:{pi.port} {server.public()}\n"
    assert stat.S_IMODE(server.known_hosts.stat().st_mode) == 0o600
    with ssh_connection(pi, secrets):
        pass
    trust(pi)
    assert len(server.known_hosts.read_text().splitlines()) == 1


def test_ssh_itself_reads_what_was_stored(server: Sshd, pi: PiSource) -> None:
    server.known_hosts.unlink()
    trust(pi)
    command = ["ssh-keygen", "-F", f"[127.0.0.1]:{pi.port}", "-f", str(server.known_hosts)]
    assert (
        server.public()
        in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )


def test_other_lines_mode_and_link_stay(server: Sshd, pi: PiSource, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "hosts"
    real.parent.mkdir()
    before = f"# my hosts\nother.example {server.public()}"  # and no end of line
    real.write_text(before)
    real.chmod(0o640)
    server.known_hosts.unlink()
    server.known_hosts.symlink_to(real)
    trust(pi)
    assert server.known_hosts.is_symlink()
    assert real.read_text() == f"{before}\n[127.0.0.1]:{pi.port} {server.public()}\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [file.name for file in real.parent.iterdir()] == ["hosts"]


def test_a_changed_key_is_refused_and_not_replaced(
    server: Sshd, pi: PiSource, secrets: Secrets
) -> None:
    before = server.known_hosts.read_text()
    server.stop()
    server.make_key()
    server.start()
    with (
        pytest.raises(IdentityRefused, match=r"another host key.*no password was sent"),
        ssh_connection(pi, secrets),
    ):
        pass
    with pytest.raises(IdentityRefused, match=r"has another one for it.*ssh-keygen -R"):
        trust(pi)
    assert server.known_hosts.read_text() == before
    assert "publickey" not in server.log
    server.known_hosts.write_text("")
    trust(pi)
    with ssh_connection(pi, secrets):
        pass


def test_another_key_than_was_agreed_to(server: Sshd, pi: PiSource) -> None:
    server.known_hosts.unlink()
    with pytest.raises(IdentityRefused, match="than a moment ago, nothing is stored"):
        trust(pi, HostKey("ssh-ed25519", "SHA256:of-somebody-else"))
    assert not server.known_hosts.exists()


@pytest.mark.parametrize("known", [["ecdsa"], ["rsa"], ["ecdsa", "rsa"]])
def test_a_known_key_of_another_kind_is_asked_for(
    server: Sshd, pi: PiSource, secrets: Secrets, known: list[str]
) -> None:
    """The last of the known keys is one that the server still has."""
    for kind in known:
        server.make_key(kind)
    lines = (f"[127.0.0.1]:{pi.port} {server.public(kind)}\n" for kind in known)
    server.known_hosts.write_text("".join(lines))
    for kind in known[:-1]:
        (server.folder / f"host_{kind}").unlink()
    server.stop()
    server.start()
    assert host_key(pi).fingerprint == fingerprint(server, known[-1])
    with ssh_connection(pi, secrets):
        pass


def test_lines_of_other_hosts_do_not_matter(server: Sshd, pi: PiSource, secrets: Secrets) -> None:
    odd = "@cert-authority *.example ssh-ed25519 AAAA\nother.example ssh-rsa no=key\n\n#\nx\n\xff\n"
    server.known_hosts.write_text(odd + server.known_hosts.read_text(), encoding="latin-1")
    with ssh_connection(pi, secrets):
        pass


def test_a_hashed_line_is_understood(server: Sshd, pi: PiSource, secrets: Secrets) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-H", "-f", str(server.known_hosts)], check=True, capture_output=True
    )
    assert "127.0.0.1" not in server.known_hosts.read_text()
    with ssh_connection(pi, secrets):
        pass
    trust(pi)
    assert len(server.known_hosts.read_text().splitlines()) == 1


def test_a_revoked_key_is_refused(server: Sshd, pi: PiSource, secrets: Secrets) -> None:
    line = f"[127.0.0.1]:{pi.port} {server.public()}\n"
    server.known_hosts.write_text(f"{line}@revoked * {server.public()}\n")
    with pytest.raises(IdentityRefused), ssh_connection(pi, secrets):
        pass
    with pytest.raises(IdentityRefused, match="revoked"):
        trust(pi)
    assert "publickey" not in server.log


def test_a_line_that_is_no_key(server: Sshd, pi: PiSource, secrets: Secrets) -> None:
    server.known_hosts.write_text(f"\n[127.0.0.1]:{pi.port} ssh-ed25519 no=key\n")
    with pytest.raises(IdentityRefused, match="line 2 of"), ssh_connection(pi, secrets):
        pass


def test_a_host_that_is_off(server: Sshd, pi: PiSource) -> None:
    server.stop()
    with pytest.raises(SourceUnreachable, match=r"pi: 127\.0\.0\.1:.*is it on"):
        host_key(pi)


def test_a_disk_that_is_full(
    server: Sshd, pi: PiSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "ssh" / "known_hosts"
    hosts.parent.mkdir()
    hosts.write_text("other.example ssh-ed25519 AAAA\n")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match="known_hosts cannot be written"):
        trust(pi.model_copy(update={"known_hosts": hosts}))
    assert hosts.read_text() == "other.example ssh-ed25519 AAAA\n"
    assert list(hosts.parent.iterdir()) == [hosts]
