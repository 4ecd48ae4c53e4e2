"""Networks with noise or quantised states: gradients, streams, data processing, two points."""

import itertools

import numpy as np
import pytest
import torch

import ibdyn
from ibdyn import disturbed, networks, probes, schema, training
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.ensemble import prepare
from ibdyn.estimators import from_name
from ibdyn.estimators.mixture import information
from ibdyn.response import gradient_statistics, respond
from ibdyn.seeding import stream

NOISY = {"noise": 0.1, "estimators": ("mixture-propagated-4", "binned-range-30")}
ROUNDED = {"quantisation": 3, "estimators": ("exact",)}


def small(**fields):
    defaults = {
        "task": {"name": "majority", "bits": 5},
        "widths": (4, 3),
        "members": 3,
        "batch_size": 7,
        "train_fraction": 0.75,
        "epochs": 3,
        "dtype": "float64",
    }
    return RunConfig(**{**defaults, **fields})


def levels(t, bits):
    """The nearest of 2^bits levels from the least to the greatest value."""
    known = np.linspace(t.min(), t.max(), 2**bits)
    return known[abs(t[..., None] - known).argmin(-1)]


SLOPES = {
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "linear": np.ones_like,
    "sigmoid": lambda z: 1 / (2 * np.cosh(z / 2)) ** 2,
    "softplus": lambda z: 1 / (1 + np.exp(-z)),
    "softsign": lambda z: 1 / (1 + abs(z)) ** 2,
}
FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
}


def straight_through(ensemble, theta, x, target):
    """Mean gradient of one quantised network, with every rounding taken for the identity."""
    config, layers = ensemble.config, ensemble.architecture.layers
    inputs, zs, weights = [x], [], []
    for layer in layers:
        w = levels(theta[layer.weights], config.quantisation).reshape(layer.width, layer.fan_in)
        z = inputs[-1] @ w.T + theta[layer.biases]
        weights.append(w)
        zs.append(z)
        inputs.append(levels(FUNCTIONS[config.activation](z), config.quantisation))
    if config.output == "softmax":
        p = np.exp(zs[-1])
        p /= p.sum(-1, keepdims=True)
    else:
        p = 1 / (1 + np.exp(-zs[-1]))
    gradient, delta = np.empty_like(theta), (p - target) / len(x)
    for i in reversed(range(len(layers))):
        gradient[layers[i].weights] = (delta.T @ inputs[i]).ravel()
        gradient[layers[i].biases] = delta.sum(0)
        if i > 0:
            delta = (delta @ weights[i]) * SLOPES[config.activation](zs[i - 1])
    return gradient


def parameters_of(ensemble):
    """Initial weights, and biases that keep activations from lying midway between two levels."""
    rng, parameters = np.random.default_rng(0), ensemble.initial.copy()
    for layer in ensemble.architecture.layers:
        biases = parameters[:, layer.biases]
        biases[:] = rng.normal(0, 0.2, biases.shape)
    return parameters


