"""Which patterns a member trains on; the rest are its test set."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .patterns import Task

Split = Literal["stratified", "random", "by_class", "first"]
Bools = NDArray[np.bool_]


def train_size(task: Task, fraction: float) -> int:
    """Number of training patterns, ``fraction`` of all, rounded; ValueError if that is none."""
    size = round(fraction * len(task.x))
    if size < 1:
        raise ValueError(
            f"train_fraction {fraction} of {len(task.x)} patterns leaves {size}, expected >= 1"
        )
    return size


def train_mask(task: Task, fraction: float, split: Split, rng: np.random.Generator) -> Bools:
    """Training patterns of one member, shape (pattern,): always `train_size` of them.

    stratified: at random, each most probable label in proportion (rounded by largest remainder).
    random: at random. by_class: whole spectral classes, so that the test asks for the symmetry
    itself. first: the first rows in their order, as the published code does; the patterns are
    ordered integers, so its test set has other label frequencies (a covariate shift).

    Raises ValueError where no pattern is left to train on, for stratified with a real label, and
    for by_class without spectral classes, or where no union of them has that many patterns.
    """
    size, patterns = train_size(task, fraction), len(task.x)
    if split == "first":
        chosen = np.arange(size)
    elif split == "random":
        chosen = rng.permutation(patterns)[:size]
    elif split == "stratified" and task.gaussian is not None:
        raise ValueError(
            f"split stratified needs a task with labels to count, found {task.name!r}; use random"
        )
    elif split == "stratified":
        chosen = _stratified(task.p_y_given_x.argmax(-1), size, rng)
    elif task.spectral_class is None:
        raise ValueError(f"split by_class needs a task with spectral classes, found {task.name!r}")
    else:
        chosen = _whole_classes(task.spectral_class, size, rng)
    mask = np.zeros(patterns, dtype=bool)
    mask[chosen] = True
    return mask


def _stratified(label: NDArray, size: int, rng: np.random.Generator) -> NDArray:
    of_label = [rng.permutation(np.flatnonzero(label == y)) for y in np.unique(label)]
    shares = np.array([len(patterns) for patterns in of_label]) * size / len(label)
    takes = np.floor(shares).astype(int)
    takes[np.argsort(takes - shares, kind="stable")[: size - takes.sum()]] += 1
    return np.concatenate([patterns[:take] for patterns, take in zip(of_label, takes, strict=True)])


def _whole_classes(spectral_class: NDArray, size: int, rng: np.random.Generator) -> NDArray:
    """Classes in random order, each taken if the rest can still make up exactly ``size``."""
    sizes = np.bincount(spectral_class)
    order = rng.permutation(len(sizes))
    # Bit s of reachable[i] says that some of the classes order[i:] add up to s patterns.
    reachable = [1]
    for c in order[::-1]:
        reachable.insert(0, reachable[0] | reachable[0] << int(sizes[c]))
    if not reachable[0] >> size & 1:
        raise ValueError(f"no union of whole spectral classes holds exactly {size} patterns")
    taken, left = [], size
    for i, c in enumerate(order):
        if sizes[c] <= left and reachable[i + 1] >> int(left - sizes[c]) & 1:
            taken.append(c)
            left -= sizes[c]
    return np.flatnonzero(np.isin(spectral_class, taken))
