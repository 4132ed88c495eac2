"""What the simulated servers of these tests serve."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

NIGHT = "2026-11-20"
ZIPPED = "T20/NGC 7000/20261120/calibrated-T20-observer-NGC 7000-20261120-214500-Red-BIN1-W-60-001"
SESSION = "2026-11-20_21-10-00_observation_M31/01-images-initial"


def frame(seed: int, **cards: str | float) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 65535, (40, 60), dtype=np.uint16)
    hdu = fits.PrimaryHDU(pixels)
    hdu.header.update(cards)
    written = io.BytesIO()
    hdu.writeto(written)
    return written.getvalue()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def job(jid: int | None, rid: int, status: int = 8, **more: Any) -> dict[str, Any]:
    complete = {"jid": jid, "completed_utc": f"2026-11-20T23:{rid % 60:02d}:00+00:00", "flatid": 31}
    return {
        "rid": rid,
        "objecttype": "RADEC",
        "objectname": "M 45",
        "objectid": "03:47:00.00 +24:07:00.00",
        "telescope": "cluster",
        "exposure_ms": 60000,
        "filters": ["B", "V", "R"],
        "requesttime": 1795000000 + rid,
        "status": status,
        **(complete if jid else {}),
        **more,
    }
