"""Configurations: exact round trips, and an error that names the field for everything else."""

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibdyn.config import RunConfig, explain
from ibdyn.estimators import Binned
from ibdyn.presets import PRESETS, preset

configs = st.builds(
    RunConfig,
    widths=st.lists(st.integers(1, 50), min_size=0, max_size=6).map(tuple),
    activation=st.sampled_from(["tanh", "relu", "linear", "sigmoid", "softplus", "softsign"]),
    learning_rate=st.floats(1e-12, 1e3),
    batch_size=st.none() | st.integers(1, 10**6),
    train_fraction=st.floats(1e-6, 1),
    seed=st.integers(0, 2**100),
    task=st.sampled_from(
        [
            {"name": "parity", "bits": 3},
            {"information": 0.9},
            {"name": "file", "path": "a.mat", "random_labels": True},
        ]
    ),
)


@given(configs)
def test_json_gives_the_configuration_back(config):
    assert RunConfig.from_json(config.to_json()) == config


@given(configs.filter(lambda config: config.seed < 2**63))
def test_toml_gives_the_configuration_back(config):
    assert RunConfig.from_toml(config.to_toml()) == config


def test_the_default_is_the_papers_experiment():
    assert RunConfig() == preset("szt2017-paper")


def test_estimators_may_be_given_as_objects():
    assert RunConfig(estimators=[Binned("range", 30)]).estimators == ("binned-range-30",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"members": 0}, "members: must be greater than 0 (got 0)"),
        ({"epochs": -1}, "epochs: must be greater than 0 (got -1)"),
        ({"epochs": "many"}, "epochs: must be a valid integer"),
        ({"batch_size": 0}, "batch_size: must be greater than 0 (got 0)"),
        ({"batch_size": "all"}, "batch_size: must be a valid integer"),
        ({"train_fraction": 1.5}, "train_fraction: must be less than or equal to 1 (got 1.5)"),
        ({"train_fraction": 0}, "train_fraction: must be greater than 0 (got 0)"),
        ({"widths": (10, 0)}, "widths.1: must be greater than 0 (got 0)"),
        ({"learning_rate": 0}, "learning_rate: must be greater than 0 (got 0)"),
        ({"momentum": 1}, "momentum: must be less than 1 (got 1)"),
        ({"momentum": 0.9, "optimizer": "adam"}, "momentum 0.9 needs optimizer sgd, not adam"),
        ({"activation": "gelu"}, "activation: must be 'tanh', 'relu', 'linear'"),
        ({"optimizer": "lion"}, "optimizer: must be 'sgd', 'adam' or 'langevin' (got"),
        ({"temperature": 0.1}, "temperature 0.1 needs optimizer langevin, not sgd"),
        ({"temperature": -1}, "temperature: must be greater than or equal to 0 (got -1)"),
        (
            {"optimizer": "langevin", "batch_size": None, "momentum": 0.9},
            "momentum 0.9 needs optimizer sgd, not langevin",
        ),
        (
            {"optimizer": "langevin", "temperature": 0.1},
            "langevin has no noise of batches, found batch_size 256, expected None",
        ),
        ({"learning_rat": 1}, "learning_rat: Extra inputs are not permitted (got 1)"),
        ({"seed": -1}, "seed: must be greater than or equal to 0 (got -1)"),
        ({"schedule": {"count": 2}}, "schedule.count: must be greater than or equal to 3 (got 2)"),
        ({"schedule": {"extra": [-1]}}, "schedule.extra.0: must be greater than or equal to 0"),
        ({"task": {"name": "file"}}, "task: path is missing"),
        ({"task": {"bits": 3}}, "task: bits has no meaning for the task spherical_rule"),
        ({"task": {"name": "cube"}}, "task.name: must be 'spherical_rule', 'parity'"),
        ({"estimators": ["binned-range"]}, "estimators: estimator 'binned-range' is none of"),
        ({"estimators": ["kde-3"]}, "estimators: estimator 'kde-3' is unknown, expected one of"),
        ({"estimators": ["binned-range-30"] * 2}, "binned-range-30 appears more than once"),
        ({"estimators": "binned-range-30"}, "estimators: expected a list of estimators"),
        ({"noise": -0.1}, "noise: must be greater than or equal to 0 (got -0.1)"),
        ({"noise": float("inf")}, "noise: must be a finite number"),
        ({"quantisation": 0}, "quantisation: must be greater than or equal to 1 (got 0)"),
        ({"quantisation": 33}, "quantisation: must be less than or equal to 32 (got 33)"),
        (
            {"noise": 0.1, "quantisation": 4},
            "noise 0.1 and quantisation 4 are both given, expected one of them",
        ),
        ({"noise": 0.1, "engine": "kernel"}, "engine kernel has neither noise nor quantisation"),
        ({"quantisation": 4, "engine": "kernel"}, "kernel has neither noise nor quantisation"),
        (
            {"estimators": ["mixture-propagated-4"]},
            "estimator mixture-propagated-4 needs networks with noise, found noise 0",
        ),
        (
            {"estimators": ["exact"], "noise": 0.1},
            "estimator exact takes activations without noise, found noise 0.1",
        ),
        ({"estimators": []}, "estimators: Tuple should have at least 1 item"),
        ({"dtype": "float16"}, "dtype: must be 'float32' or 'float64' (got 'float16')"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_found(fields, message):
    with pytest.raises(pydantic.ValidationError) as caught:
        RunConfig(**fields)
    assert message in explain(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_of_a_preset_has_its_source(name):
    fields = set(RunConfig.model_fields)
    assert PRESETS[name].sources.keys() == fields
    sources = ("paper", "publication", "released", "saxe", "goldfeld", "lorenzen", "ours")
    assert all(text.startswith(sources) for text in PRESETS[name].sources.values())


def test_unknown_presets_are_refused():
    with pytest.raises(ValueError, match="preset 'szt' is unknown, expected one of szt2017-paper"):
        preset("szt")


def test_a_configuration_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        RunConfig().members = 3
