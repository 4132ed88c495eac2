"""vsftpd: with TLS it insists on session reuse and on TLS's good-bye; it knows no MLSD."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astro_assets_tests.faults.servers.certificates import Identity
from astro_assets_tests.faults.servers.process import (
    HOST,
    IS_ROOT,
    Running,
    folder,
    free_port,
    free_ports,
    program,
    running,
    version,
)


@contextmanager
def vsftpd(
    identity: Identity | None = None,
    timezone: str = "UTC",
    *,
    in_memory: bool = False,
    **more: str,
) -> Iterator[Running]:
    """Serve a folder to everybody, who may also delete where the folders are open.

    identity : for TLS, which is then required
    timezone : of the times in its listings, as in the variable TZ
    more : further options, or others
    """
    path = program("vsftpd", "vsftpd")
    with folder("vsftpd", in_memory=in_memory) as home:
        served, empty = home / "served", home / "empty"
        served.mkdir()
        empty.mkdir()
        port, data_ports = free_port(), free_ports(40)
        options = {
            "listen": "YES", "listen_port": port, "listen_address": HOST, "background": "NO",
            "anonymous_enable": "YES", "local_enable": "NO", "no_anon_password": "YES",
            "run_as_launching_user": "NO" if IS_ROOT else "YES",
            "secure_chroot_dir": empty, "anon_root": served, "seccomp_sandbox": "NO",
            "write_enable": "YES", "anon_other_write_enable": "YES",
            "anon_world_readable_only": "NO",
            "pasv_address": HOST, "pasv_min_port": data_ports[0], "pasv_max_port": data_ports[-1],
            "use_localtime": "YES",
        }  # fmt: skip
        if identity is not None:
            options |= _tls(identity)
        text = "".join(f"{key}={value}\n" for key, value in (options | more).items())
        (home / "vsftpd.conf").write_text(text)
        title = f"vsftpd {version([path, '-v'], r'version ([0-9.]+)')}"
        command = ["env", f"TZ={timezone}", path, str(home / "vsftpd.conf")]
        with running(command, port, home / "log"):
            yield Running(
                title, HOST, port, served, identity.ca_file if identity else None, data_ports
            )


def _tls(identity: Identity) -> dict[str, str | Path]:
    return {
        "ssl_enable": "YES", "allow_anon_ssl": "YES", "force_anon_data_ssl": "YES",
        "force_anon_logins_ssl": "YES", "require_ssl_reuse": "YES", "strict_ssl_read_eof": "YES",
        "ssl_ciphers": "HIGH",  # without it, none that goes with our kind of key in TLS 1.2
        "rsa_cert_file": identity.certificate_file, "rsa_private_key_file": identity.key_file,
    }  # fmt: skip
