"""Monte Carlo over a known mixture: the information that a layer has left under Gaussian noise.

What this measures is I(X;T+Z) and I(T+Z;Y) with Z ~ N(0, variance I), the noise being that of the
measurement alone. T+Z is a Gaussian mixture whose centres, the patterns, are all known, so the
draws of Z are the only source of error, and there is no bias (Goldfeld et al. 2019, with
the exact X in the place of a sample). Where `pairwise` brackets these numbers this estimates
them, at many times the cost.

Everything is written in the ratios r_ij = phi(t - mu_j) / phi(t - mu_i) of a draw t = mu_i + z of
pattern i, phi being the density of Z. A logarithm of a sum of ratios needs no shift: the mean of
r_ij is 1 under pattern i, so that (Markov) a ratio above exp(700) has probability exp(-700), and
the draw's own ratio is exactly 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from ..elementary import FAST, exp, wide
from ..sources import SOURCES
from .pairs import FAR, ROWS, TILE, Floats, add_rows, load, mixture
from .pairwise import checked


class Information(NamedTuple):
    """I(X;T+Z), I(T+Z;Y) and their Monte-Carlo standard errors, in bits, each (member,)."""

    input: Floats
    input_error: Floats
    label: Floats
    label_error: Floats


@njit(forceinline=True, **FAST)
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


@njit(forceinline=True, **FAST)
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


def information(
    activations: NDArray,
    p_x: ArrayLike,
    p_y_given_x: ArrayLike,
    variance: float,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    draws: int = 1,
) -> Information:
    """I(X;T+Z) and I(T+Z;Y) in bits, Z ~ N(0, ``variance`` I), of every member, by Monte Carlo.

    ``activations`` is (member, pattern, unit), in units of which ``variance`` is the square;
    ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label) are the exact distributions. Every
    pattern of positive probability gets ``draws`` noises from ``rng``: one generator for each
    member, or a single one from which the members draw in turn. With draws t of pattern i, and
    w_yj = p(x_j) p(y|x_j),

        I(X;T+Z) = sum_i p_i mean[-ln sum_yj w_yj r_ij],
        I(T+Z;Y) = sum_i p_i mean[sum_y p(y|x_i) (ln p(y|t) - ln p(y))],
        p(y|t) = sum_j w_yj r_ij / sum_yj w_yj r_ij.

    The patterns are strata, so that only the spread of a pattern's own draws is error: a standard
    error is that of sum_i p_i mean_i from the variances within patterns, which takes 2 draws. With
    one draw, a pattern's deviation from the mean of the others stands in for its spread, which on
    average overstates the error: by the differences between the patterns' own means.

    A member whose activations are not finite is NaN, and draws like the others. ValueError if the
    variance is not above 0, a shape does not fit, or there is no draw or generator for a member.
    """
    activations = np.asarray(activations)
    p_x, p_y_given_x = checked(activations, p_x, p_y_given_x, variance)
    counted = p_x > 0
    activations, p_x, p_y_given_x = activations[:, counted], p_x[counted], p_y_given_x[counted]
    members = len(activations)
    if draws < 1:
        raise ValueError(f"draws is {draws}, expected at least 1")
    streams = [rng] * members if isinstance(rng, np.random.Generator) else list(rng)
    if len(streams) != members:
        raise ValueError(f"{len(streams)} generators for {members} members, expected one for each")
    out = np.empty((members, 2, 2))
    for k, stream in enumerate(streams):
        out[k] = _member(activations[k], p_x, p_y_given_x, variance, stream, draws)
    (i_x, i_y), (error_x, error_y) = out.transpose(1, 2, 0) / np.log(2)
    return Information(i_x, error_x, i_y, error_y)


def _member(
    t: NDArray,
    p_x: Floats,
    p_y_given_x: Floats,
    variance: float,
    rng: np.random.Generator,
    draws: int,
) -> Floats:
    """Estimates and standard errors (2, 2) in nats of one member ``t`` (pattern, unit)."""
    order, weights, present = mixture(p_x, p_y_given_x)
    p_y = p_x @ p_y_given_x
    tiles, patterns = present.shape[1], order.size
    noise = np.zeros((tiles, t.shape[1], TILE))
    centres, sums = np.zeros_like(noise), np.empty((tiles, len(weights), TILE))
    finite = np.isfinite(t).all()
    load(t.T.astype(float), order, centres)
    scale = -min(1 / (2 * variance), np.finfo(float).max)
    p, p_y_given_x = p_x[order], p_y_given_x[order]
    mean, squares = np.zeros((2, patterns)), np.zeros((2, patterns))
    for draw in range(1, draws + 1):
        z = rng.standard_normal(t.shape)
        if not finite:
            continue
        load(2 * np.sqrt(variance) * z.T, order, noise)
        ratio_sums(centres, noise, weights, present, scale, sums)
        by_label = sums.transpose(0, 2, 1).reshape(-1, len(weights))[:patterns]
        total = by_label.sum(-1)
        posterior = by_label / total[:, None] / np.where(p_y > 0, p_y, 1)
        found = np.stack([-np.log(total), xlogy(p_y_given_x, posterior).sum(-1)])
        # Welford's sums: the mean and the squared deviations from it, draw by draw.
        change = found - mean
        mean += change / draw
        squares += change * (found - mean)
    if not finite:
        return np.full((2, 2), np.nan)
    estimate = mean @ p
    if draws == 1:
        spread = ((mean - estimate[:, None]) / np.where(p < 1, 1 - p, 1)) ** 2
    else:
        spread = squares / (draws - 1)
    return np.stack([estimate, np.sqrt(spread @ p**2 / draws)])
