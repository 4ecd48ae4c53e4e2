"""A watched model trains as if nobody looked, and its record says what it should."""

import copy
import os
import pickle
import random
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import ibdyn
from ibdyn import figures, gradients, output, probes, schema
from ibdyn.config import RunConfig
from ibdyn.ensemble import prepare
from ibdyn.estimators import from_name
from theory import fitting, phases, transitions


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def examples(count=60, shape=(1, 8, 8), classes=4, seed=0):
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.standard_normal((count, *shape)), dtype=torch.float32)
    return x, torch.tensor(np.arange(count) % classes)


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


def mlp(inputs=64, classes=4):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 12), nn.Tanh(), nn.Dropout(0.2), nn.Linear(12, classes)
    )


def train(model, x, y, steps, watcher=None, batch=16, rate=0.1):
    """A plain loop, drawing its batches from the global generator; losses of the steps."""
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    found = []
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,))
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        found.append(loss.item())
        if watcher is not None:
            watcher.step(loss)
    return found


class Block(nn.Module):
    """A residual block that works in place, as those of the torchvision models do."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        out += x
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, width=4, classes=4):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.head = nn.Linear(width, classes)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        return self.head(self.drop(self.blocks(self.stem(x)).mean((2, 3))))


class Transformer(nn.Module):
    """Tokens and learned positions, two encoder layers, and the attention beside the answer."""

    def __init__(self, tokens=7, length=6, width=8, classes=4):
        super().__init__()
        self.embed, self.place = nn.Embedding(tokens, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        z = self.encoder(self.embed(x) + self.place(torch.arange(x.shape[1])))
        return {"logits": self.head(z.mean(1)), "states": z}


def test_a_residual_network_is_watched_in_a_few_lines(tmp_path):
    model, (x, y) = seeded(ResNet), examples()
    with ibdyn.watch(model, x, y, path=tmp_path / "run.nc") as watcher:
        train(model, x, y, 30, watcher)
    run = ibdyn.load(tmp_path / "run.nc")
    assert run.layer.values.tolist() == [
        "stem", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1", "blocks.1.conv2", "head",
    ]  # fmt: skip
    assert run.width.values.tolist() == [256] * 5 + [4]
    assert run.step.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30]
    assert (run.attrs["batch_size"], run.attrs["train_size"], run.attrs["complete"]) == (16, 60, 1)
    assert run.attrs["gradients"] == "estimated from batches of 30 (batch norm)"
    assert run.loss.sel(split="train").values[0, -1] < run.loss.sel(split="train").values[0, 0]
    assert np.isfinite(phases.signal_to_noise(run)).all()
    assert set(np.unique(transitions.crossing(run).censored)) <= {-1, 0, 1}


def test_a_small_transformer_is_watched_in_a_few_lines():
    model, y = seeded(Transformer), torch.arange(40) % 4
    x = torch.tensor(np.random.default_rng(0).integers(0, 7, (40, 6)))
    with ibdyn.watch(model, x, y, estimators=["pairwise-upper-0.1"]) as watcher:
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(10):
            loss = functional.cross_entropy(model(x)["logits"], y)
            loss.backward()
            optimizer.step()
            watcher.step(loss)
    run = watcher.record()
    encoders = [
        f"encoder.layers.{i}.{part}" for i in (0, 1) for part in ("self_attn", "linear1", "linear2")
    ]
    assert run.layer.values.tolist() == ["embed", *encoders, "head"]
    left = "place, encoder.layers.0.self_attn.out_proj, encoder.layers.1.self_attn.out_proj"
    assert run.attrs["layers_left_out"] == left
    assert run.attrs["gradients"] == "of each example, by torch.func"
    assert np.isfinite(run.gradient_spread).all()
    assert np.isfinite(run.information_input).all()
    attention = model.encoder.layers[0].self_attn
    both = attention.in_proj_weight.square().sum() + attention.out_proj.weight.square().sum()
    last = run.weight_norm.sel(layer="encoder.layers.0.self_attn").isel(member=0, step=-1)
    assert float(last) == pytest.approx(both.sqrt().item(), rel=1e-6)


@pytest.mark.parametrize("build", [ResNet, mlp])
def test_training_is_the_same_to_the_bit_with_and_without_the_watcher(build):
    x, y = examples()
    ends = []
    for watched in (False, True):
        model = seeded(build)
        np.random.seed(3)  # noqa: NPY002
        random.seed(4)
        if watched:
            estimators = ["binned-range-30", "mixture-measured-0.1:1"]
            with ibdyn.watch(model, x, y, estimators=estimators, every=range(40)) as watcher:
                losses = train(model, x, y, 25, watcher)
        else:
            losses = train(model, x, y, 25)
        states = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
        ends.append((losses, model, states))
    (losses, model, states), (their_losses, their_model, their_states) = ends
    assert losses == their_losses
    for name, value in model.state_dict().items():
        assert torch.equal(value, their_model.state_dict()[name]), name
    for p, q in zip(model.parameters(), their_model.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    assert torch.equal(states[0], their_states[0])
    assert (states[1] == their_states[1]).all()
    assert states[2] == their_states[2]
    assert [m.training for m in their_model.modules()] == [m.training for m in model.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in their_model.modules())


def test_a_first_measurement_leaves_the_threads_as_they_were():
    code = (
        "import numpy as np, torch, ibdyn; torch.set_num_threads(1); "
        "model = torch.nn.Linear(4, 3); x = np.ones((8, 4)); y = np.arange(8) % 3\n"
        "with ibdyn.watch(model, x, y, layers=['']): pass\n"
        "import numba; print(torch.get_num_threads(), numba.get_num_threads())"
    )
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["1", "2"]


def test_a_step_between_forward_and_backward_does_no_harm():
    model, (x, y) = seeded(ResNet), examples()
    model.eval()
    model.blocks[0].train()
    alone = copy.deepcopy(model)
    functional.cross_entropy(alone(x), y).backward()
    with ibdyn.watch(model, x, y, every=range(9)) as watcher:
        loss = functional.cross_entropy(model(x), y)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            watcher.step(loss)
        loss.backward()
    for (name, p), q in zip(model.named_parameters(), alone.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    assert torch.equal(model.blocks[0].norm1.running_var, alone.blocks[0].norm1.running_var)
    assert watcher.record().step.values.tolist() == [0, 1]


def linear_record(x, y, weight, **kwargs):
    model = nn.Linear(x.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weight))
    with ibdyn.watch(nn.Sequential(model), x, y, layers=["0"], **kwargs) as watcher:
        pass
    return watcher.record()


def test_gradients_of_a_linear_model_are_those_of_the_formula():
    """The gradient of example n is (softmax(W x_n) - e_y) x_n^T."""
    rng = np.random.default_rng(0)
    x, y, w = rng.standard_normal((50, 6)), rng.integers(0, 3, 50), rng.standard_normal((3, 6))
    p = np.exp(x @ w.T)
    delta = p / p.sum(1, keepdims=True) - np.eye(3)[y]
    g = (delta[:, :, None] * x[:, None]).reshape(50, -1)
    run = linear_record(x, y, w)
    assert float(run.gradient_mean[0, 0, 0]) == pytest.approx(np.linalg.norm(g.mean(0)), rel=1e-12)
    spread = np.sqrt(g.var(0).sum())
    assert float(run.gradient_spread[0, 0, 0]) == pytest.approx(spread, rel=1e-12)
    loss = -np.log((p / p.sum(1, keepdims=True))[np.arange(50), y]).mean()
    assert float(run.loss.sel(split="train")[0, 0]) == pytest.approx(loss, rel=1e-12)
    assert np.isnan(run.loss.sel(split="test")).all()
    assert float(run.weight_spectral_norm[0, 0, 0]) == pytest.approx(
        np.linalg.norm(w, 2), rel=1e-12
    )
    own = linear_record(x, y, w, in_train=np.arange(50) < 20)
    spread = np.sqrt(g[:20].var(0).sum())
    assert float(own.gradient_spread[0, 0, 0]) == pytest.approx(spread, rel=1e-12)
    assert own.attrs["train_size"] == 20
    error = (p.argmax(1) != y)[20:].mean()
    assert float(own.error_rate.sel(split="test")[0, 0]) == pytest.approx(error, abs=1e-12)


ESTIMATORS = ("binned-range-30", "pairwise-upper-0.001", "mixture-measured-0.01:1")


def test_a_network_of_ours_is_measured_as_the_probes_measure_it():
    config = RunConfig(
        widths=(5, 3),
        members=1,
        dtype="float64",
        task={"name": "majority", "bits": 8},
        estimators=ESTIMATORS,
    )
    ensemble = prepare(config)
    expected = probes.measure(ensemble, ensemble.initial, [from_name(e) for e in ESTIMATORS], 0)
    model = nn.Sequential()
    for layer in ensemble.architecture.layers:
        linear = nn.Linear(layer.fan_in, layer.width, dtype=torch.float64)
        with torch.no_grad():
            for p, where in ((linear.weight, layer.weights), (linear.bias, layer.biases)):
                p.copy_(torch.tensor(ensemble.initial[0, where]).reshape(p.shape))
        end = nn.Softmax(-1) if layer.name == "output" else nn.Tanh()
        model.add_module(layer.name, nn.Sequential(linear, end))
    with ibdyn.watch(
        model,
        ensemble.x,
        ensemble.task.p_y_given_x.argmax(-1),
        layers=["1", "2", "output"],
        estimators=ESTIMATORS,
        in_train=ensemble.in_train[0],
        loss=lambda p, y: -p.gather(1, y[:, None]).log(),
    ) as watcher:
        pass
    run = watcher.record().isel(step=0)
    assert run.layer.values.tolist() == [layer.name for layer in ensemble.architecture.layers]
    for name, values in expected.items():
        dims = [d for d in schema.VARIABLES[name].dims if d != "step"]
        found = run[name].transpose(*dims).values
        assert np.allclose(found, values, rtol=1e-9, atol=1e-12, equal_nan=True), name


def test_every_way_to_the_gradients_leads_to_the_same():
    """A layer that maps two vectors, one written in place and a plain one."""

    class Twice(nn.Module):
        def __init__(self, way):
            super().__init__()
            self.way, self.first, self.last = way, nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            h = self.first(x if self.way != "func" else x.unsqueeze(1)).reshape(len(x), 5)
            if self.way == "in place":
                out = torch.zeros(len(x), 5)
                out[:] = h
                h = out
            if self.way == "on data":
                h = h if bool(h.sum() > -1e9) else 2 * h
            return self.last(torch.tanh(h))

    x, y = examples(40, (4,), 3)
    found = {}
    for way in ("outer", "func", "in place", "on data"):
        model = seeded(partial(Twice, way))
        with ibdyn.watch(model, x, y, batch_size=1) as watcher:
            pass
        found[way] = watcher.record()
    about = {way: run.attrs["gradients"] for way, run in found.items()}
    assert about["outer"] == "of each example, by outer products"
    assert about["func"] == "of each example, by torch.func"
    for way in ("func", "in place", "on data"):
        for name in ("gradient_mean", "gradient_spread"):
            expected = found["outer"][name].values
            assert np.allclose(found[way][name].values, expected, rtol=1e-5), (way, name)


@pytest.mark.parametrize(
    ("build", "layers", "gradients"),
    [
        (
            lambda: nn.Sequential(
                nn.Flatten(),
                nn.utils.parametrizations.weight_norm(nn.Linear(48, 9)),
                nn.ReLU(inplace=True),
                nn.utils.parametrizations.spectral_norm(nn.Linear(9, 4)),
            ),
            ["1", "3"],
            "of each example, by torch.func",
        ),
        (
            lambda: nn.Sequential(
                nn.Flatten(), nn.Linear(48, 9), nn.ReLU(inplace=True), nn.Linear(9, 4)
            ),
            ["1", "3"],
            "of each example, by torch.func",
        ),
        (
            lambda: Recurrent(nn.GRU(8, 5, batch_first=True)),
            ["recurrent", "head"],
            "estimated from batches of 20 (torch.func",
        ),
    ],
)
def test_modules_of_other_kinds_have_gradients_and_are_left_as_they_were(build, layers, gradients):
    model, (x, y) = seeded(build), examples(40, (6, 8))
    before = copy.deepcopy(model.state_dict())
    with ibdyn.watch(model, x, y) as watcher:
        pass
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    run = watcher.record()
    assert run.layer.values.tolist() == layers
    assert run.attrs["gradients"].startswith(gradients)
    assert (run.gradient_spread > 0).all()


class Recurrent(nn.Module):
    def __init__(self, recurrent, classes=4):
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.hidden_size, classes)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def test_gradients_of_batches_estimate_the_spread_without_bias():
    """Over all splits the mean estimate of tr C is exact; here over a hundred, within 5 errors."""
    x, y = examples(41, (4,), 3)
    model = seeded(partial(nn.Linear, 4, 3))
    names = ["weight"]
    exact = gradients.by_example(model, names, cross_entropy, x, y)
    traces = []
    for seed in range(100):
        order = torch.tensor(np.random.default_rng(seed).permutation(41))
        sums = gradients.by_batches(model, names, cross_entropy, x[order], y[order], 5)
        assert np.allclose(sums.total["weight"], exact.total["weight"], rtol=1e-4, atol=1e-5)
        traces.append(sums.square["weight"])
    error = np.std(traces, ddof=1) / 10
    assert abs(np.mean(traces) - exact.square["weight"]) < 5 * error
    assert error < 0.1 * exact.square["weight"]


def cross_entropy(outputs, labels):
    return functional.cross_entropy(outputs, labels, reduction="none")


def test_dead_weights_have_no_gradient_and_layers_without_weights_have_none_to_speak_of():
    model, (x, y) = seeded(mlp), examples()
    with ibdyn.watch(model, x, y, layers=["4", "2"]) as watcher:
        pass
    run = watcher.record().isel(step=0, member=0)
    assert run.layer.values.tolist() == ["2", "4"]
    for name in ("gradient_mean", "gradient_spread", "weight_norm", "weight_spectral_norm"):
        assert np.isnan(run[name].sel(layer="2"))
        assert run[name].sel(layer="4") > 0
    assert (run.saturation.sel(layer="2") >= 0).all()
    assert np.isnan(run.saturation.sel(layer="4"))
    assert not run.diverged


def test_a_frozen_weight_keeps_being_frozen_and_has_a_gradient():
    model, (x, y) = seeded(mlp), examples()
    model[1].weight.requires_grad_(False)
    with ibdyn.watch(model, x, y) as watcher:
        train(model, x, y, 5, watcher)
    assert not model[1].weight.requires_grad
    run = watcher.record()
    assert (run.gradient_mean > 0).all()
    assert (run.weight_displacement.sel(layer="1") == 0).all()


@pytest.mark.parametrize("at", [0, 7])
def test_a_crash_keeps_what_was_measured(tmp_path, at):
    model, (x, y) = seeded(mlp), examples()
    watcher = ibdyn.watch(model, x, y, path=tmp_path / "run.nc")

    def crash():
        with watcher:
            train(model, x, y, at, watcher)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    run = ibdyn.load(tmp_path / "run.nc")
    assert run.step.values.tolist() == list(range(min(at, 6) + 1))
    assert run.attrs["complete"] == 0
    assert run.identical(ibdyn.load(tmp_path / "run.nc"))
    assert watcher.record().loss.equals(run.loss)
    assert not model._forward_pre_hooks


def test_a_diverged_model_is_kept_and_marked():
    model, (x, y) = seeded(mlp), examples()
    with ibdyn.watch(model, x, y, estimators=["binned-range-30", "exact"]) as watcher:
        with torch.no_grad():
            model[1].weight.fill_(np.nan)
        watcher.step()
    run = watcher.record()
    assert run.diverged.values.tolist() == [1]
    assert np.isnan(run.information_input.isel(step=-1)).all()


def test_the_figures_and_fits_take_the_record_of_one_model_and_say_that_it_is_one(tmp_path):
    model, (x, y) = seeded(mlp), examples()
    further = examples(20, seed=1)
    with ibdyn.watch(model, x, y, test_inputs=further[0], test_labels=further[1]) as watcher:
        train(model, x, y, 200, watcher, rate=0.01)
    run = watcher.record()
    assert run.sizes["pattern"] == 80
    assert int(run.in_train.sum()) == run.attrs["train_size"] == 60
    assert np.isfinite(run.loss).all()
    assert len(output.draw(run, tmp_path, "run")) == 5
    interval = fitting.mean_interval(phases.signal_to_noise(run))
    assert np.isfinite(interval["mean"].isel(step=slice(1, None))).all()
    assert np.isnan(interval["low"]).all()
    assert transitions.change_point(run).time.notnull().all()
    assert "Sequential watched" in output.describe(run)
    for draw in (figures.information_paths, figures.gradient_phases, figures.signal_to_noise):
        assert "one member: no intervals" in [t.get_text() for t in draw(run).texts]
    with pytest.raises(ValueError, match="of a watched model, whose networks cannot be run again"):
        ibdyn.measure(run, ["exact"])
    with pytest.raises(ValueError, match="of a watched model"):
        ibdyn.cells(run, 0, "exact")


def test_the_hook_that_counts_can_be_copied_and_pickled():
    model, (x, y) = seeded(mlp), examples()
    with ibdyn.watch(model, x, y) as watcher:
        pickle.loads(pickle.dumps(copy.deepcopy(model)))
        assert len(model._forward_pre_hooks) == 1
        train(model, x, y, 3, watcher, batch=7)
        model.eval()
        model(x)
    assert watcher.record().attrs["batch_size"] == 7
    with pytest.raises(RuntimeError, match="not watching"):
        watcher.step()


def test_a_schedule_is_followed_and_can_be_used_again():
    every = ibdyn.schedule.log(3)
    for _ in range(2):
        model, (x, y) = seeded(mlp), examples()
        with ibdyn.watch(model, x, y, every=every, batch_size=16, train_size=160) as watcher:
            for _ in range(30):
                watcher.step(1.5)
        run = watcher.record()
        assert run.step.values.tolist() == [0, 1, 2, 5, 10, 22, 30]
        assert run.epoch.values.tolist() == [0, 0.1, 0.2, 0.5, 1, 2.2, 3]
        assert run.reported_loss.values[0, 1:].tolist() == [1.5] * 6
    with pytest.raises(ValueError, match="per_decade is 0"):
        ibdyn.schedule.log(0)


def test_large_models_leave_their_parameters_out():
    model, (x, y) = seeded(partial(nn.Sequential, nn.Flatten(), nn.Linear(64, 4000))), examples()
    with ibdyn.watch(model, x, y) as watcher:
        pass
    run = watcher.record()
    assert "parameters" not in run
    assert run.attrs["parameters_kept"] == "none of 260000, more than 250000"
    small = seeded(mlp)
    with ibdyn.watch(small, x, y) as watcher:
        pass
    run = watcher.record()
    kept = nn.utils.parameters_to_vector(small.parameters()).detach().numpy()
    assert (run.parameters.values[0, 0] == kept).all()
    assert run.parameter_layer.values.tolist() == ["1"] * 65 * 12 + ["4"] * 13 * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ["conv"]}, r"layers \['conv'\] are not in the model"),
        ({"layers": ["1", "1"]}, "none or repeat"),
        ({"labels": [0, 1]}, "labels are 2, expected 60 as there are inputs"),
        ({"labels": np.zeros(60)}, "labels have shape"),
        ({"labels": np.full(60, -1)}, "expected one integer class"),
        ({"labels": np.full(60, 9)}, "loss of the model's outputs and labels fails"),
        ({"inputs": np.ones((60, 64), int)}, "inputs have dtype torch.int64, expected floating"),
        ({"inputs": [["a"]] * 60}, "inputs make no tensor"),
        ({"inputs": np.ones(60)}, r"inputs have shape \(60,\)"),
        ({"inputs": np.full((60, 64), np.nan)}, "not finite"),
        ({"estimators": ["kde"]}, "estimator 'kde' is unknown"),
        ({"estimators": []}, "none or repeat"),
        ({"estimators": ["binned-run-30"]}, "whole run"),
        ({"estimators": ["mixture-propagated-4"]}, "trains itself"),
        ({"estimators": ["gaussian-1"]}, "trains itself"),
        ({"test_inputs": np.ones((2, 64))}, "not both given"),
        ({"test_inputs": np.ones((2, 63)), "test_labels": [0, 1]}, "an example, expected"),
        ({"in_train": np.ones(60)}, "in_train has dtype float64"),
        ({"loss": lambda p, y: p}, r"loss returns \(2, 4\) for 2 examples"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"member": -1}, "member is -1"),
        ({"every": 10}, "every is 10, expected steps"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(changes, message):
    x, y = examples(shape=(64,))
    arguments = {"inputs": x, "labels": y} | changes
    model = seeded(mlp)
    with pytest.raises(ValueError, match=message):
        ibdyn.watch(model, **arguments)
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_module_that_never_runs_and_a_lazy_one_are_refused():
    model, (x, y) = seeded(mlp), examples()
    model.spare = nn.Linear(2, 2)
    model.forward = nn.Sequential(*list(model)[:-1]).forward
    with pytest.raises(ValueError, match="layer 'spare' does not run when the model does"):
        ibdyn.watch(model, x, y, layers=["spare"])
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ValueError, match="without a shape"):
        ibdyn.watch(lazy, x, y)
