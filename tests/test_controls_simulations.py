"""Training size and the controls as their pages say, at a tiny scale."""

import csv

import numpy as np
import pytest
import xarray as xr

import ibdyn
from simulations import controls
from theory import bounds
from theory.onset import cross_fitted_drop


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_sizes_are_compared_with_the_bounds_of_their_own_records(reproduced):
    printed = (reproduced / "training_size.txt").read_text()
    tree = ibdyn.open_sweep(reproduced / "training_size")
    assert set(tree.children) == {"normal-10", "normal-45", "half-10", "double-10"}
    rows = read(reproduced / "training_size.csv")
    run = tree["normal-45"].to_dataset()
    found = bounds.compare({"one": run.isel(step=[-1])}).isel(run=0, estimator=0, epoch=0)
    for row in rows:
        if row["run"] != "normal-45":
            continue
        own = found.sel(member=int(row["member"]), layer=row["layer"])
        for name in ("gap", "information_input", "cell_count"):
            assert float(row[name]) == pytest.approx(float(own[name]), rel=1e-12)
    assert sum(row["run"] == "normal-45" for row in rows) == 3 * 6
    for name in tree.children:
        assert name in printed
    for predictor in bounds.PREDICTORS:
        assert predictor in printed
    assert len(list(reproduced.glob("training_size-*.png"))) == 2


def test_controls_begin_at_the_same_weights_and_are_measured_as_the_theory_does(reproduced):
    printed = (reproduced / "controls.txt").read_text()
    runs = {
        name: ibdyn.load(reproduced / "controls" / f"{name}.nc") for name in controls.variants()
    }
    start = runs["tanh"].parameters.isel(step=0)
    for name in ("relu", "full-batch", "batch-64", "langevin-0", "random-labels"):
        assert np.array_equal(runs[name].parameters.isel(step=0), start), name
    rows = {row["variant"]: row for row in read(reproduced / "controls.csv")}
    assert rows.keys() == runs.keys()
    for name in ("tanh", "quantised", "linear"):
        hidden = runs[name].isel(layer=-2, estimator=0)
        drop = cross_fitted_drop(
            hidden.information_input,
            np.random.default_rng(0),
            blocks=runs[name].sizes["step"] // 2,
            repetitions=1,
        )
        assert float(rows[name]["drop"]) == pytest.approx(float(drop["mean"]), abs=1e-12)
        assert f"{name} " in printed
    # Langevin steps at no temperature are those of the full batch.
    same = runs["langevin-0"].parameters.isel(step=-1), runs["full-batch"].parameters.isel(step=-1)
    assert np.array_equal(*same)


def test_clusters_that_tighten_as_information_falls_are_associated():
    falling = np.linspace(9, 3, 12)
    hidden = ibdyn_like(falling, within=falling / 10, between=np.ones(12))
    assert controls.clustering(hidden).values == pytest.approx([1, 1])
    hidden = ibdyn_like(falling, within=1 / falling, between=np.ones(12))
    assert controls.clustering(hidden).values == pytest.approx([-1, -1])


def ibdyn_like(information, within, between):
    def both(values):
        return ("member", "step"), np.stack([values, values])

    return xr.Dataset(
        {
            "information_input": both(information),
            "within_scatter": both(within),
            "between_scatter": both(between),
        }
    )
