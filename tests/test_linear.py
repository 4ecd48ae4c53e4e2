"""The linear teacher and its students: everything about them is known in closed form."""

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pydantic
import pytest
import torch
import xarray as xr
from scipy import stats

import ibdyn
from ibdyn import cli, figures, kernel, networks, output, probes, response, schema, tasks, training
from ibdyn.architecture import Architecture
from ibdyn.config import RunConfig, ScheduleConfig, explain
from ibdyn.ensemble import prepare
from ibdyn.estimators import Gaussian, World, from_name
from ibdyn.estimators.gaussian import input_information, label_information
from ibdyn.estimators.protocol import LinearMap
from ibdyn.presets import preset
from ibdyn.seeding import stream
from ibdyn.splits import train_mask

EPSILON = np.finfo(float).eps
ENGINES = {"kernel": kernel, "torch": training}


def student(**fields):
    """Two linear networks 6-5-1 on 30 samples, 10 of them in training."""
    defaults = {
        "task": {"name": "linear_teacher", "inputs": 6, "samples": 30, "snr": 3.0},
        "widths": (5,),
        "activation": "linear",
        "output": "linear",
        "split": "random",
        "train_fraction": 1 / 3,
        "members": 2,
        "batch_size": None,
        "epochs": 20,
        "schedule": ScheduleConfig(count=5, extra=()),
        "estimators": ("gaussian-1",),
        "dtype": "float64",
    }
    return RunConfig.model_validate(defaults | fields)


def with_variance(ensemble, variance):
    label = dataclasses.replace(ensemble.task.y, variance=variance)
    return dataclasses.replace(ensemble, task=dataclasses.replace(ensemble.task, y=label))


def path(engine, ensemble, steps):
    return np.stack(list(engine.trajectory(ensemble, range(steps + 1))))


@pytest.fixture(scope="module")
def linear_run():
    return ibdyn.simulate(student(), progress=False)


# The task.


def test_the_teacher_has_the_signal_to_noise_ratio_and_information_asked_for():
    for inputs, snr in ((1, 0.5), (100, 1.0), (7, 30.0)):
        task = tasks.linear_teacher(inputs, 50, snr, seed=3)
        assert task.gaussian.signal_variance == pytest.approx(snr, rel=inputs * EPSILON)
        assert task.information == pytest.approx(np.log2(1 + snr) / 2, rel=1e-13)
        noise_entropy = np.log2(2 * np.pi * np.e) / 2
        assert task.label_entropy - noise_entropy == pytest.approx(task.information, abs=1e-13)
        assert np.array_equal(task.y_mean, task.x @ task.gaussian.teacher)
    assert tasks.linear_teacher(100, 50, 1.0, 0).information == pytest.approx(0.5, abs=1e-14)


def test_the_teachers_information_is_that_of_its_own_layer():
    label = tasks.linear_teacher(9, 50, 2.5, seed=1).gaussian
    found = input_information(label.teacher[None], label.covariance, label.variance)
    assert found == pytest.approx(np.log2(3.5) / 2, rel=1e-13)


def test_patterns_are_a_sample_of_the_population():
    x = tasks.linear_teacher(20, 500, 1.0, seed=0).x
    assert stats.kstest(x.ravel() * np.sqrt(20), "norm").pvalue > 1e-4
    again, other = (tasks.linear_teacher(20, 500, 1.0, seed) for seed in (0, 1))
    assert np.array_equal(again.x, x)
    assert (other.x != x).any()


def test_labels_are_drawn_once_for_each_member_or_are_the_mean():
    config = student(task={"name": "linear_teacher", "samples": 2000}, train_fraction=0.5)
    drawn, expected = prepare(config), prepare(config.model_copy(update={"labels": "expected"}))
    noise = drawn.drawn - drawn.task.y_mean
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise)[0, 1]) < 5 / np.sqrt(2000)
    assert drawn.targets.shape == (2, 1000, 1)
    for k in range(2):
        assert np.array_equal(drawn.targets[k, :, 0], drawn.drawn[k][drawn.train[k]])
        assert np.array_equal(expected.targets[k, :, 0], expected.task.y_mean[expected.train[k]])
    assert expected.drawn is None


# Loss, gradient and training.


@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_the_loss_is_the_negative_log_likelihood(variance):
    ensemble = with_variance(prepare(student()), variance)
    z = torch.tensor(np.random.default_rng(0).normal(size=(2, 10, 1)))
    target = torch.tensor(ensemble.targets)
    found = networks.sample_loss(ensemble.architecture, z, target, variance)
    expected = -stats.norm(z, np.sqrt(variance)).logpdf(ensemble.targets)[..., 0]
    assert np.allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("labels", ["drawn", "expected"])
