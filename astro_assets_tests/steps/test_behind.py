"""What is written behind the work is there at its end, or the work fails."""

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
    with pytest.raises(OSError, match="file"):
        written(tmp_path, ["file/a.fits", *names])
    assert sorted(path.name for path in tmp_path.glob("*.fits")) == names  # the others went on
