"""One measurement that speaks for or against a claim: an effect, its interval, and two tests.

A claim says in which region an effect lies. ``p_support`` is the p-value of the hypothesis that it
lies outside: small where the data show that the claim holds. ``p_refute`` is that of the hypothesis
that it lies inside: small where they show that it does not. Both may be large; then the data are
too few to tell.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom, norm, t

# A verdict is given where its p-value is at most this.
ALPHA = 0.05
SUPPORTED, REFUTED, OPEN = "supported", "refuted", "open"


class InsufficientError(ValueError):
    """The records are there, but too small for the test: which is no error, but an open claim."""


@dataclass(frozen=True)
class Region:
    """Where a claim says that an effect lies: between ``low`` and ``high``, ends included."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.high == math.inf:
            return f">= {self.low:g}"
        if self.low == -math.inf:
            return f"<= {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Finding:
    """What one condition says of a claim.

    ``condition`` is the record, and layer or estimator where there are several; ``effect`` with its
    95 % interval ``low``, ``high`` (NaN where it has none) is in ``units``; ``region`` is where the
    claim wants it. Of a ``control`` the verdict is given but the claim's does not depend on it.
    """

    condition: str
    effect: float
    low: float
    high: float
    units: str
    region: Region
    p_support: float
    p_refute: float
    members: int
    note: str = ""
    control: bool = False

    def as_control(self) -> "Finding":
        """The same, as a control."""
        return replace(self, control=True)

    def with_note(self, note: str) -> "Finding":
        """The same, with a ``note``."""
        return replace(self, note=note)


def of_members(
    condition: str, values: xr.DataArray | ArrayLike, region: Region, units: str
) -> Finding:
    """Mean of independent ``values`` (member,) by Student's t; NaN are left out.

    `InsufficientError` with fewer than 3 left.
    """
    x = np.asarray(values, dtype=float).ravel()
    x = x[np.isfinite(x)]
    if len(x) < 3:
        raise InsufficientError(f"{condition}: {len(x)} members have it, expected 3 or more")
    mean, error = float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    reach = float(t.ppf(0.975, len(x) - 1)) * error

    def below(bound: float) -> float:
        """P of the hypothesis that the mean is ``bound`` or more."""
        if error == 0:
            # All members alike: as sure as can be, one way or the other.
            return float(mean >= bound)
        return float(t.cdf((mean - bound) / error, len(x) - 1))

    support, refute = _tests(below, region)
    return Finding(
        condition, mean, mean - reach, mean + reach, units, region, support, refute, len(x)
    )


def of_interval(
    condition: str, effect: float, low: float, high: float, region: Region, units: str, members: int
) -> Finding:
    """An estimate with a 95 % interval from elsewhere, taken as normal.

    `InsufficientError` if a number is not finite, or ``high`` not above ``low``.
    """
    error = (high - low) / (2 * norm.ppf(0.975))
    if not np.isfinite([effect, low, high]).all() or error <= 0:
        raise InsufficientError(
            f"{condition}: the interval is {low} to {high}, expected finite ends that ascend"
        )
    support, refute = _tests(lambda bound: float(norm.cdf((effect - bound) / error)), region)
    return Finding(condition, effect, low, high, units, region, support, refute, members)


def lacking(condition: str, region: Region, units: str, reason: str) -> Finding:
    """Nothing was found, for a ``reason``."""
    nan = math.nan
    return Finding(condition, nan, nan, nan, units, region, 1.0, 1.0, 0, reason)


def of_draws(
    condition: str, effect: float, draws: ArrayLike, region: Region, units: str, members: int
) -> Finding:
    """An estimate and its bootstrap ``draws`` (repetition,): percentile interval, shares as p.

    Draws that are not finite are left out; `InsufficientError` with fewer than 100 others.
    """
    drawn = np.asarray(draws, dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 100:
        raise InsufficientError(f"{condition}: {len(drawn)} finite draws, expected 100 or more")
    low, high = np.quantile(drawn, [0.025, 0.975])

    def below(bound: float) -> float:
        return float((1 + (drawn >= bound).sum()) / (1 + len(drawn)))

    def above(bound: float) -> float:
        return float((1 + (drawn <= bound).sum()) / (1 + len(drawn)))

    support, refute = _tests(below, region, above)
    return Finding(condition, effect, low, high, units, region, support, refute, members)


def of_share(condition: str, hits: NDArray[np.bool_], region: Region) -> Finding:
    """Share of members in which something ``hits`` (member,): exact binomial tests and interval.

    The interval is that of Clopper & Pearson 1934. `InsufficientError` with fewer than 3 members.
    """
    n, k = len(hits), int(hits.sum())
    if n < 3:
        raise InsufficientError(f"{condition}: {n} members, expected 3 or more")

    def below(bound: float) -> float:
        return float(binom.cdf(k, n, bound))

    def above(bound: float) -> float:
        return float(binom.sf(k - 1, n, bound))

    # The shares with which k or more, k or fewer, have a chance of 2.5 %.
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    support, refute = _tests(below, region, above)
    return Finding(condition, k / n, low, high, "1", region, support, refute, n)


def exact(condition: str, effect: float, region: Region, units: str, members: int) -> Finding:
    """A number without sampling error: it lies in the region or it does not."""
    inside = region.low <= effect <= region.high
    support, refute = float(not inside), float(inside)
    return Finding(condition, effect, np.nan, np.nan, units, region, support, refute, members)


def _tests(
    below: Callable[[float], float], region: Region, above: Callable[[float], float] | None = None
) -> tuple[float, float]:
    """P of the effect lying outside the region, and of it lying inside.

    ``below(b)`` is small where the effect is below b; ``above(b)``, its complement by default,
    where it is above.
    """
    above = above or (lambda bound: 1 - below(bound))
    ends = []
    if region.low > -math.inf:
        ends.append((above(region.low), below(region.low)))
    if region.high < math.inf:
        ends.append((below(region.high), above(region.high)))
    support = max(p for p, _ in ends)
    refute = min(1.0, len(ends) * min(p for _, p in ends))
    return support, refute


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values of a family ``p`` (test,), of its shape (Holm 1979).

    Those at most alpha are rejected, with a chance of alpha that any is wrongly.

    >>> print(holm([0.01, 0.04, 0.03]).round(3))
    [0.03 0.06 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted


def verdict(p_support: float, p_refute: float) -> str:
    """The verdict of one finding from its adjusted p-values; a refutation goes first."""
    if p_refute <= ALPHA:
        return REFUTED
    return SUPPORTED if p_support <= ALPHA else OPEN