def test_losses_of_both_splits_are_those_of_the_gaussian(labels):
    ensemble = with_variance(prepare(student(labels=labels)), 0.3)
    measured = probes.measure(ensemble, ensemble.initial, [Gaussian(1)], 0)
    activations, _ = response.respond(ensemble, ensemble.initial)
    # The expected loss under N(truth, 0.3), by Gauss-Hermite quadrature, exact for polynomials.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    y = ensemble.task.y_mean + np.sqrt(0.3) * nodes[:, None]
    for k, own in enumerate(ensemble.in_train):
        answer = activations[-1][k, :, 0]
        law = stats.norm(answer, np.sqrt(0.3))
        expected = -(weights[:, None] * law.logpdf(y)).sum(0) / weights.sum()
        trained = expected if labels == "expected" else -law.logpdf(ensemble.drawn[k])
        truth = [trained[own].mean(), expected[~own].mean()]
        assert measured["loss"][:, k] == pytest.approx(truth, rel=1e-12)
    assert np.isnan(measured["error_rate"]).all()
    for name in ("within_scatter", "between_scatter"):
        assert np.isnan(measured[name]).all()


def test_gradients_are_the_slopes_of_the_training_loss():
    ensemble = with_variance(prepare(student()), 0.3)
    x = torch.tensor(ensemble.x[ensemble.train])
    found = training.batch_gradient(
        ensemble, torch.tensor(ensemble.initial), x, torch.tensor(ensemble.targets)
    )

    def loss(parameters):
        return probes.measure(ensemble, parameters, [Gaussian(1)], 0)["loss"][0]

    # Central differences: the loss is a polynomial of fourth degree, so the error is of order
    # step^2, and of order eps / step by rounding; both are below 1e-9 of losses of order 10.
    step = 1e-5
    for p in range(ensemble.architecture.parameters):
        shift = np.zeros_like(ensemble.initial)
        shift[:, p] = step
        slope = loss(ensemble.initial + shift) - loss(ensemble.initial - shift)
        assert slope / (2 * step) == pytest.approx(found[:, p].numpy(), abs=1e-8)


def test_gradient_statistics_are_those_of_a_loop_over_samples():
    ensemble = with_variance(prepare(student()), 0.3)
    mean, spread = response.gradient_statistics(ensemble, ensemble.initial)
    x, y = torch.tensor(ensemble.x[ensemble.train]), torch.tensor(ensemble.targets)
    samples = np.stack(
        [
            training.batch_gradient(ensemble, torch.tensor(ensemble.initial), x[:, [i]], y[:, [i]])
            for i in range(10)
        ]
    )
    for j, layer in enumerate(ensemble.architecture.layers):
        own = samples[..., layer.weights]
        assert mean[:, j] == pytest.approx(np.linalg.norm(own.mean(0), axis=-1), rel=1e-12)
        assert spread[:, j] == pytest.approx(np.sqrt(own.var(0).sum(-1)), rel=1e-12)


@pytest.mark.parametrize("activation", ["linear", "tanh"])
@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "batch_size": 4, "momentum": 0.5, "labels": "expected"},
        {"learning_rate": 0.01, "batch_size": 4, "optimizer": "adam"},
    ],
)
def test_both_engines_take_the_same_steps(activation, fields):
    config = student(activation=activation, estimators=["exact"], **fields)
    ensemble = with_variance(prepare(config), 0.3)
    assert np.abs(path(kernel, ensemble, 60) - path(training, ensemble, 60)).max() < 1e-10


def test_a_member_has_the_same_record_alone(linear_run):
    alone = ibdyn.simulate(student(), members=[1], progress=False)
    for name, variable in alone.data_vars.items():
        expected = linear_run[name]
        if "member" in variable.dims:
            expected = expected.sel(member=[1])
        assert variable.values.tobytes() == expected.values.tobytes(), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fraction", [1 / 6, 2 / 3])
