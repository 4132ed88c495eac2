"""A deep luminance in the place of a colour picture's own brightness.

What belongs here: which sum of the channels the luminance filter sees, and the exchange. What does
not: when there is one (`mixture`), the rest of the picture (`color`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from astro_assets.imaging.match import nearest_pairs
from astro_assets.imaging.white_balance import Balance, StarColors, star_colors, telling

_MIN_STARS = 5


def lightened(
    rgb: NDArray[np.float32],
    luminance: NDArray[np.float32],
    own: pd.DataFrame | None,
    stars: StarColors,
    white: Balance,
) -> bool:
    """Replace, in place, the brightness of ``rgb`` by the luminance; False without enough stars.

    What the luminance filter sees is a sum of the channels, with weights that the stars tell. The
    difference between it and that sum, which is sharpness and depth, is added to all channels
    alike, so that colour differences stay.

    own : the luminance's stars, where they are known; else they are looked for
    """
    if len(stars.x) < _MIN_STARS:
        return False
    bright = None if own is None else telling(own)
    there = star_colors([luminance] * 3, ~np.isfinite(luminance), bright)
    weights = _weights(stars, there, white)
    if weights is None:
        return False
    share = np.asarray(weights / weights.sum(), np.float32)
    seen = np.einsum("c,cyx->yx", share, rgb)
    gained = luminance / np.float32(weights.sum()) - seen
    rgb += gained
    return True


def _weights(stars: StarColors, there: StarColors, white: Balance) -> NDArray[np.float64] | None:
    """Luminance as a sum of balanced channels: non-negative, each star counting alike."""
    one, other = nearest_pairs(
        np.column_stack([stars.x, stars.y]), np.column_stack([there.x, there.y]), within_px=2.0
    )
    if len(one) < _MIN_STARS:
        return None
    balanced = stars.flux_e[:, one] * np.array(white.factors)[:, None]
    seen = there.flux_e[0, other]
    # Divided by the flux itself, so that a few bright stars do not decide alone; twice, clipped.
    table = (balanced / seen).T
    weights, _ = nnls(table, np.ones(len(one)))
    off = np.abs(table @ weights - 1)
    near = off <= max(3 * 1.4826 * float(np.median(off)), 0.02)
    if np.count_nonzero(near) >= _MIN_STARS:
        weights, _ = nnls(table[near], np.ones(np.count_nonzero(near)))
    return weights if weights.sum() > 0 else None
