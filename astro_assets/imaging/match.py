"""Who is who: the frame's stars and the catalogue's, given a rough WCS.

What belongs here: pairing by position. What does not: the fit (`wcs_fit`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

_BIN_PX = 3.0
_Points = NDArray[np.float64]


def nearest_pairs(
    found: _Points, expected: _Points, within_px: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the points of both lists that are each other's nearest, and near.

    Parameters
    ----------
    found, expected : (n, 2) and (m, 2) pixels
    """
    if len(found) == 0 or len(expected) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    distance, partner = cKDTree(found).query(expected)
    back = cKDTree(expected).query(found)[1]
    each = np.arange(len(expected))
    mutual = (distance <= within_px) & (back[partner] == each)
    return np.asarray(partner[mutual]), each[mutual]


def common_shift(found: _Points, expected: _Points, reach_px: float) -> tuple[float, float]:
    """The shift (dx, dy) that brings most of ``expected`` onto ``found``.

    Every difference between the lists is a vote; the true shift is where votes pile up.
    """
    differences = (found[:, None, :] - expected[None, :, :]).reshape(-1, 2)
    votes = differences[(np.abs(differences) <= reach_px).all(axis=1)]
    if len(votes) == 0:
        return 0.0, 0.0
    bins = max(3, int(2 * reach_px / _BIN_PX) | 1)
    edges = np.linspace(-reach_px, reach_px, bins + 1)
    counts, _, _ = np.histogram2d(votes[:, 0], votes[:, 1], bins=[edges, edges])
    piled = uniform_filter(counts, size=3, mode="constant")
    at_x, at_y = np.unravel_index(int(piled.argmax()), piled.shape)
    peak = np.array([edges[at_x] + edges[at_x + 1], edges[at_y] + edges[at_y + 1]]) / 2
    near = votes[(np.abs(votes - peak) <= 1.5 * _BIN_PX).all(axis=1)]
    dx, dy = np.median(near, axis=0) if len(near) else peak
    return float(dx), float(dy)
