"""SWarp on frames of ours: onto a given grid, resampled or co-added.

What belongs here: running SWarp. What does not: figures.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets_tests.validation.peers import Peer

_TIMEOUT_S = 120
_SETTINGS = {
    "RESAMPLING_TYPE": "LANCZOS3", "SUBTRACT_BACK": "N", "FSCALASTRO_TYPE": "FIXED",
    "COPY_KEYWORDS": "OBJECT", "VERBOSE_TYPE": "QUIET", "WRITE_XML": "N", "DELETE_TMPFILES": "Y",
    "COMBINE_TYPE": "WEIGHTED", "NTHREADS": "1", "FSCALE_KEYWORD": "NONE", "PROJECTION_ERR": "0",
}  # fmt: skip


def swarped(
    peer: Peer,
    folder: Path,
    images: Sequence[NDArray[np.float32]],
    wcss: Sequence[WCS],
    grid: Grid,
    weights: Sequence[NDArray[np.float32]] = (),
) -> NDArray[np.float32]:
    """The weighted mean of the images on the grid, 0 where there is no data."""
    names = []
    for number, (image, wcs) in enumerate(zip(images, wcss, strict=True)):
        name = f"in{number}.fits"
        fits.PrimaryHDU(image, wcs.to_header()).writeto(folder / name, overwrite=True)
        if weights:
            fits.PrimaryHDU(weights[number]).writeto(
                folder / f"in{number}.weight.fits", overwrite=True
            )
        names.append(name)
    header = grid.wcs.to_header()
    header.insert(0, ("SIMPLE", True))
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, grid.shape[1], grid.shape[0]
    (folder / "out.head").write_text(
        "\n".join(str(card) for card in header.cards) + "\nEND\n", encoding="ascii"
    )
    options = {
        **_SETTINGS,
        "IMAGEOUT_NAME": "out.fits",
        "WEIGHTOUT_NAME": "out.weight.fits",
        "WEIGHT_TYPE": "MAP_WEIGHT" if weights else "NONE",
    }
    command = [peer.program, *names, "-c", "/dev/null"]
    for key, value in options.items():
        command += [f"-{key}", value]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=True)
    with fits.open(folder / "out.fits") as hdus:
        return np.asarray(hdus[0].data, np.float32)
