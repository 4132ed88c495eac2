"""What tells one calibration set from another, from the keywords that its source knows.

What belongs here: the last part of a calibration set's key. What does not: which master fits
which light (`steps`).
"""

import re
from collections.abc import Mapping

from astro_assets.frame import FrameKind


def configuration(kind: FrameKind, facts: Mapping[str, str]) -> str:
    """``10s_gain120``, ``Red_gain120``, ``gain120``; empty for lights and for the unknown."""
    if kind not in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT):
        return ""
    parts = []
    exposure = _number(facts.get("EXPTIME") or facts.get("EXPOSURE"))
    if kind is FrameKind.DARK and exposure:
        parts.append(f"{exposure}s")
    if kind is FrameKind.FLAT and facts.get("FILTER"):
        parts.append(facts["FILTER"].strip())
    gain = _number(facts.get("GAIN"))
    if gain:
        parts.append(f"gain{gain}")
    return "_".join(parts)


def _number(text: str | None) -> str:
    """A number in its shortest form; empty when it is none."""
    if text is None or re.fullmatch(r"\s*\d{1,9}(\.\d*)?([eE][-+]?\d{1,2})?\s*", text) is None:
        return ""
    return f"{float(text):g}"
