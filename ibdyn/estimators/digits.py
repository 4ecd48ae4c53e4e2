"""Activations to cells: a digit for each unit, the digits of a pattern packed into one integer.

Digits are packed by shifts, so packing is exact; where the next unit would overflow 64 bits the
rows so far are numbered anew, which leaves room since there are no more numbers than patterns.
Cells are found in float64: float32 arithmetic would misplace saturated units.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..elementary import FAST, wide
from ..sources import SOURCES
from .counting import EMPTY, number, table_for

EQUAL, WIDTH, EDGES, QUANTILES = range(4)
# A layer that spans more cells of a width than this is as good as infinite.
MOST_CELLS = 2.0**40


@njit(**FAST)
def pack_equal(row, low, high, count, bits, keys):
    """Equal cells 1..count from low to high, 0 below and count + 1 above."""
    wide()
    scale = count / (high - low) if high > low else 0.0
    for s in range(row.size):
        t = np.float64(row[s])
        # Rounding may carry a value just inside the limits to the cell beyond.
        digit = np.int32(min(max(np.floor((t - low) * scale), 0.0), count - 1.0)) + np.int32(1)
        digit = np.int32(0) if t < low else digit
        digit = np.int32(count + 1) if t > high else digit
        keys[s] = (keys[s] << bits) | np.uint64(digit)


@njit(**FAST)
def pack_width(row, width, first, bits, keys):
    """Cells of one width, counted from the cell ``first``."""
    wide()
    for s in range(row.size):
        digit = np.int64(np.floor(np.float64(row[s]) / width) - first)
        keys[s] = (keys[s] << bits) | np.uint64(digit)


@njit(**FAST)
def pack_edges(row, edges, bits, keys):
    """Cells between ascending edges: the number of edges not above the value."""
    for s in range(row.size):
        digit = np.searchsorted(edges, np.float64(row[s]), side="right")
        keys[s] = (keys[s] << bits) | np.uint64(digit)


@njit(**FAST)
def quantile_edges(t, count):
    """Edges midway between neighbours that part the distinct values into equal counts."""
    values = np.unique(t).astype(np.float64)
    edges = np.empty(count - 1)
    found = 0
    for i in range(1, count):
        at = i * values.size // count
        if at > 0:
            edge = (values[at - 1] + values[at]) / 2
            if found == 0 or edge > edges[found - 1]:
                edges[found] = edge
                found += 1
    return edges[:found]


@njit(**FAST)
def finite(t):
    """Whether all values of a layer are finite."""
    wide()
    bad = np.int32(0)
    for j in range(t.shape[0]):
        row = t[j]
        for s in range(row.size):
            bad += np.int32(0) if abs(row[s]) < np.inf else np.int32(1)
    return bad == 0


@njit(**FAST)
def extremes(t):
    """Least and greatest value of a layer."""
    low = high = t[0, 0]
    for j in range(t.shape[0]):
        for s in range(t.shape[1]):
            low = min(low, t[j, s])
            high = max(high, t[j, s])
    return np.float64(low), np.float64(high)


@njit(**FAST)
def bit_length(number):
    """Bits that hold the integers up to ``number``."""
    bits = 0
    while number > 0:
        number >>= 1
        bits += 1
    return bits


@njit(**FAST)
def member_cells(t, policy, count, width, low, high, edges, cells):
    """Cells of one member and layer, ``t`` (unit, pattern); EMPTY where ``t`` is not finite."""
    if not finite(t):
        cells[:] = EMPTY
        return
    if policy == QUANTILES:
        edges = quantile_edges(t, count)
    if np.isnan(low) and policy in (EQUAL, WIDTH):
        low, high = extremes(t)
    first = np.floor(low / width)
    if policy == WIDTH:
        digits = np.floor(high / width) - first + 1
        if digits > MOST_CELLS:
            cells[:] = EMPTY
            return
    else:
        digits = np.float64(count + 2 if policy == EQUAL else edges.size + 1)
    bits = bit_length(np.int64(digits) - 1)
    shift = np.uint64(bits)
    keys, table = np.zeros(t.shape[1], np.uint64), table_for(t.shape[1])
    used = 0
    for j in range(t.shape[0]):
        if used + bits > 64:
            used = bit_length(number(keys, cells, table))
            for s in range(keys.size):
                keys[s] = np.uint64(cells[s])
        if policy == EQUAL:
            pack_equal(t[j], low, high, count, shift, keys)
        elif policy == WIDTH:
            pack_width(t[j], width, first, shift, keys)
        else:
            pack_edges(t[j], edges, shift, keys)
        used += bits
    number(keys, cells, table)


@njit(parallel=True, cache=True, **FAST)
def all_cells(t, policy, count, width, low, high, edges, cells, sources=SOURCES):
    """`member_cells` of every member."""
    for k in prange(t.shape[0]):
        member_cells(t[k], policy, count, width, low, high, edges, cells[k])


def layer_cells(
    activations: NDArray,
    policy: int,
    *,
    count: int = 2,
    width: float = 1.0,
    low: float = np.nan,
    high: float = np.nan,
    edges: NDArray[np.float64] | None = None,
) -> NDArray[np.int32]:
    """Cells of one layer by first appearance: (member, pattern, unit) -> (member, pattern).

    EQUAL takes count, low and high (NaN: the layer's own extremes), WIDTH width, EDGES ascending
    edges, QUANTILES count. A member whose activations are not finite is -1 throughout.
    """
    t = np.ascontiguousarray(activations.transpose(0, 2, 1))
    cells = np.empty((t.shape[0], t.shape[2]), dtype=np.int32)
    edges = np.empty(0) if edges is None else edges
    all_cells(t, policy, count, width, low, high, edges, cells)
    return cells
