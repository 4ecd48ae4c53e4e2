"""Rank correlations of networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def rank_correlation(x: NDArray, y: NDArray) -> NDArray:
    """Spearman's correlation (...) of x and y (..., network), of the networks that have both.

    NaN where one of them does not vary.

    >>> print(rank_correlation(np.array([1.0, 2, 3, np.nan]), np.array([10.0, 30, 20, 40])))
    0.5
    """
    x, y = np.broadcast_arrays(x, y)
    lacking = np.isnan(x) | np.isnan(y)
    middle = ((~lacking).sum(-1, keepdims=True) + 1) / 2
    # The mean of the ranks 1 to n is (n + 1) / 2, ties or not.
    a, b = (
        np.where(lacking, 0, rankdata(known, axis=-1, nan_policy="omit") - middle)
        for known in (np.where(lacking, np.nan, values) for values in (x, y))
    )
    scale = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return np.asarray((a * b).sum(-1) / np.where(scale > 0, scale, np.nan))


def partial_rank_correlation(x: NDArray, y: NDArray, given: NDArray) -> float:
    """Spearman's correlation of x and y (network,) with that of ``given`` taken out of both.

    NaN where one of them does not vary but with what is given.
    """
    a, b, z = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y, given))
    if z @ z > 0:
        a, b = (v - (v @ z) / (z @ z) * z for v in (a, b))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-9 else np.nan


def resampled_ranks(groups: Sequence[NDArray], rng: np.random.Generator) -> NDArray[np.int64]:
    """Ranks from 0 on of all networks, those of each group (network,) drawn with replacement.

    Groups follow each other. Equal values have any order among them: a network that is drawn twice
    is no tie, which would raise the correlation with what tells the groups apart.
    """
    drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
    return np.lexsort((rng.random(len(drawn)), drawn)).argsort()
