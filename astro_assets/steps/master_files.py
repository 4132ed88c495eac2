"""The masters on disk, as their headers describe them.

What belongs here: reading headers, quickly when they were read before. What does not: which master
serves which frame (`matching`).
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from astropy.io import fits

from astro_assets.errors import BrokenFile
from astro_assets.store import Store

KINDS = ("bias", "dark", "flat", "bad_pixels")


@dataclass(frozen=True, slots=True)
class MasterFile:
    """A master on disk, as its header describes it.

    read_noise_adu, read_noise_error_adu : of one frame, where it was measured on this set
    gain_e_per_adu, gain_error : the error is None unless it was measured on this set
    """

    path: Path
    kind: str
    camera: str
    shape: tuple[int, int]
    night: date
    exposure_s: float
    temperature_c: float | None
    filter: str | None
    bias_subtracted: bool
    digest: str
    bayer_pattern: str | None = None
    read_mode: str | None = None
    rotator_deg: float | None = None
    read_noise_adu: float | None = None
    read_noise_error_adu: float | None = None
    gain_e_per_adu: float | None = None
    gain_error: float | None = None


def masters(store: Store, source: str) -> list[MasterFile]:
    """Every master of a source.

    Raises
    ------
    BrokenFile : something else lies in their folder
    """
    return [
        read_master_header(path)
        for kind in KINDS
        for path in sorted(store.master(source, kind, "any").parent.glob("*.fits"))
    ]


def read_master_header(path: Path) -> MasterFile:
    """What a master's header says of it; read once as long as the file stays as it is.

    Raises
    ------
    BrokenFile : it cannot be read, or this system has not made it
    """
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_ino)
    except (OSError, ValueError, KeyError, TypeError, fits.VerifyError) as error:
        raise BrokenFile(
            f"{path} is no master that was made here ({error}): move it out of the masters' folder"
        ) from error


@lru_cache(maxsize=10_000)
def _read(path: Path, modified_ns: int, inode: int) -> MasterFile:
    del modified_ns, inode  # a part of the key: a file that was written anew is read anew
    header = fits.getheader(path)
    return MasterFile(
        path=path,
        kind=header["AAKIND"],
        camera=header["AACAMERA"],
        shape=(header["NAXIS2"], header["NAXIS1"]),
        night=date.fromisoformat(header["AANIGHT"]),
        exposure_s=float(header.get("EXPTIME", 0.0)),
        temperature_c=_number(header, "CCD-TEMP"),
        filter=header.get("FILTER"),
        bias_subtracted=bool(header.get("AANOBIAS", False)),
        digest=header["AAPROV"],
        bayer_pattern=header.get("BAYERPAT"),
        read_mode=header.get("READOUTM"),
        rotator_deg=_number(header, "ROTATANG"),
        read_noise_adu=_number(header, "RDNOIADU"),
        read_noise_error_adu=_number(header, "RDNADUER"),
        gain_e_per_adu=_number(header, "EGAIN"),
        gain_error=_number(header, "EGAINERR"),
    )


def _number(header: fits.Header, keyword: str) -> float | None:
    value = header.get(keyword)
    return None if value is None else float(value)
