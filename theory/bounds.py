"""Generalisation bounds beside the gap that was measured, for one record or many.

The formulas are those of `theory.capacity` and `theory.held_out`, and can be had from here.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from .capacity import (
    READINGS,
    cell_count,
    classical,
    conditional_information,
    entropy_bound,
    input_compression,
    vacuous,
)
from .held_out import split_sample, test_set
from .ranks import rank_correlation

__all__ = [
    "BOUNDS",
    "CRITICISMS",
    "PREDICTORS",
    "READINGS",
    "cell_count",
    "classical",
    "compare",
    "conditional_information",
    "entropy_bound",
    "input_compression",
    "orderings",
    "split_sample",
    "test_set",
    "vacuous",
    "violation_rates",
]

# What has to be said wherever the bounds of layers are shown.
CRITICISMS = (
    "The bounds of a layer's cells are not proven for layers learned from the same sample: "
    "networks that fit random labels have the same I(X;T), and a test gap of 1/2.",
    "2^I(X;T) is not a number of cells: a partition has at least as many, and may have far more.",
    "I(X;T) is that of binned activations and changes with the bins; of the exact states of a "
    "deterministic network it is nearly always H(X).",
    "The bounds are exponential in I(X;T): one bit more asks for twice the samples.",
    "Across training sizes any bound follows the gap, because both fall with the size.",
)
BOUNDS: Mapping[str, str] = {
    "classical": "heuristic: the cover's step hides a Lipschitz constant",
    "pattern_count": "theorem, for random splits: all patterns apart do not depend on the sample",
    "cell_count": "theorem at step 0 for classifiers on the cells; "
    "no theorem for cells learned from the sample",
    "input_compression": "no theorem: 2^I(X;T) is less than the number of cells",
}
PREDICTORS = ("parameters", "occupied_cells", "information_input", "conditional_information")

_LONG_NAMES = {
    "gap": "error rate, test minus training",
    "population_gap": "error rate, all patterns minus training",
    "loss_gap": "loss, test minus training",
    "information_input": "encoder information I(X;T)",
    "conditional_information": "I(X;T|Y) = I(X;T) - I(T;Y), a predictor of order, no bound",
    "occupied_cells": "cells that hold a pattern",
    "classical": "classical bound of the number of parameters",
    "pattern_count": "bound of the partition into all patterns",
    "cell_count": "bound of the number of a layer's cells",
    "input_compression": "input-compression bound of 2^I(X;T) cells",
}
_ESTIMATES = ("information_input", "information_label", "occupied_cells")
_DIMS = {
    "loss": {"split", "member", "step"},
    "error_rate": {"split", "member", "step"},
    **{name: {"estimator", "member", "step", "layer"} for name in _ESTIMATES},
    "in_train": {"member", "pattern"},
    "p_y_given_x": {"pattern", "label"},
}


def compare(
    runs: Mapping[str, xr.Dataset] | Iterable[xr.Dataset], *, delta: float = 0.05
) -> xr.Dataset:
    """Measured gap and every bound, per layer, training size and epoch.

    ``runs`` are records, by name or not (then they are numbered), of any training sizes, widths
    and epochs; where one has no such layer, member, estimator or epoch it is NaN.

    Along ``run`` with coordinates ``train_size`` m, ``parameters`` (NaN where not recorded) and
    ``widths``; along ``member`` and ``epoch`` where they apply:

    ``gap``: test minus training error rate. ``population_gap``: (N - m)/N of it, the risk on all N
    patterns minus the training error (where labels are drawn from p(y|x), the test set's are in
    expectation). This is the R - R' of the bounds, which hold for samples drawn without
    replacement too (Hoeffding 1963, section 6), so for random splits, in strata up to their
    rounding, but for no others: a bound on ``gap`` is N/(N - m) times as large. ``loss_gap``: test
    minus training loss, in nats. All NaN where there is no test set.

    Along ``estimator`` and ``layer`` as well: ``information_input`` and
    ``conditional_information`` I(X;T|Y) in bits, ``occupied_cells`` |T| of all patterns.

    The bounds, at confidence 1 - ``delta``, each with an attribute ``status`` that says what is
    proven: ``classical``; ``pattern_count``, all N patterns apart, which is the one that holds
    for a trained network; ``cell_count``, of |T| cells, and ``input_compression``, along
    ``reading``, of 2^I(X;T). The cells are those of the layer, learned from the sample after step
    0, and the network need not say one label in each. Flags ``classical_vacuous`` and so on are 1
    where the bound is 1 or more, NaN where it is NaN. The attribute ``comment`` holds `CRITICISMS`.

    ValueError, naming the run, for a variable or coordinate that is missing, other dims,
    information not in bits, or a train_size that is not what in_train holds; without runs; and for
    a delta not between 0 and 1.
    """
    named = dict(runs) if isinstance(runs, Mapping) else dict(enumerate(runs))
    if not named:
        raise ValueError("there are no runs, expected one or more")
    for name, run in named.items():
        _check(name, run)
    parts = [_of_run(run, delta) for run in named.values()]
    found = xr.concat(
        parts,
        xr.DataArray(list(named), dims="run", name="run"),
        data_vars="all",
        coords="all",
        compat="equals",
        join="outer",
        combine_attrs="override",
    )
    depths = [run.depth.to_series() for run in named.values()]
    order = {layer: max(d.get(layer, 0) for d in depths) for layer in found.layer.values}
    found = found.sel(layer=sorted(order, key=order.__getitem__))
    for name, variable in found.items():
        variable.attrs = _attributes(str(name))
    found.train_size.attrs = {"units": "1", "long_name": "training patterns"}
    found.parameters.attrs = {"units": "1", "long_name": "weights and biases"}
    found.epoch.attrs = {"units": "1", "long_name": "passes through the training set"}
    found.attrs = {"delta": delta, "comment": " ".join(CRITICISMS)}
    return found


def violation_rates(compared: xr.Dataset) -> xr.Dataset:
    """Share of members whose ``population_gap`` exceeds each bound of a `compare`, NaN for none.

    Variables `BOUNDS`, along the dims of ``compared`` that they have, but ``member``.
    A theorem's stays below delta.
    """
    gap = compared.population_gap
    rates = xr.Dataset()
    for name in BOUNDS:
        known = gap.notnull() & compared[name].notnull()
        rates[name] = (gap > compared[name]).where(known).mean("member")
        rates[name].attrs = {"units": "1", "long_name": f"share of gaps above {name}"}
    return rates


def orderings(compared: xr.Dataset) -> xr.Dataset:
    """Spearman's rank correlation of the ``gap`` with each of `PREDICTORS`, at equal training size.

    Over the networks, (run, member), of one ``train_size``: since the gap and any bound fall with
    the size, only what orders networks of the same size says something of them.

    Dataset along ``train_size``, ``predictor``, ``estimator``, ``epoch`` and ``layer``:
    ``correlation``, NaN where the gap or the predictor does not vary, and ``networks``, how many
    have both.
    """
    gap = compared.gap
    values = xr.concat(
        [compared[name].broadcast_like(compared.occupied_cells) for name in PREDICTORS],
        xr.DataArray(list(PREDICTORS), dims="predictor", name="predictor"),
        coords="minimal",
        compat="override",
    )
    sizes = np.unique(compared.train_size)
    parts = []
    for size in sizes:
        same = compared.train_size.values == size
        x, y = (one.isel(run=same).stack(network=("run", "member")) for one in (values, gap))
        correlation = xr.apply_ufunc(
            rank_correlation, x, y, input_core_dims=[["network"], ["network"]]
        )
        networks = (x.notnull() & y.notnull()).sum("network")
        parts.append(xr.Dataset({"correlation": correlation, "networks": networks}))
    result = xr.concat(parts, xr.DataArray(sizes, dims="train_size", name="train_size"))
    result.correlation.attrs = {"units": "1", "long_name": "rank correlation with the gap"}
    result.networks.attrs = {"units": "1", "long_name": "networks of this training size"}
    return result.transpose("train_size", "predictor", "estimator", "epoch", "layer")


def _of_run(run: xr.Dataset, delta: float) -> xr.Dataset:
    """Gap and bounds of one record, without attributes."""
    m, patterns, labels = run.attrs["train_size"], run.sizes["pattern"], run.sizes["label"]
    error, loss = (run[name].reset_coords(drop=True) for name in ("error_rate", "loss"))
    estimates = run[[*_ESTIMATES]].reset_coords(drop=True)
    information, cells = estimates.information_input, estimates.occupied_cells
    parameters = run.sizes.get("parameter", np.nan)
    gap = error.sel(split="test", drop=True) - error.sel(split="train", drop=True)
    found = xr.Dataset(
        {
            "gap": gap,
            "population_gap": gap * (1 - m / patterns),
            "loss_gap": loss.sel(split="test", drop=True) - loss.sel(split="train", drop=True),
            "information_input": information,
            "conditional_information": xr.apply_ufunc(
                conditional_information, information, estimates.information_label
            ),
            "occupied_cells": cells,
            "pattern_count": cell_count(patterns, m, labels=labels, delta=delta),
            "classical": classical(parameters, m, delta=delta),
            "cell_count": xr.apply_ufunc(
                cell_count, cells, m, kwargs={"labels": labels, "delta": delta}
            ),
            "input_compression": xr.concat(
                [
                    xr.apply_ufunc(
                        input_compression,
                        information,
                        m,
                        kwargs={"reading": reading, "labels": labels, "delta": delta},
                    )
                    for reading in READINGS
                ],
                xr.DataArray(list(READINGS), dims="reading", name="reading"),
            ),
        },
        {
            "train_size": m,
            "parameters": parameters,
            "widths": "-".join(map(str, run.sortby("depth").width.values)),
        },
    )
    for name in BOUNDS:
        found[f"{name}_vacuous"] = xr.apply_ufunc(vacuous, found[name])
    epoch = run.epoch.values
    return found.assign_coords(epoch=("step", epoch)).swap_dims(step="epoch").drop_vars("step")


def _attributes(name: str) -> dict[str, str]:
    if name.endswith("_vacuous"):
        bound = name.removesuffix("_vacuous")
        return {"units": "1", "long_name": f"1 where {bound} is 1 or more, else 0"}
    bits = name in ("information_input", "conditional_information")
    units = "bit" if bits else "nat" if name == "loss_gap" else "1"
    known = {"units": units, "long_name": _LONG_NAMES[name]}
    return known | ({"status": BOUNDS[name]} if name in BOUNDS else {})


def _check(name: object, run: xr.Dataset) -> None:
    for variable, dims in _DIMS.items():
        if variable not in run:
            raise ValueError(f"run {name!r} holds no {variable!r}")
        if set(run[variable].dims) != dims:
            raise ValueError(
                f"{variable!r} of run {name!r} has dims {run[variable].dims}, "
                f"expected {tuple(sorted(dims))}"
            )
    for variable in ("information_input", "information_label"):
        units = run[variable].attrs.get("units")
        if units != "bit":
            raise ValueError(f"{variable!r} of run {name!r} has units {units!r}, expected 'bit'")
    for coordinate in ("epoch", "width", "depth"):
        if coordinate not in run.coords:
            raise ValueError(f"run {name!r} holds no coordinate {coordinate!r}")
    size, held = run.attrs.get("train_size"), np.unique(run.in_train.sum("pattern"))
    if held.tolist() != [size]:
        raise ValueError(f"train_size of run {name!r} is {size}, in_train holds {held.tolist()}")
