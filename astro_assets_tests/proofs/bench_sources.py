"""The far sides that `bench` measures on: many files, large ones or empty ones.

What belongs here: files in each source's layout, a server for them. What does not: measuring.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits

from astro_assets_tests.faults.far import Far, ItelescopeFar, Servers
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import folder
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import put

CONNECTIONS = 2
FOLDERS = {
    "F": "T20/M 31/20261120",
    "V": "2026-11-20_21-10-00_observation_M31/01-images-initial",
    "S": "2026-11-20",
}
_SIDE = 2000
FRAME_BYTES = 2 * _SIDE * _SIDE


def frames(folder: Path, count: int) -> list[Path]:
    """FITS files of 8 MB of noise, which nothing compresses."""
    header = fits.PrimaryHDU(np.zeros((1, 1), np.int16)).header
    header["NAXIS1"], header["NAXIS2"] = _SIDE, _SIDE
    head = header.tostring().encode()
    dice = np.random.default_rng(8)
    padding = bytes(-(2 * _SIDE * _SIDE) % 2880)
    return [
        put(folder / f"{number}", head + dice.bytes(2 * _SIDE * _SIDE) + padding)
        for number in range(count)
    ]


def name(letter: str, number: int) -> str:
    """A frame's path below what the source's settings lead to."""
    names = {
        "F": f"raw-T20-observer-M 31-20261120-21{number // 60:02d}{number % 60:02d}"
        f"-Red-BIN1-W-60-{number:04d}.fit",
        "V": f"img-{number:04d}.fits",
        "S": f"light-{number:04d}.fits",
    }
    return f"{FOLDERS[letter]}/{names[letter]}"


@contextmanager
def far_side(letter: str, work: Path) -> Iterator[Far]:
    """A server without a file yet, and settings for it."""
    with ExitStack() as stack:
        if letter == "F":
            # rclone speaks only TLS 1.2 with it, for which the certificate needs other ciphers.
            shown = identity(stack.enter_context(folder("identity")))
            running = stack.enter_context(vsftpd(shown, ssl_ciphers="HIGH"))
            far: Far = ItelescopeFar(running, work)
            far.options["frames"] = ["raw"]
        else:
            far = stack.enter_context(closing(Servers())).far(letter, work)
        far.options["max_connections"] = CONNECTIONS
        yield far


def write_manifest(far: Far, entries: Iterable[tuple[str, int, str]]) -> None:
    """A Pi's list of finished frames: name, size and SHA-256 of each."""
    facts = {"IMAGETYP": "Light Frame", "OBJECT": "M 31", "INSTRUME": "ZWO ASI294MC"}
    lines = (
        json.dumps({"file": name, "size": size, "sha256": sha256, "facts": facts}) + "\n"
        for name, size, sha256 in entries
    )
    put(far.served / FOLDERS["S"] / "manifest.jsonl", "".join(lines))
