"""Estimators side by side in one record: each is measured as it says, and one selection away."""

import numpy as np
import pytest

import ibdyn
from ibdyn.ensemble import prepare
from ibdyn.response import respond
from theory import information, markov


def test_every_estimator_is_one_selection_away(run, config):
    names = (
        "exact",
        "quantised-4",
        "binned-run-30",
        "binned-unit-30",
        "pairwise-lower-0.01",
        "pairwise-upper-0.01",
        "mixture-measured-0.01:2",
    )
    fresh = ibdyn.simulate(config.model_copy(update={"estimators": names}), progress=False)
    added = ibdyn.measure(run, names)
    for name in names:
        one, other = fresh.sel(estimator=name), added.sel(estimator=name)
        for variable in ("information_input", "information_label", "information_input_stderr"):
            assert np.array_equal(one[variable], other[variable], equal_nan=True)
        assert one.symbol.item().startswith("I_")
        for text in (one.meaning, one.noise_model, one.resolution):
            assert text.item()
    low, estimate, high = (
        fresh.sel(estimator=name)
        for name in ("pairwise-lower-0.01", "mixture-measured-0.01:2", "pairwise-upper-0.01")
    )
    for variable in ("information_input", "information_label"):
        slack = 5 * estimate[f"{variable}_stderr"]
        assert (estimate[variable] > low[variable] - slack - 1e-9).all()
        assert (estimate[variable] < high[variable] + slack + 1e-9).all()
    drawn = fresh.information_input_stderr.notnull().any(("member", "step", "layer"))
    assert drawn.estimator[drawn].values.tolist() == ["mixture-measured-0.01:2"]


def test_cells_over_the_run_share_the_extremes_of_all_recorded_epochs(config):
    relu = config.model_copy(
        update={"activation": "relu", "estimators": ("binned-run-30", "binned-extremes-30")}
    )
    record = ibdyn.simulate(relu, progress=False)
    ensemble = prepare(relu)
    hidden = [
        np.stack(
            [respond(ensemble, theta)[0][j] for theta in record.parameters.values.swapaxes(0, 1)]
        )
        for j in range(3)
    ]
    for j, layer in enumerate(record.layer.values):
        t = hidden[j].astype(float)
        high = t.max((0, 2, 3))[None, :, None, None]
        low = t.min((0, 2, 3))[None, :, None, None]
        digits = np.minimum((t - low) / (high - low) * 30, 29).astype(int)
        for step in range(record.sizes["step"]):
            for member in range(3):
                rows = np.unique(digits[step, member], axis=0, return_inverse=True)[1].ravel()
                expected = np.log2(4096) - np.mean(np.log2(np.bincount(rows)[rows]))
                found = record.information_input[0, member, step, j].item()
                assert found == pytest.approx(expected, abs=1e-9)
        cells = ibdyn.cells(record, int(record.step[-1]), "binned-run-30").sel(layer=layer)
        assert np.array_equal(
            record.occupied_cells.sel(estimator="binned-run-30", layer=layer)[:, -1],
            [len(np.unique(row)) for row in cells.values],
        )
    assert (record.information_input[0] != record.information_input[1]).any()


def test_exact_states_obey_the_data_processing_inequality_and_cells_need_not(config):
    deep = config.model_copy(
        update={"widths": (4, 3, 2), "activation": "relu", "estimators": ("exact", "quantised-3")}
    )
    record = ibdyn.simulate(deep, progress=False)
    exact = record.sel(estimator="exact")
    for variable in ("information_input", "information_label"):
        assert float(markov.processing_violations(exact[variable]).max()) < 1e-12
    step = int(record.step[-1])
    states = ibdyn.cells(record, step, "exact").values
    assert markov.refines(states[:, :-1], states[:, 1:]).all()
    decisions = ibdyn.decisions(record, step).values[:, None]
    open_ = information.entropy_given_cells(decisions, states, record.p_x.values)
    assert np.abs(open_).max() < 1e-12
    rounded = ibdyn.cells(record, step, "quantised-3").values
    assert not markov.refines(rounded[:, :-1], rounded[:, 1:]).all()
    assert (information.entropy_given_cells(decisions, rounded, record.p_x.values) > 0.01).any()


def test_decisions_are_those_of_the_error_rate(run):
    step = int(run.step[-1])
    decisions = ibdyn.decisions(run, step)
    wrong = decisions != run.p_y_given_x.argmax("label")
    rates = wrong.where(run.in_train == 0).mean("pattern")
    assert rates.values == pytest.approx(
        run.error_rate.sel(split="test", step=step).values, abs=1e-12
    )
