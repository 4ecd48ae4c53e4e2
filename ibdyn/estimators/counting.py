"""Cells as integers, counted: the exact information of a partition of the patterns.

Cells are numbered by a hash table that compares whole keys, so equal keys share a cell and
different ones never do; numbers ascend in the order of first appearance, so all sums run in the
order of the patterns and are the same to the bit wherever a member is computed.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..batches import mix
from ..sources import SOURCES

EMPTY = -1


@njit
def number(keys, cells, table):
    """Write the cell of each key to ``cells`` and return how many there are.

    ``table`` (a power of two, above the keys) is work space.
    """
    mask = np.uint64(table.size - 1)
    table[:] = EMPTY
    found = 0
    first = np.empty(keys.size, np.int32)
    for s in range(keys.size):
        slot = mix(keys[s]) & mask
        while True:
            cell = table[slot]
            if cell == EMPTY:
                table[slot] = cells[s] = found
                first[found] = s
                found += 1
                break
            if keys[first[cell]] == keys[s]:
                cells[s] = cell
                break
            slot = (slot + np.uint64(1)) & mask
    return found


@njit
def table_for(patterns):
    """Work space of `number`."""
    size = 2
    while size < 4 * patterns:
        size *= 2
    return np.empty(size, np.int32)


@njit
def member_information(cells, p_xy, h_x, h_xy, in_train, out):
    """H(T), H(T,Y) in nats and the occupied cells of one member and layer, into out.

    A cell with a single pattern has that pattern's own terms h_x and h_xy: most cells of a layer
    that keeps its patterns apart, so no logarithm is taken for them.
    """
    patterns, labels = p_xy.shape
    found = cells.max() + 1
    count, hit = np.zeros(found, np.int32), np.zeros(found, np.bool_)
    p_ty = np.zeros((found, labels))
    for s in range(patterns):
        cell = cells[s]
        count[cell] += 1
        hit[cell] |= in_train[s]
        for y in range(labels):
            p_ty[cell, y] += p_xy[s, y]
    h_t = h_ty = 0.0
    for s in range(patterns):
        if count[cells[s]] == 1:
            h_t += h_x[s]
            h_ty += h_xy[s]
    occupied = 0
    for cell in range(found):
        occupied += hit[cell]
        if count[cell] > 1:
            p_t = 0.0
            for y in range(labels):
                p = p_ty[cell, y]
                p_t += p
                h_ty -= p * np.log(p) if p > 0 else 0.0
            h_t -= p_t * np.log(p_t) if p_t > 0 else 0.0
    out[0], out[1], out[2], out[3] = h_t, h_ty, found, occupied


@njit(parallel=True, cache=True)
def all_information(cells, p_xy, h_x, h_xy, in_train, out, sources=SOURCES):
    """`member_information` of every member; NaN for those without cells."""
    for k in prange(cells.shape[0]):
        if cells[k, 0] == EMPTY:
            out[k] = np.nan
        else:
            member_information(cells[k], p_xy, h_x, h_xy, in_train[k], out[k])


def cell_information(
    cells: NDArray[np.int32], p_x: NDArray, p_y_given_x: NDArray, in_train: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """I(X;T), I(T;Y) in bits, occupied cells and those with a training pattern, each (member,).

    ``cells`` (member, pattern) numbers the cells from 0; a member that has none (-1) is NaN.
    ``in_train`` is (member, pattern), ``p_x`` (pattern,), ``p_y_given_x`` (pattern, label). The
    same as `theory.information.of_cells`, all members at once.
    """
    p_xy = p_x[:, None] * p_y_given_x
    h_x, h_xy = _terms(p_x), _terms(p_xy).sum(-1)
    out = np.empty((len(cells), 4))
    all_information(cells, p_xy, h_x, h_xy, in_train, out)
    h_y = _terms(p_xy.sum(0)).sum()
    h_t, h_ty, occupied, occupied_train = out.T
    return {
        "information_input": h_t / np.log(2),
        "information_label": (h_t + h_y - h_ty) / np.log(2),
        "occupied_cells": occupied,
        "occupied_cells_train": occupied_train,
    }


def _terms(p: NDArray) -> NDArray:
    """-p log p, 0 at 0, in nats."""
    return -p * np.log(p, where=p > 0, out=np.zeros_like(p))
