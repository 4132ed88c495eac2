"""Which host key a Pi may show: the file `known_hosts`, read and added to.

What belongs here: who is trusted, and how somebody comes to be. What does not: log-in (`ssh`).
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from astro_assets.errors import IdentityRefused, StorageFailed
from astro_assets.settings import PiSource
from astro_assets.sources.ssh_faults import translated
from astro_assets.sources.ssh_transport import CONNECT_TIMEOUT_S, SshTransport, open_socket
from astro_assets.store import make_folder, sync_folder

_SSH_PORT = 22
_MARKER = "@"


class HostKey(NamedTuple):
    """What a host shows of itself.

    kind : such as ``ssh-ed25519``
    fingerprint : as OpenSSH prints it, ``SHA256:…``
    """

    kind: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Known:
    """What ``known_hosts`` says of one host: its keys by kind, and those that it must not show."""

    keys: dict[str, paramiko.PKey] = field(default_factory=dict)
    revoked: list[paramiko.PKey] = field(default_factory=list)


def host_key(source: PiSource) -> HostKey:
    """The key that the host shows now, trusted or not. Nothing is sent that logs in.

    Raises
    ------
    SourceUnreachable
    IdentityRefused : ``known_hosts`` cannot be read
    """
    return _described(_shown(source, load(source)))


def trust(source: PiSource, shown: HostKey | None = None) -> HostKey:
    """Store the host's key in ``known_hosts``, unless another one is there.

    Parameters
    ----------
    shown : the key that the user agreed to, where somebody was asked

    Returns
    -------
    HostKey : the key that is trusted from now on

    Raises
    ------
    SourceUnreachable
    IdentityRefused : another key of this host stands there, or it shows another one than ``shown``
    StorageFailed : ``known_hosts`` cannot be written
    """
    known = load(source)
    key = _shown(source, known)
    described = _described(key)
    name = name_of(source)
    shows = f"{source.name}: {name} shows the host key {described.kind} {described.fingerprint}"
    if shown is not None and shown != described:
        raise IdentityRefused(
            f"{shows}, another one than a moment ago, nothing is stored: find out who answers there"
        )
    if key in known.revoked:
        raise IdentityRefused(
            f"{shows}, which {source.known_hosts} calls revoked, nothing is stored: "
            "give the Pi a new key"
        )
    if key in known.keys.values():
        return described
    if known.keys:
        raise IdentityRefused(
            f"{shows}, but {source.known_hosts} has another one for it, nothing is stored: if the "
            f"Pi was set up anew, remove the old line (ssh-keygen -R '{name}' -f "
            f"'{source.known_hosts}') and try again"
        )
    _append(source.known_hosts, f"{name} {key.get_name()} {key.get_base64()}\n")
    return described


def name_of(source: PiSource) -> str:
    """The host as ``known_hosts`` spells it: the port only where it is not the usual one."""
    return source.host if source.port == _SSH_PORT else f"[{source.host}]:{source.port}"


def load(source: PiSource) -> Known:
    """What is known of the host; nothing when there is no file. Raises `IdentityRefused`."""
    try:
        text = source.known_hosts.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return Known()
    except OSError as error:
        raise IdentityRefused(
            f"{source.name}: {source.known_hosts} cannot be read ({error.strerror}), "
            "nothing was sent: correct known_hosts"
        ) from error
    known = Known()
    for marker, entry in _entries(source, text):
        if marker == "@revoked":
            known.revoked.append(entry)
        elif not marker:
            known.keys.setdefault(entry.get_name(), entry)
    for kind in [kind for kind, key in known.keys.items() if key in known.revoked]:
        del known.keys[kind]
    return known


def _entries(source: PiSource, text: str) -> Iterator[tuple[str, paramiko.PKey]]:
    """Marker and key of each line that speaks of the host."""
    name = name_of(source)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith(_MARKER) else ""
        if not words or words[0].startswith("#") or not _names(words[0], name, marker):
            continue
        try:
            entry = HostKeyEntry.from_line(" ".join(words), number)
        except (InvalidHostKey, paramiko.SSHException, ValueError) as error:
            raise IdentityRefused(
                f"{source.name}: line {number} of {source.known_hosts} is no host key, nothing was "
                "sent: correct or remove it"
            ) from error
        if entry is not None and entry.key is not None:  # None: a kind of key that is not spoken
            yield marker, entry.key


def _names(hosts: str, name: str, marker: str) -> bool:
    """Whether a line's first word, plain or hashed, names the host."""
    return any(
        host == name
        or (host.startswith("|1|") and paramiko.HostKeys.hash_host(name, host) == host)
        or (marker == "@revoked" and host == "*")
        for host in hosts.split(",")
    )


class RefuseUnknown(paramiko.MissingHostKeyPolicy):
    """An unknown host is not trusted; the sentence says how it becomes known."""

    def __init__(self, source: PiSource) -> None:
        self._source = source

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> NoReturn:
        del client
        source, shown = self._source, _described(key)
        raise IdentityRefused(
            f"{source.name}: the host key of {hostname} ({shown.kind} {shown.fingerprint}) is not "
            f"in {source.known_hosts}, no password was sent: compare it with the one that the Pi "
            "shows (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run "
            f"astro-assets check {source.name} --trust"
        )


def _shown(source: PiSource, known: Known) -> paramiko.PKey:
    with translated(f"{source.name}: {source.host}:{source.port}"):
        transport = SshTransport(open_socket(source.host, source.port), known.keys)
        try:
            transport.start_client(timeout=CONNECT_TIMEOUT_S)
            return transport.get_remote_server_key()
        finally:
            transport.close()


def _described(key: paramiko.PKey) -> HostKey:
    return HostKey(key.get_name(), key.fingerprint)


def _append(path: Path, line: str) -> None:
    """Add a line, whole or not at all; the other lines and the file's mode stay."""
    target = path.resolve()  # a link stays a link
    try:
        there = target.exists()
        before = target.read_bytes() if there else b""
        mode = target.stat().st_mode & 0o777 if there else 0o600
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        make_folder(target.parent)
        handle, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(before + gap + line.encode())
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(part).replace(target)
        finally:
            Path(part).unlink(missing_ok=True)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written ({error.strerror}): check known_hosts"
        ) from error
