"""The torch reference: gradients against a loop over samples, optimisers against torch's own."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from ibdyn import networks, training
from ibdyn.config import InitConfig, RunConfig
from ibdyn.ensemble import prepare

ACTIVATIONS = ["tanh", "relu", "linear", "sigmoid", "softplus", "softsign"]


def small(**fields):
    defaults = {
        "task": {"name": "majority", "bits": 5},
        "widths": (4, 3),
        "members": 3,
        "batch_size": 8,
        "train_fraction": 0.75,
        "dtype": "float64",
    }
    return RunConfig(**{**defaults, **fields})


def soft(**fields):
    return small(task={"information": 0.5}, widths=(3,), members=2, **fields)


def module_of(ensemble, k):
    """Member k as the nn.Module that a reader would write."""
    functions = {
        "tanh": torch.nn.Tanh,
        "relu": torch.nn.ReLU,
        "linear": torch.nn.Identity,
        "sigmoid": torch.nn.Sigmoid,
        "softplus": torch.nn.Softplus,
        "softsign": torch.nn.Softsign,
    }
    parts = []
    for layer in ensemble.architecture.layers:
        linear = torch.nn.Linear(layer.fan_in, layer.width, dtype=torch.float64)
        vector = torch.tensor(ensemble.initial[k])
        with torch.no_grad():
            linear.weight.copy_(vector[layer.weights].view(layer.width, layer.fan_in))
            linear.bias.copy_(vector[layer.biases])
        parts += [linear, functions[ensemble.config.activation]()]
    return torch.nn.Sequential(*parts[:-1])


def plain_loss(ensemble, z, target):
    if ensemble.config.output == "softmax":
        return torch.nn.functional.cross_entropy(z, target)
    return torch.nn.functional.binary_cross_entropy_with_logits(z, target)


def plain_training(ensemble, k, steps):
    """One network at a time, torch's own layers, losses and optimisers."""
    config = ensemble.config
    model = module_of(ensemble, k)
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    else:
        optimizer = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
    for batch in itertools.islice(training.minibatches(ensemble), steps):
        patterns = ensemble.train[k][batch[k]]
        x, target = torch.tensor(ensemble.x[patterns]), torch.tensor(ensemble.targets[k, batch[k]])
        optimizer.zero_grad()
        plain_loss(ensemble, model(x), target).backward()
        optimizer.step()
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_gradients_are_the_mean_of_a_slow_loop_over_samples(activation, output):
    ensemble = prepare(small(activation=activation, output=output))
    patterns = torch.tensor(ensemble.train[:, :7])
    found = training.batch_gradient(
        ensemble,
        torch.tensor(ensemble.initial),
        torch.tensor(ensemble.x)[patterns],
        torch.tensor(ensemble.targets)[:, :7],
    )
    for k in range(3):
        total = torch.zeros(ensemble.architecture.parameters, dtype=torch.float64)
        for place, pattern in enumerate(patterns[k]):
            model = module_of(ensemble, k)
            x = torch.tensor(ensemble.x[[pattern]])
            plain_loss(ensemble, model(x), torch.tensor(ensemble.targets[k, [place]])).backward()
            total += torch.cat([p.grad.ravel() for p in model.parameters()])
        assert torch.allclose(found[k], total / 7, atol=1e-14)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.5, "weight_decay": 0.1},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.1},
        {"batch_size": None},
        {"batch_order": "fixed"},
        {"batch_size": 1000},
    ],
)
def test_trajectories_agree_with_torchs_own_optimisers_to_the_last_step(fields):
    ensemble = prepare(small(**fields))
    *_, found = training.trajectory(ensemble, [0, 30])
    for k in range(3):
        assert np.allclose(found[k], plain_training(ensemble, k, 30), atol=1e-10, rtol=0)


