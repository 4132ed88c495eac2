"""Planes that are freed serve the next ones."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource
from concurrent.futures import ThreadPoolExecutor
{load}
import numpy as np

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def plane():
    np.empty((3000, 3000), np.float32).fill(1)

def planes():
    {planes}

planes()
before = faults()
for _ in range(10):
    planes()
print(faults() - before)
"""
_HERE = "plane()"
_IN_A_THREAD = "ThreadPoolExecutor(1).submit(plane).result()"


def _faults(load: str, planes: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS.format(load=load, planes=planes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
@pytest.mark.parametrize("planes", [_HERE, _IN_A_THREAD], ids=["here", "in other threads"])
def test_a_freed_plane_is_used_again_without_new_pages(planes: str) -> None:
    """A plane of 36 MB has 8800 pages, or 18 of the large kind; a new thread's stack a few."""
    assert _faults("import astro_assets.imaging", planes) < 50
    assert _faults("", planes) > 70, (
        "the system has come to keep pages by itself: imaging.memory can go"
    )


_KEPT = """
from pathlib import Path
import numpy as np
from astro_assets.imaging.memory import give_back_freed

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

planes = [np.ones((3000, 3000), np.float32) for _ in range(3)]
last = np.ones(1000)
del planes
kept = resident_bytes()
give_back_freed()
print(kept - resident_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_what_was_kept_is_given_back() -> None:
    """What one stage keeps must not lie beside the planes of a stage that they do not fit."""
    done = subprocess.run([sys.executable, "-c", _KEPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100e6
