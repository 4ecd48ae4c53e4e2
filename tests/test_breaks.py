"""Broken lines with free breaks: estimates, intervals and the test of existence."""

import numpy as np
import pytest

from theory import breaks, existence
from theory.autoregression import (
    autoregressive,
    expected_autocorrelation,
    sample_autocorrelation,
    unbiased_autocorrelation,
)

X = np.linspace(0, 10, 120)


def broken(noise):
    """Slopes -.1 and -1.2, broken at 6."""
    return -0.1 * X - 1.1 * np.maximum(X - 6, 0) + noise


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    return {
        phi: breaks.fit_break(X, broken(0.15 * autoregressive(phi, (2000, 120), rng)))
        for phi in (0.0, 0.6, 0.9)
    }


def test_the_break_is_unbiased_with_the_published_deviation(fits):
    for phi, published in ((0.0, 0.053), (0.6, 0.100)):
        position = fits[phi].position
        assert abs(position.mean() - 6) < 0.01
        assert abs(position.mean() - 6) < 4 * position.std() / np.sqrt(2000)
        # A deviation errs by 1 / sqrt(2 n); the printed one by half a unit of its last digit.
        error = published / np.sqrt(2 * 2000)
        assert abs(position.std() - published) < 4 * error + 5e-4


def test_whitened_intervals_cover_and_how_far_they_fall_short(fits):
    """Nominal 95 % covers 94, 91 and 86 % at phi of 0, .6 and .9; published 96, 93 and 84."""
    for phi, least in ((0.0, 0.96), (0.6, 0.93), (0.9, 0.84)):
        covered = ((fits[phi].low <= 6) & (fits[phi].high >= 6)).mean()
        error = np.sqrt(least * (1 - least) / 2000)
        assert abs(covered - least) < 4 * error + 0.01, phi


def test_intervals_without_whitening_cover_as_little_as_published():
    rng = np.random.default_rng(1)
    for phi, published in ((0.0, 0.958), (0.6, 0.70), (0.9, 0.41)):
        design = breaks.Design(X, broken(0.15 * autoregressive(phi, (1000, 120), rng)))
        gains = design.gains(np.zeros(1000))
        place = breaks.first_best(gains)[:, None]
        squares = design.squares(place, np.zeros(1000))
        near = np.abs(design.candidates - 6) < 0.03
        excess = (gains.max(-1) - gains[:, near].max(-1)) / (squares / 116)
        assert abs((excess <= 3.84).mean() - published) < 0.07, phi


def test_the_profile_is_that_of_separate_regressions():
    rng = np.random.default_rng(0)
    y = broken(0.15 * rng.normal(size=120))
    found = breaks.fit_break(X, y[None])
    squares = []
    for c in breaks.grid(X):
        design = np.stack([np.ones(120), X, np.maximum(X - c, 0)], 1)
        squares.append(np.linalg.lstsq(design, y, rcond=None)[1][0])
    best = int(np.argmin(squares))
    assert found.position[0] == breaks.grid(X)[best]
    design = np.stack([np.ones(120), X, np.maximum(X - found.position[0], 0)], 1)
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    assert found.coefficients[0] == pytest.approx(expected, rel=1e-9)


def test_whitening_is_that_of_prais_and_winsten():
    rng = np.random.default_rng(0)
    y, phi = broken(0.15 * rng.normal(size=120)), 0.7
    whiten = np.eye(120) - phi * np.eye(120, k=-1)
    whiten[0, 0] = np.sqrt(1 - phi**2)
    design = breaks.Design(X, y[None])
    place = np.array([[150]])
    regressors = np.stack([np.ones(120), X, np.maximum(X - design.candidates[150], 0)], 1)
    expected, squares, *_ = np.linalg.lstsq(whiten @ regressors, whiten @ y, rcond=None)
    assert design.squares(place, np.array([phi])) == pytest.approx(squares, rel=1e-9)
    assert design.coefficients(place, np.array([phi]))[0] == pytest.approx(expected, rel=1e-9)


def test_the_null_of_the_sup_f_has_the_published_points():
    """95 % point 6.94; 3.84 and 5.99, of chi squared, are passed by 22 and 8 % (iid errors)."""
    design = breaks.Design(X, np.random.default_rng(0).normal(size=(6000, 120)))
    zero = np.zeros(6000)
    top = design.gains(zero).max(-1)
    null = top / ((design.squares(np.empty((6000, 0), dtype=int), zero) - top) / 116)
    # Standard errors of shares; the density of the null at its 95 % point is about .018.
    for point, share in ((6.94, 0.05), (3.84, 0.22), (5.99, 0.08)):
        error = np.sqrt(share * (1 - share) / 6000)
        assert abs((null > point).mean() - share) < 4 * error, point


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_existence_keeps_its_level_and_finds_breaks(phi):
    rng = np.random.default_rng(0)
    noise = autoregressive(phi, (600, 120), rng)
    _, p = existence.sup_f_test(X, 3 - 0.4 * X + 0.15 * noise, rng, 399)
    # The level itself is simulated, which adds the error of a share of 399 to that of 600.
    error = np.sqrt(0.05 * 0.95 * (1 / 600 + 1 / 399))
    assert (p <= 0.05).mean() < 0.05 + 3 * error
    assert (p <= 0.5).mean() > 0.4
    _, p = existence.sup_f_test(X, broken(0.15 * noise[:50]), rng, 399)
    # Such a break is seen in every curve, or, at a phi of 0.9 where whitening is nearly a
    # difference and leaves little of a slope, in nearly every one.
    assert (p <= 0.05).mean() >= (1 if phi < 0.9 else 0.8)