def test_one_layer_follows_linear_regression(engine, fraction):
    """Gradient descent w' = w - rate (C w - b) of inputs that end with a 1, for the bias.

    In the eigenvectors of C = mean x x^T, each component of w is at step t
    (1 - rate c)^t w_0 + (1 - (1 - rate c)^t) / c b, with rate t b in the limit c = 0: with 5
    samples of 7 inputs there are such directions.
    """
    rate, steps, variance = 0.4, 300, 2.0
    config = student(widths=(), learning_rate=rate, train_fraction=fraction)
    ensemble = with_variance(prepare(config), variance)
    found = path(ENGINES[engine], ensemble, steps)
    t = np.arange(steps + 1)[:, None]
    for k, own in enumerate(ensemble.train):
        x = np.column_stack([ensemble.x[own], np.ones(len(own))])
        c, vectors = np.linalg.eigh(x.T @ x / len(own) / variance)
        b = vectors.T @ x.T @ ensemble.targets[k, :, 0] / len(own) / variance
        flat = c < 1e-12
        decay = (1 - rate * c) ** t
        gain = np.where(flat, rate * t, (1 - decay) / np.where(flat, 1, c))
        expected = (decay * (vectors.T @ ensemble.initial[k]) + gain * b) @ vectors.T
        # Every step rounds w, by eps of its size, and what is rounded is never amplified; the
        # eigenvectors bring as much.
        rounding = 4 * steps * EPSILON * np.abs(expected).max()
        assert np.abs(found[:, k] - expected).max() < rounding
        assert (flat.sum() > 0) == (fraction < 0.5)


# Information.


def test_the_known_information_comes_out_of_the_estimator():
    covariance = np.array([[2, 0.3, 0], [0.3, 1, 0.2], [0, 0.2, 0.5]])
    weights = np.array([[[1, 0.5, -0.2], [0, 1, 0.3]]])
    teacher = np.array([0.7, -0.4, 1.1])
    world = World(
        np.ones(1),
        np.ones((1, 1)),
        np.ones((1, 1), bool),
        linear=lambda: LinearMap(weights, covariance, teacher, 0.25),
    )
    found = from_name("gaussian-0.1").information(np.zeros((1, 1, 2)), (-np.inf, np.inf), world)
    assert found["information_input"] == pytest.approx(4.051473, abs=5e-7)
    expected = label_information(weights, covariance, 0.1, teacher, 0.25)
    assert np.array_equal(found["information_label"], expected)


def test_layers_are_measured_as_products_of_the_recorded_weights():
    run = ibdyn.simulate(student(widths=(5, 3), learning_rate=0.2), progress=False)
    for member in run.member.values:
        for step in run.step.values[[0, -1]]:
            vector = run.parameters.sel(member=member, step=step)
            weights = np.eye(6)
            for layer in run.layer.values:
                own = vector[(run.parameter_layer == layer) & (run.parameter_kind == "weight")]
                weights = own.values.reshape(-1, len(weights)) @ weights
                one = run.sel(member=member, step=step, layer=layer, estimator="gaussian-1")
                i_x = input_information(weights, run.covariance, 1.0)
                i_y = label_information(weights, run.covariance, 1.0, run.teacher, run.y_variance)
                assert float(one.information_input) == pytest.approx(float(i_x), abs=1e-12)
                assert float(one.information_label) == pytest.approx(float(i_y), abs=1e-12)
                assert i_y < run.attrs["task_information"]


def test_exact_information_agrees_with_the_mixture_of_many_patterns():
    """I(X;T+Z) of a large pool is that of the population, up to the pool's own covariance.

    Half the log-determinant of the covariance of n patterns in p directions has the standard error
    sqrt(p / 2n) nats, and less in a noisy layer (Anderson 2003, theorem 7.5.3).
    """
    task = {"name": "linear_teacher", "inputs": 3, "samples": 1000}
    names = ["gaussian-0.05", "mixture-measured-0.05:20"]
    config = student(task=task, widths=(2,), members=1, epochs=1, estimators=names)
    run = ibdyn.simulate(config, progress=False)
    exact, drawn = (run.information_input.sel(estimator=name) for name in names)
    error = run.information_input_stderr.sel(estimator=names[1])
    directions = run.width.astype(float)
    allowed = 4 * np.hypot(np.sqrt(directions / 2000) / np.log(2), error)
    assert (abs(exact - drawn) < allowed).all()


def test_training_from_small_weights_never_compresses():
    """The published outcome, in the preset at small scale: information only grows, also when the
    test loss has long passed its least. Weights that are small but not 0 know something by chance,
    and no more than that may be lost.
    """
    config = preset("saxe2018-linear").model_copy(
        update={
            "task": student().task.model_copy(update={"inputs": 10, "samples": 110, "snr": 1.0}),
            "widths": (10,),
            "train_fraction": 1 / 11,
            "members": 5,
            "learning_rate": 0.02,
            "dtype": "float64",
        }
    )
    ensemble = prepare(config)
    small = dataclasses.replace(ensemble, initial=0.05 * ensemble.initial)
    stops = np.unique(np.geomspace(1, 6000, 80).astype(int)).tolist()
    rows = [
        probes.measure(small, parameters, [Gaussian(1)], 0)
        for parameters in kernel.trajectory(small, [0, *stops])
    ]
    information = np.stack([row["information_input"][0] for row in rows])
    lost = np.maximum.accumulate(information) - information
    assert (lost <= information[0]).all()
    assert (information.argmax(0) == len(stops)).all()
    test_loss = np.stack([row["loss"][1] for row in rows])
    assert (test_loss[-1] > test_loss[0]).all()