def batch_of(ensemble, size):
    return (
        torch.tensor(ensemble.x[ensemble.train[:, :size]]),
        torch.tensor(ensemble.targets[:, :size]),
    )


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_gradients_pass_straight_through_the_rounding(activation, output):
    ensemble = prepare(small(activation=activation, output=output, **ROUNDED))
    x, target = batch_of(ensemble, 11)
    parameters = parameters_of(ensemble)
    found = training.batch_gradient(ensemble, torch.tensor(parameters), x, target)
    for k, theta in enumerate(parameters):
        expected = straight_through(ensemble, theta, x[k].numpy(), target[k].numpy())
        assert np.allclose(found[k], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_gradients_at_fixed_noise_are_finite_differences(activation):
    ensemble = prepare(small(activation=activation, **NOISY))
    x, target = batch_of(ensemble, 7)
    noise = next(training.noises(ensemble))
    theta = torch.tensor(ensemble.initial)

    def losses(parameters):
        zs, _ = networks.forward(ensemble.architecture, parameters, x, noise=noise)
        return networks.sample_loss(ensemble.architecture, zs[-1], target).mean(-1)

    found = training.batch_gradient(ensemble, theta, x, target, noise)
    assert not torch.allclose(found, training.batch_gradient(ensemble, theta, x, target), atol=1e-6)
    h = 1e-5
    for p in range(theta.shape[1]):
        moved = torch.zeros_like(theta)
        moved[:, p] = h
        slope = (losses(theta + moved) - losses(theta - moved)) / (2 * h)
        # h^2 times a third derivative, and rounding errors of 1e-16 over h.
        assert torch.allclose(found[:, p], slope, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bits", [1, 2, 8, 32])
def test_a_quantised_layer_has_the_nearest_of_its_levels(bits):
    t = np.random.default_rng(bits).normal(size=(3, 40, 5)) * [[[1]], [[10]], [[0]]]
    found = disturbed.rounded(t, bits)
    step = np.ptp(t, axis=(1, 2)) / (2**bits - 1)
    for one, own, width in zip(found, t, step, strict=True):
        assert len(np.unique(one)) <= 2**bits
        assert abs(one - own).max() <= width / 2 + 1e-14
        assert [one.min(), one.max()] == pytest.approx([own.min(), own.max()], abs=1e-14)
    in_training = networks.quantised(torch.tensor(t), bits)
    assert np.allclose(in_training, found, rtol=0, atol=1e-14)


@pytest.mark.parametrize("fields", [NOISY, ROUNDED, NOISY | {"widths": ()}])
def test_trajectories_repeat_to_the_bit(fields):
    ensemble = prepare(small(**fields))
    first, again = (list(training.trajectory(ensemble, [0, 5, 12])) for _ in range(2))
    assert np.array_equal(first, again)


def test_noise_belongs_to_member_and_epoch_alone():
    config = small(**NOISY)
    ensemble, alone = prepare(config), prepare(config, [2])
    assert ensemble.steps_per_epoch == 4
    drawn = list(itertools.islice(training.noises(ensemble), 12))
    for layers, own in zip(drawn, training.noises(alone), strict=False):
        for layer, one in zip(layers, own, strict=True):
            assert np.array_equal(layer[2], one[0])
    # 24 training patterns in batches of 7, 7, 7 and 3; the third epoch without the others.
    assert [layers[0].shape for layers in drawn[:4]] == [(3, 7, 4)] * 3 + [(3, 3, 4)]
    rng = stream(config.seed, "noise", 1, 2)
    for layers in drawn[8:]:
        z = 0.1 * rng.standard_normal((layers[0].shape[1], 7))
        assert np.array_equal(torch.cat(list(layers), -1)[1], z)
    every = torch.cat([torch.cat(list(layers), -1) for layers in drawn], 1).flatten()
    assert abs(every.mean()) < 4 * 0.1 / len(every) ** 0.5
    assert abs(every.var() / 0.01 - 1) < 4 * (2 / len(every)) ** 0.5
    assert next(training.noises(prepare(small()))) == ()


def measured_noise(ensemble, step):
    """What is added to each hidden layer in the measurement at a step, (member, pattern, unit)."""
    config, patterns = ensemble.config, len(ensemble.x)
    parts = []
    for k in ensemble.members:
        rng = stream(config.seed, "measurement", k, step)
        parts.append([rng.standard_normal((width, patterns)).T for width in config.widths])
    return [torch.tensor(config.noise * np.stack(layer)) for layer in zip(*parts, strict=True)]


@pytest.mark.parametrize("fields", [NOISY, ROUNDED])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_measured_networks_and_gradients_are_those_of_autograd(fields, output, activation):
    ensemble = prepare(small(activation=activation, output=output, **fields))
    layers, step = ensemble.architecture.layers, 5
    noise = measured_noise(ensemble, step) if ensemble.config.noise else []
    parameters = parameters_of(ensemble)
    theta = torch.tensor(parameters, requires_grad=True)
    zs, states = networks.forward(
        ensemble.architecture,
        theta,
        torch.tensor(ensemble.x),
        noise=noise,
        bits=ensemble.config.quantisation,
    )
    activations, log_p = respond(ensemble, parameters, step)
    for t, expected in zip(activations, states, strict=True):
        assert np.allclose(t, expected.detach(), rtol=0, atol=1e-13)
    label = ensemble.task.p_y_given_x.argmax(1)
    target = torch.tensor(np.eye(2)[label] if output == "softmax" else np.eye(2)[label][:, 1:])
    loss = networks.sample_loss(ensemble.architecture, zs[-1], target.expand(3, -1, -1))
    found = -np.take_along_axis(log_p, label[None, None], axis=1)[:, 0]
    assert np.allclose(found, loss.detach(), rtol=0, atol=1e-12)
    mean, spread = gradient_statistics(ensemble, parameters, step)
    # Members share no parameter: the gradient of the sum of their losses is that of each.
    every = np.stack(
        [torch.autograd.grad(one.sum(), theta, retain_graph=True)[0] for one in loss.T], axis=1
    )
    for k, train in enumerate(ensemble.train):
        samples = every[k, train]
        for i, layer in enumerate(layers):
            g = samples[:, layer.weights]
            assert mean[k, i] == pytest.approx(np.linalg.norm(g.mean(0)), rel=1e-9)
            assert spread[k, i] == pytest.approx(np.sqrt(g.var(0).sum()), rel=1e-9)


def test_the_noise_of_a_measurement_belongs_to_member_and_step_alone():
    ensemble = prepare(small(**NOISY))
    whole, log_p = respond(ensemble, ensemble.initial, 5)
    block = slice(1, 3)
    part, part_p = respond(ensemble, ensemble.initial[block], 5, block)
    for t, own in zip(whole, part, strict=True):
        assert np.array_equal(t[block], own)
    assert np.array_equal(log_p[block], part_p)
    other, _ = respond(ensemble, ensemble.initial, 6)
    assert (whole[0] != other[0]).all()
    passes = disturbed.centres(ensemble, ensemble.initial, 5, slice(None), 3)
    more = disturbed.centres(ensemble, ensemble.initial[block], 5, block, 4)
    assert np.array_equal(passes[1][block], more[1][:, :3])
    # The first layer has no noise before its own; from the second on all passes differ.
    assert (passes[0] == passes[0][:, :1]).all()
    assert len(np.unique(passes[1][:, :, 0, 0])) == 9
    with pytest.raises(ValueError, match="step is missing, noisy networks need one"):
        respond(ensemble, ensemble.initial)
    with pytest.raises(ValueError, match="3 streams of noise for 2 members' parameters"):
        respond(ensemble, ensemble.initial[block], 5)


@pytest.mark.parametrize("fields", [NOISY, ROUNDED])
@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_diverged_member_is_nan_and_the_others_go_on(fields, lost):
    ensemble = prepare(small(**fields))
    parameters = ensemble.initial.copy()
    parameters[1] = lost
    estimators = [from_name(name) for name in ensemble.config.estimators]
    found = probes.measure(ensemble, parameters, estimators, 0)
    healthy = probes.measure(ensemble, ensemble.initial, estimators, 0)
    assert np.isnan(found["information_input"][:, 1]).all()
    for name, values in found.items():
        axis = schema.row_dims(name).index("member")
        others, expected = (np.delete(v, 1, axis) for v in (values, healthy[name]))
        assert np.array_equal(others, expected, equal_nan=True), name


@pytest.mark.parametrize("fields", [{"noise": 0.1}, {"quantisation": 3}])
def test_a_run_that_diverges_is_kept_and_marked(fields):
    wild = small(activation="linear", learning_rate=1e30, dtype="float32", **fields)
    run = ibdyn.simulate(wild, progress=False)
    assert run.diverged.values.tolist() == [1, 1, 1]
    assert run.sel(step=0).information_input.notnull().all()


@pytest.mark.parametrize("fields", [{"noise": 0.1}, {"quantisation": 3}])
@pytest.mark.parametrize("size", [1e15, 1e30, 1e38])
def test_weights_near_overflow_are_measured_without_a_warning(fields, size):
    ensemble = prepare(small(activation="relu", dtype="float32", **fields))
    parameters = np.float32(size) * ensemble.initial
    found = probes.measure(ensemble, parameters, [from_name("binned-range-30")], 0)
    assert found["gradient_mean"].shape == (3, 3)


def refines(cells, coarser):
    """Whether patterns that share a cell share one in ``coarser``, (pattern,) each."""
    return len(np.unique(np.stack([cells, coarser]), axis=1).T) == len(np.unique(cells))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_quantised_networks_obey_the_data_processing_inequality(activation):
    config = RunConfig(
        activation=activation,
        quantisation=4,
        members=3,
        epochs=4,
        widths=(8, 5, 3),
        optimizer="adam",
        learning_rate=0.01,
        schedule=ScheduleConfig(count=3, extra=(0,)),
        estimators=("exact",),
    )
    run = ibdyn.simulate(config, progress=False)
    for name in ("information_input", "information_label"):
        assert (run[name].diff("layer") <= 1e-12).all()
    # The law has something to say: states merge on the way, and the output is one of them.
    assert (run.information_input.sel(layer="3") < run.information_input.sel(layer="1")).all()
    for step in run.step.values.tolist():
        cells = ibdyn.cells(run, step, "exact")
        for member in run.member.values:
            own = cells.sel(member=member).values
            for before, after in itertools.pairwise(own):
                assert refines(before, after)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "softplus", "softsign"])
