"""The plain Blahut-Arimoto iteration of the bottleneck, on an explicit encoder."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .checks import Floats, checked_encoder, checked_joint, positive_row
from .mixing import decode, information, log_joint, log_sums


def sweep(p: Floats, q: Floats, encoder: Floats, beta: float) -> Floats:
    """One Blahut-Arimoto iteration of an encoder (x, cluster).

    p(t) = sum_x p(x) p(t|x), p(y|t) = sum_x p(x) p(t|x) p(y|x) / p(t), then
    p(t|x) = p(t) exp(-beta KL(p(y|x) || p(y|t))) / Z(x, beta) (Tishby, Pereira & Bialek 1999).
    ``p`` (x,) are the p(x), ``q`` (x, label) the p(y|x); clusters without probability leave.
    """
    joint = log_joint(q, decode(p, q, encoder), beta)
    return np.exp(joint - log_sums(joint, 1))


def second_eigenvalue(p: Floats, q: Floats) -> float:
    """lambda_2, the squared second singular value of p(x, y) / sqrt(p(x) p(y)).

    ``p`` (x,) are the p(x), ``q`` (x, label) the p(y|x).

    The trivial bottleneck is locally stable for beta < 1 / lambda_2, and near it a sweep shrinks
    the distance from it by the factor beta lambda_2.
    """
    singular = np.linalg.svd(np.sqrt(p)[:, None] * q / np.sqrt(p @ q), compute_uv=False)
    return float(singular[1] ** 2) if len(singular) > 1 else 0.0


class Iteration(NamedTuple):
    """An encoder p(t|x) (x, cluster), I(X;T) - beta I(T;Y) after each sweep, in nats, and whether
    the last sweep lowered it by less than the tolerance.
    """

    encoder: Floats
    lagrangian: Floats
    converged: bool


def blahut_arimoto(
    p_xy: ArrayLike,
    beta: float,
    start: ArrayLike,
    *,
    tolerance: float = 1e-12,
    sweeps: int = 10_000,
) -> Iteration:
    """The plain iteration on an encoder ``start`` (x, cluster): an oracle, and the usual method.

    ``p_xy`` is (x, label), ``tolerance`` in nats, and ``sweeps`` the most that are made.

    It finds a local optimum, at a linear rate that vanishes at critical betas: near the trivial
    solution a sweep shrinks the distance by the factor beta lambda_2. The Lagrangian never rises.

    ValueError as for `checked_joint` and, for ``start``, `checked_encoder`, or for a ``beta`` that
    is not finite and above 0.
    """
    joint = checked_joint(p_xy)
    positive_row("beta", [beta])
    p_t_x = checked_encoder(start, len(joint), name="start")
    p = joint.sum(1)
    q = joint / p[:, None]
    trace: list[float] = []
    converged = False
    while len(trace) < sweeps and not converged:
        p_t_x = sweep(p, q, p_t_x, beta)
        i_x, i_y = information(p, q, p_t_x)
        trace.append(i_x - beta * i_y)
        converged = len(trace) > 1 and trace[-2] - trace[-1] < tolerance
    return Iteration(p_t_x, np.array(trace), converged)
