"""Activations to cells: a digit for each unit, the digits of a pattern packed into one integer.

Digits are packed by shifts, so packing is exact; where the next unit would overflow 64 bits the
rows so far are numbered anew, which leaves room since there are no more numbers than patterns.
Cells are found in float64: float32 arithmetic would misplace saturated units.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from ..elementary import FAST, wide
from ..sources import SOURCES
from .counting import EMPTY, number, table_for

EQUAL, LEVELS, PER_UNIT, WIDTH, EDGES, QUANTILES, STATES = range(7)
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
def pack_states(row, bits, keys, cells, table):
    """The distinct values of a unit, numbered by first appearance; 0 and -0 are one."""
    values = np.empty(row.size, np.uint64)
    for s in range(row.size):
        bits_of = np.float64(row[s]).view(np.uint64)
        # By its bits: fast arithmetic may take 0 and -0 for the same and leave them apart.
        values[s] = np.uint64(0) if bits_of << np.uint64(1) == np.uint64(0) else bits_of
    number(values, cells, table)
    for s in range(row.size):
        keys[s] = (keys[s] << bits) | np.uint64(cells[s])


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
    if np.isnan(low) and policy in (EQUAL, LEVELS, WIDTH):
        low, high = extremes(t)
    if policy == LEVELS:
        half = (high - low) / (count - 1) / 2
        low, high = low - half, high + half
    first = np.floor(low / width)
    if policy == WIDTH:
        digits = np.floor(high / width) - first + 1
        if digits > MOST_CELLS:
            cells[:] = EMPTY
            return
    elif policy == STATES:
        digits = np.float64(t.shape[1])
    elif policy in (EDGES, QUANTILES):
        digits = np.float64(edges.size + 1)
    else:
        digits = np.float64(count + 2)
    bits = bit_length(np.int64(digits) - 1)
    shift = np.uint64(bits)
    keys, table = np.zeros(t.shape[1], np.uint64), table_for(t.shape[1])
    used = 0
    for j in range(t.shape[0]):
        if used + bits > 64:
            used = bit_length(number(keys, cells, table))
            for s in range(keys.size):
                keys[s] = np.uint64(cells[s])
        if policy == WIDTH:
            pack_width(t[j], width, first, shift, keys)
        elif policy == STATES:
            pack_states(t[j], shift, keys, cells, table)
        elif policy == PER_UNIT:
            lowest, highest = extremes(t[j : j + 1])
            pack_equal(t[j], lowest, highest, count, shift, keys)
        elif policy in (EQUAL, LEVELS):
            pack_equal(t[j], low, high, count, shift, keys)
        else:
            pack_edges(t[j], edges, shift, keys)
        used += bits
    number(keys, cells, table)


@njit(parallel=True, cache=True, **FAST)
def all_cells(t, policy, count, width, low, high, edges, cells, sources=SOURCES):
    """`member_cells` of every member."""
    for k in prange(t.shape[0]):
        member_cells(t[k], policy, count, width, low[k], high[k], edges, cells[k])


def layer_cells(
    activations: NDArray,
    policy: int,
    *,
    count: int = 2,
    width: float = 1.0,
    low: ArrayLike = np.nan,
    high: ArrayLike = np.nan,
    edges: NDArray[np.float64] | None = None,
) -> NDArray[np.int32]:
    """Cells of one layer by first appearance: (member, pattern, unit) -> (member, pattern).

    EQUAL takes count, low and high (NaN: the layer's own extremes; one for all or one for each
    member), LEVELS the same with ``count`` levels in the middle of their cells, the outer ones at
    low and high; PER_UNIT takes count, WIDTH width, EDGES ascending edges, QUANTILES count, STATES
    nothing. A member whose activations are not finite is -1 throughout.
    """
    t = np.ascontiguousarray(activations.transpose(0, 2, 1))
    cells = np.empty((t.shape[0], t.shape[2]), dtype=np.int32)
    edges = np.empty(0) if edges is None else edges
    low, high = (np.full(len(t), end, dtype=float) for end in (low, high))
    all_cells(t, policy, count, width, low, high, edges, cells)
    return cells
