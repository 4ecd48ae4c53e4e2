"""Straight lines y = intercept + slope x where both coordinates have errors.

Ordinary least squares of such points finds slope var(x) / (var(x) + error of x), too little.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Line(NamedTuple):
    """A line for each leading index, arrays (...,)."""

    intercept: NDArray
    slope: NDArray


class YorkLine(NamedTuple):
    """A line with standard errors from the errors of the points."""

    intercept: float
    slope: float
    intercept_stderr: float
    slope_stderr: float
    chi2: float
    """Sum of squares of weighted residuals, of expectation ``points - 2``."""


def deming_slope(xx: ArrayLike, xy: ArrayLike, yy: ArrayLike, ratio: ArrayLike) -> NDArray:
    """Slope from the variances and covariance of the points (Deming 1943); arguments broadcast.

    ``ratio`` is lambda = error variance of y over that of x:
    b = (yy - lambda xx + sqrt((yy - lambda xx)^2 + 4 lambda xy^2)) / (2 xy).
    """
    xx, xy, yy, ratio = (np.asarray(values, dtype=float) for values in (xx, xy, yy, ratio))
    excess = yy - ratio * xx
    root = np.sqrt(excess**2 + 4 * ratio * xy**2)
    # The same root twice; that without a difference of nearly equal numbers is taken.
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(excess > 0, (excess + root) / (2 * xy), 2 * ratio * xy / (root - excess))
    return np.asarray(slope)


def deming(x: ArrayLike, y: ArrayLike, ratio: float) -> Line:
    """Deming's line through points (..., points), errors being alike at all points.

    ``ratio`` is the error variance of y over that of x, positive, else ValueError.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if not ratio > 0:
        raise ValueError(f"ratio of error variances is {ratio}, expected more than 0")
    a, b = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    slope = deming_slope((a**2).mean(-1), (a * b).mean(-1), (b**2).mean(-1), ratio)
    return Line(np.asarray(y.mean(-1) - slope * x.mean(-1)), slope)


def york(x: ArrayLike, y: ArrayLike, x_stderr: ArrayLike, y_stderr: ArrayLike) -> YorkLine:
    """Maximum likelihood line of points (points,) whose independent errors (points,) are known.

    York, Evensen, Lopez Martinez & De Basabe Delgado, Am. J. Phys. 72, 367 (2004), equations 13,
    without correlation between the errors of a point. ValueError if an error is not positive, or
    after 200 iterations without convergence of the slope to 12 digits.
    """
    x, y, sx, sy = (np.asarray(values, dtype=float) for values in (x, y, x_stderr, y_stderr))
    if not ((sx > 0).all() and (sy > 0).all()):
        raise ValueError("standard errors of x and y have to be positive")
    slope = float(np.polyfit(x, y, 1)[0])
    for _ in range(200):
        weight = 1 / (sy**2 + slope**2 * sx**2)
        middle_x, middle_y = np.average(x, weights=weight), np.average(y, weights=weight)
        u, v = x - middle_x, y - middle_y
        beta = weight * (u * sy**2 + slope * v * sx**2)
        before, slope = slope, float((weight * beta * v).sum() / (weight * beta * u).sum())
        if abs(slope - before) <= 1e-12 * abs(slope):
            break
    else:
        raise ValueError(f"York's slope has not converged, it is {slope} after {before}")
    adjusted = middle_x + beta
    mean = np.average(adjusted, weights=weight)
    slope_variance = 1 / (weight * (adjusted - mean) ** 2).sum()
    intercept = float(middle_y - slope * middle_x)
    return YorkLine(
        intercept,
        slope,
        float(np.sqrt(1 / weight.sum() + mean**2 * slope_variance)),
        float(np.sqrt(slope_variance)),
        float((weight * (y - intercept - slope * x) ** 2).sum()),
    )
