"""The Python packages' side of the bench: ccdproc, astroscrappy, photutils, astropy, numpy.

What belongs here: the same work as `ours`, as those packages' own documents do it; each gives what
it found. What does not: programs (`siril`, `astromatic`).
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

_MEMORY_LIMIT = 500e6
_CHUNK = 2**20
Kept = tuple[dict[str, float], NDArray[Any]]
"""figures, and what is judged"""


def ccdproc_master_dark(*files: str) -> dict[str, float]:
    """Average, 5 σ about the median with the MAD, in pieces of 500 MB."""
    import ccdproc
    from astropy.stats import mad_std

    combined = ccdproc.combine(
        list(files),
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=5,
        sigma_clip_high_thresh=5,
        sigma_clip_func=np.ma.median,
        sigma_clip_dev_func=mad_std,
        mem_limit=_MEMORY_LIMIT,
        unit="adu",
    )
    with tempfile.TemporaryDirectory() as folder:
        combined.write(Path(folder) / "master.fits")
    return {"median_adu": float(np.median(combined.data))}


def read_bytes(*files: str) -> dict[str, float]:
    """The physical limit of whatever needs all frames: their bytes, read."""
    return {"bytes": float(sum(len(Path(file).read_bytes()) for file in files))}


def numpy_calibrate(dark: str, flat: str, out: str, *lights: str) -> dict[str, float]:
    """(raw − dark) / flat, image and an empty mask written, on two threads: no cosmic rays."""
    dark_adu, flat_field = (fits.getdata(name).astype(np.float32) for name in (dark, flat))

    def one(light: str) -> None:
        image = (fits.getdata(light).astype(np.float32) - dark_adu) / flat_field
        mask = np.zeros(image.shape, np.uint8)
        hdus = fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(mask)])
        hdus.writeto(Path(out) / Path(light).name, overwrite=True)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(one, lights))
    return {"frames": len(lights)}


def read_and_write(out: str, read_mb: str, written_mb: str, *files: str) -> dict[str, float]:
    """The physical limit: so many bytes read from ``files``, over and over, and so many written."""
    chunk = bytearray(_CHUNK)
    left = float(read_mb) * 1e6
    while left > 0:
        for name in files:
            with Path(name).open("rb", buffering=0) as file:
                while left > 0 and (count := file.readinto(chunk)):
                    left -= count
    with Path(out).open("wb", buffering=0) as target:
        target.writelines(chunk for _ in range(round(float(written_mb) * 1e6 / _CHUNK)))
    Path(out).unlink()
    return {}


def astroscrappy_exact(frame: str) -> Kept:
    """L.A.Cosmic with exact medians."""
    return _astroscrappy(frame, separable=False)


def astroscrappy_separable(frame: str) -> Kept:
    """L.A.Cosmic as astroscrappy has it by default."""
    return _astroscrappy(frame, separable=True)


def _astroscrappy(frame: str, *, separable: bool) -> Kept:
    from astroscrappy import detect_cosmics

    image, header = _calibrated(frame)
    found, _ = detect_cosmics(
        image, gain=1.0, readnoise=header["RDNOISE"], satlevel=header["SATURATE"], sepmed=separable
    )
    return {"pixels": float(found.sum())}, found


def photutils_stars(frame: str) -> Kept:
    """Background in boxes, DAOStarFinder, fluxes and widths of what it finds."""
    from astropy.stats import SigmaClip
    from photutils.aperture import ApertureStats, CircularAperture
    from photutils.background import Background2D, MedianBackground
    from photutils.detection import DAOStarFinder

    image, _ = _calibrated(frame)
    sky = Background2D(image, 64, sigma_clip=SigmaClip(3.0), bkg_estimator=MedianBackground())
    level = np.asarray(sky.background)
    found = DAOStarFinder(threshold=7 * float(sky.background_rms_median), fwhm=3.0)(image - level)
    positions = np.transpose([found["xcentroid"], found["ycentroid"]])
    shapes = ApertureStats(image - level, CircularAperture(positions, 6.0))
    figures = {"stars": float(len(found)), "fwhm_px": float(np.median(shapes.fwhm.value))}
    return figures, positions


def lupton(out: str, *stacks: str) -> dict[str, float]:
    """A colour picture as astropy makes it, written as PNG."""
    from astropy.visualization import make_lupton_rgb
    from PIL import Image

    red, green, blue = _trimmed([fits.getdata(name).astype(np.float32) for name in stacks])
    Image.fromarray(make_lupton_rgb(red, green, blue, minimum=0, stretch=50, Q=8)).save(out)
    return {}


def _trimmed(planes: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    return [np.nan_to_num(plane - np.nanmedian(plane)) for plane in planes]


def _calibrated(frame: str) -> tuple[NDArray[np.float32], fits.Header]:
    with fits.open(frame) as file:
        return file[0].data.astype(np.float32), file[0].header
