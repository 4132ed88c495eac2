"""Planes that are freed serve the next ones."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource
{load}
import numpy as np

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def plane():
    np.empty((2048, 2048), np.float32).fill(1)

plane()
before = faults()
for _ in range(20):
    plane()
print(faults() - before)
"""


def _faults(load: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS.format(load=load)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_a_freed_plane_is_used_again_without_new_pages() -> None:
    assert _faults("import astro_assets.imaging") < 20
    assert _faults("") > 100, "the system has come to keep pages by itself: imaging.memory can go"
