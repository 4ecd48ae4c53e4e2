"""Stochastic gradient descent near a minimum, as a stochastic process.

The dictionary between the discrete steps and an SDE in the time t = learning rate x steps, and
what is exact without that limit: steps on a quadratic loss with gradient noise of constant
covariance, with heavy-ball momentum (v' = mu v - eta g, w' = w + v').
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .checks import Floats, at_least, finite, non_negative, positive, symmetric
from .langevin import SDE

# Negative eigenvalues up to this share of the largest are rounding.
ROUNDING = 1e-10


def batch_covariance(
    covariance: ArrayLike, batch_size: int, *, train_size: int | None = None
) -> Floats:
    """Covariance of the mean gradient of a batch, from that of the per-sample gradients.

    (C / B)(N - B)/(N - 1) for batches of B drawn without replacement from N = ``train_size``
    samples, C normalised by N; C / B with replacement (``train_size`` None). ``covariance`` is a
    variance, a trace or a matrix, of any shape.

    That is each batch by itself. The batches of one epoch share out the set, so their noises add
    up to 0: see `reshuffled_variance`.

    ValueError unless 1 <= B <= N and the covariance is finite.

    >>> print(batch_covariance(2.0, 4, train_size=13))
    0.375
    """
    b = at_least("batch_size", batch_size, 1)
    c = finite("covariance", covariance) / b
    if train_size is None:
        return np.asarray(c)
    n = at_least("train_size", train_size, b)
    return np.asarray(c * ((n - b) / (n - 1) if n > 1 else 0.0))


def diffusion(
    batch_covariance: ArrayLike, *, learning_rate: float, momentum: float = 0.0
) -> Floats:
    """D = eta C_B / (2 (1 - mu)) of the SDE, in the time t = eta x steps / (1 - mu).

    ``batch_covariance`` C_B is that of one step's gradient, of any shape; D has its shape. With
    momentum, eta / (1 - mu) takes the place of the learning rate; true for eta to 0 at fixed mu.
    (Mandt et al. 2017; Li, Tai & E 2017.)

    ValueError if C_B is not finite, eta not above 0, or mu outside [0, 1).
    """
    c = finite("batch_covariance", batch_covariance)
    eta, mu = _hyperparameters(learning_rate, momentum)
    return np.asarray(eta * c / (2 * (1 - mu)))


def to_sde(
    gradient: Callable[[Floats], Floats],
    batch_variance: ArrayLike,
    *,
    learning_rate: float,
    momentum: float = 0.0,
) -> SDE:
    """The SDE dw = -grad L dt + sqrt(2 D) dW that SGD follows at small learning rates.

    ``gradient`` is that of the mean loss; ``batch_variance`` the variance of one step's gradient,
    one number or one for each coordinate (for a full covariance, turn to its eigenvectors). One
    Euler-Maruyama step of dt = eta is one step of SGD with Gaussian noise, without momentum; with
    it a step advances the time by eta / (1 - mu).

    ValueError as for `diffusion`, or for a negative variance.
    """
    variance = non_negative("batch_variance", batch_variance)
    d = diffusion(variance, learning_rate=learning_rate, momentum=momentum)
    return SDE(lambda w: -gradient(w), d)


def effective_temperature(
    batch_covariance: ArrayLike, *, learning_rate: float, momentum: float = 0.0
) -> float:
    """T = tr D / d: mean of `diffusion` over the d directions of C_B (d, d), or of a variance.

    At small learning rates and isotropic noise each direction of curvature a has variance T / a.
    SGD's noise is not isotropic in general: then equipartition fails, and T is a mean only.

    ValueError as for `diffusion`, or if C_B is not one number or a square matrix.
    """
    d = diffusion(batch_covariance, learning_rate=learning_rate, momentum=momentum)
    if d.ndim not in (0, 2) or len(set(d.shape)) > 1:
        raise ValueError(
            f"batch_covariance has shape {d.shape}, expected () or (coordinate, coordinate)"
        )
    return float(d if d.ndim == 0 else np.trace(d) / len(d))


def stationary_variance(
    curvature: ArrayLike,
    batch_variance: ArrayLike,
    *,
    learning_rate: float,
    momentum: float = 0.0,
) -> Floats:
    """Variance of the weight on a parabola of ``curvature`` a, exact for any stable step.

    eta s^2 (1 + mu) / ((1 - mu) a (2 (1 + mu) - eta a)), s^2 = ``batch_variance``; without momentum
    eta s^2 / (a (2 - eta a)). The SDE's is the limit of small eta a. Arguments broadcast. Noise is
    independent from step to step, as for batches drawn anew each time.

    ValueError unless 0 < eta a < 2 (1 + mu), where steps are stable, the variance is 0 or more,
    eta above 0 and mu in [0, 1).

    >>> print(stationary_variance(1.5, 2 / 4, learning_rate=0.3).round(6))
    0.064516
    """
    eta, mu = _hyperparameters(learning_rate, momentum)
    a, s2 = _stable(curvature, eta, mu), non_negative("batch_variance", batch_variance)
    return np.asarray(eta * s2 * (1 + mu) / ((1 - mu) * a * (2 * (1 + mu) - eta * a)))


def reshuffled_variance(
    curvature: ArrayLike, batch_variance: ArrayLike, batches: int, *, learning_rate: float
) -> Floats:
    """Variance at the end of epochs that share out the training set among M = ``batches``, exact.

    Two batches of an epoch have gradient noises of covariance -s^2 / (M - 1), s^2 =
    ``batch_variance``, so with the contraction c = 1 - eta a of a step an epoch adds
    eta^2 s^2 M/(M - 1) sum_j (c^j - mean of c^j)^2, j = 0..M - 1. Where eta a M << 1 that is far
    below `stationary_variance`: a slow direction hardly feels the noise. Arguments broadcast.

    ValueError as for `stationary_variance`, or if ``batches`` is below 2.
    """
    eta, mu = _hyperparameters(learning_rate, 0.0)
    a, s2 = _stable(curvature, eta, mu), non_negative("batch_variance", batch_variance)
    m = at_least("batches", batches, 2)
    c = 1 - eta * a
    spread = (c[..., None] ** np.arange(m)).var(-1)
    return np.asarray(eta**2 * s2 * m**2 / (m - 1) * spread / (1 - c ** (2 * m)))


def stationary_covariance(
    hessian: ArrayLike,
    batch_covariance: ArrayLike,
    *,
    learning_rate: float,
    momentum: float = 0.0,
) -> Floats:
    """Covariance S of the weights on a quadratic loss, exact for any stable step: shape (d, d).

    Without momentum S solves A S + S A - eta A S A = eta C_B. In the eigenbasis of ``hessian`` A,
    with alpha_i = eta a_i, both equations and momentum have one solution:

    S_ij = eta^2 C_ij (1 - mu^2) / ((1 - mu)^2 ((1 + mu)(alpha_i + alpha_j) - alpha_i alpha_j)
    + mu (alpha_i - alpha_j)^2),

    the equal-time moment of two second-order autoregressions that share their noise.

    ValueError unless both are symmetric of shape (d, d), C_B is positive semidefinite, every
    0 < eta a_i < 2 (1 + mu), eta above 0 and mu in [0, 1).
    """
    eta, mu = _hyperparameters(learning_rate, momentum)
    hessian, covariance = (
        symmetric("hessian", hessian),
        symmetric("batch_covariance", batch_covariance),
    )
    if hessian.shape != covariance.shape:
        raise ValueError(
            f"batch_covariance has shape {covariance.shape}, expected the hessian's {hessian.shape}"
        )
    least, most = np.linalg.eigvalsh(covariance)[[0, -1]]
    if least < -ROUNDING * abs(most):
        raise ValueError(
            f"batch_covariance has the eigenvalue {least:.3g}, "
            "expected a positive semidefinite matrix"
        )
    curvatures, basis = np.linalg.eigh(hessian)
    one = eta * _stable(curvatures, eta, mu)[:, None]
    other = one.T
    restoring = (1 - mu) ** 2 * ((1 + mu) * (one + other) - one * other) + mu * (one - other) ** 2
    rotated = basis.T @ covariance @ basis
    return np.asarray(basis @ (eta**2 * (1 - mu**2) * rotated / restoring) @ basis.T)


def lag_correlation(
    curvature: ArrayLike, lags: int, *, learning_rate: float, momentum: float = 0.0
) -> Floats:
    """Correlation of the weight with itself 0 to ``lags`` steps later: shape (lags + 1, ...).

    (1 - eta a)^lag without momentum. With it w is a second-order autoregression, of first
    correlation 1 - eta a / (1 + mu) and then r' = (1 + mu - eta a) r - mu r_before; it rings where
    eta a > (1 - sqrt mu)^2. ``curvature`` a is of any shape.

    ValueError as for `stationary_variance`, or if ``lags`` is negative.
    """
    eta, mu = _hyperparameters(learning_rate, momentum)
    a = _stable(curvature, eta, mu)
    correlations = [np.ones_like(a), 1 - eta * a / (1 + mu)]
    for _ in range(at_least("lags", lags, 0) - 1):
        correlations.append((1 + mu - eta * a) * correlations[-1] - mu * correlations[-2])
    return np.array(correlations[: lags + 1])


def _hyperparameters(learning_rate: float, momentum: float) -> tuple[float, float]:
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}, expected 0 or more and less than 1")
    return float(positive("learning_rate", learning_rate)), float(momentum)


def _stable(curvature: ArrayLike, learning_rate: float, momentum: float) -> Floats:
    a = positive("curvature", curvature)
    limit = 2 * (1 + momentum)
    if (learning_rate * a >= limit).any():
        raise ValueError(
            f"learning rate times curvature is {learning_rate * a.max():.6g}, "
            f"expected less than {limit:.6g}, where steps are stable"
        )
    return a
