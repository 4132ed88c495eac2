"""Lanczos-3 in two one-dimensional passes, for frames that lie almost straight on the grid.

What belongs here: along the frame's rows, then along the grid's columns. What does not: frames that
lie otherwise, the weights as a table, saturated pixels (`lanczos`, `lanczos_rows`).

Catmull & Smith 1980 (Computer Graphics 14, 279): the first pass finds, in each of the frame's rows,
the values where the grid's columns cross it; the second interpolates along those columns. Twelve
taps do what 36 do. The weights are polynomials of the phase, so that whole registers of pixels are
taken at once. Where pixels must not contribute, the sum of the others and the share of the kernel
that they have are carried through both passes.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.lanczos import MIN_WEIGHT, PHASES

_HALF = 3
_TAPS = 6
_TERMS = 5
_FAST = {"contract"}
"""multiply and add in one step: no less exact"""


def _coefficients() -> NDArray[np.float32]:
    """Polynomials of the weights of the taps, (3, 2, _TERMS), in s = phase − ½.

    The taps j and 5 − j mirror each other: their mean is even in s, half their difference odd.
    """
    s = np.cos(np.linspace(0, np.pi / 2, 200)) / 2  # the phases from ½ to 1, closer at the ends
    distance = (s + 0.5)[:, None] - np.arange(1 - _HALF, _HALF + 1)
    taps = np.sinc(distance) * np.sinc(distance / _HALF)
    taps /= taps.sum(axis=1, keepdims=True)
    powers = s[:, None] ** (2 * np.arange(_TERMS))
    result = np.zeros((_HALF, 2, _TERMS))
    for j in range(_HALF):
        even, odd = (taps[:, j] + taps[:, 5 - j]) / 2, (taps[:, j] - taps[:, 5 - j]) / 2
        result[j, 0] = np.linalg.lstsq(powers, even, rcond=None)[0]
        result[j, 1] = np.linalg.lstsq(powers * s[:, None], odd, rcond=None)[0]
    return result.astype(np.float32)


COEFFICIENTS = _coefficients()
RAMP = np.arange(256, dtype=np.float32)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _along(
    row: Any, first: int, phase: Any, drift: Any, c: Any, ramp: Any, out: Any, n: int
) -> None:
    """``n`` values of a row: the k-th at ``first + k`` plus the phase ``phase + k drift``."""
    a0, a1, a2, a3, a4 = c[0, 0, 0], c[0, 0, 1], c[0, 0, 2], c[0, 0, 3], c[0, 0, 4]
    b0, b1, b2, b3, b4 = c[0, 1, 0], c[0, 1, 1], c[0, 1, 2], c[0, 1, 3], c[0, 1, 4]
    d0, d1, d2, d3, d4 = c[1, 0, 0], c[1, 0, 1], c[1, 0, 2], c[1, 0, 3], c[1, 0, 4]
    e0, e1, e2, e3, e4 = c[1, 1, 0], c[1, 1, 1], c[1, 1, 2], c[1, 1, 3], c[1, 1, 4]
    f0, f1, f2, f3, f4 = c[2, 0, 0], c[2, 0, 1], c[2, 0, 2], c[2, 0, 3], c[2, 0, 4]
    g0, g1, g2, g3, g4 = c[2, 1, 0], c[2, 1, 1], c[2, 1, 2], c[2, 1, 3], c[2, 1, 4]
    v = row[first - 2 : first + n + 3]
    for k in range(n):
        s = phase + ramp[k] * drift
        q = s * s
        even = a0 + q * (a1 + q * (a2 + q * (a3 + q * a4)))
        odd = s * (b0 + q * (b1 + q * (b2 + q * (b3 + q * b4))))
        total = even * (v[k] + v[k + 5]) + odd * (v[k] - v[k + 5])
        even = d0 + q * (d1 + q * (d2 + q * (d3 + q * d4)))
        odd = s * (e0 + q * (e1 + q * (e2 + q * (e3 + q * e4))))
        total += even * (v[k + 1] + v[k + 4]) + odd * (v[k + 1] - v[k + 4])
        even = f0 + q * (f1 + q * (f2 + q * (f3 + q * f4)))
        odd = s * (g0 + q * (g1 + q * (g2 + q * (g3 + q * g4))))
        out[k] = total + even * (v[k + 2] + v[k + 3]) + odd * (v[k + 2] - v[k + 3])


@njit(cache=True, nogil=True, fastmath=_FAST)
def _across(
    rows: Any, at: int, phase: Any, drift: Any, area: Any, c: Any, ramp: Any, out: Any, n: int
) -> None:
    """``n`` values between six rows, the columns from ``at`` on, times ``area``."""
    a0, a1, a2, a3, a4 = c[0, 0, 0], c[0, 0, 1], c[0, 0, 2], c[0, 0, 3], c[0, 0, 4]
    b0, b1, b2, b3, b4 = c[0, 1, 0], c[0, 1, 1], c[0, 1, 2], c[0, 1, 3], c[0, 1, 4]
    d0, d1, d2, d3, d4 = c[1, 0, 0], c[1, 0, 1], c[1, 0, 2], c[1, 0, 3], c[1, 0, 4]
    e0, e1, e2, e3, e4 = c[1, 1, 0], c[1, 1, 1], c[1, 1, 2], c[1, 1, 3], c[1, 1, 4]
    f0, f1, f2, f3, f4 = c[2, 0, 0], c[2, 0, 1], c[2, 0, 2], c[2, 0, 3], c[2, 0, 4]
    g0, g1, g2, g3, g4 = c[2, 1, 0], c[2, 1, 1], c[2, 1, 2], c[2, 1, 3], c[2, 1, 4]
    v0, v1, v2 = rows[0, at:], rows[1, at:], rows[2, at:]
    v3, v4, v5 = rows[3, at:], rows[4, at:], rows[5, at:]
    for k in range(n):
        s = phase + ramp[k] * drift
        q = s * s
        even = a0 + q * (a1 + q * (a2 + q * (a3 + q * a4)))
        odd = s * (b0 + q * (b1 + q * (b2 + q * (b3 + q * b4))))
        total = even * (v0[k] + v5[k]) + odd * (v0[k] - v5[k])
        even = d0 + q * (d1 + q * (d2 + q * (d3 + q * d4)))
        odd = s * (e0 + q * (e1 + q * (e2 + q * (e3 + q * e4))))
        total += even * (v1[k] + v4[k]) + odd * (v1[k] - v4[k])
        even = f0 + q * (f1 + q * (f2 + q * (f3 + q * f4)))
        odd = s * (g0 + q * (g1 + q * (g2 + q * (g3 + q * g4))))
        total += even * (v2[k] + v3[k]) + odd * (v2[k] - v3[k])
        out[k] = total * area


@njit(cache=True, nogil=True)
def _run(phase: float, drift: float, most: int) -> int:
    """How many pixels the phase stays within 0 … 1."""
    if drift > 0:
        return min(most, int((1.0 - phase) / drift) + 1)
    if drift < 0:
        return min(most, int(phase / -drift) + 1)
    return most


@njit(cache=True, nogil=True)
def _crossing(mesh_x: Any, mesh_y: Any, column: int, row0: int, row1: int, y: float) -> float:
    """Where a column of the mesh crosses a row of the frame."""
    r = row0
    while r < row1 and mesh_y[r + 1, column] < y:
        r += 1
    share = (y - mesh_y[r, column]) / (mesh_y[r + 1, column] - mesh_y[r, column])
    return float(mesh_x[r, column] + share * (mesh_x[r + 1, column] - mesh_x[r, column]))


@njit(cache=True, nogil=True)
def _has_blanks(values: Any) -> bool:
    """Whether there is a NaN among them: their bits are above those of infinity."""
    found = np.uint32(0)
    for value in values.view(np.uint32):
        found |= np.uint32((value & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000))
    return bool(found != 0)


@njit(cache=True, nogil=True)
def _first_pass(
    row: Any, left: float, slope: float, c: Any, ramp: Any, table: Any, out: Any, share: Any
) -> None:
    """A row's values where the grid's columns cross it, from ``left`` on.

    Where the footprint is not whole ``out`` is NaN and ``share`` has the sum over the usable pixels
    and their share of the kernel, (2, n).
    """
    n, nx = out.size, row.size
    k = 0
    while k < n:
        at = left + k * slope
        i = math.floor(at)
        m = _run(at - i, slope - 1, n - k)
        begin, end = min(max(0, 2 - i), m), max(min(m, nx - 3 - i), 0)
        out[k : k + begin] = np.nan
        if end > begin:
            phase = np.float32(at - i - 0.5 + begin * (slope - 1))
            _along(
                row, i + begin, phase, np.float32(slope - 1), c, ramp,
                out[k + begin : k + end], end - begin,
            )  # fmt: skip
        out[k + max(end, begin) : k + m] = np.nan
        k += m
    if not _has_blanks(out):
        return
    for k in range(n):
        if not math.isnan(out[k]):
            continue
        at = left + k * slope
        i = math.floor(at)
        w = table[int((at - i) * PHASES + 0.5)]
        total, part = np.float32(0), np.float32(0)
        for j in range(_TAPS):
            x = i + j - _HALF + 1
            if 0 <= x < nx and not math.isnan(row[x]):
                total += w[j] * row[x]
                part += w[j]
        share[0, k], share[1, k] = total, part


@njit(cache=True, nogil=True)
def _second_pass(
    between: Any,
    shares: Any,
    left: float,
    slope: float,
    area: Any,
    c: Any,
    ramp: Any,
    table: Any,
    out: Any,
    weight: Any,
    mask: Any,
) -> None:
    """A row of the grid; ``left`` counts the rows of ``between``."""
    n, rows = out.size, between.shape[0]
    k = 0
    while k < n:
        at = left + k * slope
        i = math.floor(at)
        m = _run(at - i, slope, n - k)
        if 2 <= i < rows - 3:
            _across(
                between[i - 2 : i + 4], k, np.float32(at - i - 0.5), np.float32(slope), area, c,
                ramp, out[k : k + m], m,
            )  # fmt: skip
        else:
            out[k : k + m] = np.nan
        k += m
    if not _has_blanks(out):
        return
    for k in range(n):
        if not math.isnan(out[k]):
            continue
        at = left + k * slope
        i = math.floor(at)
        w = table[int((at - i) * PHASES + 0.5)]
        total, part = np.float32(0), np.float32(0)
        for j in range(_TAPS):
            y = i + j - _HALF + 1
            if not 0 <= y < rows:
                continue
            value = between[y, k]
            if math.isnan(value):
                total += w[j] * shares[y, 0, k]
                part += w[j] * shares[y, 1, k]
            else:
                total += w[j] * value
                part += w[j]
        if part >= MIN_WEIGHT:
            out[k], weight[k], mask[k] = total / part * area, min(part, np.float32(1)), 0
        else:
            out[k], weight[k], mask[k] = 0, 0, 32


@njit(cache=True, nogil=True)
def _span(mesh: Any, step: int, column: int, y0: int, y1: int) -> tuple[float, float]:
    """The lowest and the highest value of one mesh's rows y0 … y1; NaN where one is not known."""
    low, high = math.inf, -math.inf
    for side in range(2):
        for y in (y0, y1 - 1):
            r, v = y // step, (y % step) / step
            at = mesh[r, column + side] * (1 - v) + mesh[r + 1, column + side] * v
            low, high = min(low, at), max(high, at)
        for r in range(y0 // step, (y1 - 1) // step + 2):
            if not math.isfinite(mesh[r, column + side]):
                return math.nan, math.nan
    return low, high


@njit(cache=True, nogil=True)
def two_pass_rows(
    source: Any,
    top: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    areas: Any,
    c: Any,
    ramp: Any,
    table: Any,
    y0: int,
    between: Any,
    shares: Any,
    image: Any,
    weight: Any,
    mask: Any,
) -> None:
    """Fill ``image``, and where a footprint is not whole ``weight`` and ``mask``, from y0 on.

    Parameters
    ----------
    source : the frame's rows from ``top`` on, NaN for what must not contribute
    mesh_x, mesh_y, step : where the grid's pixels lie in the frame, of which y rises along the
        grid's columns
    areas : of the grid's pixels, for each mesh
    between, shares : float32 scratch, (rows, step) and (rows, 2, step) of as many rows as the
        source has
    """
    ny = source.shape[0]
    y1, width = y0 + image.shape[0], image.shape[1]
    row0, row1 = y0 // step, (y1 - 1) // step
    for column in range((width - 1) // step + 1):
        x0 = column * step
        n = min(step, width - x0)
        here = slice(x0, x0 + n)
        low, high = _span(mesh_y, step, column, y0, y1)
        left, right = _span(mesh_x, step, column, y0, y1)
        inside = high - top > -1 and low - top < ny and right > -1 and left < source.shape[1]
        if not inside:  # nor where the mapping has no value
            image[:, here], weight[:, here], mask[:, here] = 0, 0, 32
            continue
        first = max(math.floor(low) - top - 2, 0)
        last = min(math.floor(high) - top + 3, ny - 1)
        for y in range(first, last + 1):
            begin = _crossing(mesh_x, mesh_y, column, row0, row1, y + top)
            end = _crossing(mesh_x, mesh_y, column + 1, row0, row1, y + top)
            _first_pass(
                source[y], begin, (end - begin) / step, c, ramp, table, between[y - first, :n],
                shares[y - first, :, :n],
            )  # fmt: skip
        rows = last - first + 1
        for y in range(y0, y1):
            r, v = y // step, (y % step) / step
            begin = mesh_y[r, column] * (1 - v) + mesh_y[r + 1, column] * v
            end = mesh_y[r, column + 1] * (1 - v) + mesh_y[r + 1, column + 1] * v
            _second_pass(
                between[:rows], shares[:rows], begin - top - first, (end - begin) / step,
                np.float32(areas[r, column]), c, ramp, table, image[y - y0, here],
                weight[y - y0, here], mask[y - y0, here],
            )  # fmt: skip
