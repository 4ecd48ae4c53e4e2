"""Blahut-Arimoto annealed from large beta, for labels of any number.

Arrays are those of `mixing`; every ``tolerance`` is in nats of F.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .checks import Floats
from .iteration import second_eigenvalue
from .mixing import (
    SMALLEST,
    Mixture,
    Solution,
    encode,
    floored_log,
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
# Clusters closer than this in beta (1 - sum_y sqrt(p(y|t) p(y|t'))) may be one, and the sweeps that
# they have to show it.
CLOSE = 0.1
FUSING = 10
# Times that atoms are added where the certificate finds the mixture wanting.
ADDITIONS = 30
# Steps of an ascent, and the distance within which two starts are one.
ASCENTS = 300
RESOLUTION = 1e-5


def ascend(
    p: Floats, q: Floats, mixture: Mixture, beta: float, enough: float
) -> tuple[Floats, Floats]:
    """Posteriors (start, label) that are local maxima of c(r), and log c there.

    Started at every p(y|x) and cluster: r moves to the mean of p(y|x) under its own terms of
    c(r), which never lowers c, until a step raises log c by less than ``enough``. The greatest
    log c is a lower bound of the certificate, since a maximum may be missed or not be reached.
    """
    log_ratio = np.log(p) - log_sums(log_joint(q, mixture, beta), 1)[:, 0]
    r = np.concatenate([q, mixture.posteriors, (p @ q)[None]])
    r = r[_distinct(r)]
    height = np.full(len(r), -np.inf)
    rising = np.arange(len(r))
    for _ in range(ASCENTS):
        at = floored_log(r[rising])
        terms = log_ratio[:, None] + log_kernel(q, at, beta)
        reached = log_sums(terms, 0)[0]
        still = reached - height[rising] > enough
        height[rising] = reached
        rising = rising[still]
        if not len(rising):
            break
        r[rising] = np.exp(terms[:, still] - reached[still]).T @ q
    # The last move of a start that was cut short, too, has not lowered its c.
    return r, height


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
        mixture, settled = _iterate(p, q, _fuse(p, q, mixture, beta), beta, tolerance)
        mixture = _fuse(p, q, mixture, beta)
        peaks, heights = ascend(p, q, mixture, beta, tolerance / 100)
        gap = max(float(heights.max()), 0.0)
        if gap <= tolerance:
            break
        new = peaks[heights > tolerance / 2]
        atoms = np.concatenate([mixture.posteriors, new])
        weights = np.concatenate([mixture.weights, np.zeros(len(atoms) - len(mixture.weights))])
        kernel = log_kernel(q, floored_log(atoms), beta)
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
    """Blahut-Arimoto until a cycle of three sweeps gains less than ``tolerance``/1000.

    Two sweeps give a difference and its change, and with them a step along the slowest modes
    (squared extrapolation, Varadhan & Roland 2008); it is kept where F does not fall.
    """
    distance = abs(1 - beta * second_eigenvalue(p, q))
    cap = int(SWEEPS / max(distance, SWEEPS / MOST_SWEEPS)) + SWEEPS
    value = -np.inf
    for _ in range(0, cap, 3):
        first, _ = _sweep(p, q, mixture, beta)
        second, middle = _sweep(p, q, first, beta)
        ahead = _extrapolate(mixture, first, second)
        mixture, reached = _sweep(p, q, second if ahead is None else ahead, beta)
        if reached < middle:
            mixture, reached = _sweep(p, q, second, beta)
        if reached - value < tolerance / 1000:
            return mixture, True
        value = reached
    return mixture, False


def _sweep(p: Floats, q: Floats, mixture: Mixture, beta: float) -> tuple[Mixture, float]:
    """The mixture after a Blahut-Arimoto iteration, all clusters kept, and F before it."""
    joint = log_joint(q, mixture, beta)
    log_z = log_sums(joint, 1)
    shares = p[:, None] * np.exp(joint - log_z)
    weights = shares.sum(0)
    posteriors = shares.T @ q / np.maximum(weights, SMALLEST)[:, None]
    return Mixture(weights, posteriors), float(p @ log_z[:, 0])


def _extrapolate(start: Mixture, first: Mixture, second: Mixture) -> Mixture | None:
    """Where three mixtures point to; None when that is no mixture."""
    table = [np.column_stack(mixture) for mixture in (start, first, second)]
    change = table[1] - table[0]
    turn = table[2] - table[1] - change
    size = float(np.linalg.norm(turn))
    if size == 0:
        return None
    length = max(float(np.linalg.norm(change)) / size, 1.0)
    ahead = table[0] + 2 * length * change + length**2 * turn
    if (ahead < 0).any():
        return None
    return Mixture(ahead[:, 0], ahead[:, 1:])


def _fuse(p: Floats, q: Floats, mixture: Mixture, beta: float) -> Mixture:
    """The mixture with close clusters made one, where F, after some sweeps, has not fallen."""
    value = log_likelihood(p, q, mixture, beta)
    refused: set[int] = set()
    while len(refused) < len(mixture.weights) - 1:
        weights, r = mixture
        apart = 1 - np.sqrt(r) @ np.sqrt(r).T
        np.fill_diagonal(apart, np.inf)
        apart[list(refused)] = np.inf
        i, j = (int(k) for k in np.unravel_index(apart.argmin(), apart.shape))
        if beta * apart[i, j] > CLOSE:
            break
        fewer = Mixture(np.delete(weights, j), np.delete(r, j, axis=0))
        at = i - (j < i)
        fewer.weights[at] = weights[i] + weights[j]
        fewer.posteriors[at] = (weights[i] * r[i] + weights[j] * r[j]) / fewer.weights[at]
        for _ in range(FUSING):
            fewer, _ = _sweep(p, q, fewer, beta)
        fused = log_likelihood(p, q, fewer, beta)
        if fused < value - 1e-14:
            refused.add(i)
        else:
            mixture, value, refused = fewer, fused, set()
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
