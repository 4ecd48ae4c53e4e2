"""Barriers of entropy: how long a search without guidance takes to find a rare state.

A target of one state in 2^bits, or in e^nats, takes exp(entropy) trials: the law of relaxation
times Delta t ~ exp(Delta S) with no dynamics but chance. A drift towards the target breaks it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

from .checks import Floats, at_least, non_negative


def mean_trials(bits: ArrayLike) -> Floats:
    """Mean number of independent trials to hit one state in 2^``bits``, of any shape: 2^bits.

    ValueError if ``bits`` is negative or not finite.
    """
    return np.exp2(non_negative("bits", bits))


def trials(bits: float, searches: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Trials (search,) of ``searches`` independent searches: geometric of success 2^-``bits``.

    ValueError if ``bits`` is negative or not finite, or ``searches`` is negative.
    """
    chance = 1 / float(mean_trials(bits))
    return rng.geometric(chance, size=at_least("searches", searches, 0))


def cube_steps(bits: int) -> Floats:
    """Mean steps of a walk that flips one random bit a step, to a vertex: (bits + 1,) by distance.

    From distance k it takes e_k steps to get one nearer, e_k = (n/k)(1 + (n - k)/n e_(k+1)) on the
    n-cube (Aldous & Fill 2002, chapter 5), so e_1 + ... + e_k to arrive.

    ValueError if ``bits`` is less than 1.

    >>> print(*cube_steps(3))
    0.0 7.0 9.0 10.0
    """
    n = at_least("bits", bits, 1)
    nearer = np.ones(n)
    for k in range(n - 1, 0, -1):
        nearer[k - 1] = (n + (n - k) * nearer[k]) / k
    return np.concatenate([[0.0], nearer.cumsum()])


def mean_cube_steps(bits: int) -> float:
    """Mean of `cube_steps` from a uniform vertex: 2^bits times a factor that goes to 1.

    ValueError if ``bits`` is less than 1.
    """
    shares = comb(bits, np.arange(at_least("bits", bits, 1) + 1)) / 2.0**bits
    return float(shares @ cube_steps(bits))
