"""What a download holds: the file itself, or the members of its archive, each checked.

What belongs here: from the bytes that came to the files that may appear. What does not: the checks
themselves (`verify`, `unzip`), what is tried again (`fetch`), files appearing (`landing`).
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from astro_assets.errors import BrokenFile, Unusable
from astro_assets.sources.download import Download
from astro_assets.sources.landing import storage_failures
from astro_assets.sources.paths import is_frame, safe_path, spelled, stem
from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that has been checked and may appear.

    path : below the batch's folder
    vouched : a checksum inside vouches for its data
    """

    path: PurePosixPath
    part: Path
    vouched: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What a download gave.

    whole : what of it may appear
    fault : what is wrong with it, or with some of it
    bytes_are : the same for two downloads of which the far side sent the same. What an archive's
        own checksums vouch for is as it was packed, also where each request has it packed anew
    """

    whole: list[Whole]
    fault: Unusable | None
    bytes_are: str


def checked(received: Download) -> Findings:
    """Check a download, and unpack it if it is an archive. Raises `StorageFailed`."""
    whole: list[Whole] = []
    fault: Unusable | None = None
    bytes_are = received.sha256
    try:
        received.checked()
        unpacked = _unpacked(received)
        if [part for _, part in unpacked] != [received.part]:
            bytes_are = "as they were packed"
        for path, part in unpacked:
            try:
                with storage_failures(part):
                    zeros = part != received.part or received.zeros
                    whole.append(Whole(path, part, verify(part, str(path), zeros=zeros)))
            except BrokenFile as error:
                fault = fault or error
    except Unusable as error:
        fault = error
    some = fault is None or any(is_frame(file.path.name) for file in whole)
    return Findings(whole if some else [], fault, bytes_are)


def _unpacked(received: Download) -> list[tuple[PurePosixPath, Path]]:
    """Names and bytes of the files that a download gave."""
    name = spelled(received.file.path)
    path = safe_path(received.file.path)
    if received.received == 0:
        raise BrokenFile(f"{name} is empty: ask the source for it again")
    if not name.lower().endswith(".zip"):
        return [(path, received.part)]
    members = unzip(received.part, received.part.parent, name)
    if not any(is_frame(member.name) for member in members):
        raise BrokenFile(f"{name} holds no FITS file: look at it")
    home = _home_of_members(path, list(members))
    return [(home / member, part) for member, part in members.items()]


def _home_of_members(archive: PurePosixPath, members: list[PurePosixPath]) -> PurePosixPath:
    """A lone member of the archive's own name lies in its place, others in a folder of its name.

    So members of equal names from two archives of one folder do not meet.
    """
    name = stem(archive.name)
    if len(members) == 1 and stem(members[0].name) == stem(name):
        return archive.parent
    return archive.parent / name
