"""Bounds from samples that had no part in what is judged: theorems for whatever was learned."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from .capacity import cell_count, check_labels, checked_samples, vacuous


def split_sample(
    cells: NDArray[np.integer],
    labels: NDArray[np.integer],
    half: NDArray[np.bool_],
    delta: float,
    *,
    label_count: int = 2,
) -> xr.Dataset:
    """`cell_count` for a learned partition: learned on one part of the sample, counted on another.

    ``cells`` (sample,) are the cells of all samples, by any integers, and ``labels`` (sample,)
    their labels, from 0 up to ``label_count``. ``half`` (sample,) is True for those that had no
    part in making the partition. The partition is that into the cells which the other samples
    occupy and one more for everything else; so it is fixed before ``half`` is seen. Each cell is
    given the likeliest label of its samples of ``half`` (the first of equal ones; a cell without
    any that of the whole half), and the bound holds for whatever labels it is given.

    Dataset: ``predicted`` along ``cell``, whose coordinate is the name of the cell, and
    ``predicted_elsewhere``; ``cells`` K and ``samples`` m, those of ``half``; ``error_rate`` R' on
    half; ``gap_bound`` on |R - R'| with probability 1 - ``delta``, its flag ``vacuous``, and
    ``risk_bound`` = R' + gap_bound.

    ValueError for arrays of other shapes or kinds, labels out of range, a half that is empty or
    all, or a delta not between 0 and 1.
    """
    check_labels(label_count)
    t, y, own = np.asarray(cells), np.asarray(labels), np.asarray(half)
    for name, values, kinds in (("cells", t, "iu"), ("labels", y, "iu"), ("half", own, "b")):
        if values.shape != (t.size,) or values.dtype.kind not in kinds:
            expected = "booleans" if kinds == "b" else "integers"
            raise ValueError(
                f"{name} have shape {values.shape} and dtype {values.dtype}, "
                f"expected {expected} of shape ({t.size},)"
            )
    if y.size and not 0 <= y.min() <= y.max() < label_count:
        raise ValueError(f"labels are {y.min()} to {y.max()}, expected 0 to {label_count - 1}")
    if own.all() or not own.any():
        raise ValueError(f"half holds {own.sum()} of {own.size} samples, expected some, not all")
    names = np.unique(t[~own])
    place = np.minimum(np.searchsorted(names, t[own]), len(names) - 1)
    place = np.where(names[place] == t[own], place, len(names))
    counts = np.zeros((len(names) + 1, label_count), dtype=np.int64)
    np.add.at(counts, (place, y[own]), 1)
    predicted = np.where(counts.any(1), counts.argmax(1), counts.sum(0).argmax())
    samples = int(own.sum())
    error = float((predicted[place] != y[own]).mean())
    bound = float(cell_count(len(counts), samples, labels=label_count, delta=delta))
    return _dataset(
        {
            "predicted": ("cell", predicted[:-1]),
            "predicted_elsewhere": predicted[-1],
            "cells": len(counts),
            "samples": samples,
            "error_rate": error,
            "gap_bound": bound,
            "vacuous": float(vacuous(bound)),
            "risk_bound": error + bound,
        },
        {"cell": names},
        delta,
    )


def test_set(errors: ArrayLike, samples: ArrayLike, delta: float) -> xr.Dataset:
    """Upper bounds on the risk of one classifier that errs on ``errors`` of unseen ``samples``.

    Each with probability 1 - ``delta``: ``hoeffding``, k/n + sqrt(log(1/delta)/2n), and
    ``clopper_pearson``, the risk at which k errors or fewer have probability delta (Clopper &
    Pearson 1934): exact, the least that holds whatever the risk. With ``error_rate`` k/n. Both
    arguments may be arrays, DataArrays keep their dims.

    ValueError for errors that are not integers from 0 to ``samples``, samples below 1 or a delta
    not between 0 and 1.
    """
    given = [v if isinstance(v, xr.DataArray) else np.asarray(v) for v in (errors, samples)]
    k, n = xr.broadcast(*map(xr.DataArray, given))
    checked_samples(n.values, delta)
    wrong = ~((k >= 0) & (k <= n) & (k == np.floor(k)))
    if bool(wrong.any()):
        at = k.values[wrong.values].flat[0]
        raise ValueError(f"errors are {at}, expected integers from 0 to the number of samples")
    exact = xr.apply_ufunc(beta.ppf, 1 - delta, k + 1, (n - k).where(k < n, 1))
    return _dataset(
        {
            "error_rate": k / n,
            "hoeffding": k / n + np.sqrt(np.log(1 / delta) / (2 * n)),
            "clopper_pearson": exact.where(k < n, 1.0),
        },
        {},
        delta,
    )


# pytest would take the function for a test, wherever it is imported.
test_set.__test__ = False  # type: ignore[attr-defined]

_LONG_NAMES = {
    "predicted": "label given to the cell",
    "predicted_elsewhere": "label given to all other cells",
    "cells": "cells of the partition",
    "samples": "samples that had no part in the partition",
    "error_rate": "error rate on the sample",
    "gap_bound": "bound on the generalisation gap",
    "vacuous": "1 where the bound is 1 or more, else 0",
    "risk_bound": "bound on the risk",
    "hoeffding": "bound on the risk by Hoeffding's inequality",
    "clopper_pearson": "exact binomial bound on the risk",
}


def _dataset(
    values: Mapping[str, object], coordinates: Mapping[str, NDArray], delta: float
) -> xr.Dataset:
    found = xr.Dataset(values, coordinates, {"delta": delta})
    for name, variable in found.items():
        variable.attrs = {"units": "1", "long_name": _LONG_NAMES[str(name)]}
    return found
