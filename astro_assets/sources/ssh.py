"""A logged-in SSH connection, with `paramiko`: for one command, or for files.

What belongs here: log-in. What does not: whom we trust (`known_hosts`), files (`sftp`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import paramiko

from astro_assets.errors import IdentityRefused, LoginRefused
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.known_hosts import Known, RefuseUnknown, load, name_of
from astro_assets.sources.ssh_faults import BROKEN, translated, unreachable
from astro_assets.sources.ssh_transport import CONNECT_TIMEOUT_S, SshTransport, open_socket

_KEEPALIVE_S = 15

# It tells whatever the server says, which may be what the server was told.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


def ssh_client(source: PiSource, secrets: Secrets) -> paramiko.SSHClient:
    """A logged-in SSH connection; the caller closes it.

    Raises
    ------
    SourceUnreachable, LoginRefused
    IdentityRefused : the host key is not in ``known_hosts``, or is another one
    SettingsError : a variable is not set
    """
    where = f"{source.name}: {source.host}:{source.port}"
    user = secrets.value(source, "user_env")
    password = secrets.value(source, "password_env") if source.password_env else None
    known = load(source)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(RefuseUnknown(source))
    for kind, key in known.keys.items():
        client.get_host_keys().add(name_of(source), kind, key)
    try:
        _connect(client, source, where, user, password, known)
    except BaseException:
        client.close()
        raise
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_KEEPALIVE_S)
    return client


@contextmanager
def ssh_connection(source: PiSource, secrets: Secrets) -> Iterator[paramiko.SSHClient]:
    """As `ssh_client`, closed at the end: for one command.

    What breaks off within the block comes out as `SourceUnreachable`.
    """
    client = ssh_client(source, secrets)
    try:
        with translated(f"{source.name}: {source.host}:{source.port}"):
            yield client
    finally:
        client.close()


def _connect(
    client: paramiko.SSHClient,
    source: PiSource,
    where: str,
    user: str,
    password: str | None,
    known: Known,
) -> None:
    hint = f"check the variable {source.user_env}" + (
        f" and {source.password_env}" if source.password_env else " and key_file"
    )
    try:
        client.connect(
            source.host,
            source.port,
            username=user,
            password=password,
            key_filename=str(source.key_file) if source.key_file else None,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
            channel_timeout=CONNECT_TIMEOUT_S,
            allow_agent=source.key_file is None and password is None,
            look_for_keys=source.key_file is None and password is None,
            sock=open_socket(source.host, source.port),
            transport_factory=partial(SshTransport, known_kinds=known.keys),
        )
    except paramiko.BadHostKeyException as error:
        raise IdentityRefused(
            f"{where} shows another host key than {source.known_hosts} has, no password was sent: "
            "if the Pi was set up anew, remove its line there, then run "
            f"astro-assets check {source.name} --trust"
        ) from error
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        raise LoginRefused(f"{where} refuses user and password: {hint}") from error
    except FileNotFoundError as error:
        raise LoginRefused(
            f"{where}: the key file {source.key_file} is not there: correct key_file"
        ) from error
    except BROKEN as error:
        raise unreachable(where, error) from error
