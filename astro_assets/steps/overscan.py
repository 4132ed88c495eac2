"""Overscan of a frame: where its header or its recipe says that it is, measured and cut off.

What belongs here: sections of headers. What does not: the level itself (`imaging.overscan`),
taking it off (`imaging.calibrate`).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.imaging.overscan import Region, overscan_level, trim_overscan
from astro_assets.steps.inputs import OpenedFrame
from astro_assets.steps.recipe import Recipe

_SECTION = re.compile(r"\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]", re.ASCII)


def without_overscan(opened: OpenedFrame, recipe: Recipe, name: str) -> OpenedFrame:
    """The frame's light-sensitive part, still in raw ADU, with the level of its overscan.

    The sections are BIASSEC and TRIMSEC (or DATASEC) of a raw frame's header; one that lies outside
    of the image is of a frame that was cut before, and is left alone. Beside these the recipe's
    edges are cut away.

    Raises
    ------
    BrokenFile : a header with an overscan that does not say which part is the image
    """
    image, frame, levels = opened.image_adu, opened.frame, None
    # What was corrected before keeps the words of the raw frame that it was.
    raw = not (recipe.arrives_calibrated or frame.calibration_status)
    dark = _section(opened.header, "BIASSEC") if raw else None
    if dark is not None and dark.within(image.shape):
        light = _section(opened.header, "TRIMSEC") or _section(opened.header, "DATASEC")
        if light is None or not light.within(image.shape):
            raise BrokenFile(
                f"{name} has an overscan (BIASSEC) but no TRIMSEC or DATASEC that says where the "
                "image is: add one of them to its header"
            )
        if recipe.overscan != "cut":
            levels = overscan_level(image, dark, by_rows=recipe.overscan == "rows")
            levels = levels[light.y0 : light.y1]
        image = image[light.slices]
        frame = replace(frame, bayer_pattern=_shifted(frame.bayer_pattern, light))
    if recipe.overscan_top_px or recipe.overscan_right_px:
        image = trim_overscan(image, recipe.overscan_top_px, recipe.overscan_right_px)
        levels = None if levels is None else levels[: image.shape[0]]
    return replace(opened, image_adu=image, frame=frame, overscan_adu=levels)


def _section(header: Mapping[str, Any], keyword: str) -> Region | None:
    """``[1:1024,1:2048]``, columns first, from 1, both ends included."""
    match = _SECTION.fullmatch(str(header.get(keyword, "")).strip())
    if match is None:
        return None
    x0, x1, y0, y1 = map(int, match.groups())
    return Region(y0 - 1, y1, x0 - 1, x1)


def _shifted(pattern: str | None, light: Region) -> str | None:
    """The colour matrix as it starts at the corner of the part that is kept."""
    if pattern is None:
        return None
    cells = ((y + light.y0, x + light.x0) for y in (0, 1) for x in (0, 1))
    return "".join(pattern[y % 2 * 2 + x % 2] for y, x in cells)
