"""A record against plain recomputations from its own parameters, one pattern at a time."""

import numpy as np
import pytest
import torch
import xarray as xr

import ibdyn
from ibdyn import probes, schema
from ibdyn.config import RunConfig
from ibdyn.ensemble import prepare
from ibdyn.estimators import from_name
from ibdyn.estimators.pairwise import bounds


def layers_of(run, member, step):
    """Weights and biases of a recorded network, in float64."""
    vector = run.parameters.sel(member=member, step=step)
    found = []
    fan_in = run.sizes["input"]
    for layer in run.layer.values:
        width = int(run.width.sel(layer=layer))
        own = vector[run.parameter_layer.values == layer]
        w = own[own.parameter_kind.values == "weight"].values.astype(float)
        b = own[own.parameter_kind.values == "bias"].values.astype(float)
        found.append((w.reshape(width, fan_in), b))
        fan_in = width
    return found


def activations_of(run, member, step):
    a = run.x.values
    found = []
    layers = layers_of(run, member, step)
    for i, (w, b) in enumerate(layers):
        z = a @ w.T + b
        if i < len(layers) - 1:
            a = np.tanh(z)
        else:
            a = np.exp(z - z.max(1, keepdims=True))
            a /= a.sum(1, keepdims=True)
        found.append(a)
    return found


def test_the_record_has_the_dims_units_and_names_of_the_schema(run):
    schema.validate(run)
    assert run.sizes == {
        "member": 3,
        "step": 6,
        "layer": 3,
        "split": 2,
        "estimator": 2,
        "pattern": 4096,
        "label": 2,
        "input": 12,
        "parameter": 12 * 5 + 5 + 5 * 3 + 3 + 3 * 2 + 2,
    }
    for name, variable in run.variables.items():
        assert variable.attrs.keys() >= {"units", "long_name"}, name


def test_epochs_are_recorded_before_their_updates(run):
    assert run.epoch.values.tolist() == [0, 1, 2, 3, 5, 12]
    assert (run.step.values == run.epoch.values * run.attrs["steps_per_epoch"]).all()
    assert (run.weight_displacement.sel(step=0) == 0).all()


@pytest.mark.parametrize("which", [0, -1])
def test_losses_and_errors_are_those_of_the_recorded_networks(run, which):
    step = int(run.step[which])
    for member in run.member.values:
        p = activations_of(run, member, step)[-1]
        label = run.p_y_given_x.values.argmax(1)
        loss = -np.log(p[np.arange(4096), label])
        wrong = p.argmax(1) != label
        train = run.in_train.sel(member=member).values.astype(bool)
        for split, mask in (("train", train), ("test", ~train)):
            one = run.sel(member=member, step=step, split=split)
            assert float(one.loss) == pytest.approx(loss[mask].mean(), rel=1e-5)
            assert float(one.error_rate) == pytest.approx(wrong[mask].mean(), abs=1e-12)


@pytest.mark.parametrize("which", [0, 2, -1])
def test_gradient_statistics_are_those_of_a_slow_loop_over_samples(run, config, which):
    step, member = int(run.step[which]), 1
    train = np.flatnonzero(run.in_train.sel(member=member).values)
    label = run.p_y_given_x.values.argmax(1)
    parts = [
        [torch.tensor(w, requires_grad=True) for w, _ in layers_of(run, member, step)],
        [torch.tensor(b) for _, b in layers_of(run, member, step)],
    ]
    samples = []
    for pattern in train:
        a = torch.tensor(run.x.values[pattern])
        for i, (w, b) in enumerate(zip(*parts, strict=True)):
            z = w @ a + b
            a = torch.tanh(z) if i < 2 else z
        loss = torch.logsumexp(a, 0) - a[label[pattern]]
        samples.append(torch.autograd.grad(loss, parts[0]))
    for i, layer in enumerate(run.layer.values):
        g = torch.stack([sample[i].ravel() for sample in samples]).numpy()
        one = run.sel(member=member, step=step, layer=layer)
        assert float(one.gradient_mean) == pytest.approx(np.linalg.norm(g.mean(0)), rel=1e-4)
        spread = np.sqrt(g.var(0, ddof=0).sum())
        assert float(one.gradient_spread) == pytest.approx(spread, rel=1e-4)


