"""proftpd, with mod_tls from proftpd-mod-crypto: session reuse required, and MLSD."""

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astro_assets_tests.faults.servers.certificates import Identity
from astro_assets_tests.faults.servers.process import (
    HOST,
    IS_ROOT,
    UNPACKED,
    Running,
    folder,
    free_port,
    free_ports,
    hashed,
    program,
    running,
    version,
)

USER, PASSWORD = "observer", "canary-proftpd-4711"


@contextmanager
def proftpd(identity: Identity | None = None, protocols: str = "") -> Iterator[Running]:
    """Serve a folder to `USER` with `PASSWORD`.

    identity : for TLS, which is then required, of ``protocols`` (``TLSv1.2``)
    """
    path = program("proftpd", "proftpd-core")
    modules = next(
        (
            base
            for base in (Path("/usr/lib/proftpd"), UNPACKED / "usr/lib/proftpd")
            if base.is_dir()
        ),
        None,
    )
    if identity is not None and (modules is None or not (modules / "mod_tls.so").is_file()):
        pytest.skip("proftpd has no mod_tls: apt install proftpd-mod-crypto")
    with folder("proftpd") as home:
        served = home / "served"
        served.mkdir()
        served.chmod(0o777)
        account = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())
        users = home / "users"
        users.touch(mode=0o600)
        users.write_text(
            f"{USER}:{hashed(PASSWORD)}:{account.pw_uid}:{account.pw_gid}::{served}:/bin/false\n"
        )
        port, data_ports = free_port(), free_ports(40)
        lines = [
            "ServerType standalone", f"DefaultAddress {HOST}", f"Port {port}",
            f"User {account.pw_name}", f"Group {grp.getgrgid(account.pw_gid).gr_name}",
            "UseReverseDNS off",
            "UseIPv6 off", "WtmpLog off", "TransferLog none", "DelayEngine off",
            f"PidFile {home}/pid", f"ScoreboardFile {home}/scores", f"SystemLog {home}/log",
            "RequireValidShell off", "AuthOrder mod_auth_file.c", f"AuthUserFile {users}",
            "DefaultRoot ~", f"PassivePorts {data_ports[0]} {data_ports[-1]}",
            "AllowRetrieveRestart on", "TimesGMT on",
        ]  # fmt: skip
        if identity is not None:
            lines += [
                f"ModulePath {modules}", "LoadModule mod_tls.c", "TLSEngine on",
                "TLSRequired on", f"TLSRSACertificateFile {identity.certificate_file}",
                f"TLSRSACertificateKeyFile {identity.key_file}", f"TLSLog {home}/tls.log",
                f"TLSProtocol {protocols or 'TLSv1.2 TLSv1.3'}",
            ]  # fmt: skip
        (home / "proftpd.conf").write_text("\n".join(lines) + "\n")
        title = f"proftpd {version([path, '-v'], r'Version ([0-9.a-z]+)')}"
        with running([path, "-n", "-c", str(home / "proftpd.conf")], port, home / "start.log"):
            yield Running(
                title, HOST, port, served, identity.ca_file if identity else None, data_ports,
                {"log": str(home / "log"), "tls_log": str(home / "tls.log")},
            )  # fmt: skip
