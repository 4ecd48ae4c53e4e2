"""The layers of a network as a Markov chain, and the data processing inequality along it.

Y -> X -> T_1 -> ... -> T_L: each layer is made from the one before alone, so neither what it knows
of the input nor what it knows of the label can grow with depth (Cover & Thomas 2006, section 2.8).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from .information import Groups, entropy, joined, mutual_information, occupied, of_cells, of_encoder


def of_layers(
    cells: NDArray[np.integer], p_x: ArrayLike, p_y_given_x: ArrayLike, layers: Sequence[str]
) -> xr.Dataset:
    """The chain of deterministic layers: ``cells`` (layer, ..., pattern) names the cell of each.

    ``p_x`` is (pattern,), ``p_y_given_x`` (pattern, label); ``layers`` are the names. Returned
    along ``layer``, and ``row_0``, ... for the dims between, in bits: ``entropy`` H(T_k),
    ``information_input`` I(X;T_k), ``information_label`` I(T_k;Y) and ``information_before``
    I(T_{k-1};T_k), T_0 being X. If the layers are a chain, the last is H(T_k); where it is less,
    T_{k-1} does not decide T_k.
    """
    p_x, p_y_given_x = np.asarray(p_x, dtype=float), np.asarray(p_y_given_x, dtype=float)
    found, label = of_cells(cells, p_x, p_y_given_x)
    identity = np.broadcast_to(np.arange(cells.shape[-1]), cells.shape[1:])
    before = np.stack([identity, *cells[:-1]])
    shared = Groups(before).entropy(p_x) + found - Groups(joined(before, cells)).entropy(p_x)
    return _along_layers(layers, found, found, label, shared)


def of_encoders(
    encoders: Sequence[ArrayLike], p_x: ArrayLike, p_y_given_x: ArrayLike, layers: Sequence[str]
) -> xr.Dataset:
    """The chain of stochastic layers: p(t_1|x), p(t_2|t_1), ... as matrices (before, after).

    ``p_x``, ``p_y_given_x`` and ``layers`` as for `of_layers`, and so what is returned.
    """
    p_x = np.asarray(p_x, dtype=float)
    whole = np.eye(len(p_x))
    rows = []
    for encoder in encoders:
        step = np.asarray(encoder, dtype=float)
        joint = (p_x @ whole)[:, None] * step
        whole = whole @ step
        rows.append(
            (entropy(p_x @ whole), *of_encoder(whole, p_x, p_y_given_x), mutual_information(joint))
        )
    return _along_layers(layers, *(np.array(column) for column in zip(*rows, strict=True)))


def _along_layers(layers: Sequence[str], *columns: NDArray) -> xr.Dataset:
    names = {
        "entropy": "H(T)",
        "information_input": "I(X;T)",
        "information_label": "I(T;Y)",
        "information_before": "I(T_{k-1};T_k)",
    }
    chain = xr.Dataset(coords={"layer": list(layers)})
    for (name, symbol), column in zip(names.items(), columns, strict=True):
        dims = ("layer", *(f"row_{i}" for i in range(column.ndim - 1)))
        chain[name] = (dims, column, {"units": "bit", "long_name": symbol})
    return chain


def refines(cells: NDArray[np.integer], coarser: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of ``cells`` (..., pattern) lies within one of ``coarser``: shape (...).

    So it does from layer to layer of a deterministic network, if the cells are its states: a state
    decides the next.

    >>> print(refines(np.array([0, 1, 2, 2]), np.array([5, 5, 6, 6])))
    True
    """
    return np.asarray(occupied(joined(cells, coarser)) == occupied(cells))


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
