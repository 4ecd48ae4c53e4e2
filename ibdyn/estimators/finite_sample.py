"""Entropy and label information as an experimenter with n samples would estimate them.

Only for cells and labels that were sampled: where all patterns are known, `theory.information`
is exact. Every estimator takes counts (..., cell) of integers, empty cells among them or not, and
returns bits (...); they differ in how they make up for the cells not seen. None can where hardly
any cell was seen twice, so each warns (CoverageWarning) if more than half the samples are alone
in their cells.

Letters: n samples, n_i of them in cell i, f_1 and f_2 cells with one sample and with two.
"""

import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, entr, xlog1py

Floats = NDArray[np.float64]
Entropy = Callable[[ArrayLike], Floats]

# By name, as `information` and `permutation_null` take them.
ESTIMATORS: dict[str, Entropy] = {}

# Numbers of a shuffled table held at once by `permutation_null`.
AT_ONCE = 2**20


class CoverageWarning(UserWarning):
    """More than half of the samples are alone in their cells, and no estimator can be trusted."""


_NATS: dict[str, Callable[[Floats], Floats]] = {}


def _estimator(formula: Callable[[Floats], Floats]) -> Entropy:
    """The formula, in nats of counts that are in order, as an estimator in ESTIMATORS."""

    @functools.wraps(formula)
    def estimate(counts: ArrayLike) -> Floats:
        checked = _checked(counts)
        _warn_if_hardly_covered(checked)
        return np.asarray(formula(checked) / np.log(2))

    name = formula.__name__
    _NATS[name], ESTIMATORS[name] = formula, estimate
    return estimate


@_estimator
def plugin(counts: Floats) -> Floats:
    """Entropy of the observed frequencies: -sum (n_i/n) log(n_i/n), of the bias -(K - 1)/2n nats.

    K is the number of cells that can be seen; the bias is that of independent samples, and
    (N - n)/(N - 1) of it for samples without replacement from N patterns. ValueError unless counts
    are integers of 0 or more with a positive sum, as for every estimator here.

    >>> print(plugin([2, 2]))
    1.0
    """
    return entr(counts / counts.sum(-1, keepdims=True)).sum(-1)


@_estimator
def miller_madow(counts: Floats) -> Floats:
    """Plug-in entropy less its first bias, with the observed cells for K (Miller 1955).

    >>> print(miller_madow([2, 2]).round(6))
    1.180337
    """
    return _spread(np.log, counts) + ((counts > 0).sum(-1) - 1) / (2 * counts.sum(-1))


@_estimator
def jackknife(counts: Floats) -> Floats:
    """Entropy n H - (n - 1) times the mean plug-in entropy H without one sample (Zahl 1977).

    Summed over cells this is d(n) - sum (n_i/n) d(n_i) with d(m) = m log m - (m - 1) log(m - 1).

    >>> print(jackknife([2, 2]).round(6))
    1.245112
    """
    return _spread(lambda m: np.log(m) - xlog1py(m - 1, -1 / m), counts)


@_estimator
def grassberger(counts: Floats) -> Floats:
    """Entropy log n - sum (n_i/n) G(n_i) (Grassberger 2003, arXiv:physics/0307138).

    G(m) = psi(m) + (-1)^m/2 [psi((m + 1)/2) - psi(m/2)]. A single cell
    does not have 0: one sample has 1.83 bits, many have next to none.

    >>> print(grassberger([2, 2]).round(6))
    0.947356
    """
    n = counts.sum(-1)
    m = np.maximum(counts, 1)
    sign = np.where(m % 2 == 0, 0.5, -0.5)
    g = digamma(m) + sign * (digamma((m + 1) / 2) - digamma(m / 2))
    return np.log(n) - (counts * g).sum(-1) / n


