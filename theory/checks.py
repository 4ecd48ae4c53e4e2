"""Input that functions can work with, or an error that says which, what was found, expected."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Asymmetry up to this share of the largest entry is rounding.
ASYMMETRY = 1e-10


def finite(name: str, values: ArrayLike) -> Floats:
    """``values`` as floats; ValueError unless every one is finite."""
    array = np.asarray(values, dtype=float)
    return _where(np.isfinite(array), name, array, "finite")


def positive(name: str, values: ArrayLike) -> Floats:
    """``values`` as floats; ValueError unless every one is finite and more than 0."""
    array = np.asarray(values, dtype=float)
    return _where(np.isfinite(array) & (array > 0), name, array, "finite and more than 0")


def non_negative(name: str, values: ArrayLike) -> Floats:
    """``values`` as floats; ValueError unless every one is finite and 0 or more."""
    array = np.asarray(values, dtype=float)
    return _where(np.isfinite(array) & (array >= 0), name, array, "finite and 0 or more")


def at_least(name: str, value: int, least: int) -> int:
    """``value``; ValueError unless it is an integer of at least ``least``."""
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {value!r}, expected an integer of at least {least}")
    return int(value)


def _where(right: NDArray[np.bool_], name: str, array: Floats, expected: str) -> Floats:
    if not right.all():
        raise ValueError(f"{name} is {array[~right][0]}, expected {expected}")
    return array


def checked_joint(p_xy: ArrayLike) -> Floats:
    """The joint distribution ``p_xy`` (x, y) as floats, if it is one in which each x occurs.

    A label y may be without probability.

    ValueError, naming the entry, if an axis is missing or empty, an entry is negative or NaN, the
    sum is further than 1e-9 from 1, or a row is all zero.

    >>> print(checked_joint([[0.5, 0], [0, 0.5]]))
    [[0.5 0. ]
     [0.  0.5]]
    """
    p = np.asarray(p_xy, dtype=float)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"p_xy has shape {p.shape}, expected (x, y), not empty")
    wrong = ~(p >= 0)
    if wrong.any():
        x, y = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"p_xy at {(x, y)} is {p[x, y]}, expected a probability")
    if not abs(p.sum() - 1) <= 1e-9:
        raise ValueError(f"p_xy sums to {p.sum():.12g}, expected 1")
    empty = p.sum(1) == 0
    if empty.any():
        raise ValueError(f"p_xy is 0 all along row {empty.argmax()}, expected p(x) above 0")
    return p


def checked_encoder(p_t_given_x: ArrayLike, patterns: int, *, name: str = "p_t_given_x") -> Floats:
    """Encoder ``p_t_given_x`` of ``patterns`` x as floats of shape (x, t).

    ValueError, naming the entry or row of ``name``, if it has another shape, an entry that is no
    probability, or a row that does not sum to 1 within 1e-9.

    >>> print(checked_encoder([[1, 0], [0.5, 0.5]], 2))
    [[1.  0. ]
     [0.5 0.5]]
    """
    p = np.asarray(p_t_given_x, dtype=float)
    if p.ndim != 2 or 0 in p.shape or len(p) != patterns:
        raise ValueError(f"{name} has shape {p.shape}, expected ({patterns}, t)")
    wrong = ~((p >= 0) & (p <= 1 + 1e-9))
    if wrong.any():
        x, t = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name} at {(x, t)} is {p[x, t]}, expected a probability")
    off = np.abs(p.sum(1) - 1) > 1e-9
    if off.any():
        raise ValueError(
            f"{name} sums to {p.sum(1)[off][0]:.12g} in row {off.argmax()}, expected 1"
        )
    return p


def positive_row(name: str, values: ArrayLike) -> Floats:
    """``values`` of one axis as floats; ValueError, naming the entry, unless finite and above 0.

    >>> print(positive_row("betas", [1, 2.5]))
    [1.  2.5]
    """
    row = np.asarray(values, dtype=float)
    if row.ndim != 1 or row.size == 0:
        raise ValueError(f"{name} has shape {row.shape}, expected one axis, not empty")
    wrong = ~((row > 0) & np.isfinite(row))
    if wrong.any():
        at = wrong.argmax()
        raise ValueError(f"{name} at {at} is {row[at]}, expected finite and above 0")
    return row


def symmetric(name: str, values: ArrayLike) -> Floats:
    """``values`` (d, d) as floats, made symmetric to the last digit.

    ValueError if they are not finite, no square matrix, empty, or differ from their transpose by
    more than `ASYMMETRY` of the largest.

    >>> print(symmetric("covariance", [[2, 1], [1, 3]]))
    [[2. 1.]
     [1. 3.]]
    """
    matrix = finite(name, values)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} has shape {matrix.shape}, expected a square matrix, not empty")
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > ASYMMETRY * np.abs(matrix).max():
        raise ValueError(
            f"{name} differs from its transpose by {asymmetry:.3g}, expected a symmetric matrix"
        )
    return np.asarray((matrix + matrix.T) / 2)
