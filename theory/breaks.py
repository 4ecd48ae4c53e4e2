"""Continuous broken lines y = b0 + b1 x + sum_k d_k (x - c_k)_+, their breaks c_k being free.

All curves (curve, points) share the abscissa x, and inner products of the regressors are made once
for every break of a grid. Errors may be autocorrelated, e_t = phi e_{t-1} + noise: whitened in the
manner of Prais & Winsten (1954) an inner product is <a, b> - phi <a, b>_1 + phi^2 <a, b>_2, where
the three sums know nothing of phi. So each curve has a phi of its own at the cost of arithmetic.
"""

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from .autoregression import unbiased_autocorrelation
from .checks import at_least
from .profiles import gain

GRID = 301
"""Breaks looked at, evenly spaced in x: estimates are known to a grid step."""
TRIM = 0.08
"""Share of the range of x at each end without a break: the null of the sup-F depends on it."""
GAP = 0.04
"""Least distance of two breaks, as a share of the range of x."""


class Break(NamedTuple):
    """One break a curve, arrays (curve,)."""

    position: NDArray
    """c of ordinary least squares, which lose little: whitening has to estimate phi first."""
    low: NDArray
    """Least c that the likelihood ratio test does not refuse."""
    high: NDArray
    """Greatest such c."""
    coefficients: NDArray
    """b0, b1 and d, shape (curve, 3)."""
    autocorrelation: NDArray
    """phi of the errors."""
    sup_f: NDArray
    """(RSS0 - RSS1) / (RSS1 / (points - 4)) of the whitened curve, RSS0 being a straight line's."""


class Breaks(NamedTuple):
    """Any number of breaks a curve, none to the most that was looked for."""

    chosen: NDArray
    """Number of breaks that the Bayesian information criterion chooses, (curve,)."""
    position: NDArray
    """Ascending, NaN from ``chosen`` on, (curve, most)."""
    coefficients: NDArray
    """b0, b1 and d_k in the order of the positions, (curve, 2 + most), NaN from ``chosen`` on."""
    criterion: NDArray
    """The criterion with 2 parameters a break, (curve, most + 1)."""


def grid(x: NDArray) -> NDArray:
    """Breaks looked at on the ascending abscissa ``x`` (points,): shape (`GRID`,)."""
    margin = TRIM * (x[-1] - x[0])
    return np.linspace(x[0] + margin, x[-1] - margin, GRID)


def line(x: NDArray, position: NDArray, coefficients: NDArray) -> NDArray:
    """Values (curve, points) of broken lines at ``x`` (points,).

    ``position`` is (curve, k), ``coefficients`` (curve, 2 + k) are b0, b1 and the d_k; breaks that
    are NaN do not count.
    """
    hinges = np.maximum(x - np.nan_to_num(position)[..., None], 0)
    slopes = np.nan_to_num(coefficients[..., 2:])
    level = coefficients[..., :1] + coefficients[..., 1:2] * x
    return np.asarray(level + (slopes[..., None] * hinges).sum(-2))


