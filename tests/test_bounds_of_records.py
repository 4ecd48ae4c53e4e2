"""Records beside their bounds: what `compare` finds in known ones, and partitions of layers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, spearmanr

import ibdyn
from theory import bounds, partitions
from theory.information import entropy_given_cells, of_cells
from theory.quantisers import homogenised

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
SPLIT, ESTIMATE = ("split", "member", "step"), ("estimator", "member", "step", "layer")


def record(
    in_train,
    train_error,
    test_error,
    *,
    information=1.0,
    label=1.0,
    cells=2.0,
    widths=(2,),
    steps=(0,),
    labels=2,
):
    """A record of ``in_train`` (member, pattern) with one estimator and all members alike but for
    the errors (member,)."""
    members, patterns = in_train.shape
    shape = (1, members, len(steps), len(widths))
    names = [*map(str, range(1, len(widths))), "output"]
    error = np.stack([np.broadcast_to(e, members) for e in (train_error, test_error)])
    error = np.repeat(error[..., None], len(steps), -1)

    def estimate(value, units):
        value = np.asarray(value, dtype=float)
        value = value[None, :, None, None] if value.ndim else value
        return (ESTIMATE, np.broadcast_to(value, shape).copy(), {"units": units})

    return xr.Dataset(
        {
            "error_rate": (SPLIT, error, {"units": "1"}),
            "loss": (SPLIT, 2 * error, {"units": "nat"}),
            "information_input": estimate(information, "bit"),
            "information_label": estimate(label, "bit"),
            "occupied_cells": estimate(cells, "1"),
            "in_train": (("member", "pattern"), in_train.astype(np.int8)),
            "p_y_given_x": (("pattern", "label"), np.full((patterns, labels), 1 / labels)),
        },
        {
            "split": ["train", "test"],
            "member": np.arange(members),
            "step": list(steps),
            "epoch": ("step", np.array(steps) / 2),
            "layer": names,
            "width": ("layer", list(widths)),
            "depth": ("layer", np.arange(1, len(widths) + 1)),
            "estimator": ["cells"],
        },
        {"train_size": int(in_train[0].sum())},
    )


def splits(members, patterns, size, seed=0):
    """Random training sets (member, pattern)."""
    order = np.random.default_rng(seed).random((members, patterns)).argsort(1)
    return order < size


def test_a_trained_record_is_held_against_each_formula(run):
    found = bounds.compare([run]).isel(run=0)
    m, n = run.attrs["train_size"], run.sizes["pattern"]
    assert (found.train_size, found.parameters, found.widths) == (m, 91, "5-3-2")
    assert found.epoch.values.tolist() == run.epoch.values.tolist()
    error = run.error_rate.transpose("member", "step", "split").values
    gap = found.gap.transpose("member", "epoch").values
    assert gap == pytest.approx(error[..., 1] - error[..., 0])
    everyone = (m * error[..., 0] + (n - m) * error[..., 1]) / n
    population = found.population_gap.transpose("member", "epoch").values
    assert population == pytest.approx(everyone - error[..., 0], abs=1e-12)
    assert found.classical == bounds.classical(91, m)
    assert found.pattern_count == bounds.cell_count(4096, m)
    dims = ("estimator", "member", "epoch", "layer")
    info, label, cells = (
        run[name].transpose(*ESTIMATE).values
        for name in ("information_input", "information_label", "occupied_cells")
    )
    assert (found.cell_count.transpose(*dims).values == bounds.cell_count(cells, m)).all()
    assert (found.conditional_information.transpose(*dims).values == info - label).all()
    for reading in bounds.READINGS:
        one = found.input_compression.sel(reading=reading).transpose(*dims).values
        assert (one == bounds.input_compression(info, m, reading=reading)).all()
    assert (found.occupied_cells >= 2**found.information_input - 1e-9).all()
    assert (found.cell_count >= found.input_compression.sel(reading="two-sided") - 1e-12).all()
    for name in bounds.BOUNDS:
        assert (found[f"{name}_vacuous"] == (found[name] >= 1)).all()
        assert found[name].attrs["status"]
    assert all(variable.attrs["units"] and variable.long_name for variable in found.values())
    units = {"gap": "1", "loss_gap": "nat", "information_input": "bit", "cell_count": "1"}
    assert {name: found[name].units for name in units} == units
    assert "not proven for layers learned from the same sample" in found.attrs["comment"]


def test_records_of_other_sizes_widths_and_epochs_stand_side_by_side(tmp_path):
    deep = tuple(range(12, 1, -1))
    runs = {
        "flat": record(splits(3, 40, 30), 0.1, 0.2, widths=(3, 2), steps=(0, 4), cells=3),
        "deep": record(splits(2, 40, 10), 0.0, 0.5, widths=deep, steps=(0, 2), cells=[5, np.nan]),
    }
    found = bounds.compare(runs, delta=0.1)
    assert found.run.values.tolist() == ["flat", "deep"]
    assert found.train_size.values.tolist() == [30, 10]
    assert found.layer.values.tolist() == [*map(str, range(1, 11)), "output"]
    assert found.epoch.values.tolist() == [0, 1, 2]
    assert found.widths.values.tolist() == ["3-2", "-".join(map(str, deep))]
    assert np.isnan(found.classical).all()
    assert np.isnan(found.gap.sel(run="flat", epoch=1)).all()
    flat = found.sel(run="flat", estimator="cells", member=2, epoch=2)
    assert flat.gap == pytest.approx(0.1)
    assert flat.loss_gap == pytest.approx(0.2)
    assert flat.population_gap == pytest.approx(0.025)
    assert flat.cell_count.sel(layer="1") == bounds.cell_count(3, 30, delta=0.1)
    assert np.isnan(flat.cell_count.sel(layer="2"))
    assert np.isnan(flat.cell_count_vacuous.sel(layer="2"))
    many = found.sel(run="deep", estimator="cells", epoch=1, layer="10")
    assert many.cell_count[0] == bounds.cell_count(5, 10, delta=0.1)
    assert np.isnan(many.cell_count[1:]).all()
    assert found.pattern_count_vacuous.values.tolist() == [0, 1]
    found.to_netcdf(tmp_path / "compared.nc")


def test_there_is_no_gap_without_a_test_set():
    found = bounds.compare([record(np.ones((2, 9), bool), 0.2, np.nan)])
    assert np.isnan(found.gap).all()
    assert np.isnan(found.population_gap).all()
    assert found.cell_count.notnull().all()
    assert np.isnan(bounds.violation_rates(found).cell_count).all()


def test_more_than_two_labels_are_counted():
    one = bounds.compare([record(splits(1, 20, 10), 0.0, 0.1, labels=5)]).isel(run=0)
    assert one.cell_count.item() == bounds.cell_count(2, 10, labels=5)
    assert one.pattern_count == bounds.cell_count(20, 10, labels=5)


def test_the_worst_classifier_on_fixed_cells_keeps_the_bound_in_1000_splits():
    """The worst labelling of three cells that depend on nothing, in each of 1000 random splits.

    Nine in ten patterns are trained on: the test gap is ten times the population gap, and above
    the bound in most splits, as the theorem is not of it.
    """
    rng, delta, patterns, size = np.random.default_rng(0), 0.5, 200, 180
    cell, truth = rng.integers(0, 3, patterns), rng.integers(0, 2, patterns)
    said = (np.arange(8)[:, None] >> np.arange(3) & 1)[:, cell]
    wrong = (said != truth).astype(float)
    in_train = splits(1000, patterns, size)
    train = in_train @ wrong.T / size
    test = ~in_train @ wrong.T / (patterns - size)
    worst = (test - train).argmax(1)
    everyone = np.arange(1000)
    run = record(in_train, train[everyone, worst], test[everyone, worst], cells=3)
    found = bounds.compare([run], delta=delta).squeeze()
    assert found.population_gap.values == pytest.approx(
        wrong.mean(1)[worst] - train[everyone, worst], abs=1e-12
    )
    rates = bounds.violation_rates(found)
    assert rates.cell_count * 1000 <= binom.isf(1e-6, 1000, delta)
    assert rates.pattern_count * 1000 <= binom.isf(1e-6, 1000, delta)
    assert (found.gap > found.cell_count).mean() > delta
    scale = patterns / (patterns - size)
    assert (found.gap > scale * found.cell_count).mean() == rates.cell_count


def test_random_labels_have_the_same_information_and_the_whole_gap():
    """Both learn their training labels by heart in two cells: 1 bit, a gap of 0 or of 1/2.

    The bound of two cells is broken by far, since it is their labels that made the cells; that of
    all patterns holds.
    """
    in_train = splits(5, 4096, 3277)
    found = bounds.compare(
        {"rule": record(in_train, 0.0, 0.0), "random labels": record(in_train, 0.0, 0.5)}
    )
    rule, random = (found.sel(run=name) for name in ("rule", "random labels"))
    for name in ("information_input", "conditional_information", "cell_count", "input_compression"):
        assert (rule[name] == random[name]).all()
    assert random.cell_count.values == pytest.approx(0.0278, abs=5e-5)
    assert random.population_gap.values == pytest.approx(0.5 * 819 / 4096)
    rates = bounds.violation_rates(found)
    assert (rates.cell_count.sel(run="rule") == 0).all()
    assert (rates.cell_count.sel(run="random labels") == 1).all()
    assert (rates.input_compression.sel(run="random labels") == 1).all()
    assert (rates.pattern_count == 0).all()


def test_predictors_order_gaps_within_a_training_size_and_not_across():
    """At each size the gap falls with I(X;T|Y), across sizes both fall together."""
    rng = np.random.default_rng(1)
    info = {size: rng.random(8) + 100 / size for size in (50, 100)}
    runs = [
        record(splits(4, 200, size), 0.0, 20 / size - part / 10, information=part + 1, cells=9)
        for size, whole in info.items()
        for part in np.split(whole, 2)
    ]
    compared = bounds.compare(runs)
    found = bounds.orderings(compared).squeeze()
    assert found.train_size.values.tolist() == [50, 100]
    for name in ("information_input", "conditional_information"):
        assert found.correlation.sel(predictor=name).values == pytest.approx([-1, -1])
    across = spearmanr(compared.gap.values.ravel(), compared.conditional_information.values.ravel())
    assert across.statistic > 0
    assert np.isnan(found.correlation.sel(predictor=["parameters", "occupied_cells"])).all()
    assert found.networks.sel(predictor="information_input").values.tolist() == [8, 8]
    assert found.networks.sel(predictor="parameters").values.tolist() == [0, 0]


def test_rank_correlations_are_spearmans_with_ties_and_without_what_is_missing():
    rng = np.random.default_rng(2)
    info, gap = rng.integers(0, 5, 30).astype(float), rng.integers(0, 5, 30) / 10
    info[3], gap[7] = np.nan, np.nan
    run = record(splits(30, 60, 30), 0.0, gap, information=info)
    found = bounds.orderings(bounds.compare([run])).sel(predictor="information_input").squeeze()
    both = ~np.isnan(info) & ~np.isnan(gap)
    assert found.networks == 28
    expected = spearmanr(info[both], gap[both]).statistic
    assert found.correlation.item() == pytest.approx(expected, abs=1e-12)


@given(seeds)
def test_a_partition_has_at_least_as_many_cells_as_its_entropy_says(rng):
    cells = xr.DataArray(rng.integers(0, 6, (2, 3, 20)), dims=("member", "layer", "pattern"))
    world = xr.Dataset(
        {
            "p_x": ("pattern", rng.dirichlet(np.ones(20))),
            "p_y_given_x": (("pattern", "label"), rng.dirichlet([0.3, 0.3, 0.3], 20)),
            "in_train": (("member", "pattern"), rng.integers(0, 2, (2, 20))),
        }
    )
    found = partitions.of_layers(cells, world, 0.4)
    assert (found.typical_cells <= found.occupied_cells * (1 + 1e-12)).all()
    assert (found.occupied_cells_train <= found.occupied_cells).all()
    p_x = world.p_x.values
    missing = entropy_given_cells(np.arange(20), cells.values, p_x)
    assert found.conditional_entropy.values == pytest.approx(missing, abs=1e-12)
    h_t, _ = of_cells(cells.values, p_x, world.p_y_given_x.values)
    assert found.typical_cells.values == pytest.approx(2**h_t, rel=1e-12)
    p_xy = p_x[:, None] * world.p_y_given_x.values
    one = cells.values[1, 2]
    joint = np.array([p_xy[one == t].sum(0) for t in np.unique(one)])
    error = 1 - joint.max(1).sum()
    at = found.isel(member=1, layer=2)
    assert at.label_error == pytest.approx(error, abs=1e-12)
    assert at.occupied_cells_train == len(np.unique(one[world.in_train.values[1] == 1]))
    if error > 0.4:
        assert np.isnan(at.homogenised_cells)
    else:
        assert at.homogenised_cells == homogenised(joint, [0.4]).cells.item()


def test_equal_cells_are_as_many_as_their_entropy_says_and_unequal_ones_are_not():
    world = hard_world(8)
    cells = xr.DataArray(
        [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 0, 1, 2, 3]], dims=("k", "pattern")
    )
    found = partitions.of_layers(cells, world, 0.25)
    assert found.occupied_cells.values.tolist() == [4, 4]
    p = np.array([5, 1, 1, 1]) / 8
    assert found.typical_cells.values == pytest.approx([4, np.prod(p**-p)], rel=1e-12)


def test_homogeneity_alone_collapses_to_two_cells():
    """Hard labels and epsilon 0: two cells are all it takes, whatever the layer has."""
    world = hard_world(8)
    cells = xr.DataArray([np.arange(8), np.arange(8) // 4, np.arange(8) % 2], dims=("k", "pattern"))
    found = partitions.of_layers(cells, world, 0.0)
    assert found.occupied_cells.values.tolist() == [8, 2, 2]
    assert found.homogenised_cells.values.tolist()[:2] == [2, 2]
    assert found.label_error.values.tolist() == [0, 0, 0.5]
    assert np.isnan(found.homogenised_cells[2])
    assert partitions.of_layers(cells, world, 0.5).homogenised_cells.values.tolist() == [1, 1, 1]


def test_cells_of_a_trained_record_are_those_it_recorded(run):
    step, name = int(run.step[-1]), "binned-range-30"
    found = partitions.of_layers(ibdyn.cells(run, step, name), run, 0.5)
    recorded = run.sel(step=step, estimator=name)
    for variable, known in (
        ("occupied_cells", "occupied_cells"),
        ("occupied_cells_train", "occupied_cells_train"),
        ("entropy", "information_input"),
    ):
        expected = recorded[known].transpose("member", "layer").values
        assert found[variable].values == pytest.approx(expected, abs=1e-12)
    assert found.layer.values.tolist() == run.layer.values.tolist()


def hard_world(patterns):
    """Uniform patterns, of which the first half has label 0 and the others 1."""
    label = np.arange(patterns) >= patterns // 2
    return xr.Dataset(
        {
            "p_x": ("pattern", np.full(patterns, 1 / patterns)),
            "p_y_given_x": (("pattern", "label"), np.eye(2)[label.astype(int)]),
            "in_train": (("pattern",), np.ones(patterns, np.int8)),
        }
    )


RUN = record(splits(2, 8, 4), 0.0, 0.1)
CELLS = xr.DataArray(np.arange(8), dims="pattern")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.compare([]), "there are no runs, expected one or more"),
        (
            lambda: bounds.compare([RUN, RUN.drop_vars("occupied_cells")]),
            "run 1 holds no 'occupied_cells'",
        ),
        (
            lambda: bounds.compare({"a": RUN.isel(step=0)}),
            r"'loss' of run 'a' has dims \('split', 'member'\), expected \('member', 'split', 'st",
        ),
        (
            lambda: bounds.compare([RUN.assign(information_label=RUN.occupied_cells)]),
            "'information_label' of run 0 has units '1', expected 'bit'",
        ),
        (
            lambda: bounds.compare([RUN.drop_vars("epoch")]),
            "run 0 holds no coordinate 'epoch'",
        ),
        (
            lambda: bounds.compare([RUN.assign_attrs(train_size=5)]),
            r"train_size of run 0 is 5, in_train holds \[4\]",
        ),
        (lambda: bounds.compare([RUN], delta=1.5), "delta is 1.5, expected between 0 and 1"),
        (
            lambda: partitions.of_layers(CELLS[:3], hard_world(8), 0.1),
            "cells have sizes {'pattern': 3}, expected 8 along 'pattern'",
        ),
        (
            lambda: partitions.of_layers(CELLS * 1.0, hard_world(8), 0.1),
            "cells have dtype float64, expected integers",
        ),
        (
            lambda: partitions.of_layers(CELLS, hard_world(8), -0.1),
            "epsilon is -0.1, expected between 0 and 1",
        ),
    ],
)
def test_what_is_no_record_or_partition_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