def test_weight_statistics_are_those_of_the_recorded_weights(run):
    step = int(run.step[-1])
    for member in run.member.values:
        now, start = layers_of(run, member, step), layers_of(run, member, 0)
        for layer, (w, _), (w_0, _) in zip(run.layer.values, now, start, strict=True):
            one = run.sel(member=member, step=step, layer=layer)
            assert float(one.weight_norm) == pytest.approx(np.linalg.norm(w), rel=1e-12)
            spectral = np.linalg.svd(w, compute_uv=False)[0]
            assert float(one.weight_spectral_norm) == pytest.approx(spectral, rel=1e-10)
            moved = np.linalg.norm(w - w_0)
            assert float(one.weight_displacement) == pytest.approx(moved, rel=1e-10)


def test_scatter_and_saturation_are_those_of_the_recorded_networks(run):
    step, member = int(run.step[-1]), 2
    label = run.p_y_given_x.values.argmax(1)
    for layer, t in zip(run.layer.values, activations_of(run, member, step), strict=True):
        one = run.sel(member=member, step=step, layer=layer)
        within = sum((label == y).mean() * t[label == y].var(0).sum() for y in (0, 1))
        means = np.stack([t[label == y].mean(0) for y in (0, 1)])
        share = np.array([(label == y).mean() for y in (0, 1)])
        between = share @ ((means - t.mean(0)) ** 2).sum(1)
        assert float(one.within_scatter) == pytest.approx(within, rel=1e-5)
        assert float(one.between_scatter) == pytest.approx(between, rel=1e-5)
        low, high = (0, 1) if layer == "output" else (-1, 1)
        cell = (high - low) / 30
        near = (t < low + cell) | (t > high - cell)
        # Activations in float32 may lie on the other side of the edge in float64.
        assert abs(float(one.saturation) - near.mean()) <= 2 / t.size


def test_information_is_a_dictionary_count_of_the_recorded_networks_cells(run):
    step, member = int(run.step[-1]), 0
    label = run.p_y_given_x.values.argmax(1)
    train = run.in_train.sel(member=member).values.astype(bool)
    for layer, t in zip(run.layer.values, activations_of(run, member, step), strict=True):
        low, high = (0, 1) if layer == "output" else (-1, 1)
        digits = np.minimum(np.floor((t - low) / (high - low) * 30), 29).astype(int)
        counts: dict = {}
        for row, y in zip(map(tuple, digits), label, strict=True):
            counts.setdefault(row, [0, 0])[y] += 1
        table = np.array(list(counts.values())) / 4096
        entropy = lambda p: -sum(v * np.log2(v) for v in np.ravel(p) if v > 0)  # noqa: E731
        h_t, h_y, h_ty = entropy(table.sum(1)), entropy(table.sum(0)), entropy(table)
        one = run.sel(estimator="binned-range-30", member=member, step=step, layer=layer)
        # One pattern in another cell (float32 against float64) moves H by at most log2(N) / N.
        tolerance = 3 * 12 / 4096
        assert float(one.information_input) == pytest.approx(h_t, abs=tolerance)
        assert float(one.information_label) == pytest.approx(h_t + h_y - h_ty, abs=tolerance)
        assert abs(float(one.occupied_cells) - len(counts)) <= 3
        hit = len({tuple(row) for row in digits[train]})
        assert abs(float(one.occupied_cells_train) - hit) <= 3


def test_cells_give_back_the_recorded_information_exactly(run):
    from theory import information

    for estimator in run.estimator.values:
        for step in run.step.values[[0, -1]]:
            cells = ibdyn.cells(run, int(step), estimator)
            assert cells.dims == ("member", "layer", "pattern")
            i_x, i_y = information.of_cells(cells.values, run.p_x.values, run.p_y_given_x.values)
            one = run.sel(estimator=estimator, step=step)
            # Sums of 4096 terms, in another order: N log2(N) / 2 rounding errors.
            rounding = 4096 * 12 / 2 * np.finfo(float).eps
            assert np.allclose(i_x, one.information_input, rtol=0, atol=rounding)
            assert np.allclose(i_y, one.information_label, rtol=0, atol=rounding)


