"""The layers of a network as a Markov chain, and the data processing inequality along it."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .information import occupied


def refines(cells: NDArray[np.integer], coarser: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of ``cells`` (..., pattern) lies within one cell of ``coarser`` (..., pattern).

    So it does from layer to layer of a deterministic network, if the cells are its states: a state
    decides the next.

    >>> print(refines(np.array([0, 1, 2, 2]), np.array([5, 5, 6, 6])))
    True
    """
    pairs = np.stack(np.broadcast_arrays(cells, coarser), -1)
    joint = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)[1]
    return np.asarray(occupied(joint.reshape(pairs.shape[:-1])) == occupied(pairs[..., 0]))


def processing_violations(information: xr.DataArray) -> xr.DataArray:
    """How far the information of each layer exceeds that of the layer before, along ``layer``.

    ``information`` is I(X;T) or I(T;Y) of the layers, from the input on, in its own units. By the
    data processing inequality nothing exceeds if the states of a layer decide those of the next,
    so for exact states a violation is an error; for binned ones, which are no Markov chain, it
    says that the resolution does not suit the layers. The first layer has none before it and is
    left out; ValueError without a dim ``layer`` of at least two.
    """
    if information.sizes.get("layer", 0) < 2:
        raise ValueError(
            f"information has dims {dict(information.sizes)}, expected a layer dim of at least 2"
        )
    growth = information.diff("layer", label="upper").clip(min=0)
    return growth.assign_attrs(
        units=information.attrs.get("units", "bit"),
        long_name="excess over the layer before, against the data processing inequality",
    )
