"""The fit log Delta t = a + b C over layers and members, and laws that it has to beat.

Both coordinates have errors, since members differ: the line is Deming's. Layers of one network are
not independent, so intervals are from a bootstrap over networks. A censored time is a lower bound
and enters as such, by the likelihood of normal (C, log Delta t). C is in nats: the theory says that
b = 1, or with a temperature, b = 1 / D.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .censoring import RIGHT, censored_log_density, censored_moments, censored_regression
from .fitting import mean_interval
from .lines import deming_slope


def fit_law(
    time: xr.DataArray,
    compression: xr.DataArray,
    censored: xr.DataArray,
    rng: np.random.Generator,
    *,
    ratio: float | None = None,
    level: float = 0.95,
    repetitions: int = 1000,
) -> xr.Dataset:
    """``slope`` b and ``intercept`` a of all points (member, layer), and ``diffusion`` D = 1 / b.

    ``compression`` is in nats; where it or ``time`` is NaN there is no point; ``censored`` is 1
    where the time is a lower bound. ``ratio`` is the error variance of log time over that of C,
    by default that of their pooled variances over the members of a layer (observed times only, so
    that C may not really differ between members). ``slope_low`` and ``slope_high`` are percentiles
    of the bootstrap over members that have a point; the interval of D is its inverse, infinite
    where that of b holds 0. ValueError for other units, times not positive, fewer than 3 such
    members, or a ``ratio`` that the points do not tell; `NotConvergedError`, which is one, where
    too few times are observed.
    """
    x, y, hidden = _points(time, compression, censored)
    # Members without a point tell nothing, and a draw of none but these would have no slope.
    telling = np.isfinite(x).any(1)
    x, y, hidden = x[telling], y[telling], hidden[telling]
    if len(x) < 3:
        raise ValueError(f"time has {len(x)} members with a point, expected at least 3")
    if ratio is None:
        ratio = _error_ratio(x, y, hidden)
    drawn = rng.integers(len(x), size=(repetitions, len(x)))
    whole = np.vstack([np.arange(len(x)), drawn])
    slopes, intercepts = _deming(x[whole], y[whole], hidden[whole], ratio)
    low, high = np.quantile(slopes[1:], [(1 - level) / 2, (1 + level) / 2])
    most = np.inf if low <= 0 <= high else 1 / low
    points = np.isfinite(x)
    values = {
        "slope": (slopes[0], "nat-1", "slope of log time against compression"),
        "slope_low": (low, "nat-1", "lower end of the slope's interval"),
        "slope_high": (high, "nat-1", "upper end of the slope's interval"),
        "intercept": (intercepts[0], "1", "logarithm of the time at no compression"),
        "diffusion": (1 / slopes[0], "nat", "D = 1 / slope"),
        "diffusion_low": (1 / high, "nat", "lower end of D's interval"),
        "diffusion_high": (most, "nat", "upper end of D's interval"),
        "ratio": (ratio, "nat-2", "error variance of log time over that of compression"),
        "points": (points.sum(), "1", "points"),
        "censored": ((hidden & points).sum(), "1", "of which lower bounds"),
    }
    return xr.Dataset(
        {name: ((), v, {"units": u, "long_name": text}) for name, (v, u, text) in values.items()}
    )


Design = Callable[[NDArray, NDArray, float], tuple[NDArray, NDArray]]
"""C, depth and a parameter to the regressors (points, k) and the offset (points,)."""

LAWS: Mapping[str, Design] = {
    "exponential": lambda c, depth, _: (np.stack([np.ones_like(c), c], 1), 0 * c),
    "linear": lambda c, depth, shift: (np.ones((len(c), 1)), np.log(c + shift)),
    "power": lambda c, depth, _: (np.stack([np.ones_like(c), np.log(c)], 1), 0 * c),
    "depth": lambda c, depth, _: (np.stack([np.ones_like(c), depth], 1), 0 * c),
    "constant": lambda c, depth, _: (np.ones((len(c), 1)), 0 * c),
}
"""Time as exp(b C), a + b C (b > 0), C^b, exp(b depth), or all the same."""
SHIFTS = np.geomspace(1e-2, 1e2, 13)
"""Values of a / b, in nats, tried for the linear law."""


def compare_laws(
    time: xr.DataArray, compression: xr.DataArray, censored: xr.DataArray
) -> xr.Dataset:
    """Which of `LAWS` foretells the times of a member that it has not seen.

    Each is fitted to the other members, for every member in turn, with normal errors of log time.
    ``score`` (law, member) is the mean log density of its times, or of their tails where they are
    lower bounds. ``advantage`` (law) is the score of the exponential law above each, a mean over
    members with Student's interval: positive where the exponential law is the better. Points with
    C <= 0, of which a power is not defined, are left out for all laws; ``left_out`` counts them.
    Layers go by their order in ``time``. ValueError for other units, times not positive, fewer than
    3 members, or as by `theory.censoring.censored_regression`.
    """
    x, y, hidden = _points(time, compression, censored)
    if len(x) < 3:
        raise ValueError(f"time has {len(x)} members, expected at least 3")
    depth = np.broadcast_to(np.arange(1.0, x.shape[1] + 1), x.shape)
    told = np.isfinite(x) & (np.nan_to_num(x) > 0)
    scores = np.full((len(LAWS), len(x)), np.nan)
    for member in range(len(x)):
        own, others = told[member], told.copy()
        others[member] = False
        if not own.any():
            continue
        for k, (name, law) in enumerate(LAWS.items()):
            fits = []
            for shift in SHIFTS if name == "linear" else (0.0,):
                design, offset = law(x[others], depth[others], shift)
                fits.append((censored_regression(design, y[others], hidden[others], offset), shift))
            fit, shift = max(fits, key=lambda pair: pair[0].likelihood)
            design, offset = law(x[member][own], depth[member][own], shift)
            mean = offset + design @ fit.coefficients
            density = censored_log_density(y[member][own], mean, fit.deviation, hidden[member][own])
            scores[k, member] = density.mean()
    score = xr.DataArray(
        scores,
        {"law": list(LAWS), "member": time["member"]},
        ("law", "member"),
        attrs={"units": "nat", "long_name": "log density of a member not seen"},
    )
    gap = (score.sel(law="exponential", drop=True) - score).assign_attrs(score.attrs)
    interval = mean_interval(gap)
    found = xr.Dataset(
        {
            "score": score,
            "advantage": interval["mean"],
            "advantage_low": interval["low"],
            "advantage_high": interval["high"],
        }
    )
    left_out = int((np.isfinite(x) & ~told).sum())
    found["left_out"] = ((), left_out, {"units": "1", "long_name": "points with C <= 0"})
    return found


def _points(
    time: xr.DataArray, compression: xr.DataArray, censored: xr.DataArray
) -> tuple[NDArray, NDArray, NDArray]:
    """C and log time (member, layer), both NaN where either is, and which are lower bounds."""
    if compression.attrs.get("units") != "nat":
        raise ValueError(f"compression is in {compression.attrs.get('units')!r}, expected 'nat'")
    if bool((time <= 0).any()):
        raise ValueError("time holds values of 0 or less, expected positive times")
    time, compression, censored = xr.align(time, compression, censored, join="exact")
    order = ("member", "layer")
    x, y = compression.transpose(*order).values, np.log(time.transpose(*order).values)
    missing = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.where(missing, np.nan, x), np.where(missing, np.nan, y)
    return x, y, (censored.transpose(*order).values == RIGHT) & ~missing


def _deming(x: NDArray, y: NDArray, hidden: NDArray, ratio: float) -> tuple[NDArray, NDArray]:
    """Slopes and intercepts (repetition,) of points (repetition, member, layer)."""
    x, y, hidden = (values.reshape(len(values), -1) for values in (x, y, hidden))
    weight = np.isfinite(x)
    means, covariance = censored_moments(
        np.nan_to_num(x), np.nan_to_num(y), hidden, weight.astype(float)
    )
    slope = deming_slope(covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1], ratio)
    return slope, means[:, 1] - slope * means[:, 0]


def _error_ratio(x: NDArray, y: NDArray, hidden: NDArray) -> float:
    x, y = np.where(hidden, np.nan, x), np.where(hidden, np.nan, y)
    layers = np.isfinite(x).sum(0) > 1
    if not layers.any():
        raise ValueError("no layer has two members with observed times: ratio has to be given")

    def pooled(values: NDArray) -> float:
        values = values[:, layers]
        return float(np.nansum((values - np.nanmean(values, 0)) ** 2))

    if pooled(x) == 0:
        raise ValueError("compression does not differ between members: ratio has to be given")
    return pooled(y) / pooled(x)