def test_measuring_an_old_record_gives_what_the_run_would_have_recorded(run, config):
    lean = ibdyn.simulate(
        config.model_copy(update={"estimators": ("binned-range-30",)}), progress=False
    )
    measured = ibdyn.measure(lean, ["binned-width-0.07"])
    assert RunConfig.from_json(measured.attrs["config"]) == config
    attrs = {"config": config.to_json(), "history": run.attrs["history"]}
    xr.testing.assert_identical(measured.assign_attrs(attrs), run)


def test_pairwise_bounds_are_an_estimator_like_any_other(run):
    names = ["pairwise-upper-0.001", "pairwise-lower-0.001", "pairwise-published-0.001"]
    measured = ibdyn.measure(run, names)
    upper, lower, published = (measured.sel(estimator=name) for name in names)
    assert (lower.information_input <= upper.information_input).all()
    assert (lower.information_label <= published.information_label + 1e-12).all()
    assert (published.information_label <= upper.information_label + 1e-12).all()
    assert (published.information_input == upper.information_input).all()
    assert upper.occupied_cells.isnull().all()
    found = bounds(
        np.stack([activations_of(run, k, 0)[1] for k in run.member.values]),
        run.p_x,
        run.p_y_given_x,
        1e-3,
    )
    # The record's activations are float32; a distance moves by rounding, the bound by less.
    expected = upper.information_input.isel(step=0).sel(layer="2")
    assert np.allclose(found.input_upper, expected, atol=1e-3)
    with pytest.raises(ValueError, match=r"'pairwise-upper-0\.001' sorts into no cells"):
        ibdyn.cells(run, 0, names[0])


def test_equal_configs_give_equal_datasets(run, config):
    again = ibdyn.simulate(RunConfig.from_json(config.to_json()), progress=False)
    xr.testing.assert_identical(again.assign_attrs(history=run.attrs["history"]), run)


def test_measuring_an_estimator_twice_is_refused(run):
    with pytest.raises(ValueError, match="are in the record: "):
        ibdyn.measure(run, ["binned-range-30"])


def test_cells_at_a_step_that_is_not_recorded_name_the_nearest(run):
    with pytest.raises(ValueError, match="step 8 is not recorded; the nearest is 7"):
        ibdyn.cells(run, 8, "binned-range-30")


def test_a_record_without_parameters_cannot_be_replayed(run):
    with pytest.raises(ValueError, match="holds no 'parameters'"):
        ibdyn.cells(run.drop_vars("parameters"), 0, "binned-range-30")


def test_resolved_flags_the_ceiling(run):
    expected = run.information_input < 12 - 0.1
    assert (run.resolved == expected).all()
    assert 0 < float(run.resolved.mean()) < 1


def test_an_empty_test_set_is_nan_and_a_full_batch_has_no_spread(config):
    full = config.model_copy(update={"train_fraction": 1.0, "batch_size": None, "epochs": 2})
    run = ibdyn.simulate(full, progress=False)
    for name in ("loss", "error_rate"):
        assert run[name].sel(split="test").isnull().all()
        assert run[name].sel(split="train").notnull().all()
    from theory import phases

    assert (phases.minibatch_spread(run) == 0).all()
    assert phases.signal_to_noise(run).isnull().all()


def test_activations_without_limits_have_no_saturation(config):
    relu = config.model_copy(update={"activation": "relu", "epochs": 1})
    run = ibdyn.simulate(relu, progress=False)
    assert run.saturation.sel(layer=["1", "2"]).isnull().all()
    assert run.saturation.sel(layer="output").notnull().all()


