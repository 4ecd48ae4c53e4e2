"""Intervals of times, some of which are only bounds."""

import numpy as np
import pytest
import xarray as xr

from theory import censoring
from theory.censoring import time_interval
from theory.fitting import mean_interval


def members(values):
    return xr.DataArray(values, dims="member", attrs={"units": "1"}, name="time")


def test_without_censored_members_the_interval_is_students_of_the_logarithms():
    times = members([10.0, 20.0, 50.0, 300.0, np.nan])
    found, expected = time_interval(times), np.exp(mean_interval(np.log(times)))
    for name in ("mean", "low", "high"):
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-12)
    assert (found["observed"].item(), found["censored"].item()) == (4, 0)
    assert found["mean"].attrs["units"] == "1"


def test_the_likelihood_ratio_is_students_where_censoring_says_nothing():
    """A bound far below all else is no information, and leaves the general path on its own."""
    times = members([10.0, 20.0, 50.0, 300.0, 1e-12])
    found = time_interval(times, members([0, 0, 0, 0, 1]))
    expected = np.exp(mean_interval(np.log(times[:4])))
    for name in ("mean", "low", "high"):
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-6)
    assert (found["observed"].item(), found["censored"].item()) == (4, 1)


def test_left_is_the_mirror_of_right():
    logs = np.array([1.0, 2.0, 2.5, 4.0, 4.0])
    code = np.array([0, 0, 0, 1, 1])
    right = censoring.normal_interval(logs, code)
    left = censoring.normal_interval(-logs, -code)
    assert left == pytest.approx([-end for end in right[::-1]], rel=1e-7)


def test_the_mean_is_the_tobit_estimate():
    """Expectation and maximisation on its own, to its fixed point."""
    logs = np.array([0.3, 0.7, 1.1, 1.2, 1.9, 2.0, 2.0, 2.0])
    hidden = np.arange(8) > 4
    mean = censoring.normal_interval(logs, hidden * 1)[1]
    level, deviation = 1.0, 1.0
    for _ in range(4000):
        z = (logs - level) / deviation
        hazard = censoring._mills(-z)
        expected = np.where(hidden, level + deviation * hazard, logs)
        spread = np.where(hidden, deviation**2 * (1 + z * hazard - hazard**2), 0)
        level, deviation = (
            expected.mean(),
            np.sqrt(((expected - expected.mean()) ** 2 + spread).mean()),
        )
    assert mean == pytest.approx(level, rel=1e-7)
    found = censoring.censored_regression(np.ones((8, 1)), logs, hidden)
    assert found.coefficients == pytest.approx([level], rel=1e-6)
    assert found.deviation == pytest.approx(deviation, rel=1e-6)


def test_a_regression_without_censoring_is_least_squares():
    rng = np.random.default_rng(0)
    design, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    found = censoring.censored_regression(design, y + 2, np.zeros(30, dtype=bool), offset=2)
    expected, squares, *_ = np.linalg.lstsq(design, y, rcond=None)
    assert found.coefficients == pytest.approx(expected, rel=1e-10)
    assert found.deviation == pytest.approx(np.sqrt(squares[0] / 30), rel=1e-10)
    density = -15 * np.log(2 * np.pi * found.deviation**2) - 15
    assert found.likelihood == pytest.approx(density, rel=1e-10)
    with pytest.raises(ValueError, match="3 points observed, expected more than 3"):
        censoring.censored_regression(design, y, np.arange(30) > 2)


def test_a_censored_regression_is_at_the_top_of_its_likelihood():
    rng = np.random.default_rng(0)
    design = np.stack([np.ones(60), rng.normal(size=60)], 1)
    y = design @ [1, 2] + rng.normal(size=60)
    hidden, y = y > 2, np.minimum(y, 2)
    found = censoring.censored_regression(design, y, hidden)

    def likelihood(a, b, deviation):
        line = design @ [a, b]
        return censoring.censored_log_density(y, line, deviation, hidden).sum()

    top = (*found.coefficients, found.deviation)
    assert likelihood(*top) == pytest.approx(found.likelihood, rel=1e-12)
    for k in range(3):
        for change in (-0.02, 0.02):
            assert likelihood(*(top + change * np.eye(3)[k])) < found.likelihood


