"""Images in files: what is read is what was written, and a stack of many needs no more memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from astro_assets.steps.scratch import put_aside, put_share_aside

_MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from astropy.wcs import WCS
from astro_assets.imaging.drizzle import Mosaic
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.planes import Held
from astro_assets.imaging.stack import Layer, stack
from astro_assets.steps.scratch import put_aside, put_share_aside

folder, shape = Path(sys.argv[1]), (500, 600)
wcs = WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-1e-3, 1e-3]
rng = np.random.default_rng(1)
layers = []
for number in range(10):
    image = rng.normal(100, 5, shape).astype(np.float32)
    pixels = put_aside(folder / f"{number}.image", image)
    weight = put_share_aside(folder / f"{number}.weight", np.ones(shape, np.float32))
    moved = wcs.deepcopy()
    moved.wcs.crpix = rng.uniform(0, 8, 2)
    mosaic = Mosaic(pixels, moved, ((0, 0),), 5.0) if sys.argv[2] == "bayer" else None
    layers.append(Layer(Held(pixels, weight), 100.0, 5.0, mosaic=mosaic))
stack(layers, Grid(wcs, shape))
few = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stack(layers * 15, Grid(wcs, shape))
many = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((many - few) / 1024)
"""


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    image = np.random.default_rng(1).normal(0, 1, (37, 21)).astype(np.float32)
    scratch = put_aside(tmp_path / "image", image)
    np.testing.assert_array_equal(scratch[:], image)
    np.testing.assert_array_equal(scratch[5:9], image[5:9])
    np.testing.assert_array_equal(scratch[30:99], image[30:])
    share = np.array([[0, 1e-4, 0.5, 1]], np.float32)
    back = put_share_aside(tmp_path / "share", share)[:]
    assert (back[0] > 0).tolist() == [False, True, True, True]
    np.testing.assert_allclose(back, share, atol=1 / 255)
    assert back[0, 3] == 1


def test_a_stack_of_150_layers_takes_no_more_memory_than_one_of_10(tmp_path: Path) -> None:
    """Held in memory, 140 more layers of this size would take 200 MB."""
    for kind in ("plain", "bayer"):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, tmp_path, kind],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert float(done.stdout) < 20, kind
