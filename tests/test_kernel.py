"""The fused kernel against the torch reference, and its promise: a member's bits are its own."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from numba import njit

import ibdyn
from ibdyn import elementary, kernel, response, sources, training
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.ensemble import prepare

ACTIVATIONS = ["tanh", "relu", "linear", "sigmoid", "softplus", "softsign"]
OPTIMIZERS = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 1e-3},
    "langevin": {
        "optimizer": "langevin",
        "batch_size": None,
        "learning_rate": 0.1,
        "temperature": 0.01,
        "weight_decay": 1e-3,
    },
}


def small(**fields):
    """32 patterns, 24 of them in training: three batches of 11, 11 and 2."""
    defaults = {
        "task": {"name": "majority", "bits": 5},
        "widths": (5, 7, 4),
        "members": 2,
        "batch_size": 11,
        "train_fraction": 0.75,
        "dtype": "float64",
    }
    return RunConfig(**{**defaults, **fields})


def path(engine, ensemble, steps):
    return np.stack(list(engine.trajectory(ensemble, range(steps + 1))))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [11, None])
def test_every_step_is_that_of_the_reference(activation, output, optimizer, batch_size):
    fields = {"batch_size": batch_size} | OPTIMIZERS[optimizer]
    ensemble = prepare(small(activation=activation, output=output, **fields))
    assert np.abs(path(kernel, ensemble, 60) - path(training, ensemble, 60)).max() < 1e-10


@pytest.mark.parametrize(
    "fields",
    [
        {"task": {"information": 0.5}, "batch_size": 300, "widths": (3,)},
        {"task": {"information": 0.5}, "batch_size": 1000, "labels": "expected", "widths": (3,)},
        {"batch_order": "fixed"},
        {"widths": ()},
        {"widths": (1,)},
        {"widths": (40, 33)},
    ],
)
def test_other_shapes_labels_and_orders_agree_too(fields):
    ensemble = prepare(small(**fields))
    assert np.abs(path(kernel, ensemble, 20) - path(training, ensemble, 20)).max() < 1e-10


def test_more_than_two_labels_agree(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "task.npz", x=rng.normal(size=(60, 4)), y=rng.dirichlet(np.ones(5), 60))
    task = {"name": "file", "path": str(tmp_path / "task.npz")}
    for labels in ("drawn", "expected"):
        ensemble = prepare(small(task=task, labels=labels, **OPTIMIZERS["adam"]))
        assert np.abs(path(kernel, ensemble, 20) - path(training, ensemble, 20)).max() < 1e-10


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_is_as_near_to_float64_as_the_references(activation):
    truth = path(training, prepare(small(activation=activation)), 40)
    single = prepare(small(activation=activation, dtype="float32"))
    errors = {e.__name__: np.abs(path(e, single, 40) - truth).max() for e in (kernel, training)}
    assert errors["ibdyn.kernel"] < 4 * errors["ibdyn.training"]


STUDY = RunConfig(
    members=50,
    widths=(5, 3),
    epochs=6,
    batch_size=512,
    optimizer="adam",
    learning_rate=0.01,
    schedule=ScheduleConfig(count=4),
)


@pytest.fixture(scope="module")
def study():
    return ibdyn.simulate(STUDY, progress=False)


def equal_bits(record, whole):
    for name, variable in record.data_vars.items():
        expected = whole[name]
        if "member" in variable.dims:
            expected = expected.sel(member=record.member)
        assert variable.values.tobytes() == expected.values.tobytes(), name


@pytest.mark.parametrize(
    "members", [[3], [0, 1, 2, 3, 4], [17, 3, 49], [*range(49, -1, -1)], [*range(50)]]
)
def test_a_member_has_the_same_bits_alone_and_in_any_ensemble(study, members):
    equal_bits(ibdyn.simulate(STUDY, members=members, progress=False), study)


def test_a_member_has_the_same_bits_with_one_thread_and_with_two(study):
    threads = numba.get_num_threads()
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            equal_bits(ibdyn.simulate(STUDY, members=range(5), progress=False), study)
    finally:
        numba.set_num_threads(threads)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bits_do_not_depend_on_where_a_run_is_looked_at(optimizer):
    ensemble = prepare(small(dtype="float32", **OPTIMIZERS[optimizer]))
    (straight,) = kernel.trajectory(ensemble, [23])
    *_, halting = kernel.trajectory(ensemble, [1, 5, 5, 6, 16, 23])
    assert straight.tobytes() == halting.tobytes()


def test_the_array_that_is_yielded_belongs_to_the_caller():
    ensemble = prepare(small())
    first, second = kernel.trajectory(ensemble, [0, 1])
    assert np.array_equal(first, ensemble.initial)
    assert (first != second).any()


def test_stops_must_ascend():
    with pytest.raises(ValueError, match="stop 1 comes after step 2"):
        list(kernel.trajectory(prepare(small()), [2, 1]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_diverged_member_stays_diverged_and_alone(activation, poison):
    ensemble = prepare(small(activation=activation, members=3))
    calm, sick = (kernel.State.initial(ensemble.initial) for _ in range(2))
    sick.parameters[1, 3] = poison
    for state in (calm, sick):
        kernel.advance(state, ensemble, ensemble.targets, 30)
    assert not np.isfinite(sick.parameters[1]).all()
    assert sick.parameters[[0, 2]].tobytes() == calm.parameters[[0, 2]].tobytes()


@pytest.mark.parametrize("fields", [{}, {"output": "sigmoid"}, {"activation": "softplus"}])
def test_activations_and_probabilities_are_those_of_torch(fields):
    from ibdyn import networks

    ensemble = prepare(small(**fields))
    activations, log_p = response.respond(ensemble, ensemble.initial)
    z, expected = networks.forward(
        ensemble.architecture, torch.tensor(ensemble.initial), torch.tensor(ensemble.x)
    )
    for found, layer in zip(activations, expected, strict=True):
        assert np.abs(found - layer.numpy()).max() < 1e-13
    two = torch.cat([torch.zeros_like(z[-1]), z[-1]], -1) if fields.get("output") else z[-1]
    truth = torch.log_softmax(two, -1).numpy().transpose(0, 2, 1)
    assert np.abs(log_p - truth).max() < 1e-13


def test_confident_losses_keep_their_size_however_small():
    ensemble = prepare(small(widths=()))
    parameters = np.zeros_like(ensemble.initial)
    parameters[:, -1] = 30.0
    _, log_p = response.respond(ensemble, parameters)
    # The sum 1 + exp(-30) is rounded once.
    assert np.allclose(log_p[:, 1], -np.log1p(np.exp(-30)), rtol=0, atol=np.finfo(float).eps)
    assert np.allclose(log_p[:, 0], -30, rtol=1e-15)


def mapped(function):
    @njit
    def over(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return over


EXACT = {
    "exp": (np.exp, -80.0, 80.0),
    "expm1": (np.expm1, -80.0, 80.0),
    "log1p": (np.log1p, 0.0, 1.0),
    "tanh": (np.tanh, -30.0, 30.0),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), -80.0, 80.0),
    "softplus": (lambda z: np.log1p(np.exp(z)), -80.0, 80.0),
    "softsign": (lambda z: z / (1 + np.abs(z)), -80.0, 80.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_elementary_functions_err_by_a_few_roundings(name, dtype):
    exact, low, high = EXACT[name]
    near_zero = np.logspace(-30, 0, 2000)
    x = np.concatenate(
        [np.linspace(low, high, 100_001), near_zero, -near_zero if low < 0 else near_zero]
    ).astype(dtype)
    over = mapped(getattr(elementary, name))
    truth = exact(x.astype(np.longdouble))
    error = np.abs(over(x) - truth) / np.maximum(np.abs(truth), np.finfo(dtype).tiny)
    assert error.max() < 4 * np.finfo(dtype).eps
    assert np.isnan(over(np.array([np.nan], dtype=dtype))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturation_reaches_the_limits(dtype):
    ends = np.array([-np.inf, np.inf, -1e30, 1e30], dtype=dtype)
    assert np.array_equal(mapped(elementary.tanh)(ends), [-1, 1, -1, 1])
    assert np.allclose(mapped(elementary.sigmoid)(ends), [0, 1, 0, 1], atol=1e-37)


def test_a_change_in_any_compiled_file_is_a_new_key_of_the_cache(tmp_path):
    def digest_after(name, text):
        (tmp_path / "estimators").mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return sources.digest(tmp_path)

    first = digest_after("tile.py", "@njit")
    assert digest_after("config.py", "plain") == first
    assert digest_after("estimators/digits.py", "@njit") != first
    assert digest_after("estimators/digits.py", "") == first
    for function in (kernel.train_members, response.all_responses, response.all_gradients):
        keys = [str(key) for key in function.signatures]
        assert keys
        assert all(f"omitted(default={sources.SOURCES})" in key for key in keys)


def test_the_engine_is_chosen_recorded_and_agrees():
    config = STUDY.model_copy(update={"members": 2, "epochs": 2, "dtype": "float64"})
    runs = {}
    for engine, expected in (("auto", "kernel"), ("kernel", "kernel"), ("torch", "torch")):
        run = ibdyn.simulate(config.model_copy(update={"engine": engine}), progress=False)
        assert run.attrs["engine"] == expected
        runs[engine] = run
    difference = np.abs(runs["torch"].parameters - runs["kernel"].parameters)
    assert float(difference.max()) < 1e-12
    wide = config.model_copy(update={"widths": (200,), "epochs": 1})
    assert ibdyn.simulate(wide, progress=False).attrs["engine"] == "torch"


def test_the_kernel_refuses_a_gpu():
    with pytest.raises(ValueError, match="engine kernel needs device cpu, not cuda"):
        RunConfig(engine="kernel", device="cuda")


HASHES = """
import hashlib
from ibdyn import kernel, probes
from ibdyn.config import RunConfig
from ibdyn.ensemble import prepare
from ibdyn.estimators import from_name

ensemble = prepare(RunConfig(task={"name": "majority", "bits": 9}, members=2, epochs=4))
estimators = [from_name(name) for name in ("binned-range-30", "pairwise-upper-0.01")]
for step, theta in zip((0, 1, 7), kernel.trajectory(ensemble, [0, 1, 7])):
    found = probes.measure(ensemble, theta, estimators, step)
    arrays = [theta, *(found[name] for name in sorted(found))]
    print(*(hashlib.sha256(array.tobytes()).hexdigest()[:8] for array in arrays))
"""


def test_the_process_that_compiles_has_the_bits_of_those_that_load_from_the_cache(tmp_path):
    """Machine code that was inlined once more than another's has other bits."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    compiling, loading = (
        subprocess.run(
            [sys.executable, "-c", HASHES], env=environment, capture_output=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert len(compiling.splitlines()) == 3
    assert compiling == loading
