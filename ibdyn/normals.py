"""Gaussian noise of each optimiser step, a pure function of a key, the step and the parameter.

Like `batches`, a counter of splitmix64 without a state to carry: a resumed run goes on with the
same numbers, and every engine draws them from here.
"""

from math import cos, log, pi, sin, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .batches import GAMMA, mix

# 53 bits are a float64's, so uniforms are exact multiples of 2^-53.
UNIT = 2.0**-53
BITS = np.uint64(64 - 53)


@njit
def fill(key, step, out):
    """Write standard normals to ``out`` (parameter,), two for each two counts: Box & Muller 1958.

    They are made in float64 and rounded to the type of ``out``. The radius is finite, since its
    uniform is in (0, 1]: no normal exceeds sqrt(-2 ln 2^-53) = 8.6.
    """
    state = mix(np.uint64(key) + GAMMA * np.uint64(step + 1))
    for p in range(0, out.size, 2):
        radial = mix(state + GAMMA * np.uint64(p + 1)) >> BITS
        angular = mix(state + GAMMA * np.uint64(p + 2)) >> BITS
        radius = sqrt(-2.0 * log((np.float64(radial) + 1.0) * UNIT))
        angle = 2.0 * pi * (np.float64(angular) * UNIT)
        out[p] = radius * cos(angle)
        if p + 1 < out.size:
            out[p + 1] = radius * sin(angle)


def standard_normals(
    keys: NDArray[np.uint64], step: int, size: int, dtype: str = "float64"
) -> NDArray:
    """Standard normals of the update after ``step`` steps, one row a key: (member, parameter)."""
    out = np.empty((len(keys), size), dtype)
    for key, row in zip(keys, out, strict=True):
        fill(key, step, row)
    return out
