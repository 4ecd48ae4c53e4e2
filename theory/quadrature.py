"""Integrals along a line, panel by panel, with sixteen Gauss-Legendre points in each.

Within a panel the integrand is the polynomial through its values, so that running integrals are as
exact at every point as the total is at the end: all digits for what is smooth on the scale of a
panel.
"""

import numpy as np
from numpy.polynomial import legendre

from .checks import Floats

_POINTS, _WEIGHTS = legendre.leggauss(16)
_BASIS = legendre.legvander(_POINTS, len(_POINTS) - 1)
# Legendre coefficients of the polynomial through values, by the rule's own orthogonality.
_COEFFICIENTS = (np.arange(len(_POINTS)) + 0.5)[:, None] * (_WEIGHTS[:, None] * _BASIS).T
_RUNNING = legendre.legvander(_POINTS, len(_POINTS)) @ legendre.legint(_COEFFICIENTS, lbnd=-1)


def points(edges: Floats) -> Floats:
    """Where to evaluate, (panel, point), for panels between ``edges`` (panel + 1,)."""
    return edges[:-1, None] + np.diff(edges)[:, None] * (1 + _POINTS) / 2


def totals(values: Floats, edges: Floats) -> Floats:
    """Integral over each panel, (panel,), of ``values`` at `points`.

    >>> edges = np.array([0.0, 1.0, 3.0])
    >>> print(totals(points(edges) ** 2, edges).round(12))
    [0.33333333 8.66666667]
    """
    return values @ _WEIGHTS * np.diff(edges) / 2


def running(values: Floats, edges: Floats) -> Floats:
    """Integral from the first edge to each of the `points`, (panel, point), of ``values`` there."""
    whole = totals(values, edges)
    before = np.concatenate([[0.0], whole.cumsum()[:-1]])
    return before[:, None] + values @ _RUNNING.T * np.diff(edges)[:, None] / 2
