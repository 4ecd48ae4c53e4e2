"""A cloud of walkers that leave one point by SGD on a quadratic loss, epoch by epoch, exactly.

With gradient noise of per-sample covariance C that does not depend on the place, coordinates along
the eigenvectors of the Hessian (curvatures a_i) contract by m_i = 1 - eta a_i in a step. What
matters of the batches is how their noises go together: the matrix K with which the noises of the
steps j and k of one epoch have covariance K_jk C. Epochs are independent of each other.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .checks import Floats, at_least, finite, positive
from .sgd import batch_covariance


def reshuffled(batch_sizes: Sequence[int]) -> Floats:
    """K of batches that share out a training set anew in every epoch: shape (batch, batch).

    K_jk = (N delta_jk / B_j - 1) / (N - 1) for batches of B_j of the N = sum B_j samples: what one
    batch has, the others lack, and sum_j B_j K_jk = 0. Noises of equal batches so add up to 0 over
    an epoch; if the last is smaller, its samples count for more and (N sum_j 1/B_j - M^2)/(N - 1)
    of C remains.

    ValueError unless there are at least two batches, of at least one sample.

    >>> print(reshuffled([2, 2]).round(4).tolist())
    [[0.3333, -0.3333], [-0.3333, 0.3333]]
    """
    sizes = _sizes(batch_sizes)
    n = sizes.sum()
    return np.asarray((np.diag(n / sizes) - 1) / (n - 1))


def drawn_anew(batch_sizes: Sequence[int]) -> Floats:
    """K of batches that are each by themselves like those of `reshuffled`, but independent.

    ValueError as for `reshuffled`.
    """
    sizes = _sizes(batch_sizes)
    n = int(sizes.sum())
    return np.diag([float(batch_covariance(1.0, int(b), train_size=n)) for b in sizes])


def covariances(
    curvatures: ArrayLike, covariance: ArrayLike, batches: ArrayLike, *, learning_rate: float
) -> Iterator[Floats]:
    """Covariance (d, d) of the cloud after 0, 1, 2, ... epochs, without end.

    S' = (m_i m_j)^M S_ij + eta^2 C_ij sum_jk m_i^(M-1-j) K_jk m_j^(M-1-k), for the M steps of an
    epoch. ``curvatures`` a (d,) may be 0 or negative: such directions have no stationary variance.
    ``covariance`` C (d, d) is in the same coordinates, ``batches`` K is (M, M). Langevin steps at
    temperature T are one batch, K = 1, of C = 2 T / eta times the unit matrix.

    ValueError if shapes do not fit, numbers are not finite, or the learning rate is not above 0.
    """
    eta = float(positive("learning_rate", learning_rate))
    m, c = 1 - eta * finite("curvatures", curvatures), finite("covariance", covariance)
    k = finite("batches", batches)
    for name, matrix, size in (("covariance", c, m.size), ("batches", k, len(np.atleast_1d(k)))):
        if m.ndim != 1 or matrix.shape != (size, size):
            raise ValueError(
                f"{name} has shape {matrix.shape}, expected ({size}, {size}), for curvatures of "
                f"shape {m.shape}"
            )
    weights = m[:, None] ** np.arange(len(k) - 1, -1, -1)
    return _covariances(np.outer(m, m) ** len(k), eta**2 * c * (weights @ k @ weights.T))


def _covariances(contraction: Floats, added: Floats) -> Iterator[Floats]:
    spread = np.zeros_like(added)
    while True:
        yield spread
        spread = contraction * spread + added


def _sizes(batch_sizes: Sequence[int]) -> Floats:
    if len(batch_sizes) < 2:
        raise ValueError(f"batch_sizes are {list(batch_sizes)}, expected two or more")
    return np.array([at_least("batch_size", b, 1) for b in batch_sizes], dtype=float)
