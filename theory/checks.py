"""Numbers that functions can work with, or an error that says which, what was found, expected."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


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
