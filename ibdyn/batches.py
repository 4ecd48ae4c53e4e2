"""The order of training patterns in each epoch, a pure function of a key and the epoch.

A counter-based generator (splitmix64, Steele, Lea & Flood 2014) has no state to carry: any epoch
can be had at once, so a resumed run goes on with the same bits, in every engine.
"""

import numba
import numpy as np
from numpy.typing import NDArray

# The increment of its counter: 2^64 over the golden ratio, rounded to an odd number.
GAMMA = np.uint64(0x9E3779B97F4A7C15)


@numba.njit
def mix(z):
    """Finaliser of splitmix64: a bijection of the 64-bit integers that passes for noise."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def permutation(key, epoch, out):
    """Write the permutation of 0..len(out)-1 at (``key``, ``epoch``): Fisher-Yates.

    The upper 32 bits of each draw are mapped to 0..i by a multiplication (Lemire 2019, without
    the rejection step): a bias below (i + 1) / 2^32.
    """
    state = mix(np.uint64(key) + GAMMA * np.uint64(epoch + 1))
    for i in range(len(out)):
        out[i] = i
    for i in range(len(out) - 1, 0, -1):
        draw = mix(state + GAMMA * np.uint64(i)) >> np.uint64(32)
        j = np.int64((draw * np.uint64(i + 1)) >> np.uint64(32))
        out[i], out[j] = out[j], out[i]


def orders(keys: NDArray[np.uint64], epoch: int, size: int) -> NDArray[np.int64]:
    """Permutations of ``size`` patterns at ``epoch``, one row a key: shape (member, size)."""
    out = np.empty((len(keys), size), dtype=np.int64)
    for key, row in zip(keys, out, strict=True):
        permutation(key, epoch, row)
    return out