def test_equal_patterns_have_equal_states_wherever_they_stand(activation, output, tmp_path):
    """Seven patterns in 1111 places: several tiles, the last one partial."""
    rng = np.random.default_rng(0)
    which = rng.integers(7, size=1111)
    np.savez(tmp_path / "seven.npz", x=rng.normal(size=(7, 13))[which], y=which % 2)
    task = {"name": "file", "path": str(tmp_path / "seven.npz")}
    for dtype, quantisation in itertools.product(("float32", "float64"), (None, 32)):
        config = small(
            task=task,
            widths=(9, 7, 5),
            activation=activation,
            output=output,
            quantisation=quantisation,
            dtype=dtype,
        )
        activations, log_p = respond(ensemble := prepare(config), ensemble.initial)
        for t in [*activations, log_p.transpose(0, 2, 1)]:
            for pattern in range(7):
                own = t[:, which == pattern]
                assert (own == own[:, :1]).all()


@pytest.mark.parametrize(
    ("fields", "late"),
    [
        ({"noise": 0.1}, ["mixture-propagated-3", "binned-run-10", "binned-width-0.5"]),
        ({"quantisation": 3}, ["exact", "binned-run-10", "pairwise-upper-0.001"]),
    ],
)
def test_a_record_measures_later_what_it_would_have_measured(fields, late):
    config = small(**fields, schedule=ScheduleConfig(count=3, extra=(0,)))
    everything = config.model_copy(update={"estimators": ("binned-range-30", *late)})
    run = ibdyn.simulate(everything, progress=False)
    lean = ibdyn.simulate(config, progress=False)
    again = ibdyn.measure(lean, late)
    assert again.assign_attrs(history="").identical(run.assign_attrs(history=""))
    assert run.attrs["engine"] == "torch"
    assert run.information_input.sel(layer=["1", "2"]).notnull().all()


