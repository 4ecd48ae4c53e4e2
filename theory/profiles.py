"""Least squares of many curves at once, linear but for one parameter, by its profile.

A curve is y_t = sum_j a_j B_jt + b f_t(p) + error. For a given p this is a linear regression, whose
drop in the residual sum of squares from adding f has a closed form; so p is searched on a grid,
for all curves by matrix products, then by golden sections between the neighbours of the best
(variable projection: Golub & Pereyra 1973).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

GOLDEN = (np.sqrt(5) - 1) / 2
# The sum of squares is flat to rounding within about 1e-8 of its minimum.
SECTIONS = 40
TINY = 1e-200

Family = Callable[[NDArray], NDArray]
"""Parameters (..., 1) to the regressor (..., points)."""


class Fit(NamedTuple):
    """Estimates of curves (...,): NaN where a curve has too few points."""

    parameter: NDArray
    """p, shape (...,)."""
    base: NDArray
    """Coefficients a of the base, shape (..., base)."""
    amplitude: NDArray
    """Coefficient b, shape (...,)."""
    at_limit: NDArray
    """Whether the best p of the grid is its first or last, so that p is only bounded."""


def gain(bb: NDArray, bf: NDArray, ff: NDArray, by: NDArray, fy: NDArray) -> NDArray:
    """Drop of the residual sum of squares when f joins a base, from the inner products.

    The drop is <f', y>^2 / <f', f'> with f' the part of f orthogonal to the base. Shapes, of k
    regressors in the base and any number of f: ``bb`` (curve, k, k), ``bf`` (curve, f, k), ``ff``
    (curve, f), ``by`` (curve, k), ``fy`` (curve, f); the drop is (curve, f).
    """
    projected = np.linalg.solve(bb, bf.swapaxes(-1, -2)).swapaxes(-1, -2)
    cross = fy - (projected @ by[..., None])[..., 0]
    return np.asarray(cross**2 / (ff - (projected * bf).sum(-1)))


def fit(
    y: ArrayLike,
    base: ArrayLike,
    family: Family,
    grid: ArrayLike,
    among: NDArray[np.bool_] | None = None,
) -> Fit:
    """Fit the curves ``y`` (..., points), with the points ``among`` (..., points) that are not NaN.

    ``base`` is (base, points), ``grid`` ascending values of p. A curve with fewer points than
    coefficients plus one, p being one, is NaN in all estimates. ValueError if the shapes do not
    agree, or the grid does not hold at least 3 ascending values.
    """
    curves, base = np.asarray(y, dtype=float), np.asarray(base, dtype=float)
    grid = np.asarray(grid, dtype=float)
    if base.ndim != 2 or base.shape[1] != curves.shape[-1]:
        raise ValueError(f"base has shape {base.shape}, expected (any, {curves.shape[-1]})")
    if grid.ndim != 1 or len(grid) < 3 or (np.diff(grid) <= 0).any():
        raise ValueError("the grid has to hold at least 3 ascending values")
    shape = curves.shape[:-1]
    counts = np.isfinite(curves) & (True if among is None else among)
    curves = curves.reshape(-1, curves.shape[-1])
    counts = counts.reshape(curves.shape)
    enough = counts.sum(-1) >= len(base) + 3
    w = counts[enough].astype(float)
    seen = np.where(counts, curves, 0.0)[enough]

    f = family(grid[:, None])
    bb = np.einsum("ct,it,jt->cij", w, base, base, optimize=True)
    bf = np.stack([w @ (row * f).T for row in base], -1)
    squared = w @ (f**2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = gain(bb, bf, squared, seen @ base.T, seen @ f.T)
    # Where a regressor all but vanishes at the points of a curve its products are only rounding.
    gains[squared < TINY] = np.nan
    best = np.where(np.isfinite(gains), gains, -np.inf).argmax(-1)
    inner = np.clip(best, 1, len(grid) - 2)
    parameter = _sections(seen, w, base, family, grid[inner - 1], grid[inner + 1])
    coefficients = _regression(seen, w, base, family(parameter[:, None]))

    def spread(values: NDArray, fill: float | bool = np.nan) -> NDArray:
        whole = np.full((len(curves), *values.shape[1:]), fill)
        whole[enough] = values
        return whole.reshape(*shape, *values.shape[1:])

    return Fit(
        spread(parameter),
        spread(coefficients[:, :-1]),
        spread(coefficients[:, -1]),
        spread((best == 0) | (best == len(grid) - 1), False),
    )


def _sections(
    y: NDArray, w: NDArray, base: NDArray, family: Family, low: NDArray, high: NDArray
) -> NDArray:
    """Parameters of least squares between ``low`` and ``high``, by golden sections."""
    q = np.linalg.qr((w[:, None] * base).swapaxes(-1, -2))[0]

    def off_base(rows: NDArray) -> NDArray:
        return np.asarray(rows - (q @ (rows[:, None] @ q).swapaxes(-1, -2))[..., 0])

    y = off_base(y)

    def squares(p: NDArray) -> NDArray:
        # Of residuals, not a difference of sums: on a curve without noise all digits count.
        f = off_base(w * family(p[:, None]))
        with np.errstate(divide="ignore", invalid="ignore"):
            amplitude = (f * y).sum(-1) / (f * f).sum(-1)
        return np.asarray(((y - amplitude[:, None] * f) ** 2).sum(-1))

    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = squares(left), squares(right)
    for _ in range(SECTIONS):
        lower = at_left < at_right
        low, high = np.where(lower, low, left), np.where(lower, right, high)
        new = np.where(lower, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = squares(new)
        left, right = np.where(lower, new, right), np.where(lower, left, new)
        at_left, at_right = np.where(lower, at_new, at_right), np.where(lower, at_left, at_new)
    return (low + high) / 2


def _regression(y: NDArray, w: NDArray, base: NDArray, f: NDArray) -> NDArray:
    """Coefficients (curve, base + 1) of least squares, one regressor f a curve."""
    x = np.concatenate([np.broadcast_to(base, (len(y), *base.shape)), f[:, None]], 1)
    # Scaled to length one: late in a decay f may be as small as 1e-100.
    scale = np.sqrt(np.einsum("ct,cit->ci", w, x**2, optimize=True))
    x = x * (w[:, None] / scale[..., None])
    q, r = np.linalg.qr(x.swapaxes(-1, -2))
    coefficients = np.linalg.solve(r, (q.swapaxes(-1, -2) @ y[..., None]))[..., 0]
    return np.asarray(coefficients / scale)