def test_other_estimators_see_the_pool_and_no_label(linear_run):
    names = ["binned-extremes-30", "pairwise-upper-0.01", "exact", "mixture-measured-0.1:4"]
    run = ibdyn.measure(linear_run, [*names, "binned-run-30"]).sel(estimator=[*names])
    assert run.information_input.notnull().all()
    assert (run.information_input <= np.log2(30) + 0.2).all()
    assert run.information_label.isnull().all()
    assert run.information_label_stderr.isnull().all()
    assert ibdyn.cells(run, 0, "exact").shape == (2, 2, 30)


def test_a_run_that_diverges_is_kept_without_estimates():
    run = ibdyn.simulate(student(learning_rate=1e30, dtype="float32"), progress=False)
    assert run.diverged.values.tolist() == [1, 1]
    assert run.information_input.isel(step=-1).isnull().all()
    assert run.information_input.isel(step=0).notnull().all()


# The record.


def test_the_record_stands_alone(linear_run, tmp_path):
    ibdyn.save(linear_run, tmp_path / "run.nc")
    loaded = ibdyn.load(tmp_path / "run.nc")
    xr.testing.assert_identical(loaded.drop_attrs(deep=False), linear_run.drop_attrs(deep=False))
    both = student(estimators=("gaussian-1", "gaussian-0.1"))
    measured = ibdyn.measure(loaded, ["gaussian-0.1"])
    expected = ibdyn.simulate(both, progress=False)
    xr.testing.assert_identical(measured.drop_attrs(deep=False), expected.drop_attrs(deep=False))
    assert RunConfig.from_json(measured.attrs["config"]) == both
    for name in ("y_mean", "y_variance", "teacher", "covariance", "target_value"):
        assert measured[name].attrs.keys() >= {"units", "long_name"}, name
    assert "p_y_given_x" not in measured
    task = prepare(student()).task
    assert np.array_equal(loaded.y_mean, task.y_mean)
    assert np.array_equal(loaded.target_value, prepare(student()).drawn)


def test_expected_labels_need_no_drawn_ones_to_be_measured():
    run = ibdyn.simulate(student(labels="expected"), progress=False)
    assert "target_value" not in run
    assert ibdyn.measure(run, ["gaussian-2"]).information_label.notnull().all()


def test_a_record_says_how_its_labels_depend_on_x(linear_run, run):
    with pytest.raises(ValueError, match=r"'p_y_given_x' is missing from the record, or \['tea"):
        schema.validate(linear_run.drop_vars("teacher"))
    with pytest.raises(ValueError, match=r"'p_y_given_x' is missing from the record$"):
        schema.validate(run.drop_vars("p_y_given_x"))
    with pytest.raises(ValueError, match=r"'p_y_given_x' and \['y_mean', .* are both"):
        schema.validate(linear_run.assign(p_y_given_x=run.p_y_given_x.isel(pattern=slice(30))))


def test_the_table_of_a_record_has_a_differential_entropy_and_no_error_rate(linear_run):
    table = output.describe(linear_run)
    assert "I(X;Y) = 1.000000 bit, h(Y) = 3.047096 bit" in table
    assert "error rate" not in table
    assert "nan" not in table


def test_figures_have_the_limits_that_apply(linear_run):
    run = ibdyn.measure(linear_run, ["binned-extremes-30"])
    with mpl.rc_context({"backend": "agg"}):
        for estimator in run.estimator.values:
            ax = figures.information_paths(run, estimator=estimator)
            (horizontal,) = [line for line in ax.lines if set(line.get_xdata()) == {0, 1}]
            assert set(horizontal.get_ydata()) == {run.attrs["task_information"]}
            ceilings = [line for line in ax.lines if set(line.get_xdata()) == {np.log2(30)}]
            assert len(ceilings) == (estimator == "binned-extremes-30")
            figures.information_plane(run, estimator=estimator)
        axes = figures.learning_curves(run)
        assert [ax.get_ylabel() for ax in axes] == ["cross-entropy loss [nat]"]
        plt.close("all")


