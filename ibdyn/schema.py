"""What a record holds: variables, dims, units and names. This is the contract with ``theory``."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

VERSION = 1

LAYER = ("member", "step", "layer")
ESTIMATE = ("estimator", "member", "step", "layer")
SPLIT = ("split", "member", "step")


@dataclass(frozen=True)
class Variable:
    """Dims, units, long name and dtype of a variable, and whether every record has it.

    The dtype "U" stands for text, "float" for the run's own float32 or float64.
    """

    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str = "float64"
    required: bool = True


VARIABLES: Mapping[str, Variable] = {
    "loss": Variable(SPLIT, "nat", "cross-entropy loss"),
    "error_rate": Variable(SPLIT, "1", "error rate"),
    "gradient_mean": Variable(
        LAYER, "nat", "norm of the mean per-sample gradient of the weights over the training set"
    ),
    "gradient_spread": Variable(
        LAYER, "nat", "root trace of the per-sample gradient covariance over the training set"
    ),
    "weight_norm": Variable(LAYER, "1", "Frobenius norm of the weights"),
    "weight_spectral_norm": Variable(LAYER, "1", "spectral norm of the weights"),
    "weight_displacement": Variable(LAYER, "1", "distance of the weights from their start"),
    "within_scatter": Variable(LAYER, "1", "trace of the scatter of activations within classes"),
    "between_scatter": Variable(LAYER, "1", "trace of the scatter of activations between classes"),
    "saturation": Variable(
        LAYER, "1", "share of units within one of 30 cells of the activation's limits"
    ),
    "information_input": Variable(ESTIMATE, "bit", "encoder information I(X;T)"),
    "information_label": Variable(ESTIMATE, "bit", "decoder information I(T;Y)"),
    "occupied_cells": Variable(ESTIMATE, "1", "cells that hold a pattern"),
    "occupied_cells_train": Variable(ESTIMATE, "1", "cells that hold a training pattern"),
    "information_input_stderr": Variable(
        ESTIMATE,
        "bit",
        "Monte-Carlo standard error of I(X;T), NaN where nothing is drawn",
        required=False,
    ),
    "information_label_stderr": Variable(
        ESTIMATE,
        "bit",
        "Monte-Carlo standard error of I(T;Y), NaN where nothing is drawn",
        required=False,
    ),
    "resolved": Variable(
        ESTIMATE, "1", "1 where I(X;T) lies below log2(patterns) - 0.1 bit, else 0"
    ),
    "diverged": Variable(
        ("member",), "1", "1 where loss or parameters ceased to be finite", "int8"
    ),
    "p_x": Variable(("pattern",), "1", "probability of the pattern p(x)"),
    "p_y_given_x": Variable(
        ("pattern", "label"), "1", "probability of the label p(y|x)", required=False
    ),
    "y_mean": Variable(("pattern",), "1", "mean of the real label E(y|x)", required=False),
    "y_variance": Variable((), "1", "variance of the real label given x", required=False),
    "teacher": Variable(("input",), "1", "weights of the linear teacher", required=False),
    "covariance": Variable(
        ("input", "input_2"), "1", "covariance of the inputs in the population", required=False
    ),
    "in_train": Variable(("member", "pattern"), "1", "1 in the member's training set", "int8"),
    "x": Variable(("pattern", "input"), "1", "input of the networks", required=False),
    "target": Variable(
        ("member", "pattern"), "1", "label trained on, where drawn from p(y|x)", "int16", False
    ),
    "target_value": Variable(
        ("member", "pattern"), "1", "real label trained on, where drawn", required=False
    ),
    "parameters": Variable(
        ("member", "step", "parameter"),
        "1",
        "weights and biases, NaN at steps where they were not kept",
        "float",
        False,
    ),
}

# What says how a real label depends on x, in place of p_y_given_x.
REAL_LABEL = ("y_mean", "y_variance", "teacher", "covariance")

COORDINATES: Mapping[str, Variable] = {
    "member": Variable(("member",), "1", "independent network", "int64"),
    "step": Variable(("step",), "1", "optimiser steps made", "int64"),
    "epoch": Variable(("step",), "1", "passes through the training set", "float64"),
    "layer": Variable(("layer",), "1", "layer", "U"),
    "width": Variable(("layer",), "1", "units of the layer", "int64"),
    "depth": Variable(("layer",), "1", "place of the layer, 1 next to the input", "int64"),
    "split": Variable(("split",), "1", "training or test patterns", "U"),
    "estimator": Variable(("estimator",), "1", "estimator of information", "U"),
    "symbol": Variable(("estimator",), "1", "symbol of the estimate", "U", False),
    "meaning": Variable(("estimator",), "1", "what the estimate is of", "U", False),
    "noise_model": Variable(("estimator",), "1", "noise that T carries", "U", False),
    "resolution": Variable(("estimator",), "1", "differences of T that count", "U", False),
    "parameter_layer": Variable(("parameter",), "1", "layer of the parameter", "U", False),
    "parameter_kind": Variable(("parameter",), "1", "weight or bias", "U", False),
}


def attributes(name: str) -> dict[str, str]:
    """Units and long name of a variable or coordinate; KeyError for a name that is neither."""
    variable = VARIABLES.get(name) or COORDINATES[name]
    return {"units": variable.units, "long_name": variable.long_name}


def row_dims(name: str) -> tuple[str, ...]:
    """Dims of a variable in one row, which is of one step."""
    return tuple(dim for dim in VARIABLES[name].dims if dim != "step")


def dataset(
    arrays: Mapping[str, NDArray], coordinates: Mapping[str, NDArray], attrs: Mapping[str, object]
) -> xr.Dataset:
    """Label plain arrays, with axes as in the schema: dims, units and dtypes come from there.

    Raises ValueError for names that are not in the schema, and what `validate` does.
    """
    unknown = arrays.keys() - VARIABLES.keys() | coordinates.keys() - COORDINATES.keys()
    if unknown:
        raise ValueError(f"{sorted(unknown)} are not in the schema, expected {sorted(VARIABLES)}")
    run = xr.Dataset(
        {name: _labelled(name, VARIABLES[name], array) for name, array in arrays.items()},
        {name: _labelled(name, COORDINATES[name], array) for name, array in coordinates.items()},
        dict(attrs),
    )
    validate(run)
    return run


def _labelled(name: str, variable: Variable, array: NDArray) -> xr.Variable:
    values = np.asarray(array)
    if variable.dtype not in ("U", "float"):
        values = values.astype(variable.dtype)
    return xr.Variable(variable.dims, values, attributes(name))


def validate(run: xr.Dataset) -> None:
    """Raise ValueError, naming the variable, unless ``run`` keeps the schema.

    Checked are the version, that required variables are there, and of every variable of the
    schema the dims, units and kind of number; names along a dimension must differ and steps
    ascend. Labels are either p_y_given_x or all of `REAL_LABEL`. Variables of other names are the
    user's own and pass.
    """
    version = run.attrs.get("schema_version")
    if version != VERSION:
        raise ValueError(f"schema_version is {version}, expected {VERSION}")
    for name, variable in {**VARIABLES, **COORDINATES}.items():
        if name not in run.variables:
            if variable.required:
                raise ValueError(f"{name!r} is missing from the record")
            continue
        found = run[name]
        if set(found.dims) != set(variable.dims):
            raise ValueError(f"{name!r} has dims {found.dims}, expected {variable.dims}")
        if found.attrs.get("units") != variable.units:
            raise ValueError(
                f"{name!r} has units {found.attrs.get('units')!r}, expected {variable.units!r}"
            )
        kinds = "UTO" if variable.dtype == "U" else "iuf"
        if found.dtype.kind not in kinds:
            raise ValueError(f"{name!r} has dtype {found.dtype}, expected {variable.dtype}")
    real = [name for name in REAL_LABEL if name in run]
    if "p_y_given_x" in run and real:
        raise ValueError(f"'p_y_given_x' and {real} are both in the record, expected one")
    if "p_y_given_x" not in run and len(real) < len(REAL_LABEL):
        absent = [name for name in REAL_LABEL if name not in run]
        raise ValueError(
            "'p_y_given_x' is missing from the record"
            + (f", or {absent} of a real label" if real else "")
        )
    for name in ("member", "layer", "split", "estimator"):
        values = run[name].values.tolist()
        if len(set(values)) < len(values):
            raise ValueError(f"{name!r} has repeated names: {values}")
    if (np.diff(run.step.values) <= 0).any():
        raise ValueError("'step' does not ascend")
