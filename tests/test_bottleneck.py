"""The bottleneck curve against closed forms, published values, and the plain iteration."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from benchmarks import bottleneck as benchmark
from benchmarks import plain
from ibdyn import tasks
from theory import annealing, bottleneck, certified, iteration, mixing, sufficiency
from theory.information import entropy, mutual_information

FLIP = 0.1
SYMMETRIC = np.array([[1 - FLIP, FLIP], [FLIP, 1 - FLIP]]) / 2
ERASURE = np.array([[0.7, 0.3, 0], [0, 0.3, 0.7]]) / 2


def joint_of(task):
    return task.p_x[:, None] * task.p_y_given_x


def parts(joint):
    p = joint.sum(1)
    return p, joint / p[:, None]


def random_joint(seed, patterns=5, labels=2):
    return (
        np.random.default_rng(seed)
        .dirichlet(np.full(patterns * labels, 0.5))
        .reshape(patterns, labels)
    )


@pytest.fixture(scope="module")
def soft():
    return joint_of(tasks.spherical_rule(information=0.99))


@pytest.fixture(scope="module")
def soft_curve(soft):
    return bottleneck.curve(soft)


def binary_entropy(a):
    return float(entropy([a, 1 - a]))


def symmetric_point(beta):
    """R and I_Y, in bits, of the symmetric source at beta: posteriors of X are a and 1 - a.

    a solves log((1 - a) / a) = beta (1 - 2e) log((1 - b) / b), b = a (1 - e) + (1 - a) e.
    """

    def mixed(a):
        return a * (1 - FLIP) + (1 - a) * FLIP

    def stationary(a):
        b = mixed(a)
        return np.log((1 - a) / a) - beta * (1 - 2 * FLIP) * np.log((1 - b) / b)

    a = brentq(stationary, 1e-12, 0.5 - 1e-4, xtol=1e-15)
    return 1 - binary_entropy(a), 1 - binary_entropy(mixed(a))


def test_symmetric_source_is_at_its_closed_form():
    curve = bottleneck.curve(SYMMETRIC, [2, 3, 5], tolerance=1e-10)
    found = np.array([curve.information_input, curve.information_label])
    expected = np.transpose([symmetric_point(beta) for beta in curve.beta.values])
    assert found == pytest.approx(expected, abs=1e-9)
    published = [[0.696433, 0.948951, 0.997837], [0.407234, 0.516595, 0.530616]]
    assert found == pytest.approx(np.array(published), abs=5e-7)
    assert curve.clusters.values.tolist() == [2, 2, 2]


def test_symmetric_source_leaves_the_origin_at_the_inverse_of_lambda_2():
    curve = bottleneck.curve(SYMMETRIC, [1.0, 1.5, 1.5624, 1.57], tolerance=1e-12)
    assert curve.information_input.values[:3] == pytest.approx(np.zeros(3), abs=1e-12)
    assert curve.information_input.values[3] > 0.01
    assert iteration.second_eigenvalue(*parts(SYMMETRIC)) == pytest.approx(0.64, abs=1e-14)


def test_erasure_channel_jumps_from_nothing_to_all():
    curve = bottleneck.curve(ERASURE, [1.2, 1.42, 1.43, 3])
    assert curve.attrs["method"] == "annealed"
    assert curve.information_input.values == pytest.approx([0, 0, 1, 1], abs=1e-9)
    assert curve.information_label.values == pytest.approx([0, 0, 0.7, 0.7], abs=1e-9)
    # The onset is found by bisection to 1e-6 of itself, where c exceeds one by 1e-9.
    assert bottleneck.curve(ERASURE).beta.values[0] == pytest.approx(0.9 / 0.7, rel=2e-6)


def test_discretised_gaussian_is_near_the_gaussian_bottleneck():
    rho, beta = 0.8, 5.0
    x = np.linspace(-4, 4, 81)
    joint = np.exp(-(x[:, None] ** 2 - 2 * rho * x[:, None] * x + x**2) / (2 * (1 - rho**2)))
    point = bottleneck.curve(joint / joint.sum(), [beta]).isel(beta=0)
    found = [point.information_input.item(), point.information_label.item()]
    assert found[0] == pytest.approx(1.4139, abs=1e-4)
    assert found[1] == pytest.approx(0.57528, abs=1e-5)
    rate = 0.5 * np.log2((beta - 1) * rho**2 / (1 - rho**2))
    closed = rate, -0.5 * np.log2(1 - rho**2 * (1 - 2 ** (-2 * rate)))
    assert closed == pytest.approx((1.415037, 0.576002), abs=5e-7)
    # The bias of the grid and of its cut at four standard deviations.
    assert found[1] - closed[1] == pytest.approx(-7e-4, abs=1e-4)


def test_deterministic_labels_have_two_points_and_say_so():
    joint = joint_of(tasks.spherical_rule())
    with pytest.warns(UserWarning, match="Y is a function of X"):
        curve = bottleneck.curve(joint, [0.5, 1, 1.001, 50])
    h = entropy(joint.sum(0))
    assert curve.attrs["method"] == "closed form"
    assert curve.information_input.values == pytest.approx([0, 0, h, h], abs=1e-12)
    assert curve.information_label.values == pytest.approx([0, 0, h, h], abs=1e-12)
    with pytest.warns(UserWarning, match="two ends"):
        ends = bottleneck.curve(joint).information_input.values
    assert np.unique(ends.round(9)).tolist() == [0, pytest.approx(h, abs=1e-9)]


def test_squared_functional_finds_what_betas_cannot():
    joint = np.diag([0.375, 0.625])
    points = bottleneck.squared_curve(joint, [0.6, 1, 2, 0.1])
    assert points.information_input.values == pytest.approx(
        [1 / 1.2, 0.5, 0.25, 0.954434], abs=5e-7
    )
    for rate, label, share in zip(
        points.information_input.values,
        points.information_label.values,
        points.retention.values,
        strict=True,
    ):
        erased = np.hstack([share * np.eye(2), np.full((2, 1), 1 - share)])
        assert mutual_information(joint.sum(1)[:, None] * erased) == pytest.approx(rate, abs=1e-12)
        assert mutual_information(joint.T @ erased) == pytest.approx(label, abs=1e-12)
    with pytest.raises(ValueError, match="no function of x"):
        bottleneck.squared_curve(SYMMETRIC, [1])


def test_soft_task_has_its_published_points(soft):
    curve = bottleneck.curve(soft, [100.05, 46.4, 1.001, 0.9])
    assert curve.attrs["method"] == "certified"
    assert curve.gap.values.max() <= 1e-6
    assert curve.converged.all()
    rates, labels = curve.information_input.values, curve.information_label.values
    # A gap of 1e-6 nat leaves about its root in I(X;T).
    assert rates == pytest.approx([1.2546, 0.99916, 0, 0], abs=1e-4)
    assert labels == pytest.approx([0.98893, 0.985402, 0, 0], abs=1e-5)
    assert curve.clusters.values.tolist() == [4, 2, 1, 1]


def test_equal_rows_merge_to_the_64_spectra(soft):
    classes, names = sufficiency.merged(soft)
    assert classes.shape == (64, 2)
    assert mutual_information(classes) == pytest.approx(0.99, abs=1e-9)
    uneven = np.random.default_rng(0).dirichlet(np.ones(len(soft)))
    again, others = sufficiency.merged(uneven[:, None] * soft / soft.sum(1, keepdims=True))
    assert len(again) == 64
    assert (others == names).all()


def test_rows_a_little_apart_stay_apart():
    joint = np.array([[0.5, 0.5], [0.5 + 1e-13, 0.5 - 1e-13], [1, 1e-17], [1, 2e-17]]) / 4
    assert len(sufficiency.merged(joint)[0]) == 4


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_curves_are_monotone_concave_and_below_their_limits(seed, labels):
    joint = random_joint(seed, patterns=5, labels=labels)
    curve = bottleneck.curve(joint, np.geomspace(1, 40, 12)).sortby("beta")
    r, i = (curve[name].values for name in ("information_input", "information_label"))
    beta = curve.beta.values
    # Each point is within g of the optimum at its own beta, the other's included.
    g = max(curve.gap.values.max(), 1e-6) / np.log(2)
    assert (np.diff(i) >= -2 * g / np.diff(beta)).all()
    assert (np.diff(r) >= beta[:-1] * np.diff(i) - g).all()
    assert (np.diff(r) <= beta[1:] * np.diff(i) + g).all()
    assert (i <= np.minimum(r, mutual_information(joint)) + 1e-12).all()
    assert i.max() > 0.01


def test_slope_of_the_curve_is_the_inverse_of_beta():
    beta = 3.0
    curve = bottleneck.curve(SYMMETRIC, [beta * 0.999, beta * 1.001], tolerance=1e-11)
    slope = np.diff(curve.information_label)[0] / np.diff(curve.information_input)[0]
    assert 1 / curve.beta.values[1] < slope < 1 / curve.beta.values[0]


@given(st.integers(0, 10**6), st.floats(1.05, 60))
def test_the_plain_iteration_is_never_below_the_certified_optimum(seed, beta):
    joint = random_joint(seed, patterns=4)
    point = bottleneck.curve(joint, [beta]).isel(beta=0)
    rng = np.random.default_rng(seed)
    best = min(
        bottleneck.blahut_arimoto(joint, beta, start, tolerance=1e-8, sweeps=300).lagrangian[-1]
        for start in [np.eye(4), *rng.dirichlet(np.ones(4), (3, 4))]
    )
    assert point.gap <= 1e-6
    assert best >= point.lagrangian - point.gap - 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_covers_what_a_sharper_solution_gains(seed):
    joint = random_joint(seed, patterns=8)
    betas = np.geomspace(1.5, 100, 6)
    rough = bottleneck.curve(joint, betas, tolerance=1e-2)
    sharp = bottleneck.curve(joint, betas, tolerance=1e-11)
    gain = (rough.lagrangian - sharp.lagrangian).values
    assert (gain <= rough.gap.values + 1e-12).all()
    assert (gain >= -sharp.gap.values - 1e-12).all()
    assert sharp.gap.values.max() <= 1e-11


@pytest.mark.parametrize("beta", [1.3, 20.0, 5000.0])
def test_the_bound_is_above_c_everywhere_and_close_to_it(beta):
    rng = np.random.default_rng(0)
    p, q = parts(random_joint(0, patterns=6))
    problem = certified.Problem(p, q, beta)
    z = problem.grid[::7]
    ratio = p / (problem.kernel(z) @ rng.dirichlet(np.ones(len(z))))
    dense = np.log(ratio @ problem.kernel(np.linspace(problem.grid[0], problem.grid[-1], 20_001)))
    bound = problem.bound(ratio, 1e-6)
    assert dense.max() <= bound <= problem.maxima(ratio)[1].max() + 1e-6


def test_labels_that_some_patterns_never_have_are_solved_too():
    joint = np.array([[0.35, 0], [0.15, 0.15], [0, 0.35]])
    curve = bottleneck.curve(joint, [1.2, 1.5, 3, 1000], tolerance=1e-9)
    assert curve.converged.all()
    assert curve.information_label.values[-1] == pytest.approx(0.7, abs=1e-9)
    start = np.eye(3)
    for point in (curve.isel(beta=i) for i in range(4)):
        plain = bottleneck.blahut_arimoto(joint, float(point.beta), start, tolerance=1e-13)
        assert plain.lagrangian[-1] >= point.lagrangian - 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_rare_and_extreme_patterns_are_certified_too(seed):
    rng = np.random.default_rng(seed)
    patterns = int(rng.integers(2, 40))
    rows = rng.dirichlet(np.full(2, 10 ** rng.uniform(-2.5, 1)), patterns)
    rows[0] = [1, 0] if seed % 2 else [1e-200, 1]
    p = rng.dirichlet(np.full(patterns, 10 ** rng.uniform(-1, 1))) + 1e-12
    joint = p[:, None] / p.sum() * rows
    joint /= joint.sum()
    curve = bottleneck.curve(joint, 10 ** rng.uniform(-1, 6, 5))
    assert curve.gap.values.max() <= 1e-6
    assert curve.converged.all()


def test_three_labels_are_as_good_as_many_starts():
    joint = random_joint(3, patterns=5, labels=3)
    curve = bottleneck.curve(joint, [2.0, 4.0, 9.0])
    assert curve.attrs["method"] == "annealed"
    assert "lower bound" in curve.gap.attrs["long_name"]
    rng = np.random.default_rng(0)
    for point in (curve.isel(beta=i) for i in range(3)):
        starts = [np.eye(5), *rng.dirichlet(np.ones(5), (20, 5))]
        best = min(
            bottleneck.blahut_arimoto(joint, float(point.beta), start, tolerance=1e-9).lagrangian[
                -1
            ]
            for start in starts
        )
        assert point.lagrangian <= best + 1e-6


def test_annealing_finds_the_certified_curve_of_two_labels():
    joint = random_joint(4, patterns=6)
    p, q = parts(joint)
    betas = np.geomspace(40, 1.2, 8)
    curve = bottleneck.curve(joint, betas, tolerance=1e-9)
    found = annealing.improve(p, q, betas, list(annealing.anneal(p, q, betas, 1e-6)), 1e-6)
    for beta, solution, exact in zip(betas, found, curve.lagrangian.values, strict=True):
        i_x, i_y = mixing.information(p, q, mixing.encode(q, solution.mixture, beta))
        assert -1e-9 <= i_x - beta * i_y - exact <= 1e-6


@pytest.mark.parametrize(("beta", "factor"), [(1.2, 0.768), (1.5, 0.96)])
def test_sweeps_slow_down_towards_the_critical_beta(beta, factor):
    p, q = parts(SYMMETRIC)
    off = np.array([[1, -1], [-1, 1]])
    encoder = 0.5 + 1e-5 * off
    after = iteration.sweep(p, q, encoder, beta)
    # A sweep is odd in the distance from 1/2, so the next term is of its third power.
    assert (after - 0.5) / (encoder - 0.5) == pytest.approx(np.full((2, 2), factor), abs=1e-8)


def test_the_lagrangian_of_the_plain_iteration_never_rises():
    joint = random_joint(5, patterns=6, labels=3)
    start = np.random.default_rng(5).dirichlet(np.ones(6), 6)
    done = bottleneck.blahut_arimoto(joint, 4.0, start, tolerance=1e-11)
    assert done.converged
    assert np.diff(done.lagrangian).max() < 1e-14
    assert not bottleneck.blahut_arimoto(joint, 4.0, start, sweeps=3).converged


def test_the_encoder_of_a_point_has_its_information(soft, soft_curve):
    for index in (0, 20, -1):
        point = soft_curve.isel(beta=index)
        encoder = bottleneck.encoder(soft, point)
        assert encoder.dims == ("x", "cluster")
        assert encoder.sum("cluster").values == pytest.approx(np.ones(4096), abs=1e-12)
        i_x = mutual_information(encoder.values / 4096)
        i_y = mutual_information(encoder.values.T @ soft)
        assert i_x == pytest.approx(point.information_input.item(), abs=1e-9)
        assert i_y == pytest.approx(point.information_label.item(), abs=1e-9)
    with pytest.raises(ValueError, match="choose a beta"):
        bottleneck.encoder(soft, soft_curve)
    with pytest.raises(ValueError, match="2 labels, p_xy has 3"):
        bottleneck.encoder(ERASURE, point)


def test_default_betas_go_from_below_the_onset_to_the_stall(soft_curve):
    beta, label = soft_curve.beta.values, soft_curve.information_label.values
    assert label[0] == pytest.approx(0, abs=1e-12)
    assert label[-1] >= 0.999 * 0.99
    assert label[beta < beta[-1] / 2].max() < 0.999 * 0.99
    # It leaves the origin before the trivial solution is locally unstable, at 1.00495.
    assert 0.9 < beta[0] < 0.9 * 1.00495


def test_a_curve_is_labelled_and_keeps_the_order_of_its_betas():
    curve = bottleneck.curve(SYMMETRIC, [5, 2, 5])
    assert curve.beta.values.tolist() == [5, 2, 5]
    assert curve.information_input.values[0] == curve.information_input.values[2]
    for variable in [*curve.variables.values()]:
        assert {"units", "long_name"} <= variable.attrs.keys()
    assert curve.gap.attrs["units"] == "nat"
    assert curve.posterior.dims == ("beta", "cluster", "label")
    with_spare = np.insert(SYMMETRIC, 1, 0, axis=1)
    spare = bottleneck.curve(with_spare, [5, 2, 5])
    assert spare.posterior.values[:, :, [0, 2]] == pytest.approx(curve.posterior.values, abs=1e-12)


def test_independent_labels_have_no_bottleneck():
    joint = np.outer([0.2, 0.8], [0.3, 0.7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = bottleneck.curve(joint, [1, 10])
    assert curve.information_input.values == pytest.approx([0, 0], abs=1e-12)
    with pytest.raises(ValueError, match="independent x and y"):
        bottleneck.curve(joint)


@pytest.mark.parametrize(
    ("joint", "message"),
    [
        ([[0.5, -0.1], [0.3, 0.3]], r"p_xy at \(0, 1\) is -0.1"),
        ([[0.5, np.nan], [0.3, 0.2]], r"p_xy at \(0, 1\) is nan"),
        ([[0.5, 0.1], [0.3, 0.3]], "p_xy sums to 1.2, expected 1"),
        ([[0.5, 0.5], [0, 0]], "p_xy is 0 all along row 1"),
        ([0.5, 0.5], r"p_xy has shape \(2,\)"),
    ],
)
def test_what_is_no_joint_distribution_is_refused(joint, message):
    with pytest.raises(ValueError, match=message):
        bottleneck.curve(joint)
    with pytest.raises(ValueError, match=message):
        bottleneck.blahut_arimoto(joint, 2, np.eye(2))


def test_bad_parameters_are_refused():
    for betas, message in (([1, 0], "betas at 1 is 0.0"), ([], "betas has shape"), (2, "one axis")):
        with pytest.raises(ValueError, match=message):
            bottleneck.curve(SYMMETRIC, betas)
    with pytest.raises(ValueError, match="tolerance is 0"):
        bottleneck.curve(SYMMETRIC, [2], tolerance=0)
    with pytest.raises(ValueError, match=r"start has shape \(3, 3\), expected \(2, t\)"):
        bottleneck.blahut_arimoto(SYMMETRIC, 2, np.eye(3))
    with pytest.raises(ValueError, match="start sums to 2 in row 0, expected 1"):
        bottleneck.blahut_arimoto(SYMMETRIC, 2, np.ones((2, 2)))


def test_both_sides_of_the_benchmark_make_the_same_sweep():
    joint = random_joint(6, patterns=6, labels=3)
    p, q = parts(joint)
    start = np.random.default_rng(6).dirichlet(np.ones(6), 6)
    expected = iteration.sweep(p, q, start, 3.0)
    assert plain.bottleneck_sweep(p, q, start, 3.0) == pytest.approx(expected, abs=1e-13)
    doubled = np.repeat(joint, 3, axis=0) / 3
    assert benchmark.difference_after_a_sweep(doubled, joint, 3.0) == pytest.approx(0, abs=1e-13)
    sweeps, value = benchmark.plain_run(joint, 3.0)
    done = bottleneck.blahut_arimoto(joint, 3.0, np.eye(6), tolerance=benchmark.SWEEP_GAIN)
    assert sweeps == len(done.lagrangian)
    assert value == pytest.approx(done.lagrangian[-1], abs=1e-13)
