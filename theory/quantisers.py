"""Optimal hard partitions of X: what the bottleneck becomes when T must be a function of X.

With two labels the cells of every optimum below are intervals of p(y=1|x), since x goes to the
cell whose cost is least and all costs are affine in p(y=1|x) (Kurkoski & Yagi 2014). So dynamic
programming over the patterns in that order finds the global optimum, where the usual iteration
stops at local ones.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from .checks import Floats, checked_joint, positive_row
from .information import of_cells
from .sufficiency import merged

Integers = NDArray[np.int64]


def deterministic_curve(p_xy: ArrayLike, betas: ArrayLike) -> xr.Dataset:
    """Encoders t(x) that minimise H(T) - beta I(T;Y) over all functions of x, for two labels.

    The deterministic bottleneck (Strouse & Schwab 2017) of a joint ``p_xy`` of shape (x, 2) at
    ``betas`` (beta,): a global optimum, up to rounding, which is some 1e-16 beta bits. Of equally
    good encoders that of the widest cells is taken. Costs O(n^2) for n different p(y|x).

    Dataset along ``beta``: ``information_input`` = H(T) and ``information_label`` = I(T;Y) in
    bits, ``clusters``, the number of cells, and along ``x`` the ``cell`` of each x, numbered by
    rising p(y=1|x).

    ValueError as for `checked_joint` and `positive_row`, or if there are not two labels.
    """
    p = _two_labels(p_xy)
    betas = positive_row("betas", betas)
    rows, row_of_x = _ordered(p)
    best = np.zeros((len(betas), len(rows) + 1))
    start = np.zeros((len(betas), len(rows) + 1), dtype=np.int64)
    for stop, entropy, loss in _last_cells(rows):
        cost = best[:, :stop] + entropy + betas[:, None] * loss
        start[:, stop] = cost.argmin(1)
        best[:, stop] = cost.min(1)
    cell = np.stack([_backtrack(starts, len(rows)) for starts in start])[:, row_of_x]
    curve = _partitions(p, cell, "beta", betas)
    curve["clusters"] = ("beta", cell.max(1) + 1, {"units": "1", "long_name": "number of cells"})
    curve["beta"].attrs = {"units": "1", "long_name": "trade-off beta"}
    return curve


def best_quantisers(p_xy: ArrayLike, cells: ArrayLike) -> xr.Dataset:
    """Partitions of X into at most ``cells`` (cells,) cells that maximise I(T;Y), for two labels.

    Kurkoski & Yagi 2014, of a joint ``p_xy`` of shape (x, 2). Where there are fewer different
    p(y|x) than cells, each has its own. Costs O(K n^2) for n different p(y|x) and K cells.

    Dataset along ``cells``: ``information_label`` = I(T;Y) and ``information_input`` = H(T) in
    bits, and along ``x`` the ``cell`` of each x, numbered by rising p(y=1|x).

    ValueError as for `checked_joint`, if there are not two labels, or if ``cells`` are not
    integers of 1 or more.
    """
    p = _two_labels(p_xy)
    counts = np.asarray(cells)
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu" or counts.min() < 1:
        raise ValueError(f"cells are {counts}, expected a list of integers of 1 or more")
    rows, row_of_x = _ordered(p)
    most = min(int(counts.max()), len(rows))
    # best[k, j]: the least loss of the first j rows in exactly k cells.
    best = np.full((most + 1, len(rows) + 1), np.inf)
    best[0, 0] = 0
    start = np.zeros((most + 1, len(rows) + 1), dtype=np.int64)
    for stop, _, loss in _last_cells(rows):
        cost = best[:-1, :stop] + loss
        start[1:, stop] = cost.argmin(1)
        best[1:, stop] = cost.min(1)
    cell = np.stack([_backtrack_of_count(start, min(k, most)) for k in counts])[:, row_of_x]
    found = _partitions(p, cell, "cells", counts)
    found["cells"].attrs = {"units": "1", "long_name": "largest number of cells"}
    return found


def homogenised(p_xy: ArrayLike, epsilon: ArrayLike) -> xr.Dataset:
    """Fewest cells whose label error sum_t p(t) (1 - max_y p(y|t)) is at most ``epsilon``.

    For each of several ``epsilon`` (epsilon,). Exact for a joint ``p_xy`` (x, y) of up to 12
    labels: K cells predict at most K labels, and given these labels each x is best where its
    likeliest one is predicted. So it is a search over sets of labels, and there are never more
    cells than labels: with two labels one cell, or two divided at p(y=1|x) = 1/2. Of the smallest
    sets that of the least error is taken.

    Dataset along ``epsilon``: ``cells``, ``label_error``, and along ``x`` the ``cell`` of each x,
    numbered in the order of the labels predicted.

    ValueError as for `checked_joint`, for more than 12 labels, or for an epsilon below the label
    error of X itself, which no partition can reach.
    """
    p = checked_joint(p_xy)
    epsilons = np.asarray(epsilon, dtype=float)
    labels = p.shape[1]
    if labels > 12:
        raise ValueError(f"p_xy has {labels} labels, expected at most 12 (2^labels sets are tried)")
    if epsilons.ndim != 1 or epsilons.size == 0:
        raise ValueError(f"epsilon has shape {epsilons.shape}, expected (epsilon,), not empty")
    sets = (np.arange(1, 2**labels)[:, None] >> np.arange(labels) & 1).astype(bool)
    errors = np.array([label_error(p, predicted) for predicted in sets])
    unreachable = ~(epsilons >= errors[-1])
    if unreachable.any():
        raise ValueError(
            f"epsilon is {epsilons[unreachable][0]}, expected at least {errors[-1]:.6g}, "
            "the label error of X itself"
        )
    size = sets.sum(1)
    found = []
    for limit in epsilons:
        reached = errors <= limit
        smallest = reached & (size == size[reached].min())
        found.append(np.where(smallest, errors, np.inf).argmin())
    predicted = [np.where(sets[s], p, -1).argmax(1) for s in found]
    cell = np.stack([np.unique(one, return_inverse=True)[1] for one in predicted])
    return xr.Dataset(
        {
            "cells": ("epsilon", cell.max(1) + 1, {"units": "1", "long_name": "fewest cells"}),
            "label_error": (
                "epsilon",
                errors[found],
                {"units": "1", "long_name": "error of the likeliest label of each cell"},
            ),
            "cell": (("epsilon", "x"), cell, {"units": "1", "long_name": "cell of each x"}),
        },
        {"epsilon": ("epsilon", epsilons, {"units": "1", "long_name": "largest label error"})},
    )


def _two_labels(p_xy: ArrayLike) -> Floats:
    p = checked_joint(p_xy)
    if p.shape[1] != 2:
        raise ValueError(f"p_xy has {p.shape[1]} labels, expected 2")
    return p


def _ordered(p_xy: Floats) -> tuple[Floats, Integers]:
    """Joint of rows of different p(y|x) by rising p(y=1|x), and the row of each x.

    By both columns of p(y|x), since of two numbers next to 1 only their complements may differ.
    """
    rows, row_of_x = merged(p_xy)
    q = rows / rows.sum(1, keepdims=True)
    order = np.lexsort((q[:, 1], -q[:, 0]))
    return rows[order], order.argsort()[row_of_x]


def _last_cells(rows: Floats) -> Iterator[tuple[int, Floats, Floats]]:
    """For each ``stop``, over cells of the rows from 0..stop-1 to before ``stop``: their costs.

    The costs are -p(t) log p(t) and p(t) H(Y|t), in nats. Sums are taken anew from each stop, not
    as differences of running totals, which would lose the digits of small cells.
    """
    for stop in range(1, len(rows) + 1):
        joint = rows[:stop][::-1].cumsum(0)[::-1]
        p = joint.sum(1)
        yield stop, -xlogy(p, p), -xlogy(joint, joint / p[:, None]).sum(1)


def _backtrack(starts: Integers, rows: int) -> Integers:
    """Cell of each row, from the ``starts`` of the last cell before each stop."""
    cell, stop = np.zeros(rows, dtype=np.int64), rows
    while stop:
        stop = int(starts[stop])
        cell[stop:] += stop > 0
    return cell


def _backtrack_of_count(start: Integers, count: int) -> Integers:
    rows = start.shape[1] - 1
    cell, stop = np.zeros(rows, dtype=np.int64), rows
    for k in range(count, 0, -1):
        stop = int(start[k, stop])
        cell[stop:] += stop > 0
    return cell


def _partitions(p_xy: Floats, cell: Integers, dim: str, values: NDArray) -> xr.Dataset:
    p_x = p_xy.sum(1)
    information_input, information_label = of_cells(cell, p_x, p_xy / p_x[:, None])
    return xr.Dataset(
        {
            "information_input": (
                dim,
                information_input,
                {"units": "bit", "long_name": "I(X;T) = H(T)"},
            ),
            "information_label": (dim, information_label, {"units": "bit", "long_name": "I(T;Y)"}),
            "cell": ((dim, "x"), cell, {"units": "1", "long_name": "cell of each x"}),
        },
        {dim: values},
    )


def label_error(p_xy: Floats, predicted: NDArray[np.bool_] | bool = True) -> float:
    """Probability that the label is not the likeliest of those ``predicted`` (y,), for each x.

    ``p_xy`` is (x, y); by default every label may be predicted.

    >>> print(label_error(np.array([[0.25, 0.25], [0, 0.5]])))
    0.25
    """
    others = p_xy.copy()
    others[np.arange(len(p_xy)), np.where(predicted, p_xy, -1).argmax(1)] = 0
    return float(others.sum())
