"""The simulations of the stochastic dynamics as their pages say, at a tiny scale."""

import csv

import numpy as np
import pytest

import ibdyn
from simulations import diffusion, gradient_phases, hidden_layers
from theory.relaxation import first_passage


def test_depths_are_trained_timed_and_their_laws_asked_for(reproduced):
    printed = (reproduced / "hidden_layers.txt").read_text()
    tree = ibdyn.open_sweep(reproduced / "hidden_layers")
    assert len(tree) == 18
    with open(reproduced / "hidden_layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18 * len(hidden_layers.TARGETS) * 3
    run = ibdyn.load(reproduced / "hidden_layers" / "adam-2.nc")
    found = first_passage(run.error_rate.sel(split="test"), 0.12, along="epoch")
    mine = [
        float(row["epoch"])
        for row in rows
        if (row["family"], row["layers"], row["target"]) == ("adam", "2", "0.12")
    ]
    assert mine == found.time.values.tolist()
    assert printed.count("measured sum of C") == 3
    assert printed.count("error 5%") == 3
    assert len(list(reproduced.glob("hidden_layers-*.png"))) == 3


def test_a_known_law_of_depth_is_found_in_its_table():
    rng = np.random.default_rng(0)
    layers = np.repeat(np.arange(1, 7), 20)
    epochs = 3 * layers * np.exp(5 / layers + rng.normal(0, 0.25, len(layers)))
    found = hidden_layers.depth_scaling(layers, epochs, False, rng, repetitions=50)
    # The standard error of S is the deviation of log T over the root of sum (1/K - mean)^2.
    x = 1 / layers
    error = 0.25 / np.sqrt(((x - x.mean()) ** 2).sum())
    assert float(found.coefficient.sel(law="sequential")) == pytest.approx(5, abs=4 * error)
    assert found.law.values[found.aic.values.argmin()] == "sequential"


def test_gradient_phases_have_their_transitions_and_variants(reproduced):
    printed = (reproduced / "gradient_phases.txt").read_text()
    runs = {
        name: ibdyn.load(reproduced / f"gradient_phases-{name}.nc")
        for name in ("minibatch", "full-batch", "langevin", "stored")
    }
    first = runs["minibatch"].parameters.isel(step=0)
    for name in ("full-batch", "langevin"):
        assert np.array_equal(runs[name].parameters.isel(step=0), first)
    weight = gradient_phases.mean_temperature(runs["minibatch"])
    config = ibdyn.RunConfig.from_json(runs["langevin"].attrs["config"])
    assert config.temperature == weight
    assert f"{weight:.3g} nat" in printed
    assert gradient_phases.mean_temperature(runs["full-batch"]) == 0
    assert printed.count("relaxation, ") == 2
    assert printed.count("exp(sum C) >= sum exp(C) holds in") == 2
    assert len(list(reproduced.glob("gradient_phases-*.png"))) == 2


def test_a_cloud_is_held_against_the_landscape_at_its_fork(reproduced):
    printed = (reproduced / "diffusion.txt").read_text()
    assert "within the 95 % interval of reshuffled" in printed
    source = ibdyn.load(reproduced / "diffusion-source.nc")
    fork = ibdyn.load(reproduced / "diffusion-sgd.nc")
    landscape = diffusion.landscape_of(source, int(source.step[-1]))
    assert landscape.basis.T @ landscape.basis == pytest.approx(np.eye(294), abs=1e-10)
    # The trace of the covariance of the weights' gradients is in the record, layer by layer.
    weights = (source.parameter_kind == "weight").values
    plain = landscape.basis @ landscape.noise @ landscape.basis.T
    recorded = float((source.gradient_spread.isel(step=-1) ** 2).sum())
    assert np.trace(plain[np.ix_(weights, weights)]) == pytest.approx(recorded, rel=1e-5)
    with open(reproduced / "diffusion.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    last = [row for row in rows if row["fork"] == "sgd" and row["direction"] == "1st"][-1]
    theta = fork.parameters.isel(step=-1).transpose("member", "parameter").values
    along = (theta - theta.mean(0)) @ landscape.basis[:, 0]
    assert float(last["variance"]) == pytest.approx(along.var(ddof=1), rel=1e-9)
    # After one epoch of a quadratic loss the first rows are the theory's own.
    assert float(last["reshuffled"]) < float(last["drawn anew"]) * 1.1
    assert (reproduced / "diffusion.png").stat().st_size > 10_000
