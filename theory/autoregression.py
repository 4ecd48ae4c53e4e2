"""Autocorrelated errors e_t = phi e_{t-1} + noise: drawn, and phi told from residuals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

MOST = 0.99
"""Greatest phi that is told: beyond, whitening is no different from taking differences."""


def autoregressive(phi: float, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """Stationary e_t = phi e_{t-1} + sqrt(1 - phi^2) xi_t of variance one, (series, points).

    ValueError unless ``phi`` is between -1 and 1.
    """
    if not -1 < phi < 1:
        raise ValueError(f"phi is {phi}, expected more than -1 and less than 1")
    xi = rng.normal(size=shape)
    xi[:, 1:] *= np.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], xi, axis=-1))


def sample_autocorrelation(residual: ArrayLike) -> NDArray:
    """The r = sum_t e_t e_{t-1} / sum_t e_t^2 of residuals (..., points): shape (...)."""
    e = np.asarray(residual, dtype=float)
    return np.asarray((e[..., 1:] * e[..., :-1]).sum(-1) / (e**2).sum(-1))


def expected_autocorrelation(design: ArrayLike, phi: ArrayLike) -> NDArray:
    """The r expected of least-squares residuals where the errors have ``phi``, of its shape.

    ``design`` is (points, regressors). With M the projection off the regressors, A the symmetric
    shift by one and S the correlation phi^|i-j|, it is tr(M A M S) / tr(M S), less 2 phi / points
    since the expectation of a ratio is not that of its parts: right to order 1 / points. For the
    one regressor 1 it is phi - (1 + 4 phi) / points (Kendall 1954); each further one takes more.
    """
    q = np.linalg.qr(np.asarray(design, dtype=float))[0]
    points = len(q)
    m = np.eye(points) - q @ q.T
    shifted = np.zeros_like(m)
    shifted[1:] += m[:-1] / 2
    shifted[:-1] += m[1:] / 2
    phi = np.asarray(phi, dtype=float)
    powers = phi[..., None] ** np.arange(points)
    parts = (powers @ _diagonals(m @ shifted)) / (powers @ _diagonals(m))
    return np.asarray(parts - 2 * phi / points)


def unbiased_autocorrelation(residual: ArrayLike, design: ArrayLike) -> NDArray:
    """The phi, from -0.9 to 0.99, of which the r of residuals (..., points) is the expectation.

    ``design`` (points, regressors) is what they are residuals of; the result is (...). An r beyond
    the expectations of these two is told as the nearer of them.
    """
    phi = np.append(np.linspace(-0.9, 0.95, 38), MOST)
    r = sample_autocorrelation(residual)
    return np.asarray(np.interp(r, expected_autocorrelation(design, phi), phi))


def _diagonals(matrix: NDArray) -> NDArray:
    """Sums of the entries with |i - j| = 0, 1, ..."""
    i, j = np.indices(matrix.shape)
    return np.bincount(np.abs(i - j).ravel(), matrix.ravel())