def test_soft_tasks_keep_the_drawn_labels_and_test_in_expectation(config):
    task = config.task.model_copy(update={"information": 0.5})
    run = ibdyn.simulate(config.model_copy(update={"task": task, "epochs": 1}), progress=False)
    assert run.target.dims == ("member", "pattern")
    label = run.target.sel(member=0).values
    p = activations_of(run, 0, 0)[-1]
    train = run.in_train.sel(member=0).values.astype(bool)
    q = run.p_y_given_x.values
    one = run.sel(member=0, step=0)
    on_drawn = -np.log(p[np.arange(4096), label])[train].mean()
    expected = -(q * np.log(p)).sum(1)[~train].mean()
    assert float(one.loss.sel(split="train")) == pytest.approx(on_drawn, rel=1e-5)
    assert float(one.loss.sel(split="test")) == pytest.approx(expected, rel=1e-5)
    wrong = (p.argmax(1) != label)[train].mean()
    missed = 1 - q[np.arange(4096), p.argmax(1)][~train].mean()
    assert float(one.error_rate.sel(split="train")) == pytest.approx(wrong, abs=1e-12)
    assert float(one.error_rate.sel(split="test")) == pytest.approx(missed, abs=1e-12)
    cells = ibdyn.cells(run, 0, "binned-range-30")
    assert cells.shape == (3, 3, 4096)


def test_a_diverged_member_is_marked_and_the_others_go_on(config):
    ensemble = prepare(config.model_copy(update={"epochs": 1}))
    parameters = ensemble.initial.copy()
    parameters[1] = np.nan
    estimators = [from_name(name) for name in config.estimators]
    measured = probes.measure(ensemble, parameters, estimators, 0)
    assert np.isnan(measured["information_input"][:, 1]).all()
    assert np.isnan(measured["loss"][:, 1]).all()
    healthy = probes.measure(ensemble, ensemble.initial, estimators, 0)
    for name, values in measured.items():
        others = np.delete(values, 1, schema.row_dims(name).index("member"))
        expected = np.delete(healthy[name], 1, schema.row_dims(name).index("member"))
        assert np.array_equal(others, expected, equal_nan=True), name


def test_a_run_that_diverges_is_kept_and_marked(config):
    wild = config.model_copy(
        update={"activation": "linear", "learning_rate": 1e30, "members": 2, "epochs": 2}
    )
    run = ibdyn.simulate(wild, progress=False)
    assert run.diverged.values.tolist() == [1, 1]
    assert run.sel(step=0).information_input.notnull().all()


def test_blocks_of_members_do_not_change_what_is_measured(config, monkeypatch):
    ensemble = prepare(config)
    estimators = [from_name("binned-range-30")]
    whole = probes.measure(ensemble, ensemble.initial, estimators, 0)
    monkeypatch.setattr(probes, "BLOCK", 2)
    parts = probes.measure(ensemble, ensemble.initial, estimators, 0)
    for name in whole:
        assert np.array_equal(whole[name], parts[name], equal_nan=True), name


def test_parameters_are_thinned_when_they_would_be_too_many(config, monkeypatch):
    from ibdyn import recorder

    size = prepare(config).initial.nbytes
    monkeypatch.setattr(recorder, "PARAMETER_BYTES", 3 * size)
    run = ibdyn.simulate(config, progress=False)
    kept = run.parameters.notnull().all(("member", "parameter")).values
    assert kept.tolist() == [True, False, True, False, True, True]
    assert run.attrs["parameters_kept"] == "one recorded step in 2, and the last"
    with pytest.raises(ValueError, match="no parameters at step 7"):
        ibdyn.cells(run, 7, "binned-range-30")
    measured = ibdyn.measure(run, ["binned-width-0.5"])
    found = measured.information_input.sel(estimator="binned-width-0.5").notnull()
    assert found.all(("member", "layer")).values.tolist() == kept.tolist()


def test_ctrl_c_leaves_a_record_marked_incomplete(config, monkeypatch):
    from ibdyn import simulation

    measure, calls = probes.measure, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(simulation.probes, "measure", interrupted)
    with pytest.raises(simulation.Interrupted, match="interrupted at epoch 2") as caught:
        ibdyn.simulate(config, progress=False)
    assert caught.value.run.attrs["complete"] == 0
    assert caught.value.run.sizes["step"] == 3
    schema.validate(caught.value.run)
