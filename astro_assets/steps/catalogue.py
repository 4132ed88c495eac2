"""Index files on disk: which ones serve a field, the solver on them, and the stars in them.

What belongs here: reading astrometry.net index files. What does not: solving (`imaging.solve`).
"""

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import astrometry
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.data import INDEX_FILES
from astro_assets.errors import NoSolverIndex
from astro_assets.imaging.catalogue import CatalogueStars

_SMALLEST_QUAD, _LARGEST_QUAD = 0.1, 1.0
"""Patterns of this share of the field's short and long side are of use."""
_PACKAGES = (
    ("astrometry-data-tycho2-07", 22.0, 30.0),
    ("astrometry-data-tycho2-08", 30.0, 44.0),
    ("astrometry-data-tycho2-09", 44.0, 60.0),
    ("astrometry-data-tycho2-10-19", 60.0, 2000.0),
)
"""of Debian, with the size of their patterns in arcminutes"""
_SAME_STAR = 1e-6
"""radians, 0.2″"""


def index_files(
    folders: Iterable[Path],
    shape: tuple[int, int],
    scale_arcsec: float | None,
    position: tuple[float, float] | None = None,
) -> list[Path]:
    """The index files that serve a field of view: the project's own, and those in ``folders``.

    Parameters
    ----------
    folders : where to look for ``index-*.fits`` beside the files that come with the project
    shape : (ny, nx) of the frames
    scale_arcsec : arcseconds per pixel; None takes every file
    position : RA and Dec in degrees, where known: the project's own files hold a few fields only

    Raises
    ------
    NoSolverIndex : there is none; the sentence names what to install
    """
    own = _serving(INDEX_FILES, shape, scale_arcsec)
    if position is not None and own and not _holds(tuple(own), position):
        own = []
    others = [path for folder in folders for path in sorted(folder.glob("index-*.fits"))]
    paths = own + _serving(others, shape, scale_arcsec)
    if not paths:
        raise NoSolverIndex(_what_to_install(shape, scale_arcsec))
    return paths


def index_choices(
    folders: Iterable[Path],
    shape: tuple[int, int],
    scale_arcsec: float | None,
    position: tuple[float, float] | None = None,
) -> list[list[Path]]:
    """Sets of index files to try one after another: the few that suffice where the frame's
    pointing is right, then all.

    Parameters and errors are those of `index_files`.
    """
    every = index_files(folders, shape, scale_arcsec, position)
    own = [path for path in every if path in INDEX_FILES]
    return [own, every] if position is not None and own and own != every else [every]


@lru_cache(maxsize=8)
def _open_solver(paths: tuple[Path, ...]) -> astrometry.Solver:
    return astrometry.Solver(list(paths))


def open_solver(paths: Sequence[Path]) -> astrometry.Solver:
    """The pattern solver on these index files, opened once per process."""
    return _open_solver(tuple(paths))


def index_stars(paths: Sequence[Path]) -> CatalogueStars:
    """All stars of these index files, each once, with V_T magnitudes; read once per process."""
    return _index_stars(tuple(paths))


@lru_cache(maxsize=4)
def _index_stars(paths: tuple[Path, ...]) -> CatalogueStars:
    parts = [_read_stars(path) for path in paths]
    directions = np.concatenate([part[0] for part in parts])
    mag = np.concatenate([part[1] for part in parts])
    if len(parts) > 1:
        once = _first_of_each(directions)
        directions, mag = directions[once], mag[once]
    ra_deg = np.degrees(np.arctan2(directions[:, 1], directions[:, 0])) % 360
    dec_deg = np.degrees(np.arcsin(np.clip(directions[:, 2], -1, 1)))
    return CatalogueStars(ra_deg, dec_deg, mag)


def _serving(
    paths: Iterable[Path], shape: tuple[int, int], scale_arcsec: float | None
) -> list[Path]:
    """The files whose star patterns are neither too large nor too small for the field."""
    if scale_arcsec is None:
        return [path for path in paths if _pattern_sizes(path) is not None]
    short, long = (np.radians(side * scale_arcsec / 3600) for side in (min(shape), max(shape)))
    serving = []
    for path in paths:
        sizes = _pattern_sizes(path)
        if sizes and sizes[1] >= _SMALLEST_QUAD * short and sizes[0] <= _LARGEST_QUAD * long:
            serving.append(path)
    return serving