def test_existence_does_not_depend_on_line_or_size():
    noise = autoregressive(0.5, (4, 120), np.random.default_rng(0))
    one = existence.sup_f_test(X, noise, np.random.default_rng(1), 49)
    other = existence.sup_f_test(X, 5 - 3 * X + 1e-3 * noise, np.random.default_rng(1), 49)
    assert other[0] == pytest.approx(one[0], rel=1e-5)
    assert other[1] == pytest.approx(one[1], rel=1e-9)


def test_flipped_members_keep_the_level_whatever_their_errors():
    """Random walks, of which no phi below 1 is the law."""
    rng = np.random.default_rng(0)
    x = X[::4]
    p = [
        existence.sign_flip_test(x, x + rng.normal(size=(10, 30)).cumsum(-1), rng, 99)[1]
        for _ in range(400)
    ]
    for level in (0.05, 0.5):
        # An exact test at multiples of 1 / 100.
        assert abs(np.mean(np.array(p) <= level) - level) < 4 * np.sqrt(level * (1 - level) / 400)


def test_flipped_members_find_a_common_break():
    rng = np.random.default_rng(0)
    y = broken(0.15 * autoregressive(0.6, (8, 120), rng))
    assert existence.sign_flip_test(X, y, rng)[1] <= 0.02
    with pytest.raises(ValueError, match="y has 1 members without NaN, expected at least 2"):
        existence.sign_flip_test(X, np.where(np.arange(8)[:, None] > 0, np.nan, y), rng)


def test_breaks_are_those_of_an_exhaustive_search():
    rng = np.random.default_rng(2)
    y = np.maximum(X - 3, 0) - 2 * np.maximum(X - 7, 0) + 0.1 * rng.normal(size=(3, 120))
    found = breaks.fit_breaks(X, y, 2)
    assert found.chosen.tolist() == [2, 2, 2]
    design = breaks.Design(X, y)
    places = np.array([(i, j) for i in range(0, 301, 3) for j in range(i + 15, 301, 3)])
    for k in range(3):
        least = design.of(np.tile(y[k], (len(places), 1))).squares(places, np.zeros(len(places)))
        own = np.searchsorted(design.candidates, found.position[k])[None]
        mine = design.of(y[k : k + 1]).squares(own, np.zeros(1))[0]
        # Mine is on the whole grid, though of whitened squares: errors here are independent.
        assert mine <= least.min() * 1.02


def test_a_curve_with_a_gap_has_no_estimate_and_spoils_no_other():
    y = broken(0.15 * np.random.default_rng(0).normal(size=(3, 120)))
    expected = breaks.fit_break(X, y)
    y[1, 50] = np.nan
    found = breaks.fit_break(X, y)
    assert np.isnan(found.position).tolist() == [False, True, False]
    assert found.position[[0, 2]].tolist() == expected.position[[0, 2]].tolist()
    several = breaks.fit_breaks(X, y, 1)
    assert np.isnan(several.position[1]).all()
    assert several.chosen.tolist() == [1, 0, 1]
    _, p = existence.sup_f_test(X, y, np.random.default_rng(0), 19)
    assert np.isnan(p).tolist() == [False, True, False]


def test_the_bias_of_an_autocorrelation_is_foretold():
    design = np.stack([np.ones(60), np.arange(60.0)], 1)
    q = np.linalg.qr(design)[0]
    rng = np.random.default_rng(0)
    for phi in (-0.4, 0.0, 0.5, 0.8):
        e = autoregressive(phi, (4000, 60), rng)
        r = sample_autocorrelation(e - e @ q @ q.T)
        error = r.std() / np.sqrt(4000)
        # Right to order 1 / points: what is left is of order 1 / points^2, times a few.
        assert abs(r.mean() - expected_autocorrelation(design, phi)) < 4 * error + 20 / 60**2
        told = unbiased_autocorrelation(e - e @ q @ q.T, design)
        assert abs(told.mean() - phi) < abs(r.mean() - phi) + 4 * error


def test_autoregression_has_the_variance_and_correlation_it_says():
    e = autoregressive(0.7, (20000, 6), np.random.default_rng(0))
    assert e.var(0) == pytest.approx(1, abs=4 * np.sqrt(2 / 20000))
    for lag in (1, 3):
        product = (e[:, lag:] * e[:, :-lag]).mean(0)
        assert product == pytest.approx(0.7**lag, abs=4 * np.sqrt(2 / 20000))
    with pytest.raises(ValueError, match="phi is 1, expected more than -1 and less than 1"):
        autoregressive(1, (1, 2), np.random.default_rng(0))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="at least 8 ascending values"):
        breaks.fit_break(X[::-1], np.ones((1, 120)))
    with pytest.raises(ValueError, match=r"y has shape \(1, 7\), expected \(curves, 120\)"):
        breaks.fit_break(X, np.ones((1, 7)))
    with pytest.raises(ValueError, match="most is -1, expected an integer of at least 0"):
        breaks.fit_breaks(X, np.ones((1, 120)), -1)