def test_nearly_all_censored_is_solved_and_no_top_is_said():
    rng = np.random.default_rng(1)
    x = np.repeat(np.arange(1.0, 7.0), 8)
    design = np.stack([np.ones(48), x], 1)
    y = 8 - 0.5 * x + 0.3 * rng.normal(size=48)
    hidden, y = y > 5.2, np.minimum(y, 5.2)
    assert hidden.mean() > 0.7
    found = censoring.censored_regression(design, y, hidden)
    z = (y - design @ found.coefficients) / found.deviation
    score = np.where(hidden, censoring._mills(-z), z)
    # Newton stops where the next step would gain 1e-12: the score is its root times a curvature.
    assert design.T @ score == pytest.approx([0, 0], abs=1e-5)
    # All that was seen is at one x: the line may turn upwards around it for ever.
    lone = np.where(x == 6, y, 5.2)
    with pytest.raises(ValueError, match="has no top"):
        censoring.censored_regression(design, lone, x < 6)


def test_dropping_censored_members_would_be_too_early_and_this_is_not():
    rng = np.random.default_rng(0)
    logs = 5 + rng.normal(size=(60, 20))
    hidden = logs > 5.5
    found = [
        censoring.normal_interval(np.where(h, 5.5, y), h * 1)
        for y, h in zip(logs, hidden, strict=True)
    ]
    low, mean, high = np.array(found).T
    error = mean.std(ddof=1) / np.sqrt(60)
    assert abs(mean.mean() - 5) < 4 * error
    assert np.nanmean(np.where(hidden, np.nan, logs)) < 5 - 0.4
    # 95 % of 60, two of which may be missing by 4 standard errors.
    assert ((low <= 5) & (high >= 5)).sum() >= 60 * 0.95 - 4 * np.sqrt(60 * 0.95 * 0.05)


def test_what_two_observed_members_cannot_tell_is_missing():
    for times, code in (([5.0, 9.0, 9.0], [0, 1, 1]), ([5.0, 5.0, 9.0], [0, 0, 1])):
        found = time_interval(members(times), members(code))
        assert np.isnan([found[name].item() for name in ("mean", "low", "high")]).all()
    assert time_interval(members([5.0, 5.0]))["high"].item() == pytest.approx(5)


def test_times_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="'time' holds times of 0 or less"):
        time_interval(members([1.0, 0.0]))


def test_moments_without_censoring_are_those_of_the_sample():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 50))
    means, covariance = censoring.censored_moments(x, y, np.zeros(50, dtype=bool))
    for i in range(3):
        assert covariance[i] == pytest.approx(np.cov(x[i], y[i], ddof=0), rel=1e-12)
        assert means[i] == pytest.approx([x[i].mean(), y[i].mean()])


def test_moments_are_found_behind_the_censoring():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 100))
    y = 2 + 0.8 * x + 0.6 * rng.normal(size=x.shape)
    means, covariance = censoring.censored_moments(x, np.minimum(y, 2.5), y > 2.5)
    for found, expected in (
        (means[:, 1], 2),
        (covariance[:, 0, 1], 0.8 * 0.99),
        (covariance[:, 1, 1], 0.99),
    ):
        # Maximum likelihood is biased at order 1 / points: .99 is that without censoring.
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(200) + 0.01


def test_points_of_no_weight_do_not_count():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    hidden = y > 1
    weight = np.arange(30) < 25
    found = censoring.censored_moments(x, np.minimum(y, 1), hidden, weight)
    expected = censoring.censored_moments(x[:25], np.minimum(y, 1)[:25], hidden[:25])
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_points_that_are_all_lower_bounds_have_no_moments():
    x = np.arange(6.0)
    with pytest.raises(censoring.NotConvergedError, match="too few are observed"):
        censoring.censored_moments(x, x**2, np.ones(6, bool))
