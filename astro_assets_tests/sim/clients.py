"""Plain clients of the four protocols, logged in to a simulated observatory."""

import ftplib
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import paramiko

from astro_assets.sim.observatory import SimulatedObservatory


def trusting(observatory: SimulatedObservatory) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(observatory.ca_file))


def login(observatory: SimulatedObservatory, source: str) -> tuple[str, str]:
    env = observatory.environment
    return env[f"SIM_{source.upper()}_USER"], env[f"SIM_{source.upper()}_PASSWORD"]


@contextmanager
def ftps(observatory: SimulatedObservatory) -> Iterator[ftplib.FTP_TLS]:
    with ftplib.FTP_TLS(context=trusting(observatory), timeout=5) as client:
        client.connect("localhost", observatory.ports["itelescope"])
        client.login(*login(observatory, "itelescope"))
        client.prot_p()
        yield client


@contextmanager
def ftp(observatory: SimulatedObservatory) -> Iterator[ftplib.FTP]:
    with ftplib.FTP(timeout=5) as client:
        client.connect("localhost", observatory.ports["vespera"])
        client.login()
        yield client


def retrieve(client: ftplib.FTP, path: str, rest: int | None = None) -> bytes:
    content = bytearray()
    client.retrbinary(f"RETR {path}", content.extend, rest=rest)
    return bytes(content)


@contextmanager
def site(observatory: SimulatedObservatory, *, logged_in: bool = True) -> Iterator[httpx.Client]:
    base = f"https://localhost:{observatory.ports['telescope_org']}"
    with httpx.Client(base_url=base, verify=trusting(observatory), timeout=5) as client:
        if logged_in:
            user, password = login(observatory, "telescope_org")
            sign_in(client, user, password)
        yield client


def sign_in(client: httpx.Client, user: str, password: str) -> httpx.Response:
    form = {"action": "login", "username": user, "password": password, "stayloggedin": "true"}
    return client.post("/login.php", data=form)


def api(client: httpx.Client, module: str, request: str, **asked: Any) -> Any:
    form = {"module": module, "request": request, "params": json.dumps(asked)}
    return client.post("/api-user.php", data=form).json()


@contextmanager
def ssh(observatory: SimulatedObservatory, **connect: Any) -> Iterator[paramiko.SSHClient]:
    user, password = login(observatory, "pi")
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(observatory.known_hosts))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        with_password = {} if "key_filename" in connect else {"password": password}
        client.connect(
            **{
                "hostname": "localhost",
                "port": observatory.ports["pi"],
                "username": user,
                "look_for_keys": False,
                "allow_agent": False,
                "timeout": 5,
                **with_password,
                **connect,
            }
        )
        yield client


def run(client: paramiko.SSHClient, command: str) -> tuple[int, str, str]:
    _, out, err = client.exec_command(command, timeout=5)
    answer, complaint = out.read().decode(), err.read().decode()
    return out.channel.recv_exit_status(), answer, complaint
