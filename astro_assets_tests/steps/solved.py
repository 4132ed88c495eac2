"""Solved frames on disk from arrays with a known WCS, for tests of stacks alone.

What belongs here: the files as `steps/solve.py` leaves them. What does not: figures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.settings import Solving
from astro_assets.sim.session import SimulatedSession
from astro_assets.steps import stack
from astro_assets.store import ImageFile, Store, write_image

SOURCE = "attic"


def write_solved(
    store: Store,
    session: str,
    images: Sequence[NDArray[np.float32]],
    wcss: Sequence[WCS],
    *,
    masks: Sequence[NDArray[np.uint8] | None] = (),
    cards: Sequence[dict[str, object]] = (),
    **common: object,
) -> None:
    """One file per image, accepted. ``cards`` are header keywords of each, ``common`` of all."""
    folder = store.solved(SOURCE, session)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, wcs) in enumerate(zip(images, wcss, strict=True)):
        header = fits.Header({"OBJECT": session.split("_")[1], "EXPTIME": 60.0, "AAACCEPT": True})
        header["AAPROV"] = f"{session}-{number}"
        header.update(common)
        header.update(cards[number] if cards else {})
        header.update(wcs.to_header(relax=True))
        mask = masks[number] if masks else None
        empty = np.zeros(image.shape, np.uint8)
        path = folder / f"light-{number:04d}.fits"
        write_image(path, ImageFile(image, header, empty if mask is None else mask))


def stacked(root: Path, truth: SimulatedSession, session: str = "2026-11-20_M31_cam") -> Path:
    """The folder of the stack of a simulated session whose frames are solved by their truth."""
    store = Store(root)
    camera = truth.camera
    images = [
        light.counts_adu.astype(np.float32) * np.float32(camera.gain_e_per_adu)
        for light in truth.lights
    ]
    cards: dict[str, object] = {"EXPTIME": camera.exposure_s}
    if camera.bayer:
        cards["BAYERPAT"] = camera.bayer
    else:
        cards["FILTER"] = truth.channel or "G"
    magnitudes = [-2.5 * np.log10(light.conditions.transparency) for light in truth.lights]
    write_solved(
        store,
        session,
        images,
        [light.conditions.pointing.wcs() for light in truth.lights],
        cards=[{**cards, "MAGZP": 20.0 - magnitude} for magnitude in magnitudes],
    )
    stack.stack_session(store, SOURCE, session, Solving(index_folders=()))
    return store.stacks(SOURCE, session)
