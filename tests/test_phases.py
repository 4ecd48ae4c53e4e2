"""Gradient phases: arithmetic from the stored primitives, against hand-made records and batches."""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr

from ibdyn import probes, training
from ibdyn.config import RunConfig
from ibdyn.ensemble import prepare
from ibdyn.estimators import from_name
from theory import phases
from theory.fitting import mean_interval


def record(mean, spread, batch=10, size=101, norm=(2.0, 4.0), spectral=(1.0, 2.0)):
    """Two layers, one member, one step."""

    def layered(values):
        return (("member", "step", "layer"), np.array(values, dtype=float)[None, None])

    return xr.Dataset(
        {
            "gradient_mean": layered(mean),
            "gradient_spread": layered(spread),
            "weight_norm": layered(norm),
            "weight_spectral_norm": layered(spectral),
        },
        {"layer": ["1", "output"], "depth": ("layer", [1, 2])},
        {"batch_size": batch, "train_size": size},
    )


def test_minibatch_spread_has_the_finite_population_factor():
    spread = phases.minibatch_spread(record([1, 1], [10, 20]))
    # sqrt((100 / 10) (101 - 10) / 100) and twice that.
    assert spread.values.ravel() == pytest.approx(np.array([1, 2]) * np.sqrt(9.1), rel=1e-14)


def test_one_of_two_samples_has_their_whole_spread():
    spread = phases.minibatch_spread(record([1, 1], [10, 20], batch=1, size=2))
    assert spread.values.ravel().tolist() == [10, 20]


@pytest.mark.parametrize("size", [101, 1])
def test_the_full_batch_has_no_spread_and_no_ratio(size):
    run = record([1, 1], [10, 20], batch=size, size=size)
    assert (phases.minibatch_spread(run) == 0).all()
    assert phases.signal_to_noise(run).isnull().all()


def test_the_signal_to_noise_ratio_is_the_mean_over_the_spread():
    run = record([3, 4], [10, 10], batch=1, size=10**9)
    assert phases.signal_to_noise(run).values.ravel() == pytest.approx([0.3, 0.4], rel=1e-8)


@pytest.mark.parametrize(("batches", "floor"), [(7, 0.408), (14, 0.277), (100, 0.1005)])
def test_pure_noise_shows_the_published_floor(batches, floor):
    assert phases.noise_floor(batches) == pytest.approx(floor, abs=5e-4)
    run = record([0, 0], [1, 1])
    seen = phases.observed_signal_to_noise(run, batches)
    assert seen.values.ravel() == pytest.approx(1 / np.sqrt(batches - 1), rel=1e-14)


def test_what_is_seen_of_drawn_gradients_and_its_debiasing():
    rng = np.random.default_rng(0)
    batches, repetitions, units = 7, 4000, 30
    run = record([0.5, 2], [np.sqrt(units), np.sqrt(units)], batch=1, size=10**15)
    exact = phases.signal_to_noise(run).values.ravel()
    for drift, ratio, seen in zip(
        (0.5, 2), exact, phases.observed_signal_to_noise(run, batches).values.ravel(), strict=True
    ):
        mean = np.full(units, drift / np.sqrt(units))
        g = mean + rng.normal(size=(repetitions, batches, units))
        squares = (g.mean(1) ** 2).sum(-1)
        traces = g.var(1).sum(-1)
        error = squares.std() / np.sqrt(repetitions) / traces.mean()
        assert abs(squares.mean() / traces.mean() - seen**2) < 5 * error
        # (|g|^2 - tr / M) has the expectation |mu|^2; over the trace's it is the exact square.
        debiased = phases.debiased_square(xr.DataArray(np.sqrt(squares / traces.mean())), batches)
        assert abs(debiased.mean().item() - ratio**2) < 5 * error
    assert (phases.debiased_square(xr.DataArray([0.1]), batches) < 0).all()


def test_debiasing_undoes_what_few_batches_do():
    run = record([3, 4], [10, 10])
    seen = phases.observed_signal_to_noise(run, 14)
    exact = phases.signal_to_noise(run)
    assert phases.debiased_square(seen, 14).values == pytest.approx((exact**2).values, rel=1e-12)
    with pytest.raises(ValueError, match="batches is 1, expected an integer of at least 2"):
        phases.noise_floor(1)


