"""What is done behind the work is there at its end, or the work fails."""

import os
import threading
import time

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.steps.behind import written_behind
from astro_assets.store import ImageFile, read_image


def image(number):
    return ImageFile(np.full((30, 40), number, np.float32), fits.Header())


def test_all_are_there_at_the_end(tmp_path):
    with written_behind() as write:
        for number in range(9):
            write(tmp_path / f"{number}.fits", image(number))
    for number in range(9):
        assert (read_image(tmp_path / f"{number}.fits").image == number).all()


def written(folder, names):
    with written_behind() as write:
        for name in names:
            write(folder / name, image(1))


def test_one_that_cannot_be_written_is_no_silence(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    names = [f"{number}.fits" for number in range(5)]
    failing = [f"file/{number}.fits" for number in range(4)]  # more than are written at once
    with pytest.raises(OSError, match="file"):
        written(tmp_path, [*failing, *names])
    assert sorted(path.name for path in tmp_path.glob("*.fits")) == names  # the others went on


def test_who_computes_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    """Nor is anything published before the disk has it; and no more files are open than a few."""
    handed, waiting, go_on = [], [], threading.Event()

    def sync_slowly(descriptor):
        waiting.append(descriptor)
        assert go_on.wait(10)

    def compute():
        with written_behind() as write:
            for number in range(20):
                write(tmp_path / f"{number}.fits", image(number))
                handed.append(number)

    monkeypatch.setattr(os, "fsync", sync_slowly)
    computing = threading.Thread(target=compute)
    computing.start()
    while len(waiting) < 2 or len(handed) < 8:
        time.sleep(0.01)
    computing.join(0.2)  # it cannot end; without the limit it hands all of them over meanwhile
    in_between = len(handed), list(tmp_path.glob("*.fits"))
    go_on.set()
    computing.join(10)
    assert in_between == (8, [])
    assert len(list(tmp_path.glob("*.fits"))) == len(handed) == 20