def test_soft_labels_train_on_what_the_configuration_says():
    expected, drawn = prepare(soft(labels="expected")), prepare(soft())
    truth = expected.task.p_y_given_x
    assert np.array_equal(expected.targets[0], truth[expected.train[0]])
    assert set(np.unique(drawn.targets)) == {0, 1}
    p = drawn.task.p_y_given_x[:, 1]
    for k in range(2):
        score = (drawn.drawn[k] - p).sum() / np.sqrt((p * (1 - p)).sum())
        assert abs(score) < 4
    assert (drawn.drawn[0] != drawn.drawn[1]).any()
    *_, found = training.trajectory(expected, [5])
    assert np.allclose(found[0], plain_training(expected, 0, 5), atol=1e-12)


def test_every_epoch_visits_every_training_pattern_once():
    ensemble = prepare(small())
    assert ensemble.steps_per_epoch == 3
    epochs = [list(itertools.islice(training.minibatches(ensemble), 3)) for _ in range(1)]
    for batches in epochs:
        assert [b.shape[1] for b in batches] == [8, 8, 8]
        for row in torch.cat(batches, 1):
            assert sorted(row.tolist()) == list(range(24))


def test_a_member_is_the_same_alone_or_in_an_ensemble():
    config = small(members=50)
    *_, together = training.trajectory(prepare(config), [40])
    for members in ([3], [7, 3, 11]):
        ensemble = prepare(config, members)
        *_, found = training.trajectory(ensemble, [40])
        for row, member in zip(found, members, strict=True):
            assert np.allclose(row, together[member], atol=1e-12, rtol=0)


def test_members_differ_in_weights_split_and_batches():
    ensemble = prepare(small())
    assert len({row.tobytes() for row in ensemble.initial}) == 3
    assert len({row.tobytes() for row in ensemble.in_train}) == 3
    assert len(set(ensemble.batch_keys.tolist())) == 3


def test_stops_must_ascend():
    with pytest.raises(ValueError, match="stop 1 comes after step 2"):
        list(training.trajectory(prepare(small()), [2, 1]))


@pytest.mark.parametrize("scale", ["fan_in", "fan_out"])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal"])
def test_initial_weights_have_the_distribution_asked_for(distribution, scale):
    init = InitConfig(distribution=distribution, scale=scale)
    ensemble = prepare(RunConfig(init=init, members=20))
    law = stats.norm() if distribution == "normal" else stats.truncnorm(-2, 2)
    for layer in ensemble.architecture.layers:
        assert (ensemble.initial[:, layer.biases] == 0).all()
        sigma = (layer.fan_in if scale == "fan_in" else layer.width) ** -0.5
        z = ensemble.initial[:, layer.weights].ravel() / sigma
        assert stats.kstest(z, law.cdf).pvalue > 1e-4


def test_a_sigmoid_output_needs_two_labels(tmp_path):
    np.savez(tmp_path / "three.npz", x=np.eye(3), y=[0, 1, 2])
    task = {"name": "file", "path": str(tmp_path / "three.npz")}
    with pytest.raises(ValueError, match="a sigmoid tells 2 labels apart, the task has 3"):
        prepare(RunConfig(task=task, output="sigmoid"))


def test_patterns_of_unequal_probability_are_refused(tmp_path):
    np.savez(tmp_path / "odd.npz", x=np.eye(2), y=[0, 1], p_x=[0.25, 0.75])
    with pytest.raises(ValueError, match=r"patterns of unequal p\(x\)"):
        prepare(RunConfig(task={"name": "file", "path": str(tmp_path / "odd.npz")}))


def test_members_that_repeat_are_refused():
    with pytest.raises(ValueError, match="expected different members"):
        prepare(small(), [1, 1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_stay_within_their_limits(activation):
    ensemble = prepare(small(activation=activation))
    parameters = torch.tensor(ensemble.initial * 100)
    _, activations = networks.forward(ensemble.architecture, parameters, torch.tensor(ensemble.x))
    for layer, a in zip(ensemble.architecture.layers, activations, strict=True):
        low, high = layer.limits
        assert float(a.min()) >= low
        assert float(a.max()) <= high
