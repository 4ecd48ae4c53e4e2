"""Blahut-Arimoto annealed from large beta, for labels of any number."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .iteration import second_eigenvalue
from .mixing import (
    SMALLEST,
    Floats,
    Mixture,
    Solution,
    decode,
    encode,
    information,
    log_joint,
    log_kernel,
    log_likelihood,
    log_sums,
    refit,
)

# Sweeps far from criticality; near it they grow as the time constant 1 / |1 - beta lambda_2| does.
SWEEPS = 500
MOST_SWEEPS = 50_000
# Sweeps between attempts to fuse clusters.
FUSING = 20
# Times that atoms are added where the certificate finds the mixture wanting.
ADDITIONS = 100
# Steps of an ascent, and the distance within which two have met.
ASCENTS = 1000
RESOLUTION = 1e-5


def ascend(
    p: Floats, q: Floats, mixture: Mixture, beta: float, enough: float
) -> tuple[Floats, Floats]:
    """Posteriors (start, label) that are local maxima of c(r), and log c there.

    Started at every p(y|x) and cluster: r moves to the mean of p(y|x) under its own terms of
    c(r), which never lowers c, until a step raises log c by less than ``enough``. The greatest
    log c is a lower bound of the certificate, since a maximum may be missed.
    """
    log_ratio = np.log(p) - log_sums(log_joint(q, mixture, beta), 1)[:, 0]
    r = np.concatenate([q, mixture.posteriors, (p @ q)[None]])
    height = np.full((1, len(r)), -np.inf)
    for number in range(ASCENTS):
        terms = log_ratio[:, None] + log_kernel(q, np.log(np.maximum(r, SMALLEST)), beta)
        reached = log_sums(terms, 0)
        if (reached - height).max() < enough:
            break
        r, height = np.exp(terms - reached).T @ q, reached
        if number % FUSING == 0:
            met = _distinct(r)
            r, height = r[met], height[:, met]
    return r, reached[0]


def anneal(p: Floats, q: Floats, betas: Floats, tolerance: float) -> Iterator[Solution]:
    """Solutions at falling ``betas``: each starts from the one before, the first from p(t|x) = x.

    At each beta Blahut-Arimoto runs to its limit, clusters are fused as their p(y|t) meet, and a
    posterior with log c above ``tolerance`` joins as a new cluster. The gap of a solution is the
    greatest log c that `ascend` found: a lower bound of the certificate. Converged means that the
    last iteration reached its limit within its sweeps, and that no such posterior was found.
    """
    mixture = Mixture(p, q)
    for beta in betas:
        solution = refine(p, q, mixture, beta, tolerance)
        mixture = solution.mixture
        yield solution


def refine(p: Floats, q: Floats, mixture: Mixture, beta: float, tolerance: float) -> Solution:
    """The solution at ``beta`` that `anneal` reaches from a mixture."""
    for _ in range(ADDITIONS):
        mixture, settled = _iterate(p, q, mixture, beta, tolerance)
        peaks, heights = ascend(p, q, mixture, beta, tolerance / 100)
        gap = max(float(heights.max()), 0.0)
        if gap <= tolerance:
            break
        new = peaks[heights > tolerance / 2]
        atoms = np.concatenate([mixture.posteriors, new])
        weights = np.concatenate([mixture.weights, np.zeros(len(atoms) - len(mixture.weights))])
        kernel = log_kernel(q, np.log(np.maximum(atoms, SMALLEST)), beta)
        # Rows may be scaled as one likes: only their ratios to the mixture count.
        weights = refit(p, np.exp(kernel - kernel.max(1, keepdims=True)), weights)
        mixture = Mixture(weights[weights > 0], atoms[weights > 0])
    return Solution(mixture, gap, settled and gap <= tolerance)


def _distinct(posteriors: Floats) -> NDArray[np.intp]:
    """Indices of posteriors that differ by about `RESOLUTION` or more."""
    _, first = np.unique(np.round(posteriors / RESOLUTION), axis=0, return_index=True)
    return first


def _iterate(
    p: Floats, q: Floats, mixture: Mixture, beta: float, tolerance: float
) -> tuple[Mixture, bool]:
    """Blahut-Arimoto until what is left to gain, were it geometric, is below ``tolerance``."""
    distance = abs(1 - beta * second_eigenvalue(p, q))
    cap = int(min(SWEEPS / max(distance, SWEEPS / MOST_SWEEPS), MOST_SWEEPS))
    value, gain = -np.inf, np.inf
    for number in range(max(cap, SWEEPS)):
        if number % FUSING == 0:
            mixture = _fuse(p, q, mixture, beta)
        joint = log_joint(q, mixture, beta)
        log_z = log_sums(joint, 1)
        reached = float(p @ log_z[:, 0])
        mixture = decode(p, q, np.exp(joint - log_z))
        last, gain, value = gain, reached - value, reached
        factor = min(gain / last, 1 - 1e-6) if last > 0 else 0.0
        if gain * factor / (1 - factor) < tolerance and number > 2:
            return mixture, True
    return mixture, False


def _fuse(p: Floats, q: Floats, mixture: Mixture, beta: float) -> Mixture:
    """The mixture with the closest clusters made one, as long as F does not fall."""
    value = log_likelihood(p, q, mixture, beta)
    while len(mixture.weights) > 1:
        weights, r = mixture
        root = np.sqrt(r)
        closeness = np.triu(root @ root.T, 1)
        i, j = np.unravel_index(closeness.argmax(), closeness.shape)
        total = weights[i] + weights[j]
        fewer = Mixture(np.delete(weights, j), np.delete(r, j, axis=0))
        fewer.weights[i] = total
        fewer.posteriors[i] = (weights[i] * r[i] + weights[j] * r[j]) / total
        fused = log_likelihood(p, q, fewer, beta)
        if fused < value - 1e-14:
            break
        mixture, value = fewer, fused
    return mixture


def improve(
    p: Floats, q: Floats, betas: Floats, solutions: list[Solution], tolerance: float
) -> list[Solution]:
    """Every beta takes the best of all encoders found: the upper concave envelope of the curve.

    Where another beta's encoder has the lower I(X;T) - beta I(T;Y) by more than ``tolerance``,
    the solution is refined from there.
    """
    solutions = list(solutions)
    for _ in range(len(betas)):
        points = np.array(
            [
                information(p, q, encode(q, solution.mixture, beta))
                for beta, solution in zip(betas, solutions, strict=True)
            ]
        )
        lagrangian = points[:, 0] - np.multiply.outer(betas, points[:, 1])
        best = lagrangian.argmin(1)
        worse = lagrangian.diagonal() - lagrangian.min(1) > tolerance
        if not worse.any():
            break
        for i in worse.nonzero()[0]:
            solutions[i] = refine(p, q, solutions[best[i]].mixture, betas[i], tolerance)
    return solutions
