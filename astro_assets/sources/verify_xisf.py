"""Is an XISF file whole? Where its image lies, how large it becomes, and its checksum.

What belongs here: XISF 1.0, from its header, without unpacking a pixel.
"""

import hashlib
from pathlib import Path

from astro_assets.errors import BrokenFile
from astro_assets.formats.xisf_header import XisfHeader, xisf_header
from astro_assets.packed import most_bytes

_CHUNK = 2**20
_HASHES = {
    "sha-1": "sha1", "sha1": "sha1", "sha-256": "sha256", "sha256": "sha256",
    "sha-512": "sha512", "sha512": "sha512", "sha3-256": "sha3_256", "sha3-512": "sha3_512",
}  # fmt: skip


def verify_xisf(path: Path, name: str) -> bool:
    """Check that the image lies within the file, is no bomb, and agrees with its checksum.

    Returns
    -------
    bool : a checksum vouches for the pixels

    Raises
    ------
    BrokenFile : it is cut, swells too much, or its checksum is wrong
    """
    header = xisf_header(path, name)
    size = path.stat().st_size
    if header.position + header.length > size:
        raise BrokenFile(
            f"{name} is cut: {size} bytes, its header announces "
            f"{header.position + header.length}; ask the source for it again"
        )
    packed = "compression" in header.attributes
    if not packed and header.length != header.image_bytes:
        raise BrokenFile(
            f"{name} holds {header.length} bytes of pixels where its size needs "
            f"{header.image_bytes}: look at it"
        )
    if packed and max(header.image_bytes, _announced(header)) > most_bytes(header.length):
        raise BrokenFile(
            f"{name} would swell from {header.length} to {header.image_bytes} bytes: look at it"
        )
    return _checksum_agrees(path, name, header)


def _announced(header: XisfHeader) -> int:
    """The unpacked size that ``codec:size[:item]`` announces."""
    size = header.attributes["compression"].split(":")[1:2]
    return int(size[0]) if size and size[0].isdigit() else 0


def _checksum_agrees(path: Path, name: str, header: XisfHeader) -> bool:
    algorithm, _, stated = header.attributes.get("checksum", "").partition(":")
    if not stated or algorithm.lower() not in _HASHES:
        return False
    digest = hashlib.new(_HASHES[algorithm.lower()], usedforsecurity=False)
    with path.open("rb") as file:
        file.seek(header.position)
        left = header.length
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    if digest.hexdigest() != stated.strip().lower():
        raise BrokenFile(f"{name} does not agree with its checksum; ask the source for it again")
    return True
