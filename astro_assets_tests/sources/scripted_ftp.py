"""An FTP server that does exactly the wrong thing that a test asks of it."""

import socket
import socketserver
import ssl
import struct
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

MODIFIED = "20261120220000"


@dataclass
class Script:
    """What the server holds, and what goes wrong, in order, for each path.

    faults : ``short`` (226 all the same), ``long``, ``reset``, ``stall``, ``hang-up`` (the control
        connection dies with the data), ``no-goodbye`` (TLS ends without close_notify), ``grows``,
        or a reply such as ``450 busy``
    listing : raw bytes in the place of the folder's lines
    """

    files: dict[bytes, bytes] = field(default_factory=dict)
    faults: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))
    listing: bytes | None = None
    mlsd: bool = True
    tls: ssl.SSLContext | None = None
    auth_reply: str = "234 go on"
    prot_reply: str = "200 protected"
    login_reply: str = "230 come in"
    passive_host: str = "127,0,0,1"
    seen: list[bytes] = field(default_factory=list)
    retrieved: Counter[bytes] = field(default_factory=Counter)


class ScriptedFtp:
    """Serves a `Script` on loopback between ``with`` and its end."""

    def __init__(self, script: Script, host: str = "127.0.0.1") -> None:
        self.script = script

        class Handler(_Dialogue):
            pass

        Handler.script = script
        self._server = _Server((host, 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False


class _Dialogue(socketserver.BaseRequestHandler):
    script: Script

    def handle(self) -> None:
        self.control = self.request
        self.listener: socket.socket | None = None
        self.protected = False
        self.say("220 scripted")
        try:
            while line := self.line():
                self.script.seen.append(line)
                word, _, rest = line.partition(b" ")
                if not self.answer(word.upper().decode("latin-1"), rest):
                    return
        except OSError:
            pass
        finally:
            self.control.close()
            if self.listener is not None:
                self.listener.close()

    def line(self) -> bytes:
        collected = b""
        while not collected.endswith(b"\r\n"):
            byte = self.control.recv(1)
            if not byte:
                return b""
            collected += byte
        return collected[:-2]

    def say(self, text: str) -> None:
        self.control.sendall(f"{text}\r\n".encode())

    def answer(self, word: str, rest: bytes) -> bool:
        if word == "AUTH":
            self.say(self.script.auth_reply)
            if self.script.auth_reply.startswith("2") and self.script.tls:
                try:
                    self.control = self.script.tls.wrap_socket(self.control, server_side=True)
                except OSError:
                    return False
        elif word == "PROT":
            self.say(self.script.prot_reply)
            self.protected = True
        elif word == "PASV":
            self.passive()
        elif word in ("RETR", "MLSD", "LIST"):
            return self.transfer(word, rest)
        elif word == "SIZE" and rest in self.script.files:
            extra = 1 if "grown" in self.script.faults[rest] else 0
            self.say(f"213 {len(self.script.files[rest]) + extra}")
        elif word == "MDTM" and rest in self.script.files:
            self.say(f"213 {MODIFIED}")
        else:
            replies = {"USER": "331 who", "PASS": self.script.login_reply, "CWD": "250 there"}
            known = {"TYPE": "200 fine", "PBSZ": "200 fine", "QUIT": "221 bye"}
            self.say({**replies, **known}.get(word, "502 no"))
        return word != "QUIT"

    def passive(self) -> None:
        if self.listener is not None:
            self.listener.close()
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.say(f"227 Passive ({self.script.passive_host},{port // 256},{port % 256})")

    def transfer(self, word: str, rest: bytes) -> bool:
        if word == "MLSD" and not self.script.mlsd:
            self.say("502 no")
            return True
        faults = self.script.faults[rest] if word == "RETR" else []
        fault = faults.pop(0) if faults else ""
        if word == "RETR":
            self.script.retrieved[rest] += 1
        if fault[:1].isdigit():
            self.say(fault)
            return True
        content = self.script.files[rest] if word == "RETR" else self.lines(word)
        assert self.listener is not None
        self.say("150 here it comes")
        data, _ = self.listener.accept()
        self.listener.close()
        if self.protected and self.script.tls:
            data = self.script.tls.wrap_socket(data, server_side=True)
        return self.send(data, content, fault, faults)

    def send(self, data: socket.socket, content: bytes, fault: str, faults: list[str]) -> bool:
        half = content[: len(content) // 2]
        sent = {"short": content[:-1], "long": content + b"more", "half": half}
        broken = fault in ("reset", "stall", "hang-up", "no-goodbye")
        data.sendall(half if broken else sent.get(fault, content))
        if fault == "reset":
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault == "stall":
            self.control.recv(1)
        if fault == "grows":
            faults.append("grown")
        if isinstance(data, ssl.SSLSocket) and fault not in ("no-goodbye", "reset"):
            data.unwrap()
        data.close()
        if fault == "hang-up":
            return False
        if fault not in ("reset", "stall"):
            self.say("226 done")
        return fault not in ("reset", "stall")

    def lines(self, word: str) -> bytes:
        if self.script.listing is not None:
            return self.script.listing
        if word == "MLSD":
            form = f"type=file;size=%d;modify={MODIFIED}; %s\r\n".encode()
        else:
            form = b"-rw-r--r-- 1 ftp ftp %d Nov 20 22:00 %s\r\n"
        return b"".join(
            form % (len(content), path.rsplit(b"/", 1)[-1])
            for path, content in self.script.files.items()
        )


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
