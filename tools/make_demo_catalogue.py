"""Build the small star catalogue and the small solver index that come with the package.

Input are the Tycho-2 index files of Debian's `astrometry-data-tycho2-07-littleendian`; the index
itself is built by `build-astrometry-index` of Debian's `astrometry.net`. Run from the project's
top folder; needs `apt install astrometry.net astrometry-data-tycho2-07`. Where the data come from
and what may be done with them stands in `astro_assets/data/README.md`.

What does not belong here: anything that the package needs at run time.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

DEFAULT_INDEX = Path("/usr/share/astrometry/index-tycho2-07.littleendian.fits")
DATA_FOLDER = Path(__file__).resolve().parent.parent / "astro_assets" / "data"

# Quads of 16' to 120' in steps of √2: fields of view from 0.6° to 4°. Numbers as in the full sets.
SCALE_NUMBERS = range(6, 12)
FIRST_INDEX_ID = 940_700


class Field(NamedTuple):
    """A round piece of the sky."""

    name: str
    ra_deg: float
    dec_deg: float
    radius_deg: float


FIELDS = (
    Field("NGC 7000", 314.75, 44.40, 2.0),
    Field("M 31", 10.685, 41.269, 2.0),
    Field("M 42", 83.82, -5.39, 2.0),
    Field("M 45", 56.75, 24.12, 4.0),
    Field("M 94", 192.72, 41.11, 2.0),
)


def main() -> int:
    """Build all files; 1 when the input is not there."""
    parser = argparse.ArgumentParser(description="Build the catalogue and index of the demo.")
    parser.add_argument("--index", type=Path, default=DEFAULT_INDEX, help="Tycho-2 index file")
    parser.add_argument("--to", type=Path, default=DATA_FOLDER, help="folder to write to")
    arguments = parser.parse_args()
    if not arguments.index.is_file():
        sys.stderr.write(f"{arguments.index} is not there: apt install astrometry-data-tycho2-07\n")
        return 1
    catalogue = arguments.to / "tycho2_fields.fits"
    stars = stars_in_fields(*read_index_stars(arguments.index))
    write_catalogue(catalogue, *stars)
    for number in SCALE_NUMBERS:
        build_index(catalogue, number, arguments.to / f"index-tycho2-fields-{number:02d}.fits")
    return 0


def read_index_stars(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """RA and declination in degrees (ICRS, J2000) and V_T of all stars of an index file.

    Positions are unit vectors, stored as unsigned integers: xyz = minimum + integer / scale.
    """
    with fits.open(path) as hdus:
        tables = {hdu.columns.names[0]: hdu.data for hdu in hdus[1:]}
        limits = np.frombuffer(tables["kdtree_range_stars"].tobytes(), "<f8")
        integers = np.frombuffer(tables["kdtree_data_stars"].tobytes(), "<u4").reshape(-1, 3)
        magnitude = tables["MAG_VT"]["MAG_VT"].astype(np.float32)
    xyz = limits[:3] + integers / limits[6]
    ra_deg = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360
    return ra_deg, np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))), magnitude


def stars_in_fields(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], magnitude: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """The stars of all fields, brightest first."""
    xyz = _unit_vectors(ra_deg, dec_deg)
    inside = np.zeros(len(ra_deg), bool)
    for field in FIELDS:
        centre = _unit_vectors(np.array([field.ra_deg]), np.array([field.dec_deg]))[0]
        inside |= xyz @ centre > np.cos(np.radians(field.radius_deg))
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(magnitude[chosen], kind="stable")]
    return ra_deg[chosen], dec_deg[chosen], magnitude[chosen]


def _unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def write_catalogue(
    path: Path,
    ra_deg: NDArray[np.float64],
    dec_deg: NDArray[np.float64],
    magnitude: NDArray[np.float32],
) -> None:
    """The catalogue as a FITS table."""
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("ra_deg", "D", unit="deg", array=ra_deg),
            fits.Column("dec_deg", "D", unit="deg", array=dec_deg),
            fits.Column("vt_mag", "E", unit="mag", array=magnitude),
        ],
        name="STARS",
    )
    table.header["ORIGIN"] = ("Tycho-2 (Hog et al. 2000)", "by way of Debian's astrometry-data")
    table.header["RADESYS"] = "ICRS"
    table.header["EQUINOX"] = 2000.0
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def build_index(catalogue: Path, scale_number: int, path: Path) -> None:
    """One index file; positions to 1″, magnitudes kept as MAG_VT in the tag-along table."""
    renamed = path.with_suffix(".catalogue")
    with fits.open(catalogue) as hdus:
        data = hdus["STARS"].data
        columns = [
            fits.Column("RA", "D", array=data["ra_deg"]),
            fits.Column("DEC", "D", array=data["dec_deg"]),
            fits.Column("MAG_VT", "E", array=data["vt_mag"]),
        ]
        fits.BinTableHDU.from_columns(columns).writeto(renamed, overwrite=True)
    command = f"build-astrometry-index -i {renamed.name} -o {path.name} -E -M -P {scale_number} "
    command += f"-S MAG_VT -n 100 -r 1 -I {FIRST_INDEX_ID + scale_number}"
    subprocess.run(command.split(), check=True, cwd=path.parent, stdout=subprocess.DEVNULL)
    renamed.unlink()


if __name__ == "__main__":
    sys.exit(main())
