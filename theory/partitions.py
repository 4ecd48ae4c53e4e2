"""The partition that a trained layer makes of X: how many cells it has, in four senses.

A partition with little label error within its cells (Tishby's epsilon-partition) is often given
2^(H(X) - H(X|T)) cells, as if they were equally likely. Here all of it is counted.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .checks import Floats
from .information import Groups, entropy, occupied
from .quantisers import homogenised, label_error


def of_layers(cells: xr.DataArray, run: xr.Dataset, epsilon: float) -> xr.Dataset:
    """Cells of each layer, all and typical, seen in training and merged up to a label error.

    ``cells`` (..., pattern) are the cell of each pattern by any integers, with whatever other dims
    (member, layer); ``run`` the record with ``p_x``, ``p_y_given_x`` and ``in_train``.

    Dataset along the other dims:

    ``occupied_cells`` |T|, the layer's own partition, the one whose number bounds anything;
    ``entropy`` H(T) and ``conditional_entropy`` H(X|T) in bits, and ``typical_cells``
    2^(H(X) - H(X|T)) = 2^H(T), never more than |T|; as many only if all cells are equally likely;
    ``occupied_cells_train``, those that hold a training pattern;
    ``label_error`` sum_t p(t) (1 - max_y p(y|t)) of the partition, and ``homogenised_cells``, the
    fewest cells that the layer's can be merged into with a label error up to ``epsilon``; NaN
    where the layer's own is above epsilon. With two labels these are never more than two, whatever
    the layer: homogeneity alone says nothing of it.

    ValueError if the cells have no dim ``pattern`` of the record's size or are no integers, or
    epsilon is not between 0 and 1.
    """
    if "pattern" not in cells.dims or cells.sizes["pattern"] != run.sizes["pattern"]:
        raise ValueError(
            f"cells have sizes {dict(cells.sizes)}, expected {run.sizes['pattern']} along 'pattern'"
        )
    if cells.dtype.kind not in "iu":
        raise ValueError(f"cells have dtype {cells.dtype}, expected integers")
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon is {epsilon}, expected between 0 and 1")
    cells = cells.transpose(..., "pattern")
    p_x, p_y_given_x = run.p_x.values, run.p_y_given_x.transpose("pattern", "label").values
    in_train, _ = xr.broadcast(run.in_train.reset_coords(drop=True), cells.reset_coords(drop=True))
    in_train = in_train.transpose(*cells.dims).values.astype(bool)
    h_t = Groups(cells.values).entropy(p_x)
    # H(X|T) = H(X,T) - H(T), where T is a function of X.
    h_x_given_t = entropy(p_x) - h_t
    merged = np.apply_along_axis(
        _homogenised, -1, cells.values, p_x[:, None] * p_y_given_x, epsilon
    )
    found = {
        "occupied_cells": (occupied(cells.values), "1", "cells that hold a pattern"),
        "entropy": (h_t, "bit", "H(T)"),
        "conditional_entropy": (h_x_given_t, "bit", "H(X|T)"),
        "typical_cells": (np.exp2(entropy(p_x) - h_x_given_t), "1", "2^(H(X) - H(X|T))"),
        "occupied_cells_train": (
            occupied(cells.values, in_train),
            "1",
            "cells that hold a training pattern",
        ),
        "label_error": (merged[..., 0], "1", "error of the likeliest label of each cell"),
        "homogenised_cells": (
            merged[..., 1],
            "1",
            f"fewest merged cells of label error up to {epsilon:g}",
        ),
    }
    dims = cells.dims[:-1]
    return xr.Dataset(
        {
            name: (dims, values, {"units": units, "long_name": long_name})
            for name, (values, units, long_name) in found.items()
        },
        {dim: cells[dim] for dim in dims if dim in cells.coords},
        {"epsilon": epsilon},
    )


def _homogenised(cells: NDArray[np.integer], p_xy: Floats, epsilon: float) -> Floats:
    """Label error of one partition (pattern,), and the fewest cells it can be merged into."""
    _, cell = np.unique(cells, return_inverse=True)
    p_ty = np.zeros((cell.max() + 1, p_xy.shape[1]))
    np.add.at(p_ty, cell, p_xy)
    p_ty = p_ty[p_ty.sum(1) > 0]
    error = label_error(p_ty)
    fewest = float(homogenised(p_ty, [epsilon]).cells.item()) if error <= epsilon else np.nan
    return np.array([error, fewest])
