"""Laws of weight growth: how far from their start weights are after a time, with and without noise.

A logarithm in time is what diffusion in a random landscape predicts, and what plain gradient
descent does on separable data: only a control without noise tells them apart.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import wrightomega

from .checks import Floats, at_least, non_negative, positive


def separable_growth(time: ArrayLike) -> Floats:
    """Weight w of logistic loss on separable data, without noise: dw/dt = 1 / (1 + e^w), w(0) = 0.

    At ``time`` t of any shape. Exact: e^w + w = t + 1, which grows like ln t (Soudry et al. 2018).

    ValueError if ``time`` is negative or not finite.

    >>> print(separable_growth([10, 100, 1000, 10000]).round(4))
    [2.1773 4.5688 6.9018 9.2095]
    """
    t = non_negative("time", time)
    return np.asarray(np.log(wrightomega(t + 1)))


def free_diffusion(time: ArrayLike, *, diffusion: ArrayLike, dimension: int) -> Floats:
    """Mean squared displacement 2 D d t of walkers that nothing holds, in ``dimension`` d.

    ``time`` t and ``diffusion`` D broadcast.
    ValueError if ``time`` or ``diffusion`` is negative or not finite, or ``dimension`` below 1.
    """
    t, d = non_negative("time", time), non_negative("diffusion", diffusion)
    return np.asarray(2 * d * at_least("dimension", dimension, 1) * t)


def ultra_slow_diffusion(time: ArrayLike, *, roughness: float) -> Floats:
    """Mean squared displacement (ln t)^(4/alpha) in a random landscape, up to a constant factor.

    ``roughness`` alpha: the variance of L(w) - L(w') grows as |w - w'|^alpha; 1 is Sinai's walk,
    2 gives displacements like ln t (Hoffer et al. 2017; Marinari et al. 1983). Holds as t goes to
    infinity; approached slowly. ``time`` is of any shape.

    ValueError if ``time`` is below 1 or not finite, or ``roughness`` is not above 0.
    """
    t = positive("time", time)
    if (t < 1).any():
        raise ValueError(f"time is {t.min()}, expected at least 1")
    return np.asarray(np.log(t) ** (4 / float(positive("roughness", roughness))))
