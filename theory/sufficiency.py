"""What a bottleneck sees of X: the joint distribution, with patterns of equal p(y|x) merged."""

import numpy as np
from numpy.typing import NDArray

from .checks import Floats

# Rows computed as p(x, y) / p(x) carry a few roundings: entries this close, relatively, are one.
ROUNDING = 16 * np.finfo(float).eps


def merged(joint: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Joint distribution (class, label) of the classes of equal p(y|x), and the class of each x.

    ``joint`` is (x, label), every p(x) above 0; the classes of x are (x,).
    A bottleneck depends on X only through p(y|x), so nothing is lost. Equal means equal up to
    rounding: in each label's column the sorted values are cut where neighbours differ by more than
    `ROUNDING` of their size, and rows that fall between the same cuts in every column are one.
    Near 1 doubles are coarse: a row whose small probability is exact keeps its identity.

    >>> merged(np.array([[0.1, 0.1], [0.0, 0.4], [0.2, 0.2]]))[1].tolist()
    [1, 0, 1]
    """
    rows = joint / joint.sum(1, keepdims=True)
    names = np.empty(rows.shape, dtype=np.int64)
    for name, column in zip(names.T, rows.T, strict=True):
        order = column.argsort(kind="stable")
        ordered = column[order]
        cut = np.diff(ordered) > ROUNDING * ordered[1:]
        name[order] = np.concatenate([[0], cut.cumsum()])
    _, classes = np.unique(names, axis=0, return_inverse=True)
    classes = classes.ravel()
    totals = np.zeros((classes.max() + 1, joint.shape[1]))
    np.add.at(totals, classes, joint)
    return totals, classes


def reduced(joint: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """What is left of a joint distribution (x, label) without repetitions and idle labels.

    p(x) (class,) and p(y|x) (class, label) of the `merged` patterns, for the labels that have any
    probability, and which of the given ones these are.

    >>> p, q, labels = reduced(np.array([[0.2, 0, 0.2], [0.3, 0, 0.3]]))
    >>> print(p, q, labels)
    [1.] [[0.5 0.5]] [ True False  True]
    """
    labels = joint.sum(0) > 0
    classes, _ = merged(joint[:, labels])
    p = classes.sum(1)
    return p / p.sum(), classes / p[:, None], labels
