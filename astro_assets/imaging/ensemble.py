"""Zero points of the frames of one session against one another.

What belongs here: what the same stars, measured in many frames, say about the frames' clearness.
What does not: one frame against the catalogue (`photometry`).

A frame's own zero point carries the colours of the stars that it happens to hold, some hundredths
of a magnitude. Compared star by star these cancel (ensemble photometry, Honeycutt 1992,
PASP 104, 435).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from astro_assets.imaging.photometry import measurable

_MIN_COMMON = 5
_ROUNDS = 10
_CLIP_SIGMA = 3.0


def instrumental_magnitudes(
    stars: pd.DataFrame, matches: pd.DataFrame, exposure_s: float
) -> pd.Series:
    """−2.5 log10 of electrons per second of a frame's matched, clean stars, by catalogue star.

    Parameters
    ----------
    stars : the frame's star table
    matches : `solve.Solution.matches`
    exposure_s : exposure time, seconds
    """
    rows = stars.iloc[matches["star"].to_numpy(dtype=np.intp)]
    clean = measurable(rows)
    positions = [
        f"{ra:.5f}{dec:+.5f}" for ra, dec in zip(matches["ra_deg"], matches["dec_deg"], strict=True)
    ]
    mag = -2.5 * np.log10(rows["flux_e"].to_numpy()[clean] / exposure_s)
    series = pd.Series(mag, index=np.array(positions, dtype=object)[clean])
    return series[~series.index.duplicated()]


def consistent_zero_points(
    magnitudes: Sequence[pd.Series | None], zero_points: Sequence[float]
) -> list[float]:
    """Zero points whose differences come from the stars that frames share.

    Parameters
    ----------
    magnitudes : `instrumental_magnitudes` of each frame of one filter; None for what is unsolved
    zero_points : each frame's own, NaN where unknown; their median level is kept

    Returns
    -------
    One per frame; its own where it shares fewer than five stars with the others.
    """
    known = [
        i
        for i, (m, z) in enumerate(zip(magnitudes, zero_points, strict=True))
        if m is not None and len(m) >= _MIN_COMMON and np.isfinite(z)
    ]
    result = list(zero_points)
    if len(known) < 2:
        return result
    table = pd.concat([magnitudes[i] for i in known], axis=1, keys=known)
    table = table[table.count(axis=1) >= 2]
    if len(table) < _MIN_COMMON:
        return result
    dimming = _dimming(table.to_numpy(dtype=np.float64))
    shared = table.count().to_numpy()
    level = np.median([zero_points[i] for i in known] + dimming)
    for i, offset, count in zip(known, dimming, shared, strict=True):
        if count >= _MIN_COMMON:
            result[i] = float(level - offset)
    return result


def _dimming(mag: np.ndarray) -> np.ndarray:
    """How many magnitudes fainter than the mean each frame (column) shows its stars (rows)."""
    offsets = np.zeros(mag.shape[1])
    kept = np.isfinite(mag)
    for _ in range(_ROUNDS):
        shown = np.where(kept, mag - offsets, np.nan)
        star = np.nanmedian(shown, axis=1)
        residual = np.where(np.isfinite(mag), mag - star[:, None], np.nan)
        offsets = np.nanmedian(np.where(kept, residual, np.nan), axis=0)
        offsets -= np.median(offsets)
        rest = residual - offsets
        spread = 1.4826 * np.nanmedian(np.abs(rest[kept]))
        kept = np.isfinite(mag) & (np.abs(rest) <= _CLIP_SIGMA * max(spread, 1e-4))
        # A star that is left in no frame would be no star; it keeps its least deviating value.
        lost = ~kept.any(axis=1)
        kept[lost] = np.isfinite(mag[lost])
    return np.asarray(np.nan_to_num(offsets))