def test_estimators_that_do_not_fit_the_networks_are_refused_later_too():
    run = ibdyn.simulate(small(noise=0.1), progress=False)
    with pytest.raises(ValueError, match="estimator exact takes activations without noise"):
        ibdyn.measure(run, ["exact"])
    plain = ibdyn.simulate(small(), progress=False)
    with pytest.raises(ValueError, match="mixture-propagated-2 needs networks with noise"):
        ibdyn.measure(plain, ["mixture-propagated-2"])


def test_the_first_layer_is_the_known_mixture_around_its_activations():
    ensemble = prepare(small(**NOISY))
    plain = prepare(small())
    estimators = [from_name("mixture-propagated-100")]
    found = probes.measure(ensemble, ensemble.initial, estimators, 3)
    t = respond(plain, plain.initial)[0][0]
    task, rng = ensemble.task, np.random.default_rng(0)
    expected = information(t, task.p_x, task.p_y_given_x, 0.01, rng, draws=100)
    for name, value, error in (
        ("information_input", expected.input, expected.input_error),
        ("information_label", expected.label, expected.label_error),
    ):
        one, stderr = found[name][0, :, 0], found[f"{name}_stderr"][0, :, 0]
        assert (abs(one - value) < 4 * np.hypot(error, stderr)).all()
    assert np.isnan(found["information_input"][0, :, 2]).all()


