"""What the bad-pixel map of a camera is made from, and whether it would be made so now.

What belongs here: which masters and which list serve, the map's state and chain (`made_with` says
what these are). What does not: the map (`bad_pixels`); sensors ask here, so nothing heavy is
imported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from astro_assets.steps import provenance, versions
from astro_assets.steps.master_files import MasterFile, masters
from astro_assets.store import Store, sha256_of

CHAIN = "AACHAIN"


@dataclass(frozen=True, slots=True)
class MapInputs:
    """What serves for one camera.

    dark, flat : the newest of its longest darks, its newest flat
    others : its further masters, which tell its size and, where raw darks are missing, its jumps
    own : path of its owner's list, None where there is none
    state : hash of what the map is made from
    """

    dark: MasterFile | None
    flat: MasterFile | None
    others: tuple[MasterFile, ...]
    own: Path | None
    state: str

    @property
    def used(self) -> tuple[MasterFile, ...]:
        """The masters on which bad pixels are looked for."""
        return tuple(m for m in (self.dark, self.flat) if m is not None)


def map_inputs(store: Store, source: str) -> dict[str, MapInputs]:
    """Of each camera that can have a map: with a dark or flat, or with a list and any master."""
    by_camera: dict[str, list[MasterFile]] = {}
    for master in masters(store, source):
        if master.kind != "bad_pixels":
            by_camera.setdefault(master.camera, []).append(master)
    found = {camera: _inputs(store, source, camera, of) for camera, of in by_camera.items()}
    return {camera: inputs for camera, inputs in found.items() if inputs.used or inputs.own}


def chain(path: Path, state: str) -> str:
    """The chain of the map at ``path`` once it is made from what gives ``state``."""
    try:
        header = fits.getheader(path)
    except (OSError, ValueError, fits.VerifyError):  # none yet, or none that is whole
        return provenance.fingerprint("", state)
    before = str(header.get(CHAIN, ""))
    return (
        before if header.get(provenance.KEYWORD) == state else provenance.fingerprint(before, state)
    )


def stray_lists(store: Store, source: str, cameras: Iterable[str]) -> list[str]:
    """A sentence for each list of a source that is of no use, since no camera is called so."""
    known = set(cameras)
    there = ", ".join(sorted(known)) or "none whose frames are calibrated here"
    return [
        f"{path} is not used: {source} has no camera of that name with a master; there are: {there}"
        for path in sorted(store.user_bad_pixels(source, "any").parent.glob("*"))
        if not path.name.startswith(".") and (path.suffix != ".yaml" or path.stem not in known)
    ]


def _inputs(store: Store, source: str, camera: str, own: Sequence[MasterFile]) -> MapInputs:
    dark = max(
        (m for m in own if m.kind == "dark"),
        key=lambda m: (m.exposure_s, m.night),
        default=None,
    )
    flats = [m for m in own if m.kind == "flat" and (dark is None or m.shape == dark.shape)]
    flat = max(flats, key=lambda m: m.night, default=None)
    path = store.user_bad_pixels(source, camera)
    listed = path if path.is_file() else None
    digests = (m.digest for m in (dark, flat) if m is not None)
    return MapInputs(
        dark=dark,
        flat=flat,
        others=tuple(m for m in own if m not in (dark, flat)),
        own=listed,
        state=provenance.fingerprint(
            versions.BAD_PIXEL_MAP, *digests, *((sha256_of(listed),) if listed else ())
        ),
    )
