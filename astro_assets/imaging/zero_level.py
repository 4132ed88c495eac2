"""Whether a dark still holds its bias, from its level.

What belongs here: that one question. What does not: what follows from it (`calibrate`).
"""

from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOW_PERCENTILE = 1.0
"""Pixels with the least dark current: there a dark shows its zero level."""
_FREE_BELOW, _HELD_ABOVE = 0.5, 0.9
"""in levels of the bias"""
_SAMPLED = 3
"""every so manieth row and column is enough"""


class Zero(Enum):
    """What a dark's level tells."""

    FREE = auto()
    """the bias has been taken off"""
    HELD = auto()
    UNCLEAR = auto()


def zero_level(dark_adu: NDArray[Any], bias_adu: NDArray[Any] | None = None) -> Zero:
    """Whether a master dark holds its bias.

    Its coldest pixels lie at the bias level if it does, and near zero, some below, if it does not.
    With a bias to compare, these are told apart by half the bias; a level in between, and a
    high one where there is no bias to compare, tell nothing: a warm sensor's dark current can be
    as high as a bias.

    Parameters
    ----------
    dark_adu : (ny, nx), without its pedestal
    bias_adu : (ny, nx), master bias of the same camera
    """
    low = _low(dark_adu)
    if bias_adu is None:
        return Zero.FREE if low <= 0 else Zero.UNCLEAR
    if bias_adu.shape != dark_adu.shape:
        return Zero.UNCLEAR
    level = _low(bias_adu)
    if not level > 0 or not np.isfinite(low):
        return Zero.UNCLEAR
    share = low / level
    if share < _FREE_BELOW:
        return Zero.FREE
    # Above the bias by its dark current; far above, a bias-free dark is as likely.
    return Zero.HELD if share >= _HELD_ABOVE else Zero.UNCLEAR


def _low(image: NDArray[Any]) -> float:
    values = np.asarray(image[::_SAMPLED, ::_SAMPLED], np.float32)
    values = values[np.isfinite(values)]
    return float(np.percentile(values, _LOW_PERCENTILE)) if values.size else float("nan")
