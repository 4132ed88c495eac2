"""Simulated lights as files in a folder, good ones and bad ones."""

import io
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.sim.cameras import NGC_7000, Field
from astro_assets.sim.session import simulate_session
from astro_assets.sim.truth_writer import Cards, fits_bytes

EVENING = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
NIGHT = "2026-11-20"


def write_lights(folder: Path, count: int, *, field: Field = NGC_7000, seed: int = 5) -> list[Path]:
    """Good lights of one field, 400 x 480 pixels, a minute apart."""
    session = simulate_session(seed=seed, lights=count, field=field)
    return [
        write(folder / f"light-{number}.fits", light.counts_adu, number, field=field)
        for number, light in enumerate(session.lights, start=1)
    ]


def write(
    path: Path,
    counts: NDArray[np.generic],
    minute: int,
    *,
    field: Field = NGC_7000,
) -> Path:
    """One frame, with the header that a capture program writes."""
    start = EVENING + timedelta(minutes=minute)
    cards: Cards = {
        "IMAGETYP": "Light Frame",
        "OBJECT": field.target,
        "DATE-OBS": start.replace(tzinfo=None).isoformat(),
        "EXPTIME": 180.0,
        "FILTER": "Green",
        "INSTRUME": "Attic camera",
        "GAIN": 100,
        "EGAIN": 1.4,
        "SCALE": 8.2,
        "RA": field.ra_deg,
        "DEC": field.dec_deg,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fits_bytes(counts, cards))
    os.utime(path, (start.timestamp(), start.timestamp()))
    return path


def cut(path: Path, part: float) -> Path:
    """Leave only the first ``part`` of a file, with its time as it was."""
    content = path.read_bytes()
    return _rewritten(path, content[: int(part * len(content))])


def drop(path: Path, keyword: str) -> Path:
    """Take a keyword out of a frame's header."""
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        del hdus[0].header[keyword]
        content = io.BytesIO()
        hdus.writeto(content)
    return _rewritten(path, content.getvalue())


def rewrite(
    model: Path,
    path: Path,
    cards: Mapping[str, object],
    pixels: Callable[[NDArray[np.uint16]], NDArray[np.generic]] = np.copy,
) -> Path:
    """A copy of a frame with other cards, or other pixels; its time stays."""
    counts, header = fits.getdata(model, header=True)
    content = fits_bytes(pixels(counts), {**_cards_of(header), **cards})
    path.write_bytes(content)
    when = model.stat().st_mtime
    os.utime(path, (when, when))
    return path


def _cards_of(header: fits.Header) -> Cards:
    own = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "BSCALE", "BZERO")
    return {key: value for key, value in header.items() if key not in own}


def _rewritten(path: Path, content: bytes) -> Path:
    """Other bytes, the same time."""
    when = path.stat().st_mtime
    path.write_bytes(content)
    os.utime(path, (when, when))
    return path