@lru_cache(maxsize=256)
def _pattern_sizes(path: Path) -> tuple[float, float] | None:
    """Smallest and largest pattern, radians; None for another machine's byte order."""
    header = fits.getheader(path)
    native = "04:03:02:01" if sys.byteorder == "little" else "01:02:03:04"
    if "SCALE_L" not in header or header.get("ENDIAN", native) != native:
        return None
    return float(header["SCALE_L"]), float(header["SCALE_U"])


def _holds(paths: tuple[Path, ...], position: tuple[float, float]) -> bool:
    """Whether these files have stars around ``position``."""
    return len(_index_stars(paths).near(*position, 1.0)) > 0


def _read_stars(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Unit vectors and magnitudes."""
    directions, columns = read_index(path)
    named = next((name for name in columns if name.upper().startswith("MAG")), None)
    if named is None:
        return directions, np.full(len(directions), np.nan, dtype=np.float32)
    return directions, columns[named].astype(np.float32)


def read_index(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.generic]]]:
    """Unit vectors of an index file's stars, and the columns that it has of them by name.

    Positions are stored as minimum + count / scale.
    """
    with fits.open(path, memmap=True) as hdus:
        tables = {hdu.columns.names[0]: hdu for hdu in hdus[1:]}
        bounds = _raw(tables["kdtree_range_stars"]).view("=f8")
        counts = _raw(tables["kdtree_data_stars"]).view("=u4").reshape(-1, 3)
        directions = bounds[:3] + counts / bounds[6]
        columns = {
            name: np.array(hdu.data[name])
            for first, hdu in tables.items()
            if not first.startswith("kdtree") and len(hdu.data) == len(directions)
            for name in hdu.columns.names
        }
    return directions, columns


def _raw(hdu: fits.BinTableHDU) -> NDArray[np.uint8]:
    """A table's bytes: these columns hold native numbers, declared as text."""
    return np.frombuffer(np.ascontiguousarray(hdu.data).tobytes(), dtype=np.uint8)


def _first_of_each(directions: NDArray[np.float64]) -> NDArray[np.intp]:
    """One index per star: the same catalogue's stars are in several files.

    Stars in one cell of a fine grid are one star; a second grid, half a cell aside, catches those
    that fell on either side of a border.
    """
    kept = np.arange(len(directions))
    for aside in (0.0, 0.5):
        cells = np.floor((directions[kept] + 1) / _SAME_STAR + aside).astype(np.int64)
        key = (cells[:, 0] * 2_000_003 + cells[:, 1]) * 2_000_003 + cells[:, 2]
        kept = kept[np.unique(key, return_index=True)[1]]
    return kept


def _what_to_install(shape: tuple[int, int], scale_arcsec: float | None) -> str:
    """A sentence for this field: patterns from a tenth of its short side to its long side serve."""
    own = "or name the folder of your index files in [solving] index_folders"
    if scale_arcsec is None:
        return (
            "No astrometry.net index file was found: install the Debian package "
            f"astrometry-data-tycho2, {own}"
        )
    short, long = (side * scale_arcsec / 60 for side in (min(shape), max(shape)))
    where = f"No astrometry.net index file serves a field of {long:.0f}′ × {short:.0f}′"
    smallest, largest = _SMALLEST_QUAD * short, _LARGEST_QUAD * long
    packages = [
        name for name, low, high in _PACKAGES if high >= max(smallest, long / 5) and low <= largest
    ]
    if packages:
        return f"{where}: install the Debian package {' or '.join(packages)}, {own}"
    if smallest > _PACKAGES[-1][2]:
        return f"{where}: there are none so large; look whether the pixel scale is right, {own}"
    numbers = [
        k for k in range(7) if _quad_arcmin(k + 1) >= smallest and _quad_arcmin(k) <= largest
    ]
    if not numbers:
        return f"{where}: there are none so small; look whether the pixel scale is right, {own}"
    return (
        f"{where}, and Debian's packages begin at 22′: get index-{5200 + numbers[0]}-*.fits to "
        f"index-{5200 + numbers[-1]}-*.fits of astrometry.net's 5200 series "
        f"(data.astrometry.net/5200), and name their folder in [solving] index_folders"
    )


def _quad_arcmin(number: int) -> float:
    """The smallest pattern in astrometry.net's index files of this number."""
    return float(2 * 2 ** (number / 2))
