"""Sums over a Gaussian mixture of the ratios of its densities, at one draw of each component.

With components of centres mu_j and common variance, and a draw t = mu_i + z of component i, the
ratios are r_ij = phi(t - mu_j) / phi(t - mu_i), phi being the density of z. A logarithm of a sum of
ratios needs no shift: the mean of r_ij is 1 under component i, so that (Markov) a ratio above
exp(700) has probability exp(-700), and the draw's own ratio is exactly 1.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..elementary import FAST, exp, wide
from ..sources import SOURCES
from .pairs import FAR, ROWS, TILE, Components, add_rows, load
from .protocol import Floats


@njit(**FAST)
def exponents(rows, noise, first, columns, scale, d):
    """Exponents ln r_ij = scale sum_u (a + 2 z) a, a = mu_iu - mu_ju, into d.

    ``rows``, ``noise`` and ``columns`` are (unit, TILE), ``noise`` holds 2 z: the ratios
    of ROWS draws, from ``first`` on, to a tile. Returns whether any is large enough to count.
    """
    wide()
    for s in range(ROWS * TILE):
        d[s] = 0.0
    for u in range(rows.shape[0]):
        a, b, centre = rows[u], noise[u], columns[u]
        a0, a1, a2, a3 = a[first], a[first + 1], a[first + 2], a[first + 3]
        b0, b1, b2, b3 = b[first], b[first + 1], b[first + 2], b[first + 3]
        for s in range(TILE):
            p = centre[s]
            d[s] += (a0 - p) * ((a0 - p) + b0)
            d[TILE + s] += (a1 - p) * ((a1 - p) + b1)
            d[2 * TILE + s] += (a2 - p) * ((a2 - p) + b2)
            d[3 * TILE + s] += (a3 - p) * ((a3 - p) + b3)
    near = np.int32(0)
    for s in range(ROWS * TILE):
        d[s] *= scale
        near += np.int32(1) if d[s] > FAR else np.int32(0)
    return near > 0


@njit(**FAST)
def exponentials(d):
    """Replace exponents by their exponential, 0 where that is too small to count."""
    wide()
    for s in range(ROWS * TILE):
        x = d[s]
        e = exp(x)
        d[s] = e if x > FAR else 0.0


@njit(parallel=True, cache=True, **FAST)
def ratio_sums(centres, noise, weights, present, scale, sums, sources=SOURCES):
    """sums[i, y, s] = sum_j w_yj r_ij of the draw of pattern s of tile i.

    ``centres`` and ``noise`` (2 z) are (tile, unit, TILE), ``weights`` (label, tile, TILE),
    ``sums`` (tile, label, TILE). A draw's sum is the same to the bit in whichever thread.
    """
    tiles, labels = centres.shape[0], weights.shape[0]
    for i in prange(tiles):
        d = np.empty(ROWS * TILE)
        sums[i] = 0.0
        for j in range(tiles):
            for first in range(0, TILE, ROWS):
                if exponents(centres[i], noise[i], first, centres[j], scale, d):
                    exponentials(d)
                    for y in range(labels):
                        if present[y, j]:
                            add_rows(d, weights[y, j], sums[i, y], first)


def at_draws(t: NDArray, z: NDArray, components: Components, variance: float) -> Floats:
    """sums[y, i] = sum_j w_yj r_ij at the draw t_i + z_i of each component: (label, component).

    ``t`` and ``z`` are (component, unit), ``components`` their weights as `pairs.components` makes
    them; the sums are in its order.
    """
    order, weights, present = components
    centres = np.zeros((present.shape[1], t.shape[1], TILE))
    noise, sums = np.zeros_like(centres), np.empty((len(centres), len(weights), TILE))
    load(t.T.astype(float), order, centres)
    load(2.0 * z.T, order, noise)
    scale = -min(1 / (2 * variance), np.finfo(float).max)
    ratio_sums(centres, noise, weights, present, scale, sums)
    by_label: Floats = sums.transpose(1, 0, 2).reshape(len(weights), -1)[:, : order.size]
    return by_label
