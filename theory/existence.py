"""Whether a curve has a break at all: two tests against a straight line.

A break is free under the alternative and nowhere under the null, so F is not that of a table.
Either its null is simulated, for each curve, with autocorrelated errors; or it comes from the
members, of which nothing need be known but that they are independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .autoregression import MOST, autoregressive
from .breaks import Design, fit_design, grid

NULLS = 10
"""Autocorrelations at which the null of the sup-F is simulated."""


def sup_f_test(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, repetitions: int = 999
) -> tuple[NDArray, NDArray]:
    """The sup-F of each curve (curve, points) and its p against a straight line, both (curve,).

    ``x`` (points,) ascends; both are NaN for a curve with a NaN.
    The null is simulated: lines with autocorrelated errors, through the same procedure. sup-F is
    free of the line and of the size of the errors, so its null depends on phi alone; it is made at
    `NULLS` values of phi from below the curves' own to the greatest, with ``repetitions`` series
    each. A curve takes the null whose mean *estimate* of phi is the curve's; between two nulls, and
    only there, p is interpolated. Where phi is underestimated by chance that p is too small, so it
    is itself held against the p of the simulated series, found in the same way (a double bootstrap:
    Beran 1988), and their share is what is returned. ValueError as by `theory.breaks.fit_break`.
    """
    design = Design(x, y)
    found = fit_design(design)
    known = np.isfinite(found.autocorrelation)
    p = np.full(len(known), np.nan)
    if not known.any():
        return found.sup_f, p
    phi, statistic = found.autocorrelation[known], found.sup_f[known]
    nulls = []
    for value in np.linspace(phi.min(), MOST, NULLS):
        noise = autoregressive(value, (repetitions, len(design.x)), rng)
        nulls.append(fit_design(design.of(noise)))
    estimates = np.array([null.autocorrelation.mean() for null in nulls])
    greater = [-null.sup_f for null in nulls]
    first = _share(-statistic, phi, greater, estimates)
    reached = [_share(-null.sup_f, null.autocorrelation, greater, estimates) for null in nulls]
    p[known] = _share(first, phi, reached, estimates)
    return found.sup_f, p


def _share(values: NDArray, phi: NDArray, nulls: Sequence[NDArray], estimates: NDArray) -> NDArray:
    """Share of a null at or below each value, itself counted, between the nulls next to its phi."""
    table = np.array(
        [
            (1 + np.searchsorted(np.sort(null), values, side="right")) / (1 + len(null))
            for null in nulls
        ]
    )
    left = np.clip(np.searchsorted(estimates, phi) - 1, 0, len(estimates) - 2)
    way = np.clip((phi - estimates[left]) / (estimates[left + 1] - estimates[left]), 0, 1)
    columns = np.arange(len(values))
    return np.asarray((1 - way) * table[left, columns] + way * table[left + 1, columns])


def sign_flip_test(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, repetitions: int = 999
) -> tuple[float, float]:
    """Greatest t^2 over breaks of the members' mean change of slope, and its p.

    ``x`` is (points,), ``y`` (member, points). Every member has a line of its own, and a change of
    slope by least squares at each candidate. Without a common break, and with errors of a law that
    is symmetric about 0, the curve of residuals of a member is as likely as its negative, whatever
    its autocorrelation: so the null is made by flipping members at random. Members with a NaN are
    left out; M members give a p of 2^(1 - M) at least. ValueError with fewer than 2.
    """
    x, curves = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    curves = curves[np.isfinite(curves).all(-1)]
    members = len(curves)
    if members < 2:
        raise ValueError(f"y has {members} members without NaN, expected at least 2")
    base = np.linalg.qr(np.stack([np.ones_like(x), x - x.mean()], 1))[0]
    hinges = np.maximum(x - grid(x)[:, None], 0)
    changes = curves @ (hinges - hinges @ base @ base.T).T
    squares = (changes**2).mean(0)
    signs = rng.choice([-1.0, 1.0], size=(repetitions, members))
    signs = np.vstack([np.ones(members), signs])
    means = signs @ changes / members
    statistic = ((members - 1) * means**2 / (squares - means**2)).max(-1)
    # Equal up to rounding counts as reached: of few members the same flips come again.
    reached = (statistic[1:] >= statistic[0] * (1 - 1e-9)).sum()
    return float(statistic[0]), float((1 + reached) / (1 + repetitions))
