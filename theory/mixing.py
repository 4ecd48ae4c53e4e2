"""The bottleneck as the likelihood of a mixing distribution: concave, so a point has a certificate.

Without the encoder, which is optimal given the rest, a bottleneck is weights w on posteriors r:

    min over p(t|x) of [I(X;T) + beta E KL(p(y|x) || p(y|t))] = -max over w of F(w),
    F(w) = sum_x p(x) log sum_t w(t) exp(-beta KL(p(y|x) || r_t)).

F is concave in the measure w, as in the maximum likelihood of a mixing distribution (Kiefer &
Wolfowitz 1956, Lindsay 1983), and its directional derivative towards an atom at r is c(r) - 1,

    c(r) = sum_x p(x) exp(-beta KL(p(y|x) || r)) / sum_t w(t) exp(-beta KL(p(y|x) || r_t)),

so that the optimum F* obeys F* - F(w) <= log max_r c(r). All logarithms here are natural. Arrays:
``p`` (class,) are the p(x), ``q`` (class, label) the p(y|x).
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.special import xlogy

from .checks import Floats

# Stands for zero under a logarithm: the divergence from a posterior without a label stays finite.
SMALLEST = 1e-300
NEWTON_STEPS = 3


class Mixture(NamedTuple):
    """Weights (cluster,) on posteriors (cluster, label)."""

    weights: Floats
    posteriors: Floats


class Solution(NamedTuple):
    """A mixture, the gap F* - F in nats that was found for it, and whether its solver was done."""

    mixture: Mixture
    gap: float
    converged: bool


def floored_log(values: Floats) -> Floats:
    """Logarithm of ``values``, of their shape, what is below `SMALLEST` counting as it."""
    return np.log(np.maximum(values, SMALLEST))


def log_kernel(q: Floats, log_posteriors: Floats, beta: float) -> Floats:
    """-beta KL(p(y|x) || r), shape (class, cluster)."""
    return beta * (q @ log_posteriors.T - xlogy(q, q).sum(1)[:, None])


def log_joint(q: Floats, mixture: Mixture, beta: float) -> Floats:
    """Log w(t) - beta KL(p(y|x) || r_t), shape (class, cluster)."""
    weights, posteriors = mixture
    kernel = log_kernel(q, floored_log(posteriors), beta)
    return kernel + floored_log(weights)


def log_sums(terms: Floats, axis: int) -> Floats:
    """Logarithm of the sum of exp(terms) along an axis, which stays (of length one)."""
    most = terms.max(axis, keepdims=True)
    return most + np.log(np.exp(terms - most).sum(axis, keepdims=True))


def log_likelihood(p: Floats, q: Floats, mixture: Mixture, beta: float) -> float:
    """F(w), in nats."""
    return float(p @ log_sums(log_joint(q, mixture, beta), 1)[:, 0])


def encode(q: Floats, mixture: Mixture, beta: float) -> Floats:
    """The optimal encoder p(t|x) of a mixture, shape (class, cluster)."""
    joint = log_joint(q, mixture, beta)
    return np.exp(joint - log_sums(joint, 1))


def decode(p: Floats, q: Floats, encoder: Floats) -> Mixture:
    """The mixture of an encoder: p(t) and p(y|t), of the clusters that are used."""
    joint = p[:, None] * encoder
    weights = joint.sum(0)
    used = weights > 0
    return Mixture(weights[used], joint.T[used] @ q / weights[used, None])


def information(p: Floats, q: Floats, encoder: Floats) -> tuple[float, float]:
    """I(X;T) and I(T;Y) of an encoder (class, cluster), in nats."""
    weights, posteriors = decode(p, q, encoder)
    used = encoder[:, p @ encoder > 0]
    i_x = p @ (xlogy(used, used) - xlogy(used, weights)).sum(1)
    i_y = weights @ (xlogy(posteriors, posteriors) - xlogy(posteriors, p @ q)).sum(1)
    return float(i_x), float(i_y)


def refit(p: Floats, kernel: Floats, weights: Floats) -> Floats:
    """Weights of higher likelihood for the atoms of ``kernel`` (class, cluster), some exactly zero.

    The constrained Newton method (Wang 2007): the quadratic model of F is least on the simplex
    where ||sqrt(p) (S v - 2)|| is, S = kernel / mixture, which is non-negative least squares after
    one change of variables; then the step is halved until it holds what its slope promised.
    """
    for _ in range(NEWTON_STEPS):
        mixture = np.maximum(kernel @ weights, SMALLEST)
        design = np.sqrt(p)[:, None] * (kernel / mixture[:, None] - 2)
        goal = np.zeros(len(p) + 1)
        goal[-1] = 1
        found, _ = nnls(np.vstack([design, np.ones(len(weights))]), goal)
        step = found / found.sum() - weights
        slope = (p / mixture) @ (kernel @ step)
        if slope < 1e-15:
            break
        length, before = 1.0, p @ np.log(mixture)
        while p @ floored_log(kernel @ (weights + length * step)) < before + 0.1 * length * slope:
            length /= 2
            if length < 1e-12:
                return weights
        weights = np.maximum(weights + length * step, 0)
    return weights / weights.sum()