def test_the_preset_runs_from_the_command_line(tmp_path, capsys):
    file = str(tmp_path / "run.nc")
    flags = ["--members", "2", "--epochs", "3", "--widths", "7", "--task.inputs", "9"]
    assert cli.main(["simulate", "--preset", "saxe2018-linear", "--out", file, *flags]) == 0
    assert cli.main(["measure", file, "--estimators", "gaussian-0.1", "binned-width-0.07"]) == 0
    assert cli.main(["info", file]) == 0
    assert cli.main(["plot", file]) == 0
    assert len(list(tmp_path.glob("*.png"))) == len(figures.FIGURES)
    assert "gaussian-0.1, bit" in capsys.readouterr().out


# What is refused.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"output": "softmax"}, "linear_teacher has a real label and needs output linear (output"),
        ({"task": {}}, "the task spherical_rule has labels and cannot have output linear"),
        ({"split": "stratified"}, "split stratified needs a task with labels, linear_teacher has"),
        ({"split": "by_class"}, "split by_class needs a task with labels"),
        ({"activation": "tanh"}, "gaussian-1 needs the task linear_teacher and activation linear"),
        ({"task": {"snr": 1}}, "task: snr has no meaning for the task spherical_rule"),
        ({"task": {"name": "linear_teacher", "bits": 3}}, "bits has no meaning for the task lin"),
        (
            {"task": {"name": "linear_teacher", "random_labels": True}},
            "random_labels has no meaning for the task linear_teacher",
        ),
        ({"task": {"name": "linear_teacher", "snr": 0}}, "task.snr: must be greater than 0"),
        ({"estimators": ["gaussian-0"]}, "gaussian variance is 0.0, expected more than 0"),
        ({"estimators": ["gaussian"]}, "'gaussian' is none of gaussian-VARIANCE"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(pydantic.ValidationError) as caught:
        student(**fields)
    assert message in explain(caught.value)


def test_a_gaussian_estimator_needs_a_linear_gaussian_record(run):
    with pytest.raises(ValueError, match="gaussian-1 needs the task linear_teacher"):
        ibdyn.measure(run, ["gaussian-1"])
    ensemble = prepare(RunConfig(members=1))
    with pytest.raises(ValueError, match="the task is 'spherical_rule' and the activation tanh"):
        probes.measure(ensemble, ensemble.initial, [Gaussian(1)], 0)
    world = World(np.ones(1), np.ones((1, 1)), np.ones((1, 1), bool))
    with pytest.raises(ValueError, match="come without networks"):
        Gaussian(1).information(np.zeros((1, 1, 1)), (-np.inf, np.inf), world)


def test_tasks_splits_and_outputs_that_do_not_fit_are_refused():
    task = tasks.linear_teacher(3, 10, 1.0, 0)
    with pytest.raises(ValueError, match="snr is 0, expected finite and more than 0"):
        tasks.linear_teacher(3, 10, 0, 0)
    with pytest.raises(ValueError, match="inputs and samples are 0 and 10, expected 1 or more"):
        tasks.linear_teacher(0, 10, 1.0, 0)
    with pytest.raises(ValueError, match="has a real label, which has no probabilities"):
        tasks.random_labels(task, 0)
    with pytest.raises(ValueError, match="task 'parity' has labels, which have no mean"):
        tasks.bits("parity", 2).y_mean  # noqa: B018
    with pytest.raises(ValueError, match="x has 2 inputs, expected the 3 of the teacher"):
        dataclasses.replace(task, x=task.x[:, :2])
    with pytest.raises(ValueError, match="p_x has 9 patterns, expected 10 as in x"):
        dataclasses.replace(task, p_x=np.full(9, 1 / 9))
    with pytest.raises(
        ValueError, match="stratified needs a task with labels to count, found 'lin"
    ):
        train_mask(task, 0.5, "stratified", stream(0, "split"))
    with pytest.raises(ValueError, match="by_class needs a task with spectral classes, found 'lin"):
        train_mask(task, 0.5, "by_class", stream(0, "split"))
    with pytest.raises(ValueError, match="linear is for a real label, the task has 2 labels"):
        Architecture(3, (), 2, output="linear")
    with pytest.raises(ValueError, match="a softmax tells labels apart, the task has a real one"):
        Architecture(3, (), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": np.ones(2)}, r"shapes \(2,\) and \(3, 3\), expected \(input,\) and"),
        ({"teacher": np.array([1, 2, np.nan])}, "teacher holds values that are not finite"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "covariance is not equal to its transpose"),
        ({"variance": 0.0}, "variance is 0.0, expected finite and more than 0"),
    ],
)
def test_what_is_no_gaussian_label_is_refused(change, message):
    label = tasks.linear_teacher(3, 10, 1.0, 0).gaussian
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(label, **change)
