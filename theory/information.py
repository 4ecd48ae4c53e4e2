"""Exact information measures of finite distributions.

Entropies are in bits unless ``base`` says otherwise (``numpy.e`` for nats), ``0 log 0 = 0``, and
nothing is clipped: a value below zero by rounding comes out as it is.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr, xlogy

from .checks import Floats


def entropy(p: ArrayLike, *, axis: int = -1, base: float = 2) -> Floats:
    """Shannon entropy over ``axis``, which is summed away, in units of log ``base``.

    >>> print(entropy([0.5, 0.25, 0.25]))
    1.5
    """
    p = np.asarray(p, dtype=float)
    return -xlogy(p, p).sum(axis) / np.log(base)


def mutual_information(p_xy: ArrayLike, *, base: float = 2) -> Floats:
    """I(X;Y) = H(X) + H(Y) - H(X,Y) of joint distributions (..., x, y): shape (...).

    >>> print(mutual_information([[0.5, 0.0], [0.0, 0.5]]))
    1.0
    """
    p_xy = np.asarray(p_xy, dtype=float)
    joint = p_xy.reshape(*p_xy.shape[:-2], -1)
    return (
        entropy(p_xy.sum(-1), base=base)
        + entropy(p_xy.sum(-2), base=base)
        - entropy(joint, base=base)
    )


def conditional_entropy(p_xy: ArrayLike, *, base: float = 2) -> Floats:
    """H(X|Y) = H(X,Y) - H(Y) of joint distributions (..., x, y): shape (...).

    >>> print(conditional_entropy([[0.25, 0.0], [0.25, 0.5]]))
    0.5
    """
    p_xy = np.asarray(p_xy, dtype=float)
    joint = p_xy.reshape(*p_xy.shape[:-2], -1)
    return entropy(joint, base=base) - entropy(p_xy.sum(-2), base=base)


def kl_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float = 2) -> Floats:
    """D(p||q) = sum p log(p/q) over ``axis``, which is summed away; infinite if q is 0 and p not.

    >>> print(kl_divergence([1.0, 0.0], [0.5, 0.5]))
    1.0
    """
    return rel_entr(np.asarray(p, dtype=float), np.asarray(q, dtype=float)).sum(axis) / np.log(base)


def conditional_information(p_xyz: ArrayLike, *, base: float = 2) -> Floats:
    """I(X;Y|Z) = H(X,Z) + H(Y,Z) - H(X,Y,Z) - H(Z) of joints (..., x, y, z): shape (...).

    Two fair coins are independent, until their parity is known:

    >>> parity = np.array([[[0.25, 0], [0, 0.25]], [[0, 0.25], [0.25, 0]]])
    >>> print(mutual_information(parity.sum(-1)), conditional_information(parity))
    0.0 1.0
    """
    p = np.asarray(p_xyz, dtype=float)
    flat = p.shape[:-3]

    def h(marginal: Floats) -> Floats:
        return entropy(marginal.reshape(*flat, -1), base=base)

    return h(p.sum(-2)) + h(p.sum(-3)) - h(p) - h(p.sum((-2, -3)))


def of_encoder(
    p_t_given_x: ArrayLike, p_x: ArrayLike, p_y_given_x: ArrayLike
) -> tuple[Floats, Floats]:
    """I(X;T) and I(T;Y), in bits, of stochastic encoders p(t|x), T depending on Y through X alone.

    ``p_t_given_x`` (..., pattern, t), ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label); both
    results have shape (...). The deterministic case is `of_cells`.

    >>> print(*of_encoder(np.eye(2), [0.5, 0.5], np.eye(2)))
    1.0 1.0
    """
    p_tx = np.swapaxes(np.asarray(p_t_given_x, dtype=float), -1, -2) * np.asarray(p_x, dtype=float)
    return mutual_information(p_tx), mutual_information(p_tx @ np.asarray(p_y_given_x, dtype=float))


class Groups:
    """Equal cells of each row of ``cells`` (..., pattern) brought together, for sums over them.

    Groups are numbered through all rows; ``row`` holds the row of each.
    """

    def __init__(self, cells: NDArray[np.integer]) -> None:
        self.shape = cells.shape[:-1]
        rows = cells.reshape(-1, cells.shape[-1])
        order = rows.argsort(-1, kind="stable")
        ordered = np.take_along_axis(rows, order, -1)
        first = np.ones(rows.shape, dtype=bool)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        self.row = first.nonzero()[0]
        self._group = np.empty(rows.shape, dtype=np.int64)
        np.put_along_axis(self._group, order, first.ravel().cumsum().reshape(rows.shape) - 1, -1)

    def totals(self, weights: NDArray) -> Floats:
        """Sum over each group of ``weights`` (..., pattern) or (pattern,): shape (group,)."""
        weights = np.broadcast_to(weights, (*self.shape, self._group.shape[-1]))
        return np.asarray(np.bincount(self._group.ravel(), weights.ravel()), dtype=float)

    def by_row(self, values: NDArray) -> Floats:
        """Sum over each row's groups of ``values`` (group,): shape (...)."""
        rows = self._group.shape[0]
        return np.asarray(np.bincount(self.row, values, rows), dtype=float).reshape(self.shape)

    def entropy(self, weights: NDArray) -> Floats:
        """Sum of -p log2 p over each row's groups, p being the `totals` of ``weights``: (...)."""
        p = self.totals(weights)
        return self.by_row(-xlogy(p, p)) / np.log(2)


