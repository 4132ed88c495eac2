"""Servers on this machine that speak as nova.astrometry.net and as Gaia's archive do.

They follow what the services document: https://astrometry.net/doc/net/api.html and IVOA TAP 1.1.
Neither real service was reachable; whether they do just this is not shown here.
"""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

KEY = "hushhush0123"


@dataclass
class Script:
    """What a server does and what it was asked.

    behaviour : "well", "finds nothing", "never ends", "breaks", "says nonsense", "is silent"
    """

    behaviour: str = "well"
    asked: list[str] = field(default_factory=list)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    wcs: WCS | None = None
    sky: Table | None = None
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._answer({key: values[0] for key, values in parse_qs(body).items()})

    def _answer(self, form: dict[str, str]) -> None:
        script = self.script
        script.asked.append(self.path)
        if script.behaviour == "breaks":
            self._send(b"no", 500)
        elif script.behaviour == "says nonsense":
            self._send(b"<html>maintenance</html>")
        elif script.behaviour == "is silent":
            script.over.wait(60)
        elif self.path.endswith("/tap/sync"):
            self._tap(form)
        else:
            self._nova(json.loads(form.get("request-json", "{}")))

    def _nova(self, words: dict[str, Any]) -> None:
        path, script = self.path, self.script
        if path == "/api/login":
            known = words.get("apikey") == KEY
            self._json({"status": "success" if known else "error", "session": "s1"})
        elif path == "/api/url_upload":
            script.submissions.append(words)
            self._json({"status": "success", "subid": 7})
        elif path == "/api/submissions/7":
            self._json({"jobs": [] if script.behaviour == "never ends" else [70]})
        elif path == "/api/jobs/70/info":
            found = script.behaviour != "finds nothing"
            self._json({"status": "success" if found else "failure"})
        elif path == "/wcs_file/70":
            self._send(self._wcs_file())
        elif path == "/corr_file/70":
            self._send(self._corr_file())
        else:
            self._send(b"what?", 404)

    def _wcs_file(self) -> bytes:
        assert self.script.wcs is not None
        header = fits.PrimaryHDU().header
        header.update(self.script.wcs.to_header(relax=True))
        header["IMAGEW"], header["IMAGEH"] = self.script.wcs.pixel_shape
        return header.tostring().encode()

    def _corr_file(self) -> bytes:
        assert self.script.wcs is not None
        submitted = self.script.submissions[-1]
        x, y = np.array(submitted["x"]), np.array(submitted["y"])
        ra, dec = self.script.wcs.all_pix2world(x, y, 1)
        table = Table({"field_x": x, "field_y": y, "index_ra": ra, "index_dec": dec})
        file = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table)]).writeto(file)
        return file.getvalue()

    def _tap(self, form: dict[str, str]) -> None:
        assert self.script.sky is not None
        self.script.queries.append(form["QUERY"])
        file = io.BytesIO()
        self.script.sky.write(file, format="votable")
        self._send(file.getvalue(), kind="application/x-votable+xml")

    def _json(self, content: object) -> None:
        self._send(json.dumps(content).encode(), kind="application/json")

    def _send(self, body: bytes, status: int = 200, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served(script: Script) -> Iterator[Script]:
    """The server on a free port of loopback; its address is in ``script.url``."""
    handler = type("Scripted", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