@_estimator
def chao_shen(counts: Floats) -> Floats:
    """Entropy -sum q_i log q_i / (1 - (1 - q_i)^n), q_i = C n_i/n with the coverage C = 1 - f_1/n.

    The Horvitz-Thompson estimator of Chao & Shen (2003). If all samples are alone in their cells
    one of them is taken not to be, so that C is above 0.

    >>> print(chao_shen([2, 2]).round(6))
    1.066667
    """
    n = counts.sum(-1, keepdims=True)
    alone = (counts == 1).sum(-1, keepdims=True)
    q = (1 - np.minimum(alone, n - 1) / n) * counts / n
    # A single cell has q = 1 and is certain to be seen; an empty one adds nothing.
    unsure = (q > 0) & (q < 1)
    seen = -np.expm1(n * np.log1p(-q, where=unsure, out=np.zeros_like(q)))
    return np.divide(entr(q), seen, where=unsure, out=np.zeros_like(q)).sum(-1)


@_estimator
def chao_wang_jost(counts: Floats) -> Floats:
    """Entropy sum (n_i/n)(psi(n) - psi(n_i)) and an estimate of what unseen cells add.

    The addition is (f_1/n)(1 - A)^(1 - n) [-log A - sum_(r<n) (1 - A)^r/r] with
    A = 2 f_2/((n - 1) f_1 + 2 f_2), or 2/((n - 1)(f_1 - 1) + 2) if f_2 = 0 (Chao, Wang & Jost
    2013). Of these estimators the one to start with: least biased where many cells are not seen.

    >>> print(chao_wang_jost([2, 2]).round(6))
    1.202246
    """
    n = counts.sum(-1)
    once, twice = (counts == 1).sum(-1), (counts == 2).sum(-1)
    pairs = np.where(twice > 0, 2 * twice, 2)
    gap = (n - 1) * np.where(twice > 0, once, np.maximum(once - 1, 0))
    return _spread(digamma, counts) + once / n * _unseen(n, pairs / (gap + pairs))


def _unseen(n: Floats, a: Floats) -> Floats:
    """(1 - A)^(1 - n) [-log A - sum_(r<n) (1 - A)^r/r], without its cancellation.

    The bracket is the tail sum_(r>=n) (1 - A)^r/r of the logarithm, so with q = 1 - A this is
    sum_(j>=0) q^(j+1)/(n + j) = q/n times the integral of e^-v/(1 - q e^(-v/n)) over v > 0. By the
    trapezoidal rule in s = log v: the integrand is analytic for |Im s| < pi/2, so steps of 1/4
    leave errors of order exp(-4 pi^2), below rounding.
    """
    step = 0.25
    v = np.exp(np.arange(-64, 4, step))
    n, a = np.asarray(n)[..., None], np.asarray(a)[..., None]
    q = 1 - a
    integrand = v * np.exp(-v) / (a - q * np.expm1(-v / n))
    return (q / n * integrand).sum(-1) * step


def _spread(phi: Callable[[Floats], Floats], counts: Floats) -> Floats:
    """phi(n) - sum (n_i/n) phi(n_i)."""
    n = counts.sum(-1)
    return phi(n) - (counts * phi(np.maximum(counts, 1))).sum(-1) / n


def information(counts: ArrayLike, estimator: str = "chao_wang_jost") -> Floats:
    """I(T;Y) = H(T) + H(Y) - H(T,Y), in bits (...), of counts (..., cell, label) of samples.

    The ``estimator`` of ESTIMATORS for each entropy. Warns (CoverageWarning) if more than half the
    samples are alone with their cell and label. What is left of the bias is best seen beside
    `permutation_null`. ValueError for an unknown estimator, or counts as for `plugin`.

    >>> print(information([[8, 0], [0, 8]], "plugin"))
    1.0
    """
    nats = _formula(estimator)
    table = np.asarray(counts)
    if table.ndim < 2:
        raise ValueError(f"counts have shape {table.shape}, expected (..., cell, label)")
    table = _checked(table.reshape(*table.shape[:-2], -1)).reshape(table.shape)
    joint = table.reshape(*table.shape[:-2], -1)
    _warn_if_hardly_covered(joint)
    return np.asarray((nats(table.sum(-1)) + nats(table.sum(-2)) - nats(joint)) / np.log(2))


class PermutationNull(NamedTuple):
    """Sampled label information beside what the same samples give with their labels shuffled."""

    observed: float
    null: Floats
    p_value: float