def test_the_four_historical_formulas():
    # Batches of one from many samples: the minibatch spread is the per-sample spread.
    run = record([3, 8], [4, 6], batch=1, size=10**15)
    expected = {
        "paper": ([3 / 2, 8 / 4], [4 / 2, 6 / 4], "nat"),
        "publication": ([3 / 1, (3 / 1 + 8 / 2) / 2], [16 / 1, (16 / 1 + 36 / 2) / 2], "nat2"),
        "released": ([3, 11], [np.sqrt(4), np.sqrt(10)], "nat0.5"),
        "saxe2018": ([3, 8], [4, 6], "nat"),
    }
    assert expected.keys() == phases.FORMULAS.keys()
    for formula, (mean, spread, units) in expected.items():
        curves = phases.gradient_curves(run, formula)
        assert curves["mean"].values.ravel() == pytest.approx(mean, rel=1e-12), formula
        assert curves["spread"].values.ravel() == pytest.approx(spread, rel=1e-12), formula
        assert curves["spread"].attrs["units"] == units


def test_cumulative_formulas_go_by_depth_whatever_the_order_of_layers():
    run = record([3, 8], [4, 6])
    turned = run.isel(layer=[1, 0])
    for formula in phases.FORMULAS:
        xr.testing.assert_allclose(
            phases.gradient_curves(turned, formula), phases.gradient_curves(run, formula)
        )


def test_an_unknown_formula_is_refused():
    with pytest.raises(ValueError, match="formula 'tishby' is unknown, expected one of paper"):
        phases.gradient_curves(record([1, 1], [1, 1]), "tishby")


def test_minibatch_spread_is_that_of_real_batches():
    """Gradients of the batches of many epochs at frozen weights, against the prediction."""
    config = RunConfig(
        task={"name": "majority", "bits": 8},
        widths=(4,),
        members=1,
        batch_size=16,
        train_fraction=0.75,
        dtype="float64",
    )
    ensemble = prepare(config)
    parameters, x = torch.tensor(ensemble.initial), torch.tensor(ensemble.x)
    target = torch.tensor(ensemble.targets)
    gradients = []
    for batch in itertools.islice(training.minibatches(ensemble), 12 * 60):
        patterns = torch.tensor(ensemble.train)[0, batch]
        gradient = training.batch_gradient(ensemble, parameters, x[patterns], target[0, batch])
        gradients.append(gradient[0].numpy())
    measured = probes.measure(ensemble, ensemble.initial, [from_name("binned-range-30")], 0)
    for i, layer in enumerate(ensemble.architecture.layers):
        g = np.array(gradients)[:, layer.weights]
        mu = g.reshape(60, 12, -1).mean((0, 1))
        assert measured["gradient_mean"][0, i] == pytest.approx(np.linalg.norm(mu), rel=1e-10)
        # The twelve batches of an epoch are a partition, so each epoch gives one trace.
        traces = ((g - mu) ** 2).sum(1).reshape(60, 12).mean(1)
        factor = (192 - 16) / (16 * 191)
        predicted = measured["gradient_spread"][0, i] ** 2 * factor
        error = traces.std(ddof=1) / np.sqrt(60)
        assert abs(traces.mean() - predicted) < 5 * error


def test_the_interval_of_a_mean_is_students():
    values = xr.DataArray([1.0, 2.0, 3.0, 6.0], dims="member", attrs={"units": "bit"})
    interval = mean_interval(values)
    half = 3.182446305284263 * np.std([1, 2, 3, 6], ddof=1) / 2
    assert float(interval["mean"]) == 3
    assert float(interval["low"]) == pytest.approx(3 - half, rel=1e-12)
    assert float(interval["high"]) == pytest.approx(3 + half, rel=1e-12)
    assert interval["high"].attrs["units"] == "bit"


def test_one_member_has_no_interval_and_missing_members_are_left_out():
    one = mean_interval(xr.DataArray([1.0], dims="member"))
    assert float(one["mean"]) == 1
    assert np.isnan(one["low"])
    assert np.isnan(one["high"])
    some = mean_interval(xr.DataArray([1.0, np.nan, 3.0], dims="member"))
    assert float(some["mean"]) == 2
    # Two values: half-width t(0.975, 1) sd / sqrt(2) with sd = sqrt(2).
    assert float(some["high"]) == pytest.approx(2 + 12.706204736432095, rel=1e-9)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    values = xr.DataArray(rng.normal(size=(4000, 6)), dims=("repetition", "member"))
    interval = mean_interval(values)
    covered = float(((interval["low"] < 0) & (interval["high"] > 0)).mean())
    assert abs(covered - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 4000)
