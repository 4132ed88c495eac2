"""Is a file whole? Each file by what its name says it is.

What belongs here: which check is whose. What does not: the checks themselves (`verify_fits`,
`verify_tiff`, `decoding`), archives (`unzip`), what the pixels show (`imaging`).
"""

from pathlib import Path

from astro_assets.errors import BrokenFile
from astro_assets.formats import Format, format_of
from astro_assets.sources.decoding import check_decodes
from astro_assets.sources.landing import storage_failures
from astro_assets.sources.paths import is_fits, is_frame, is_packed_fits
from astro_assets.sources.verify_camera_raw import verify_camera_raw
from astro_assets.sources.verify_fits import verify_fits, verify_packed_fits
from astro_assets.sources.verify_tiff import verify_tiff
from astro_assets.sources.verify_xisf import verify_xisf


def verify(path: Path, name: str, *, zeros: bool = True) -> bool:
    """Check a file by what its name says it is.

    Parameters
    ----------
    zeros : False where it is known that no run of zeros is as long as a hole (`ZeroWatch`)

    Returns
    -------
    bool : a checksum inside the file vouches for its data

    Raises
    ------
    BrokenFile : it is empty, cut, longer than its header says, its checksum is wrong, it has a
        hole, or its decoder does not live through it
    StorageFailed : our own disk does not give it back
    """
    with storage_failures(path):
        if is_frame(name) and path.stat().st_size == 0:
            raise BrokenFile(f"{name} is empty: ask the source for it again")
        if is_fits(name):
            if is_packed_fits(name):
                checked = verify_packed_fits(path, name)
            else:
                checked = verify_fits(path, name, zeros=zeros)
            if checked.coded:
                check_decodes(path, name, "fits")
            return checked.vouched
        return _verify_other(path, name, zeros=zeros)


def _verify_other(path: Path, name: str, *, zeros: bool) -> bool:
    form = format_of(name)
    vouched = False
    if form is Format.TIFF and verify_tiff(path, name, zeros=zeros):
        check_decodes(path, name, "tiff")
    elif form is Format.XISF:
        vouched = verify_xisf(path, name)
        check_decodes(path, name, "xisf")
    elif form is Format.CAMERA_RAW:
        verify_camera_raw(path, name)
        check_decodes(path, name, "camera raw")
    return vouched
