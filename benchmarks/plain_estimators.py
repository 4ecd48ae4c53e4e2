"""Estimators of information as people run them: one layer at a time, whole matrices, loops.

Written for the comparison, in the form of the published codes; none of it is used elsewhere.
Activations are (pattern, unit), patterns equally probable, labels hard, results in bits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import digamma

from benchmarks.plain import entropy_of_rows
from ibdyn.estimators import Binned

Floats = NDArray[np.float64]

ROWS = 512  # of the reference, at once


def binned(t: NDArray, labels: NDArray, policy: Binned, limits: tuple[float, float]) -> Floats:
    """I(X;T), I(T;Y) of the rows of cells, counted by ``numpy.unique(axis=0)``."""
    if policy.policy == "width":
        rows = np.floor(t.astype(float) / policy.width)
    else:
        edges = np.linspace(*limits, policy.count + 1)
        if policy.policy == "quantiles":
            values = np.unique(t).astype(float)
            at = np.arange(1, policy.count) * len(values) // policy.count
            edges = (values[at - 1] + values[at]) / 2
        rows = np.minimum(np.digitize(t, edges), policy.count)
    total = entropy_of_rows(rows)
    given = sum(
        (labels == y).mean() * entropy_of_rows(rows[labels == y]) for y in np.unique(labels)
    )
    return np.array([total, total - given])


def _entropy(t: torch.Tensor, variance: float) -> float:
    """Entropy estimate of the mixture, less that of its noise, from the matrix of all pairs."""
    norms = (t**2).sum(1, keepdim=True)
    exponents = -(norms + norms.T - 2 * t @ t.T) / (2 * variance)
    log_density = torch.logsumexp(exponents, 1) - np.log(len(t))
    return -float(log_density.mean()) / np.log(2)


def pairwise_input(t: NDArray, variance: float) -> Floats:
    """Lower and upper bound on I(X;T+Z), one pass each, in the precision of ``t``."""
    x = torch.from_numpy(t)
    return np.array([_entropy(x, 4 * variance), _entropy(x, variance)])


def pairwise(t: NDArray, labels: NDArray, variance: float) -> Floats:
    """The bounds on I(X;T+Z), then those on I(T+Z;Y), from matrices of each class as well."""
    lower, upper = pairwise_input(t, variance)
    given = sum(
        (labels == y).mean() * pairwise_input(t[labels == y], variance) for y in np.unique(labels)
    )
    return np.array([lower, upper, lower - given[1], upper - given[0]])


def pairwise_reference(t: NDArray, variance: float) -> Floats:
    """The bounds on I(X;T+Z) in float64, distances from differences."""
    x = torch.from_numpy(t.astype(float))
    found = torch.zeros(2, dtype=torch.float64)
    for rows in x.split(ROWS):
        square = torch.zeros(len(rows), len(x), dtype=torch.float64)
        for a, b in zip(rows.T, x.T, strict=True):
            square += (a[:, None] - b) ** 2
        for side, scale in enumerate((8, 2)):
            log_density = torch.logsumexp(-square / (scale * variance), 1) - np.log(len(x))
            found[side] -= log_density.sum() / len(x)
    return found.numpy() / np.log(2)


def mixture(t: NDArray, labels: NDArray, variance: float, rng: np.random.Generator) -> Floats:
    """I(X;T+Z), I(T+Z;Y) from one draw for each pattern and its distances to all patterns."""
    centres = torch.from_numpy(t.astype(float))
    z = torch.from_numpy(np.sqrt(variance) * rng.standard_normal(t.shape))
    own = -(z**2).sum(1) / (2 * variance)
    distances = torch.cdist(centres + z, centres)
    exponents = -(distances**2) / (2 * variance) - np.log(len(t))
    y = torch.from_numpy(labels)
    total = torch.logsumexp(exponents, 1)
    given = torch.empty_like(total)
    for label in y.unique():
        one = y == label
        given[one] = torch.logsumexp(exponents[one][:, one], 1) - one.double().mean().log()
    return np.array([float((own - total).mean()), float((given - total).mean())]) / np.log(2)


def neighbours(a: NDArray, b: NDArray, k: int) -> Floats:
    """I(A;B) of samples (n, unit) by Kraskov's first formula, all distances sorted."""
    d_a, d_b = (np.abs(one[:, None] - one).max(-1) for one in (a, b))
    radius = np.sort(np.maximum(d_a, d_b), 1)[:, k, None]
    # The sample itself is among those counted: the + 1 of the formula.
    counted = digamma((d_a < radius).sum(1)) + digamma((d_b < radius).sum(1))
    return np.array([(digamma(k) + digamma(len(a)) - counted.mean()) / np.log(2)])


def gaussian(weights: NDArray, covariance: NDArray, noise_variance: float) -> Floats:
    """I(X;T) of linear-Gaussian layers (member, unit, input), one determinant at a time."""
    found = []
    for w in weights:
        signal = w @ covariance @ w.T / noise_variance
        found.append(np.linalg.slogdet(np.eye(len(w)) + signal)[1] / (2 * np.log(2)))
    return np.array(found)


def _sampled_entropy(values: NDArray) -> float:
    """Entropy by Miller and Madow of rows or single values."""
    counts = np.unique(values, axis=0, return_counts=True)[1]
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum() + (len(p) - 1) / (2 * len(values))) / np.log(2)


def sampled_information(
    cells: NDArray, labels: NDArray, repetitions: int, rng: np.random.Generator
) -> Floats:
    """I(T;Y) of samples, then with their labels shuffled, counted anew each time."""
    found = []
    for shuffle in range(repetitions + 1):
        y = rng.permuted(labels) if shuffle else labels
        joint = _sampled_entropy(np.stack([cells, y], 1))
        found.append(_sampled_entropy(cells) + _sampled_entropy(y) - joint)
    return np.array(found)
