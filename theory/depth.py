"""Time to learn against the number of layers, if their compressions add up to a total.

With each of K layers compressing by S / K, and a time exp(S / K) for each, learning takes
T = T_0 K exp(S / K) if one relaxes after the other, T_0 exp(S / K) if all do so at once. The first
is least at K = S, T = e S T_0, and grows again beyond: that depth shortens training exponentially
holds for K well below S only.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from .censoring import Regression, censored_regression

LAWS: Mapping[str, Callable[[NDArray], tuple[NDArray | None, NDArray]]] = {
    "sequential": lambda k: (1 / k, np.log(k)),
    "parallel": lambda k: (1 / k, 0 * k),
    "exponential": lambda k: (-k, 0 * k),
    "power": lambda k: (-np.log(k), 0 * k),
    "constant": lambda k: (None, 0 * k),
}
"""The regressor of log T and what is known of it: T_0 K e^(S/K), T_0 e^(S/K), e^(-c K), K^-p, T_0.

The coefficient is S in nats, S in nats, c, p, and none.
"""
_UNITS = {"sequential": "nat", "parallel": "nat"}


def learning_time(layers: ArrayLike, total: float, law: str = "sequential") -> NDArray:
    """T / T_0 of ``layers`` K by a law with the coefficient ``total``, S in nats for the first two.

    Of the shape of ``layers``. ValueError for a law that is not known.

    >>> print(learning_time([1, 2, 4], 2 * np.log(2)))
    [4.         4.         5.65685425]
    """
    k = np.asarray(layers, dtype=float)
    regressor, offset = _law(law)(k)
    return np.asarray(np.exp(offset + (0 if regressor is None else total * regressor)))


def fit_depth(layers: ArrayLike, times: ArrayLike, censored: ArrayLike, law: str) -> Regression:
    """Intercept log T_0 and coefficient of one of `LAWS`, by censored regression of log T.

    All arrays are (networks,); ``censored`` is True where learning took longer than the time.
    ValueError for a law that is not known, times not positive or layers less than 1, or as by
    `theory.censoring.censored_regression`.
    """
    k, t = np.asarray(layers, dtype=float), np.asarray(times, dtype=float)
    if not (t > 0).all() or not (k >= 1).all():
        raise ValueError("times have to be positive, and layers 1 or more")
    regressor, offset = _law(law)(k)
    columns = [np.ones_like(k)] if regressor is None else [np.ones_like(k), regressor]
    return censored_regression(np.stack(columns, 1), np.log(t), censored, offset)


def depth_scaling(
    layers: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    repetitions: int = 500,
) -> xr.Dataset:
    """All `LAWS` fitted to networks (networks,), along a dim ``law``.

    ``coefficient`` (S of the first two: to be held against the measured sum of C), with ``low`` and
    ``high``, percentiles of a bootstrap over the networks of each depth; ``intercept``, log T_0;
    ``deviation`` of log T; ``aic``, -2 log likelihood + 2 parameters; ``best``, the share of the
    bootstrap in which a law has the least; ``unfitted``, the share of it that had too few observed
    times for a law, and is in none of the others. The coordinate ``coefficient_units`` (law) says
    which are in nats. ValueError as in `fit_depth`.
    """
    k, t = np.asarray(layers), np.asarray(times, dtype=float)
    hidden = np.broadcast_to(np.asarray(censored, dtype=bool), t.shape)
    groups = [np.flatnonzero(k == depth) for depth in np.unique(k)]
    table = np.empty((1 + repetitions, len(LAWS), 4))
    for repetition in range(1 + repetitions):
        rows = np.arange(len(k))
        if repetition:
            rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        for j, law in enumerate(LAWS):
            try:
                fit = fit_depth(k[rows], t[rows], hidden[rows], law)
            except ValueError:
                if not repetition:
                    raise
                table[repetition, j] = np.nan
                continue
            intercept, coefficient = (*fit.coefficients, np.nan)[:2]
            aic = 2 * (len(fit.coefficients) + 1) - 2 * fit.likelihood
            table[repetition, j] = intercept, coefficient, fit.deviation, aic
    low, high = np.array([_percentiles(drawn, level) for drawn in table[1:, :, 1].T]).T
    fitted = ~np.isnan(table[1:, :, 3])
    first = table[1:, :, 3][fitted.all(-1)].argmin(-1)
    best = np.bincount(first, minlength=len(LAWS)) / max(fitted.all(-1).sum(), 1)
    columns = {
        "coefficient": (table[0, :, 1], "S in nats of the first two laws, rate or power of others"),
        "low": (low, "lower end of the coefficient's interval"),
        "high": (high, "upper end of the coefficient's interval"),
        "intercept": (table[0, :, 0], "logarithm of T_0"),
        "deviation": (table[0, :, 2], "deviation of log T"),
        "aic": (table[0, :, 3], "Akaike's criterion"),
        "best": (best, "share of the bootstrap with the least criterion"),
        "unfitted": (1 - fitted.mean(0), "share of the bootstrap without a greatest likelihood"),
    }
    return xr.Dataset(
        {
            name: ("law", values, {"units": "1", "long_name": text})
            for name, (values, text) in columns.items()
        },
        {"law": list(LAWS), "coefficient_units": ("law", [_UNITS.get(law, "1") for law in LAWS])},
    )


def _percentiles(drawn: NDArray, level: float) -> tuple[float, float]:
    """Ends of the interval of a bootstrap's coefficients; NaN without any."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _law(name: str) -> Callable[[NDArray], tuple[NDArray | None, NDArray]]:
    if name not in LAWS:
        raise ValueError(f"law {name!r} is unknown, expected one of {', '.join(LAWS)}")
    return LAWS[name]
