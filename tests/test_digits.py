"""The digits page: watched networks, ensembles, estimators side by side, printed findings."""

import numpy as np
import pytest

import ibdyn
from simulations import digits
from theory.fitting import mean_interval


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    digits.main(["--scale", "smoke", "--out", str(folder)])
    return folder


@pytest.mark.parametrize("name", digits.NETWORKS)
def test_each_network_is_an_ensemble_whose_wide_layers_saturate_the_bins_only(folder, name):
    run = ibdyn.load(folder / f"digits-{name}.nc")
    scale = digits.SCALES["smoke"]
    assert run.sizes["member"] == scale.members
    assert run.sizes["pattern"] == scale.train + scale.test
    assert run.step.values[-1] == scale.steps
    assert run.attrs["batch_size"] == digits.BATCH
    assert run.attrs["train_size"] == 1797 - digits.TEST
    assert run.attrs["history"].endswith("python -m simulations.digits --scale smoke --seed 0")
    binned, mixture, upper = (run.sel(estimator=e) for e in run.estimator.values)
    wide = run.width.values > 100
    assert (binned.resolved.values[..., wide] == 0).all()
    assert (mixture.resolved == 1).all()
    error = mixture.information_input_stderr
    assert (mixture.information_input <= upper.information_input + 5 * error).all()
    assert (run.loss.sel(split="train").isel(step=-1) < np.log(10)).all()
    assert np.isfinite(mean_interval(run.gradient_spread)["low"]).all()
    pictures = sorted(file.name for file in folder.glob(f"digits-{name}-*.png"))
    assert len(pictures) == 3


def test_members_differ_and_the_same_seed_gives_the_same_record(folder):
    run = ibdyn.load(folder / "digits-perceptron.nc")
    again = digits.watched("perceptron", 1, digits.SCALES["smoke"], 0)
    assert again.equals(run.sel(member=[1]))
    assert (run.parameters.isel(member=0) != run.parameters.isel(member=1)).any()


def test_the_findings_are_those_of_the_record(folder):
    run = ibdyn.load(folder / "digits-convolutional.nc")
    printed = digits.summary(run)
    assert "binned-range-30: at the ceiling of 6.91 bit in conv1, conv2, logits" in printed
    assert "mixture-measured-30:1: at the ceiling of 6.91 bit in no layer" in printed
    last = run.information_input.isel(step=-1, estimator=1).sel(layer="conv1")
    assert f"{float(last.mean()):.3f} +-" in printed
    assert "of test" in printed


def test_every_example_comes_once_in_an_epoch():
    found = digits.batches(100, 7, np.random.default_rng(0))
    assert [len(rows) for rows in found] == [32, 32, 32, 4, 32, 32, 32]
    assert sorted(np.concatenate(found[:4]).tolist()) == list(range(100))
