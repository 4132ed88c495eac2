"""Pixels as some programs leave them: in a cube of one plane, as shares of one.

What belongs here: what is understood, and a sentence about it. What does not: reading files
(`store`), headers (`frame`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE_ADU = 65535.0
"""what programs that keep pixels between 0 and 1 take for 1"""


def one_plane(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without leading axes of length one, as a cube of a single plane has."""
    while image.ndim > 2 and image.shape[0] == 1:
        image = image[0]
    return image


def in_adu(
    name: str, image: NDArray[np.float32], header: Mapping[str, Any]
) -> tuple[NDArray[np.float32], str]:
    """The image in ADU, and a sentence where it came as shares of one (PixInsight, Siril).

    Real numbers none of which exceeds 1 are no counts: a frame of counts has its noise above that.
    """
    if not int(header.get("BITPIX", -32)) < 0:
        return image, ""
    highest = float(np.nanmax(image, initial=-np.inf, where=np.isfinite(image)))
    if not 0 < highest <= 1:
        return image, ""
    return image * np.float32(_FULL_SCALE_ADU), (
        f"{name} holds numbers from 0 to 1: they were taken as shares of {_FULL_SCALE_ADU:.0f} ADU"
    )


def several_images(name: str, others: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> str:
    """A sentence where a file has more images of the frame's size than the one that is used."""
    more = [label or "without a name" for label, data in others.items() if data.shape == shape]
    if not more:
        return ""
    return (
        f"{name} holds {len(more) + 1} images: the first one is used; give each a file of its own "
        "if they are frames"
    )