def permutation_null(
    cells: ArrayLike,
    labels: ArrayLike,
    repetitions: int,
    rng: np.random.Generator,
    estimator: str = "chao_wang_jost",
) -> PermutationNull:
    """I(T;Y), in bits, of samples with their labels and with labels shuffled by ``rng``.

    ``cells`` and ``labels`` are integers, (sample,). ``null`` (repetition,) is the distribution
    under independence with both margins as they are: its mean is the bias there, and the p-value
    is (1 + number of null >= observed)/(1 + repetitions), which is valid at any size (Phipson &
    Smyth 2010). Warns as `information` does. ValueError if shapes do not fit or are empty,
    values are not integers, or there are no repetitions.

    >>> cells = np.arange(64) % 4
    >>> permutation_null(cells, cells % 2, 99, np.random.default_rng(0)).p_value
    0.01
    """
    nats = _formula(estimator)
    t, y = np.asarray(cells), np.asarray(labels)
    if t.ndim != 1 or t.shape != y.shape or not t.size:
        raise ValueError(
            f"cells have shape {t.shape} and labels {y.shape}, expected (sample,) of both"
        )
    for name, values in (("cells", t), ("labels", y)):
        if values.dtype.kind not in "biu":
            raise ValueError(f"{name} are {values.dtype}, expected integers")
    if repetitions < 1:
        raise ValueError(f"repetitions are {repetitions}, expected at least 1")
    t, y = (np.unique(values, return_inverse=True)[1] for values in (t, y))
    found_cells, found_labels = t.max() + 1, y.max() + 1
    size = int(found_cells * found_labels)

    def tables(shuffled: NDArray[np.integer]) -> Floats:
        """Counts (row, cell and label) of labels (row, sample)."""
        keys = t * found_labels + shuffled + size * np.arange(len(shuffled))[:, None]
        counts = np.bincount(keys.ravel(), minlength=size * len(shuffled))
        return counts.reshape(len(shuffled), size).astype(float)

    true = tables(y[None])
    observed = float(information(true[0].reshape(found_cells, found_labels), estimator))
    # Shuffling keeps the margins, so only H(T,Y) changes.
    null = np.empty(repetitions)
    at_once = max(1, AT_ONCE // max(size, t.size))
    for first in range(0, repetitions, at_once):
        rows = min(at_once, repetitions - first)
        shuffled = rng.permuted(np.tile(y, (rows, 1)), axis=1)
        null[first : first + rows] = nats(true) - nats(tables(shuffled))
    null = observed + null / np.log(2)
    # Tables that differ in the order of their cells are equal, but their sums may be rounded apart.
    reached = (null >= observed - 1e-10).sum()
    return PermutationNull(observed, null, float((1 + reached) / (1 + repetitions)))


def _formula(estimator: str) -> Callable[[Floats], Floats]:
    if estimator not in _NATS:
        raise ValueError(f"estimator {estimator!r} is unknown, expected one of {', '.join(_NATS)}")
    return _NATS[estimator]


def _checked(counts: ArrayLike) -> Floats:
    """Counts as floats (..., cell)."""
    found = np.asarray(counts)
    if found.ndim < 1:
        raise ValueError("counts are a single number, expected (..., cell)")
    as_floats = found.astype(float)
    wrong = ~((as_floats >= 0) & (as_floats == np.floor(as_floats)) & np.isfinite(as_floats))
    if wrong.any():
        raise ValueError(f"a count is {found[wrong][0]}, expected integers of 0 or more")
    if (as_floats.sum(-1) == 0).any():
        raise ValueError("there are no samples in some rows of the counts, expected at least 1")
    return as_floats


def _warn_if_hardly_covered(counts: Floats) -> None:
    alone = (counts == 1).sum(-1) / counts.sum(-1)
    if (alone > 0.5).any():
        warnings.warn(
            f"up to {alone.max():.0%} of the samples are alone in their cells, more than half: "
            "hardly any cell was seen twice, and no estimator can tell how many there are",
            CoverageWarning,
            stacklevel=3,
        )
