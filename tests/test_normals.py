"""Langevin steps: their noise is addressed and Gaussian, their stationary law exact."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

import ibdyn
from ibdyn import kernel, training
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.ensemble import prepare
from ibdyn.normals import fill, standard_normals
from ibdyn.seeding import key
from theory.sgd import stationary_covariance

KEYS = np.array([key(0, "langevin", k) for k in range(20)], dtype=np.uint64)


@pytest.fixture(scope="module")
def draws():
    """(step, key, parameter)."""
    return np.stack([standard_normals(KEYS, step, 101) for step in range(200)])


def test_the_noise_is_standard_normal(draws):
    z = draws.ravel()
    for power, variance in ((1, 1), (2, 2), (3, 15), (4, 96)):
        expected = stats.norm.moment(power)
        assert abs((z**power).mean() - expected) < 5 * np.sqrt(variance / z.size), power
    assert stats.kstest(z, "norm").pvalue > 1e-4


def test_every_parameter_has_the_same_law_cosine_or_sine(draws):
    p = [stats.kstest(draws[..., j].ravel(), "norm").pvalue for j in range(draws.shape[-1])]
    assert min(p) > 1e-4 / len(p)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("lag", [1, 2])
@pytest.mark.parametrize("function", [np.asarray, np.abs])
def test_neighbours_in_step_key_and_parameter_are_independent(draws, axis, lag, function):
    """Of the normals and of their sizes, which a shared radius would tie together."""
    z = np.moveaxis(function(draws), axis, 0)
    correlation = np.corrcoef(z[lag:].ravel(), z[:-lag].ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(z[lag:].size)


def test_the_noise_is_a_function_of_key_step_and_parameter_alone(draws):
    alone = np.empty(7)
    fill(KEYS[3], 11, alone)
    assert alone.tobytes() == draws[11, 3, :7].tobytes()
    single = standard_normals(KEYS, 11, 101, "float32")
    assert single.dtype == np.float32
    assert (single == draws[11].astype(np.float32)).all()


def test_the_noise_keeps_its_numbers_between_versions():
    found = standard_normals(KEYS[:1], 0, 4)[0]
    assert found == pytest.approx(
        [0.0533459048, -0.6264741411, 1.0853909037, -1.8140236048], abs=1e-9
    )


def well(**fields):
    """One linear layer, 4 inputs and a bias, all members on the same 30 samples and true means."""
    defaults = {
        "task": {"name": "linear_teacher", "inputs": 4, "samples": 30, "snr": 3.0},
        "widths": (),
        "activation": "linear",
        "output": "linear",
        "split": "first",
        "train_fraction": 1.0,
        "labels": "expected",
        "members": 3000,
        "optimizer": "langevin",
        "batch_size": None,
        "learning_rate": 0.8,
        "temperature": 0.05,
        "weight_decay": 0.1,
        "estimators": ("gaussian-1",),
        "dtype": "float64",
    }
    return RunConfig.model_validate(defaults | fields)


@pytest.mark.parametrize("engine", [kernel, training])
def test_one_linear_layer_has_the_exact_covariance_of_discrete_steps(engine):
    """A step of rate eta adds noise 2 eta T, as would gradient noise of covariance 2 T / eta."""
    ensemble = prepare(well())
    rate, temperature, decay, steps = 0.8, 0.05, 0.1, 100
    x = np.column_stack([ensemble.x, np.ones(len(ensemble.x))])
    curvature = x.T @ x / len(x)
    hessian = curvature + decay * np.eye(5)
    centre = np.linalg.solve(hessian, curvature @ [*ensemble.task.gaussian.teacher, 0.0])
    start = np.repeat(centre[None], 3000, axis=0)
    *_, found = engine.trajectory(dataclasses.replace(ensemble, initial=start), [steps])
    expected = stationary_covariance(
        hessian, 2 * temperature / rate * np.eye(5), learning_rate=rate
    )
    variance = np.diag(expected)
    # What is left of the start after so many steps is nothing beside the standard errors.
    assert (1 - rate * np.linalg.eigvalsh(hessian)[0]) ** (2 * steps) < 1e-9
    assert (np.abs(found.mean(0) - centre) < 5 * np.sqrt(variance / 3000)).all()
    away = found - centre
    error = np.sqrt((np.outer(variance, variance) + expected**2) / 3000)
    assert (np.abs(away.T @ away / 3000 - expected) < 5 * error).all()
    # The SDE's own T / H is excluded: the step is not small.
    small_steps = temperature * np.linalg.inv(hessian)
    assert (np.abs(away.T @ away / 3000 - small_steps) > 5 * error).any()


def test_without_temperature_a_langevin_step_is_a_gradient_step():
    cold, plain = well(members=2, temperature=0.0), well(members=2, temperature=0, optimizer="sgd")
    for engine in (kernel, training):
        *_, found = engine.trajectory(prepare(cold), [20])
        *_, expected = engine.trajectory(prepare(plain), [20])
        assert np.abs(found - expected).max() < 1e-14


def test_a_member_has_the_same_bits_alone_and_in_any_ensemble():
    config = well(members=4, epochs=20, dtype="float32", schedule=ScheduleConfig(count=3))
    whole = ibdyn.simulate(config, progress=False)
    for members in ([2], [3, 0]):
        own = ibdyn.simulate(config, members=members, progress=False).parameters
        expected = whole.parameters.sel(member=members)
        assert own.values.tobytes() == expected.values.tobytes()
    assert len(np.unique(whole.parameters.isel(step=-1).values, axis=0)) == 4
