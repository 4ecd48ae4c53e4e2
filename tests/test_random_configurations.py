"""Random configurations: each trains two steps, or is refused with the name of a field."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ibdyn
from ibdyn import schema
from ibdyn.config import RunConfig, explain

TASKS = [
    {"name": "parity", "bits": 3},
    {"name": "majority", "bits": 5},
    {"name": "committee", "bits": 6, "random_labels": True},
    {"name": "linear_teacher", "inputs": 3, "samples": 20},
]
ESTIMATORS = [
    "exact",
    "binned-range-30",
    "binned-run-10",
    "binned-unit-3",
    "pairwise-upper-0.01",
    "gaussian-1",
    "mixture-propagated-2",
]
# Values that are fine by themselves; together they may not be.
GOOD = {
    "task": st.sampled_from(TASKS),
    "widths": st.lists(st.integers(1, 6), max_size=3),
    "activation": st.sampled_from(["tanh", "relu", "linear", "sigmoid", "softplus", "softsign"]),
    "noise": st.sampled_from([0.0, 0.1]),
    "quantisation": st.sampled_from([None, None, 4]),
    "output": st.sampled_from(["softmax", "softmax", "sigmoid", "linear"]),
    "init": st.fixed_dictionaries({"scale": st.sampled_from(["fan_in", "fan_out"])}),
    "optimizer": st.sampled_from(["sgd", "sgd", "adam", "langevin"]),
    "learning_rate": st.floats(1e-6, 1e6),
    "momentum": st.sampled_from([0.0, 0.0, 0.9]),
    "temperature": st.sampled_from([0.0, 0.0, 1.0]),
    "weight_decay": st.sampled_from([0.0, 0.1]),
    "batch_size": st.none() | st.integers(1, 100),
    "batch_order": st.sampled_from(["shuffled", "fixed"]),
    "members": st.integers(1, 3),
    "train_fraction": st.sampled_from([1e-3, 0.5, 0.85, 1.0]),
    "split": st.sampled_from(["stratified", "by_class", "random", "first"]),
    "labels": st.sampled_from(["drawn", "expected"]),
    "seed": st.integers(0, 2**70),
    "schedule": st.fixed_dictionaries({"count": st.integers(3, 9)}),
    "estimators": st.lists(st.sampled_from(ESTIMATORS), min_size=1, max_size=2, unique=True),
    "dtype": st.sampled_from(["float32", "float64"]),
    "engine": st.sampled_from(["auto", "auto", "kernel", "torch"]),
}
WRONG = {
    "task": [{"name": "cube"}, {"bits": 3}, 3],
    "widths": [[0], [3, -1], "many", 3],
    "activation": ["gelu", 1],
    "noise": [-1, float("inf"), float("nan")],
    "quantisation": [0, 33, 1.5],
    "output": ["hinge"],
    "optimizer": ["lion", None],
    "learning_rate": [0, -1, float("nan"), "fast"],
    "momentum": [1, -0.1],
    "temperature": [-1, float("inf")],
    "weight_decay": [-1, float("nan")],
    "batch_size": [0, -5, "all"],
    "epochs": [0, "many", 1.5],
    "members": [0, -1, None],
    "train_fraction": [0, 1.1, float("nan")],
    "split": ["even"],
    "seed": [-1, 0.5],
    "schedule": [{"count": 2}, {"extra": [-1]}, {"often": True}],
    "estimators": [[], ["kde"], "exact", ["exact", "exact"]],
    "dtype": ["float16"],
    "engine": ["jax"],
    "device": ["tpu"],
    "learning_rat": [0.1],
}
valid = st.fixed_dictionaries({}, optional=GOOD)
wrong = st.sampled_from([(name, value) for name, values in WRONG.items() for value in values])


def refuses(fields):
    """The error of a configuration that is refused, before or on looking at its task."""
    try:
        config = RunConfig.model_validate({"task": TASKS[0], "epochs": 2, **fields})
    except ValueError as error:
        return explain(error)
    try:
        two_steps(config)
    except ValueError as error:
        return str(error)
    return None


def two_steps(config):
    run = ibdyn.simulate(config, progress=False)
    assert run.step.values[-1] == 2 * run.attrs["steps_per_epoch"] >= 2
    schema.validate(run)
    assert run.sizes["member"] == config.members
    assert np.isfinite(run.loss.isel(step=0).sel(split="train")).all()


def check(fields):
    error = refuses(fields)
    # A field that stands aside may still be the one at fault, by its default.
    assert error is None or any(name in error for name in RunConfig.model_fields), error


def check_wrong(fields, one):
    name, value = one
    error = refuses({**fields, name: value})
    assert error is not None, one
    assert name in error, (one, error)


options = {"suppress_health_check": list(HealthCheck)}


@settings(max_examples=75, **options)
@given(valid)
def test_a_configuration_trains_or_the_error_names_a_field(fields):
    check(fields)


@settings(max_examples=25, **options)
@given(valid, wrong)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(fields, one):
    check_wrong(fields, one)


@pytest.mark.slow
@settings(max_examples=750, **options)
@given(valid)
def test_many_configurations_train_or_the_error_names_a_field(fields):
    check(fields)


@pytest.mark.slow
@settings(max_examples=250, **options)
@given(valid, wrong)
def test_many_wrong_values_are_refused_by_the_name_of_their_field(fields, one):
    check_wrong(fields, one)