def fit_break(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Break:
    """Fit one break to each of the curves ``y`` (curve, points) on the abscissa ``x``.

    The position has the interval {c: (RSS(c) - RSS_min) / s^2 <= chi^2_1}, s^2 = RSS_min /
    (points - 4), of the whitened curve, phi being that of the residuals of ordinary least squares;
    where the set has holes its hull. A curve that holds a NaN is NaN in all estimates. ValueError
    if ``x`` does not ascend or has fewer than 8 points, or ``y`` does not fit it.
    """
    return fit_design(Design(x, y), level)


def fit_design(design: "Design", level: float = 0.95) -> Break:
    """`fit_break` with the products at hand, which many sets of curves may share."""
    zero = np.zeros(len(design.y))
    place = first_best(design.gains(zero))[:, None]
    position, coefficients = design.candidates[place], design.coefficients(place, zero)
    residual = design.y - line(design.x, position, coefficients)
    phi = unbiased_autocorrelation(residual, _tangents(design.x, 1))
    gains, straight = design.gains(phi), design.squares(np.empty((len(zero), 0), dtype=int), phi)
    top = gains[np.arange(len(gains)), first_best(gains)]
    variance = (straight - top) / (len(design.x) - 4)
    excess = (top[:, None] - gains) / variance[:, None] - chi2.ppf(level, 1)
    low = _first_crossing(design.candidates, excess)
    high = _first_crossing(design.candidates[::-1], excess[:, ::-1])
    position = position[:, 0]
    for values in (position, low, high):
        values[np.isnan(phi)] = np.nan
    return Break(position, low, high, coefficients, phi, top / variance)


def fit_breaks(x: ArrayLike, y: ArrayLike, most: int = 3) -> Breaks:
    """Fit up to ``most`` breaks to each of the curves ``y`` (curve, points).

    For each number of breaks they are added one by one and then moved in turn until none moves: a
    minimum in each break, not surely that in all. phi is that of ordinary least squares with
    ``most`` breaks, one phi for all numbers, so that the criteria compare. Breaks keep `GAP` apart.
    ValueError as in `fit_break`, or if ``most`` is negative.
    """
    design = Design(x, y)
    curves, points = design.y.shape
    at_least("most", most, 0)
    zero = np.zeros(curves)
    places = design.descend(np.empty((curves, 0), dtype=int), zero, most)
    ordinary = design.coefficients(places, zero)
    residual = design.y - line(design.x, design.candidates[places], ordinary)
    phi = unbiased_autocorrelation(residual, _tangents(design.x, most))
    position = np.full((curves, most), np.nan)
    coefficients = np.full((curves, 2 + most), np.nan)
    criterion = np.full((curves, most + 1), np.nan)
    places = np.empty((curves, 0), dtype=int)
    for count in range(most + 1):
        places = np.sort(design.descend(places, phi, count), -1)
        squares = design.squares(places, phi)
        criterion[:, count] = points * np.log(squares / points) + (2 + 2 * count) * np.log(points)
        # A NaN is never the least, and curves with one keep no estimate.
        better = (criterion[:, count, None] <= criterion[:, : count + 1]).all(-1)
        position[better] = np.nan
        position[better, :count] = design.candidates[places[better]]
        coefficients[better] = np.nan
        coefficients[better, : 2 + count] = design.coefficients(places, phi)[better]
    return Breaks(np.isfinite(position).sum(-1), position, coefficients, criterion)


def _tangents(x: NDArray, count: int) -> NDArray:
    """Derivatives of a line with evenly spaced breaks by its parameters, (points, 2 + 2 count).

    Where in the middle the breaks lie matters little to the bias of phi.
    """
    positions = np.linspace(x[0], x[-1], count + 2)[1:-1]
    hinges = [np.maximum(x - c, 0) for c in positions]
    return np.stack([np.ones_like(x), x - x.mean(), *hinges, *(x > positions[:, None])], -1)


def _first_crossing(candidates: NDArray, excess: NDArray) -> NDArray:
    """Where ``excess`` (curve, candidate) first falls to 0, linearly; the first if below there."""
    at = np.maximum((excess <= 0).argmax(-1), 1)
    rows = np.arange(len(excess))
    before, after = excess[rows, at - 1], excess[rows, at]
    share = np.where(before > 0, before, 0) / np.where(before > 0, before - after, 1)
    return np.asarray(candidates[at - 1] + share * (candidates[at] - candidates[at - 1]))


def first_best(gains: NDArray) -> NDArray:
    """Candidate of the greatest of ``gains`` (curve, candidate): (curve,); NaN are never it."""
    return np.where(np.isnan(gains), -np.inf, gains).argmax(-1)


class Design:
    """Lagged inner products of 1, x, the hinges of all candidates, and the curves.

    ``x`` is (points,), ``y`` (curve, points); ``phi`` below is (curve,), ``places`` (curve, k) are
    numbers of candidates. ValueError as by `fit_break`.
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        self.x = np.asarray(x, dtype=float)
        if self.x.ndim != 1 or len(self.x) < 8 or not (np.diff(self.x) > 0).all():
            raise ValueError("x has to hold at least 8 ascending values")
        self.candidates = grid(self.x)
        # About its middle x is orthogonal to 1, which keeps the products well conditioned.
        self.middle = self.x.mean()
        hinges = np.maximum(self.x - self.candidates[:, None], 0)
        self.z = np.vstack([np.ones_like(self.x), self.x - self.middle, hinges])
        self.zz = _lagged(self.z, self.z)
        self.diagonal = self.zz.diagonal(axis1=1, axis2=2)
        self._observe(y)

    def of(self, y: NDArray) -> "Design":
        """The same abscissa with other curves ``y`` (curve, points), else ValueError."""
        other = copy.copy(self)
        other._observe(y)
        return other

    def _observe(self, y: ArrayLike) -> None:
        self.y = np.asarray(y, dtype=float)
        if self.y.ndim != 2 or self.y.shape[1] != len(self.x):
            raise ValueError(f"y has shape {self.y.shape}, expected (curves, {len(self.x)})")
        self.zy = _lagged(self.y, self.z)
        neighbours = 2 * (self.y[:, 1:] * self.y[:, :-1]).sum(-1)
        self.yy = np.stack([(self.y**2).sum(-1), neighbours, (self.y[:, 1:-1] ** 2).sum(-1)])

    def _with(self, columns: NDArray, phi: NDArray) -> tuple[NDArray, NDArray]:
        """Whitened products of the chosen columns (curve, k): with each other, and with y."""
        bb = _whitened(self.zz[:, columns[:, :, None], columns[:, None, :]], phi)
        by = _whitened(np.take_along_axis(self.zy, columns[None], -1), phi)
        return bb, by

    def _columns(self, places: NDArray) -> NDArray:
        first = np.broadcast_to([0, 1], (len(places), 2))
        return np.concatenate([first, places + 2], -1)

    def gains(self, phi: NDArray, places: NDArray | None = None) -> NDArray:
        """Drop of the sum of squares (curve, candidate) by a break besides those at ``places``."""
        none = np.empty((len(phi), 0), dtype=int)
        columns = self._columns(none if places is None else places)
        bb, by = self._with(columns, phi)
        # Without other breaks all curves have the same base.
        bf = self.zz[:, None, 2:, :2]
        if places is not None:
            bf = self.zz[:, 2:, columns].transpose(0, 2, 1, 3)
        ff = _whitened(self.diagonal[:, None, 2:], phi)
        with np.errstate(divide="ignore", invalid="ignore"):
            gains = gain(bb, _whitened(bf, phi), ff, by, _whitened(self.zy[..., 2:], phi))
        if places is not None:
            distance = np.abs(self.candidates[:, None] - self.candidates[places][:, None, :])
            gains[(distance < GAP * (self.x[-1] - self.x[0])).any(-1)] = np.nan
        return gains

    def descend(self, places: NDArray, phi: NDArray, count: int) -> NDArray:
        """Add breaks until there are ``count``, then move them in turn until none moves."""
        while places.shape[1] < count:
            places = np.column_stack([places, first_best(self.gains(phi, places))])
        for _ in range(20):
            before = places.copy()
            for k in range(count if count > 1 else 0):
                others = np.delete(places, k, axis=1)
                places[:, k] = first_best(self.gains(phi, others))
            if (places == before).all():
                break
        return places

    def squares(self, places: NDArray, phi: NDArray) -> NDArray:
        """Residual sum of squares (curve,) with breaks at ``places`` (curve, k)."""
        bb, by = self._with(self._columns(places), phi)
        b = np.linalg.solve(bb, by[..., None])[..., 0]
        return np.asarray(_whitened(self.yy, phi) - (b * by).sum(-1))

    def coefficients(self, places: NDArray, phi: NDArray) -> NDArray:
        """b0, b1 and d_k (curve, 2 + k) of whitened least squares with breaks at ``places``."""
        bb, by = self._with(self._columns(places), phi)
        b = np.linalg.solve(bb, by[..., None])[..., 0]
        b[:, 0] -= b[:, 1] * self.middle
        return np.asarray(b)


def _lagged(a: NDArray, b: NDArray) -> NDArray:
    """The sums (3, a, b) of a whitened inner product, see the module."""
    neighbours = a[:, 1:] @ b[:, :-1].T + a[:, :-1] @ b[:, 1:].T
    return np.stack([a @ b.T, neighbours, a[:, 1:-1] @ b[:, 1:-1].T])


def _whitened(sums: NDArray, phi: NDArray) -> NDArray:
    phi = phi.reshape(len(phi), *[1] * (sums.ndim - 2))
    return np.asarray(sums[0] - phi * sums[1] + phi**2 * sums[2])
