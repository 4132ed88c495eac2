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

    faults : ``short`` (226 all the same), ``half``, ``long``, ``reset``, ``stall``, ``hang-up``
        (the control connection dies with the data), ``no-226`` (it dies after all of them),
        ``no-goodbye`` (TLS ends without close_notify), ``grows``, ``changes`` (other time
        afterwards), or a reply such as ``450 busy``
    listing_faults : the same for listings, whatever the folder
    listing : raw bytes in the place of every folder's lines
    modified : times by path, where they are not `MODIFIED`
    lines : listed lines by path, with another text than usual
    rest_reply : to REST
    """

    files: dict[bytes, bytes] = field(default_factory=dict)
    faults: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))
    listing_faults: list[str] = field(default_factory=list)
    listing: bytes | None = None
    modified: dict[bytes, str] = field(default_factory=dict)
    lines: dict[bytes, bytes] = field(default_factory=dict)
    mlsd: bool = True
    mlst: bool = False
    mdtm: bool = True
    feat: bool = True
    dos: bool = False
    tls: ssl.SSLContext | None = None
    greeting: str = "220 scripted"
    auth_reply: str = "234 go on"
    prot_reply: str = "200 protected"
    login_reply: str = "230 come in"
    rest_reply: str = "350 from there"
    passive_host: str = "127,0,0,1"
    transfers_per_login: int | None = None
    seen: list[bytes] = field(default_factory=list)
    retrieved: Counter[bytes] = field(default_factory=Counter)
    sent_bytes: Counter[bytes] = field(default_factory=Counter)


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
        self.folder = b"/"
        self.offset = 0
        self.transfers = 0
        try:
            self.say(self.script.greeting)
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
        """Whether the dialogue goes on."""
        if word in ("AUTH", "PROT"):
            return self.secure(word)
        if word in ("RETR", "MLSD", "LIST"):
            return self.transfer(word, rest)
        if word in ("PASV", "EPSV"):
            self.passive(word)
        elif word == "CWD":
            self.folder = rest
            self.say("250 there")
        elif word == "REST":
            self.say(self.script.rest_reply)
            self.offset = int(rest) if self.script.rest_reply.startswith("3") else 0
        elif word == "FEAT":
            self.say(self.features())
        elif word in ("SIZE", "MDTM", "MLST", "DELE"):
            self.say(self.about(word, rest))
        else:
            replies = {"USER": "331 who", "PASS": self.script.login_reply, "TYPE": "200 fine"}
            known = {"PBSZ": "200 fine", "QUIT": "221 bye"}
            self.say({**replies, **known}.get(word, "502 no"))
            return word != "QUIT" and not (
                word == "PASS" and self.script.login_reply.startswith("421")
            )
        return True

    def secure(self, word: str) -> bool:
        if word == "PROT":
            self.say(self.script.prot_reply)
            self.protected = True
            return True
        self.say(self.script.auth_reply)
        if self.script.auth_reply.startswith("2") and self.script.tls:
            try:
                self.control = self.script.tls.wrap_socket(self.control, server_side=True)
            except OSError:
                return False
        return True

    def features(self) -> str:
        """Whoever knows MLST tells so; one that knows MLSD alone is too old to tell anything."""
        if not self.script.feat or (self.script.mlsd and not self.script.mlst):
            return "502 no"
        able = " MLST type*;size*;modify*;\r\n" if self.script.mlst else ""
        return f"211-It can\r\n{able} REST STREAM\r\n211 no more"

    def about(self, word: str, path: bytes) -> str:
        """The reply to a question about a file."""
        script = self.script
        if (word == "MLST" and not script.mlst) or (word == "MDTM" and not script.mdtm):
            return "502 no"
        if path not in script.files:
            return "550 there is no such file"
        if word == "DELE":
            del script.files[path]
            return "250 gone"
        size = len(script.files[path]) + (1 if "grown" in script.faults[path] else 0)
        modified = script.modified.get(path, MODIFIED)
        if word == "MLST":
            return f"250-so\r\n type=file;size={size};modify={modified}; x\r\n250 it is"
        return f"213 {size if word == 'SIZE' else modified}"

    def passive(self, word: str) -> None:
        if self.listener is not None:
            self.listener.close()
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        host = self.script.passive_host
        if word == "EPSV":
            self.say(f"229 Passive (|1|{host.replace(',', '.')}|{port}|)")
        else:
            self.say(f"227 Passive ({host},{port // 256},{port % 256})")

    def transfer(self, word: str, rest: bytes) -> bool:
        script = self.script
        offset, self.offset = self.offset, 0
        if word == "MLSD" and not script.mlsd:
            self.say("502 no")
            return True
        faults = script.faults[rest] if word == "RETR" else script.listing_faults
        fault = faults.pop(0) if faults else ""
        if word == "RETR":
            script.retrieved[rest] += 1
        self.transfers += 1
        if script.transfers_per_login is not None and self.transfers > script.transfers_per_login:
            fault = "425 the TLS session of the data connection is not resumed"
        elif word == "RETR" and rest not in script.files:
            fault = "550 there is no such file"
        if fault[:1].isdigit():
            self.say(fault)
            return not fault.startswith("421")
        content = script.files[rest][offset:] if word == "RETR" else self.lines(word)
        assert self.listener is not None
        self.say("150 here it comes")
        data, _ = self.listener.accept()
        self.listener.close()
        if self.protected and script.tls:
            data = script.tls.wrap_socket(data, server_side=True)
        return self.send(data, content, fault, rest)

    def send(self, data: socket.socket, content: bytes, fault: str, path: bytes) -> bool:
        half = content[: len(content) // 2]
        sent = {"short": content[:-1], "long": content + b"more", "half": half}
        broken = fault in ("reset", "stall", "hang-up", "no-goodbye")
        going = half if broken else sent.get(fault, content)
        data.sendall(going)
        self.script.sent_bytes[path] += len(going)
        if fault == "reset":
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault == "stall":
            self.control.recv(1)
        if fault == "grows":
            self.script.faults[path].append("grown")
        if fault == "changes":
            self.script.modified[path] = "20261120220001"
        if isinstance(data, ssl.SSLSocket) and fault not in ("no-goodbye", "reset"):
            data.unwrap()
        data.close()
        if fault in ("hang-up", "no-226"):
            return False
        if fault not in ("reset", "stall"):
            self.say("226 done")
        return fault not in ("reset", "stall")

    def lines(self, word: str) -> bytes:
        """A folder's lines: its files, and the folders that its files' paths lead through."""
        if self.script.listing is not None:
            return self.script.listing
        home = self.folder.rstrip(b"/") + b"/"
        folders: dict[bytes, None] = {}
        lines = []
        for path, content in self.script.files.items():
            if not path.startswith(home):
                continue
            name, slash, _ = path[len(home) :].partition(b"/")
            if not slash:
                usual = self.line_of(word, path, name, len(content))
                lines.append(self.script.lines.get(path, usual))
            elif name not in folders:
                folders[name] = None
                lines.append(self.line_of(word, path, name, None))
        return b"".join(lines)

    def line_of(self, word: str, path: bytes, name: bytes, size: int | None) -> bytes:
        if word == "MLSD":
            if size is None:
                return b"type=dir; %s\r\n" % name
            modified = self.script.modified.get(path, MODIFIED).encode()
            return b"type=file;size=%d;modify=%s; %s\r\n" % (size, modified, name)
        if self.script.dos:
            shown = b"<DIR>         " if size is None else b"%14d" % size
            return b"11-20-26  10:00PM %s %s\r\n" % (shown, name)
        kind = b"d" if size is None else b"-"
        return b"%srw-r--r-- 1 ftp ftp %d Nov 20 22:00 %s\r\n" % (kind, size or 4096, name)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
