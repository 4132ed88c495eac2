"""The child that decodes: it may die in any way, and its parent goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import BrokenFile
from astro_assets.sources import decoding
from astro_assets.sources.decoding import check_decodes

CHILD = """
import os, resource, signal, sys, time
from pathlib import Path
from astro_assets.sources import decoders

def deadly(path):
    what = path.read_text()
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hang":
        time.sleep(60)
    if what == "compute":
        while True:
            pass
    if what == "memory":
        bytearray(3 * decoders.MEMORY_BYTES)
    if what == "raise":
        print("a library's chatter")
        raise ValueError("tile 7 is not there")
    if what == "exit":
        os._exit(3)
    if what == "environment":
        raise ValueError(f"PATH {'PATH' in os.environ}, secret {'FAR_PASSWORD' in os.environ}")

decoders.DECODERS = {"test": deadly}
decoders.CPU_S = 1
decoders.main()
"""


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A decoder that does what its file says."""
    children = decoding._Children()
    monkeypatch.setattr(decoding, "_CHILDREN", children)
    monkeypatch.setattr(decoding, "_COMMAND", (sys.executable, "-c", CHILD))
    yield
    children.close()


def decode(folder: Path, what: str) -> str:
    """The reason why a file is refused; nothing if it is not."""
    path = folder / "a.fits"
    path.write_text(what)
    try:
        check_decodes(path, "a.fits", "test")
    except BrokenFile as error:
        return str(error)
    return ""


@pytest.mark.usefixtures("deadly")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("crash", "a.fits crashes its decoder (SIGSEGV): ask the source for it again"),
        ("compute", "a.fits takes more than 60 s of computing to decode"),
        ("memory", "a.fits takes more than 400 MB of memory to decode"),
        ("raise", "a.fits cannot be decoded (ValueError: tile 7 is not there)"),
        ("exit", "a.fits cannot be decoded (status 3)"),
    ],
)
def test_whatever_it_dies_of_is_a_reason(tmp_path: Path, what: str, reason: str) -> None:
    assert decode(tmp_path, "good") == ""
    assert reason in decode(tmp_path, what)
    assert decode(tmp_path, "good") == "", "another child goes on"


@pytest.mark.usefixtures("deadly")
def test_one_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode(tmp_path, "good") == ""
    monkeypatch.setattr(decoding, "WALL_S", 0.2)
    assert "takes longer than 0 s to decode" in decode(tmp_path, "hang")
    monkeypatch.undo()


@pytest.mark.usefixtures("deadly")
def test_one_child_serves_for_many_files(tmp_path: Path) -> None:
    assert decode(tmp_path, "good") == ""
    child = decoding._CHILDREN.current()
    assert decode(tmp_path, "good") == ""
    assert decoding._CHILDREN.current() is child


@pytest.mark.usefixtures("deadly")
def test_threads_take_turns(tmp_path: Path) -> None:
    found: dict[int, str] = {}

    def work(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        found[number] = decode(folder, "crash" if number % 4 == 3 else "good")

    threads = [Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bool(found[number]) for number in range(12)] == [n % 4 == 3 for n in range(12)]


@pytest.mark.usefixtures("deadly")
def test_secrets_stay_with_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_PASSWORD", "canary-4711")
    assert "PATH True, secret False" in decode(tmp_path, "environment")


@pytest.mark.usefixtures("deadly")
def test_a_forked_process_has_a_child_of_its_own(tmp_path: Path) -> None:
    assert decode(tmp_path, "good") == ""
    child = decoding._CHILDREN.current()
    assert child.usable
    object.__setattr__(child, "owner", os.getpid() + 1)  # as it looks to a fork of the parent
    assert not child.usable
    child.close()
    assert child.process.poll() is None, "it is not ours to end"
    object.__setattr__(child, "owner", os.getpid())


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Also when that is killed."""
    program = (
        "import os, sys; from pathlib import Path; from astro_assets.sources import decoding\n"
        "path = Path(sys.argv[1]); decoding.check_decodes(path, 'a', 'fits')\n"
        "print(decoding._CHILDREN.current().process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a.fits"
    hdu = fits.CompImageHDU(np.arange(400, dtype="i2").reshape(20, 20))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=False, stdout=subprocess.PIPE
    )
    child = int(run.stdout)
    for _ in range(200):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":  # nobody waits for it in a container
            return
        subprocess.run(["sleep", "0.05"], check=True)
    pytest.fail("the child is still there")


def test_a_frame_of_many_megapixels_needs_little_memory(tmp_path: Path) -> None:
    """61 megapixels and floats: within the limits, a few lines at a time."""
    pixels = np.zeros((6000, 10_200), dtype="i2")
    pixels[::50] = np.arange(10_200)
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels)]).writeto(path)
    check_decodes(path, path.name, "fits")