def entropy(centres):
    """Entropy in bits of the even mixture of unit Gaussians around ``centres`` (..., component).

    The trapezoid rule on a grid of 0.05 over ten standard deviations is exact to rounding.
    """
    t = np.arange(centres.min() - 10, centres.max() + 10, 0.05)
    density = np.zeros((*centres.shape[:-1], len(t)))
    for centre in np.moveaxis(centres, -1, 0):
        density += np.exp(-((t - centre[..., None]) ** 2) / 2)
    density /= np.sqrt(2 * np.pi) * centres.shape[-1]
    return -(density * np.log2(np.maximum(density, 1e-300))).sum(-1) * 0.05


def two_points(distance):
    """Capacity in bits of the binary-input Gaussian channel."""
    return entropy(np.array([0.0, distance])) - entropy(np.array([0.0]))


@pytest.mark.parametrize("paths", [2, 8])
def test_two_points_through_two_noisy_layers(paths, tmp_path):
    """T_1 = x + Z_1 and T_2 = w T_1 + Z_2 are Gaussian given x, which is -1 or 1."""
    beta, weights, copies = 0.7, np.array([0.3, 1.0, 2.0]), 4000 // paths
    x = np.tile([[-1.0], [1.0]], (copies, 1))
    np.savez(tmp_path / "two.npz", x=x, y=(x[:, 0] > 0).astype(int))
    config = small(
        task={"name": "file", "path": str(tmp_path / "two.npz")},
        widths=(1, 1),
        activation="linear",
        noise=beta,
        estimators=(f"mixture-propagated-{paths}",),
    )
    ensemble = prepare(config)
    parameters = np.zeros_like(ensemble.initial)
    parameters[:, 0], parameters[:, 2] = 1, weights
    activations, _ = respond(ensemble, parameters, 0)
    found = probes.layer_information(
        ensemble, parameters, activations, [from_name(config.estimators[0])], slice(None), 0
    )
    bits, stderr = (found[f"information_input{s}"][0] for s in ("", "_stderr"))
    labels, label_stderr = (found[f"information_label{s}"][0] for s in ("", "_stderr"))
    assert (abs(bits[:, 0] - two_points(2 / beta)) < 4 * stderr[:, 0]).all()
    rng = np.random.default_rng(0)
    for k, w in enumerate(weights):
        truth = two_points(2 * w / (beta * np.sqrt(1 + w**2)))
        # Copies share the density of T_2 to 1 / 8000, so only h(T_2|X) is underestimated: it is
        # that of a few centres in the place of all.
        few = entropy(w * rng.normal(size=(1000, paths)))
        bias = entropy(np.zeros(1)) + np.log2(1 + w**2) / 2 - few.mean()
        error = np.hypot(stderr[k, 1], few.std() / np.sqrt(1000))
        assert abs(bits[k, 1] - truth - bias) < 4 * error
        assert abs(labels[k, 1] - truth) < 4 * label_stderr[k, 1]
        # A mean of Kullback-Leibler divergences, at most ln(1 + chi^2 / paths) by Jensen's
        # inequality; the chi-squared divergence of these Gaussians is w^2.
        assert 0 < bias < np.log2(1 + w**2 / paths)
    assert np.isnan(bits[:, 2]).all()
    assert (stderr[:, :2] < 0.02).all()
