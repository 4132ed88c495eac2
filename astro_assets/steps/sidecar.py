"""What a telescope writes beside a frame, in a JSON file of the same name, as FITS keywords.

What belongs here: which words we know. What does not: whether they are needed (`inputs`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MAX_BYTES = 2**20
_MAX_DEPTH = 8
_SECONDS = {"exposure": 1.0, "exposures": 1.0, "exposuretime": 1.0, "exptime": 1.0,
            "exposurems": 1e-3, "exposuretimems": 1e-3, "exposureus": 1e-6,
            "exposuretimeus": 1e-6}  # fmt: skip
_WORDS = {"gain": "GAIN", "filter": "FILTER", "bayerpattern": "BAYERPAT", "bayer": "BAYERPAT",
          "temperature": "CCD-TEMP", "sensortemperature": "CCD-TEMP",
          "dateobs": "DATE-OBS"}  # fmt: skip


def sidecar_keywords(frame: Path) -> dict[str, str]:
    """Keywords from ``img-0001.json`` beside ``img-0001.tif``; none where there is no such file.

    Nobody has written down what stands in a telescope's own files, so a word is looked for at any
    depth, in any case, with and without ``_``; an exposure without a unit is in seconds.
    """
    path = frame.with_suffix(".json")
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for word, value in _entries(content, 0):
        plain = word.lower().replace("_", "").replace("-", "")
        if plain in _SECONDS and isinstance(value, int | float):
            found.setdefault("EXPTIME", f"{value * _SECONDS[plain]:.9g}")
        elif plain in _WORDS:
            found.setdefault(_WORDS[plain], str(value))
    return found


def _entries(content: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Words with a plain value, the outermost first."""
    if not isinstance(content, dict) or depth > _MAX_DEPTH:
        return
    for word, value in content.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield word, value
    for value in content.values():
        yield from _entries(value, depth + 1)
