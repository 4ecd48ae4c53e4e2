"""Sums over all pairs of patterns of exp(-D / 8 variance) and its fourth power, in tiles.

Pairs are visited in square tiles that stay in the cache, each tile once for both its sides. One
exponential serves two variances, exp(-D / 2 variance) being the fourth power of
exp(-D / 8 variance). Distances are sums of squared differences (the product form |a|^2 + |b|^2 -
2ab cancels) in the precision of the activations, sums over more than one tile are float64: within
1e-6 bit of float64 throughout.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..elementary import FAST, exp, like, wide
from ..sources import SOURCES
from .digits import finite
from .protocol import Floats

TILE = 128
ROWS = 4  # rows of a tile that go together
# A pair is left out where its weight is below exp(-40), which moves a bound by less than
# N exp(-40) nats: a pattern's own weight is 1, so 1e-14 bits for 4096 patterns. The fourth power
# is left out earlier, below exp(-84), where float32 would become subnormal and slow.
FAR, FAR_QUARTER = -40.0, -21.0


class Components(NamedTuple):
    """Weights of the components, by label, in tiles.

    ``order`` (pattern,) brings patterns of one label together. ``weights`` (label, tile, TILE)
    are p(x) p(y|x) in that order, zero beyond the patterns, and ``present`` (label, tile) says
    where any is not.
    """

    order: NDArray[np.intp]
    weights: Floats
    present: NDArray[np.bool_]


def components(p_x: NDArray, p_y_given_x: NDArray) -> Components:
    """Weights p(x) p(y|x) of ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label), in tiles."""
    order = np.argsort(p_y_given_x.argmax(-1), kind="stable")
    tiles = -(-order.size // TILE)
    flat = np.zeros((p_y_given_x.shape[1], tiles * TILE))
    flat[:, : order.size] = (p_x[:, None] * p_y_given_x)[order].T
    weights: Floats = flat.reshape(-1, tiles, TILE)
    return Components(order, weights, weights.max(-1) > 0)


@njit(**FAST)
def load(t, order, out):
    """Patterns of ``t`` (unit, pattern), in ``order``, to the tiles (tile, unit, TILE)."""
    for s in range(order.size):
        tile, at = divmod(s, TILE)
        for u in range(t.shape[0]):
            out[tile, u, at] = t[u, order[s]]


@njit(**FAST)
def distances(rows, first, columns, d):
    """Squared distances of ROWS patterns, from ``first`` on, to all of a tile, into d.

    ``rows`` and ``columns`` are (unit, TILE) with an even number of units, ``d`` is flat: fixed
    offsets let the compiler see that its rows do not overlap.
    """
    wide()
    for s in range(ROWS * TILE):
        d[s] = like(0.0, d[0])
    for u in range(0, rows.shape[0], 2):
        a, b, below, above = rows[u], rows[u + 1], columns[u], columns[u + 1]
        a0, a1, a2, a3 = a[first], a[first + 1], a[first + 2], a[first + 3]
        b0, b1, b2, b3 = b[first], b[first + 1], b[first + 2], b[first + 3]
        for s in range(TILE):
            p, q = below[s], above[s]
            d[s] += (a0 - p) * (a0 - p) + (b0 - q) * (b0 - q)
            d[TILE + s] += (a1 - p) * (a1 - p) + (b1 - q) * (b1 - q)
            d[2 * TILE + s] += (a2 - p) * (a2 - p) + (b2 - q) * (b2 - q)
            d[3 * TILE + s] += (a3 - p) * (a3 - p) + (b3 - q) * (b3 - q)


@njit(**FAST)
def any_near(d, scale):
    """Replace distances by exponents scale * d and say whether any pair is near enough."""
    wide()
    near = np.int32(0)
    for s in range(ROWS * TILE):
        d[s] *= scale
        near += np.int32(1) if d[s] > like(FAR, d[0]) else np.int32(0)
    return near > 0


@njit(**FAST)
def exponentials(d, fourth):
    """Replace exponents by their exponential e, and write e^4 to ``fourth``."""
    wide()
    zero, far, far_quarter = like(0.0, d[0]), like(FAR, d[0]), like(FAR_QUARTER, d[0])
    for s in range(ROWS * TILE):
        x = d[s]
        e = exp(x)
        f = e if x > far_quarter else zero
        d[s] = e if x > far else zero
        fourth[s] = (f * f) * (f * f)


@njit(**FAST)
def add_rows(e, weights, out, first):
    """out[first + r] += sum_s weights[s] e[r, s]."""
    wide()
    t = u = v = w = like(0.0, e[0])
    for s in range(TILE):
        p = weights[s]
        t += p * e[s]
        u += p * e[TILE + s]
        v += p * e[2 * TILE + s]
        w += p * e[3 * TILE + s]
    out[first] += t
    out[first + 1] += u
    out[first + 2] += v
    out[first + 3] += w


@njit(**FAST)
def add_columns(e, weights, first, out):
    """out[s] += sum_r weights[first + r] e[r, s]."""
    wide()
    t, u, v, w = weights[first], weights[first + 1], weights[first + 2], weights[first + 3]
    for s in range(TILE):
        out[s] += np.float64(
            (t * e[s] + u * e[TILE + s]) + (v * e[2 * TILE + s] + w * e[3 * TILE + s])
        )


@njit(**FAST)
def pair_sums(x, weights, present, scale, sums):
    """Add to sums[0, y, i] sum_j w_yj e_ij, e_ij = exp(scale D_ij), and to sums[1] that of e^4.

    ``x`` is (tile, unit, TILE), ``weights`` (label, tile, TILE), ``sums`` (2, label, tile, TILE).
    """
    labels = weights.shape[0]
    d, fourth = np.empty(ROWS * TILE, x.dtype), np.empty(ROWS * TILE, x.dtype)
    for i in range(x.shape[0]):
        for j in range(i + 1):
            for first in range(0, TILE, ROWS):
                distances(x[i], first, x[j], d)
                if not any_near(d, scale):
                    continue
                exponentials(d, fourth)
                for y in range(labels):
                    if present[y, j]:
                        add_rows(d, weights[y, j], sums[0, y, i], first)
                        add_rows(fourth, weights[y, j], sums[1, y, i], first)
                    if j < i and present[y, i]:
                        add_columns(d, weights[y, i], first, sums[0, y, j])
                        add_columns(fourth, weights[y, i], first, sums[1, y, j])


@njit(**FAST)
def mean_logarithms(sums, weights, out):
    """Mean of ln sum_y S_y over p(x), and of ln S_y over p(x, y): out[0], out[1].

    ``sums`` and ``weights`` are (label, tile, TILE).
    """
    out[:] = 0.0
    for tile in range(weights.shape[1]):
        for s in range(TILE):
            p = total = 0.0
            for y in range(weights.shape[0]):
                w = weights[y, tile, s]
                # A pattern's own term is exactly w, even where float32 has rounded it to 0.
                mass = max(sums[y, tile, s], w)
                p += w
                total += mass
                if w > 0:
                    out[1] += w * np.log(mass)
            if p > 0:
                out[0] += p * np.log(total)


@njit(parallel=True, cache=True, **FAST)
def all_bounds(t, order, weights, single, present, scale, largest, out, sources=SOURCES):
    """`mean_logarithms` (member, 2, 2) of every member of ``t`` (member, unit, pattern).

    ``single`` are the ``weights`` over ``largest`` in the precision of ``t``, where equal weights
    are 1 and their sums exact.
    """
    labels, tiles = weights.shape[0], weights.shape[1]
    for k in prange(t.shape[0]):
        if finite(t[k]):
            x = np.zeros((tiles, t.shape[1] + t.shape[1] % 2, TILE), t.dtype)
            load(t[k], order, x)
            sums = np.zeros((2, labels, tiles, TILE))
            pair_sums(x, single, present, scale, sums)
            sums *= largest
            mean_logarithms(sums[0], weights, out[k, 0])
            mean_logarithms(sums[1], weights, out[k, 1])
        else:
            out[k] = np.nan
