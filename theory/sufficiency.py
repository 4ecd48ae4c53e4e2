"""What a bottleneck sees of X: the joint distribution, with patterns of equal p(y|x) merged."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Rows computed as p(x, y) / p(x) carry a few roundings: entries this close, relatively, are one.
ROUNDING = 16 * np.finfo(float).eps


def checked_joint(p_xy: ArrayLike) -> Floats:
    """The joint distribution p(x, y) as an array (pattern, label).

    Raises ValueError, naming the entry, for another shape, values that are not finite or negative,
    a total that is not one (to 1e-9), or a pattern without probability.
    """
    joint = np.asarray(p_xy, dtype=float)
    if joint.ndim != 2 or 0 in joint.shape:
        raise ValueError(f"p_xy has shape {joint.shape}, expected two axes (x, y), not empty")
    bad = ~(np.isfinite(joint) & (joint >= 0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"p_xy at {where} is {joint[where]}, expected a probability")
    if abs(joint.sum() - 1) > 1e-9:
        raise ValueError(f"p_xy sums to {joint.sum():.12g}, expected 1")
    empty = joint.sum(1) == 0
    if empty.any():
        raise ValueError(f"p_xy has no probability in row {empty.argmax()}, expected p(x) > 0")
    return joint


def positive(name: str, values: ArrayLike) -> Floats:
    """Positive, finite values as an array of one axis; ValueError, naming the entry, otherwise."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}, expected one axis, not empty")
    bad = ~(np.isfinite(array) & (array > 0))
    if bad.any():
        at = bad.argmax()
        raise ValueError(f"{name} at {at} is {array[at]}, expected a finite number above 0")
    return array


def merged(joint: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Joint distribution (class, label) of the classes of equal p(y|x), and the class of each x.

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
