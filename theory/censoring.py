"""Times known only to lie beyond a bound: kept as what they are, neither dropped nor made up.

A member whose transition the run did not reach says that its time is greater than the run, and a
mean over the other members would be too early. Logarithms of times are taken as normal, and a
censored member enters the likelihood with the probability of lying beyond its bound (Tobin 1958).
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr
from scipy.stats import t as student

# Condition of the curvature beyond which the likelihood is flat in some direction.
FLAT = 1e12
# Moments that change by no more than this share of the deviations in an iteration have converged.
SETTLED = 1e-9
LEFT, OBSERVED, RIGHT = -1, 0, 1
"""Codes: the time is at most the value, is the value, is at least the value."""


class NotConvergedError(ValueError):
    """Points of which too few are observed for the likelihood to have a clear maximum."""


def time_interval(
    times: xr.DataArray, censored: xr.DataArray | None = None, *, level: float = 0.95
) -> xr.Dataset:
    """Geometric mean of positive ``times`` over ``member`` and its interval: mean, low, high.

    ``censored`` holds -1 (at most), 0 or 1 (at least), all 0 by default. The interval holds the
    means that a likelihood ratio of the normal logarithms does not refuse, with the threshold
    r log(1 + t^2 / (r - 1)), r members being observed and t Student's quantile: without censored
    members this is Student's interval exactly. Members that are NaN are left out. All three are
    NaN with fewer than two members observed, or where the observed are all at one time and others
    censored, since then the spread has no estimate. ``observed`` and ``censored`` count members.
    All are in the units of ``times`` but the counts. ValueError for times that are not positive.
    """
    if bool((times <= 0).any()):
        raise ValueError(f"{times.name!r} holds times of 0 or less, expected positive times")
    codes = xr.zeros_like(times, dtype=int) if censored is None else censored
    logs = np.log(times)
    low, mean, high = xr.apply_ufunc(
        lambda y, c: normal_interval(y, c, level),
        logs,
        codes,
        input_core_dims=[["member"], ["member"]],
        output_core_dims=[[], [], []],
        vectorize=True,
    )
    with np.errstate(over="ignore"):
        interval = xr.Dataset({"mean": np.exp(mean), "low": np.exp(low), "high": np.exp(high)})
    for estimate in interval.values():
        estimate.attrs = dict(times.attrs)
    known = times.notnull()
    for name, chosen in (("observed", codes == OBSERVED), ("censored", codes != OBSERVED)):
        interval[name] = (known & chosen).sum("member").assign_attrs(units="1", long_name=name)
    return interval


def normal_interval(
    values: ArrayLike, censored: ArrayLike, level: float = 0.95
) -> tuple[float, float, float]:
    """Low, mean and high of normal ``values`` (member,), as `time_interval` does for logs.

    ``censored`` (member,) holds -1, 0 or 1; values that are not finite are left out.
    """
    y, code = np.asarray(values, dtype=float), np.asarray(censored)
    y, code = y[np.isfinite(y)], code[np.isfinite(y)]
    seen, side = y[code == OBSERVED], code[code != OBSERVED]
    bound = y[code != OBSERVED]
    count = len(seen)
    if count < 2 or (np.ptp(seen) == 0 and len(bound)):
        return (np.nan,) * 3
    quantile = student.ppf((1 + level) / 2, count - 1)
    if not len(bound):
        half = quantile * seen.std(ddof=1) / np.sqrt(count)
        return float(seen.mean() - half), float(seen.mean()), float(seen.mean() + half)
    centre, scale = seen.mean(), seen.std()

    def likelihood(mean: float) -> float:
        """Greatest log-likelihood over the spread; concave in its inverse (Olsen 1978)."""
        squares, beyond = ((seen - mean) ** 2).sum(), side * (mean - bound)

        def slope(inverse: float) -> float:
            z = inverse * beyond
            return float(count / inverse - inverse * squares + (beyond * _mills(z)).sum())

        upper = 1 / scale
        while slope(upper) > 0:
            upper *= 2
        lower = upper
        while slope(lower) < 0:
            lower /= 2
        inverse = lower if lower == upper else brentq(slope, lower, upper, xtol=1e-12 / scale)
        return float(
            count * np.log(inverse) - inverse**2 * squares / 2 + log_ndtr(inverse * beyond).sum()
        )

    reach = 20 * (np.ptp(y) + scale)
    best = minimize_scalar(
        lambda mean: -likelihood(mean),
        bounds=(centre - reach, centre + reach),
        method="bounded",
        options={"xatol": 1e-9 * scale},
    )
    floor = -best.fun - count * np.log1p(quantile**2 / (count - 1)) / 2
    ends = []
    for direction in (-1, 1):
        step = scale
        while likelihood(best.x + direction * step) > floor:
            step *= 2
        end = brentq(lambda mean: likelihood(mean) - floor, best.x, best.x + direction * step)
        ends.append(float(end))
    return ends[0], float(best.x), ends[1]


class Regression(NamedTuple):
    """Coefficients (k,), deviation of the errors (divisor: points), greatest log-likelihood."""

    coefficients: NDArray
    deviation: float
    likelihood: float


def censored_regression(
    design: ArrayLike, y: ArrayLike, censored: ArrayLike, offset: ArrayLike = 0.0
) -> Regression:
    """Maximum likelihood of y = offset + design @ coefficients + normal errors.

    ``design`` is (points, k), ``y`` (points,); where ``censored``, True or False, y is a lower
    bound, and ``offset`` is one number or (points,). In the coefficients over the
    deviation and its inverse the likelihood is concave (Olsen 1978), and Newton's method goes to
    its top; ordinary least squares where nothing is censored. ValueError where as many points or
    fewer are observed as there are coefficients, where these lie on a line, or where there is no
    top: the line may rise without end past the censored points without leaving the observed.
    """
    x, y = np.asarray(design, dtype=float), np.asarray(y, dtype=float) - offset
    hidden = np.broadcast_to(np.asarray(censored, dtype=bool), y.shape)
    seen = ~hidden
    if seen.sum() <= x.shape[1]:
        raise ValueError(f"{seen.sum()} points observed, expected more than {x.shape[1]}")
    coefficients = np.linalg.pinv(x[seen]) @ y[seen]
    deviation = np.sqrt(((y - x @ coefficients)[seen] ** 2).mean())
    if hidden.any():
        if deviation <= 1e-12 * np.abs(y).max():
            raise ValueError("the observed points lie on a line, so their errors have no estimate")
        coefficients, deviation = _climb(x, y, hidden, coefficients, float(deviation))
    density = censored_log_density(y, x @ coefficients, float(deviation), hidden)
    return Regression(coefficients, float(deviation), float(density.sum()))


def _climb(
    x: NDArray, y: NDArray, hidden: NDArray, coefficients: NDArray, deviation: float
) -> tuple[NDArray, float]:
    """Newton's steps in (coefficients / deviation, 1 / deviation), halved until they rise."""
    direction = np.column_stack([-x, y])  # derivatives of the residual r = y / s - x c / s
    scaled = np.append(coefficients, 1.0) / deviation

    def height(point: NDArray) -> float:
        r = direction @ point
        terms = np.where(hidden, log_ndtr(-r), np.log(point[-1]) - r**2 / 2)
        return float(terms.sum())

    for _ in range(200):
        r = direction @ scaled
        hazard = _mills(-r)
        first = np.where(hidden, -hazard, -r)
        second = np.where(hidden, hazard * (hazard - r), 1.0)
        gradient = direction.T @ first
        curvature = direction.T @ (direction * second[:, None])
        gradient[-1] += (~hidden).sum() / scaled[-1]
        curvature[-1, -1] += (~hidden).sum() / scaled[-1] ** 2
        if np.linalg.cond(curvature) > FLAT:
            break
        step = np.linalg.solve(curvature, gradient)
        gain = float(gradient @ step)
        if gain <= 1e-12 and np.abs(step).max() <= 1e-6 * np.abs(scaled).max():
            return scaled[:-1] / scaled[-1], float(1 / scaled[-1])
        size, before = 1.0, height(scaled)
        while not (
            (scaled + size * step)[-1] > 0
            and height(scaled + size * step) >= before + 1e-4 * size * gain - 1e-12 * abs(before)
        ):
            size /= 2
            if size < 1e-10:
                break
        scaled = scaled + size * step
    raise ValueError(
        "the likelihood has no top: a line may rise past the censored points without end"
    )


