"""The simulated stars' colours, as an index file like those that hold a catalogue's.

What belongs here: a copy of one of the package's index files with B_T beside V_T, so that colours
can be calibrated on the stars of the simulated sky. What does not: the stars (`catalogue`).
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astro_assets.data import INDEX_FILES
from astro_assets.sim.catalogue import stars_near

FOLDER = "catalogue"
"""Below the simulated night's folder."""

_TEMPLATE = "-08.fits"
_BLOCK = 2880  # bytes of a FITS header of a few cards
_BT_MINUS_VT_PER_B_MINUS_V = 1 / 0.850


def write_star_index(root: Path, *, seed: int) -> Path:
    """Write ``index-simulated-08.fits`` with the colours that `seed` draws; returns its path."""
    template = next(path for path in INDEX_FILES if path.name.endswith(_TEMPLATE))
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"index-simulated{_TEMPLATE}"
    with fits.open(template) as hdus:
        last = hdus[-1]
        before = last.fileinfo()["hdrLoc"]
        red = np.asarray(last.data["MAG_VT"], np.float32)
        blue = np.asarray(red + _BT_MINUS_VT_PER_B_MINUS_V * _colours(hdus, seed), np.float32)
    columns = [
        fits.Column(name, "E", unit="mag", array=mag)
        for name, mag in (("MAG_VT", red), ("MAG_BT", blue))
    ]
    table = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(table)
    # The other tables stay byte by byte: their columns are numbers that are declared as text.
    path.write_bytes(template.read_bytes()[:before] + table.getvalue()[_BLOCK:])
    return path


def _colours(hdus: fits.HDUList, seed: int) -> NDArray[np.float64]:
    """B − V of the file's stars, in its order."""
    tables = {hdu.columns.names[0]: hdu.data.tobytes() for hdu in hdus[1:]}
    limits = np.frombuffer(tables["kdtree_range_stars"], "<f8")
    integers = np.frombuffer(tables["kdtree_data_stars"], "<u4").reshape(-1, 3)
    stars = stars_near(0.0, 0.0, 180.0, seed=seed)
    ra, dec = np.radians(stars.ra_deg), np.radians(stars.dec_deg)
    xyz = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    number = cKDTree(xyz).query(limits[:3] + integers / limits[6])[1]
    return np.asarray(stars.bv_mag[number])