def of_cells(cells: NDArray[np.integer], p_x: Floats, p_y_given_x: Floats) -> tuple[Floats, Floats]:
    """I(X;T) and I(T;Y), in bits, of deterministic encoders x -> ``cells[..., x]``.

    ``cells`` (..., pattern) names the cell of each pattern by any integers; ``p_x`` (pattern,) and
    ``p_y_given_x`` (pattern, label) are the task's; both results have shape (...). T is a function
    of X, so I(X;T) = H(T). The label information takes p(y|x) exactly, never labels drawn from it:
    I(T;Y) = H(T) + H(Y) - H(T,Y).

    >>> cells = np.array([0, 0, 1, 1])
    >>> print(*of_cells(cells, np.full(4, 0.25), np.eye(2)[cells]))
    1.0 1.0
    """
    groups = Groups(np.asarray(cells))
    h_t = groups.entropy(p_x)
    h_ty = np.zeros(groups.shape)
    for p_y in np.transpose(p_y_given_x):
        h_ty += groups.entropy(p_x * p_y)
    return h_t, h_t + entropy(p_x @ p_y_given_x) - h_ty


def occupied(cells: NDArray[np.integer], among: NDArray[np.bool_] | None = None) -> Floats:
    """Number of distinct cells in each row of (..., pattern): shape (...).

    If ``among`` (..., pattern) is given, of those that hold a pattern for which it is True.

    >>> print(occupied(np.array([7, 7, 3, 1])))
    3.0
    """
    groups = Groups(np.asarray(cells))
    counted = np.ones(len(groups.row)) if among is None else groups.totals(among) > 0
    return groups.by_row(counted)


def entropy_given_cells(
    values: NDArray[np.integer], cells: NDArray[np.integer], p_x: ArrayLike
) -> Floats:
    """H(V|T), in bits, of integer functions ``values`` and ``cells`` (..., pattern) of the pattern.

    ``p_x`` is (pattern,), the result (...).
    With a network's decisions for V it says how much of them the cells leave open: nothing, were
    the cells the states that the decisions are made from.

    >>> print(entropy_given_cells(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), np.full(4, 0.25)))
    0.5
    """
    p_x = np.asarray(p_x, dtype=float)
    both, given = Groups(joined(values, cells)), Groups(np.asarray(cells))
    return both.entropy(p_x) - given.entropy(p_x)


def joined(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int64]:
    """Cells of the pair (A, B) of two partitions (..., pattern), as integers of that shape."""
    pairs = np.stack(np.broadcast_arrays(a, b), -1)
    numbers = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)[1]
    return numbers.reshape(pairs.shape[:-1])