def censored_log_density(y: NDArray, mean: NDArray, deviation: float, censored: NDArray) -> NDArray:
    """Logarithm of the normal density of each y (points,), or of its tail where y is a lower bound.

    ``mean`` is (points,), ``censored`` (points,) True for lower bounds; in nats.
    """
    z = (y - mean) / deviation
    seen = -(z**2) / 2 - np.log(deviation) - np.log(2 * np.pi) / 2
    return np.where(censored, log_ndtr(-z), seen)


def censored_moments(
    x: ArrayLike,
    y: ArrayLike,
    censored: ArrayLike,
    weight: ArrayLike = 1.0,
) -> tuple[NDArray, NDArray]:
    """Means (..., 2) and covariance (..., 2, 2) of normal (x, y), where some y are lower bounds.

    Maximum likelihood by expectation and maximisation over points (..., points), until moments
    change by less than `SETTLED` of the deviations; without censored points these are the sample
    moments (normalised by their number). ``censored`` is True where y is a lower bound; a point of
    ``weight`` 0 counts for nothing. `NotConvergedError` after 5000 iterations.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    hidden = np.broadcast_to(np.asarray(censored, dtype=bool), y.shape)
    w = np.broadcast_to(np.asarray(weight, dtype=float), y.shape)
    w = w / w.sum(-1, keepdims=True)

    def mean(values: NDArray) -> NDArray:
        return np.asarray((w * values).sum(-1))

    expected, spread = y.copy(), np.zeros_like(y)
    a = x - mean(x)[..., None]
    xx = mean(a**2)
    before = np.full((*y.shape[:-1], 3), np.inf)
    for _ in range(5000):
        middle = mean(expected)
        b = expected - middle[..., None]
        xy, yy = mean(a * b), mean(b**2 + spread)
        now = np.stack([middle, xy / np.sqrt(xx), np.sqrt(yy)], -1)
        if not hidden.any() or (np.abs(now - before) <= SETTLED * now[..., 2:]).all():
            break
        before = now
        slope = xy / xx
        left = np.sqrt(yy - slope * xy)[..., None]
        line = middle[..., None] + slope[..., None] * a
        z = (y - line) / left
        hazard = _mills(-z)
        expected = np.where(hidden, line + left * hazard, y)
        spread = np.where(hidden, left**2 * (1 + z * hazard - hazard**2), 0)
    else:
        raise NotConvergedError(
            "moments of censored points have not converged in 5000 iterations: too few are observed"
        )
    covariance = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)
    return np.stack([mean(x), middle], -1), covariance


def _mills(z: NDArray) -> NDArray:
    """Density of the standard normal over its distribution function."""
    return np.asarray(np.exp(-(z**2) / 2 - np.log(2 * np.pi) / 2 - log_ndtr(z)))
