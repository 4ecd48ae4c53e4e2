"""Nearest neighbours: Gaussian pairs, invariances, and pairs without a density refused."""

import numpy as np
import pytest
from scipy.special import digamma

from ibdyn.estimators.neighbours import growth, information, terms


def gaussian_pair(rng, rho, n=2000):
    x, noise = rng.normal(size=(2, n, 1))
    return x, rho * x + np.sqrt(1 - rho**2) * noise


def brute_force(a, b, k):
    """Equation 8 of the paper, one pair of samples at a time."""
    n = len(a)
    d_a = np.abs(a[:, None] - a).max(-1)
    d_b = np.abs(b[:, None] - b).max(-1)
    both = np.maximum(d_a, d_b)
    total = 0.0
    for i in range(n):
        others = np.arange(n) != i
        radius = np.sort(both[i, others])[k - 1]
        n_a, n_b = ((d[i, others] < radius).sum() for d in (d_a, d_b))
        total += digamma(n_a + 1) + digamma(n_b + 1)
    return (digamma(k) + digamma(n) - total / n) / np.log(2)


@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize(("units_a", "units_b"), [(1, 1), (2, 1), (3, 4)])
def test_neighbours_are_counted_as_the_paper_counts_them(k, units_a, units_b):
    rng = np.random.default_rng(k)
    a, b = rng.normal(size=(150, units_a)), rng.normal(size=(150, units_b))
    b[:, 0] += a[:, 0]
    assert terms(a, b, k=k).mean() == pytest.approx(brute_force(a, b, k), abs=1e-12)


@pytest.mark.parametrize(
    ("rho", "bias", "of_ten"),
    [(0, 0.001, -0.011), (0.5, 0.002, 0.192), (0.9, 0.010, 1.184), (0.99, 0.026, 2.821)],
)
def test_gaussian_pairs_have_their_information(rho, bias, of_ten):
    """Bias at n = 2000 measured over 150 other samples, whose standard error is 0.0033 or less.

    The mean of the first ten samples is a number printed with three decimals.
    """
    found = [information(*gaussian_pair(np.random.default_rng(s), rho)) for s in range(10)]
    assert np.mean(found) == pytest.approx(of_ten, abs=5e-4)
    found = [information(*gaussian_pair(np.random.default_rng(1000 + s), rho)) for s in range(20)]
    standard_error = np.hypot(np.std(found, ddof=1) / np.sqrt(20), 0.0033)
    expected = -np.log2(1 - rho**2) / 2
    assert abs(np.mean(found) - bias - expected) < 4 * standard_error


def test_independent_variables_of_several_units_tell_nothing():
    rng = np.random.default_rng(0)
    found = [
        information(rng.normal(size=(400, 3)), rng.exponential(size=(400, 2))) for _ in range(20)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found, ddof=1) / np.sqrt(20)


def test_information_of_two_pairs_is_the_sum():
    """Gaussian pairs side by side; over 60 other samples the bias is -0.001 +- 0.004 bits."""
    expected = -np.log2(1 - 0.6**2) / 2 - np.log2(1 - 0.3**2) / 2
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pairs = gaussian_pair(rng, 0.6), gaussian_pair(rng, 0.3)
        found.append(information(*(np.concatenate(side, 1) for side in zip(*pairs, strict=True))))
    standard_error = np.hypot(np.std(found, ddof=1) / np.sqrt(20), 0.004)
    assert abs(np.mean(found) - expected) < 4 * standard_error


def test_order_of_samples_units_and_variables_and_signs_change_nothing():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(500, 3))
    b = a[:, :2] + rng.normal(size=(500, 2))
    expected = terms(a, b)
    assert terms(b, a) == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(terms(-a[:, [2, 0, 1]], b[:, ::-1]), expected)
    order = rng.permutation(500)
    assert np.array_equal(terms(a[order], b[order]), expected[order])


def test_a_duplicated_unit_changes_nothing_in_the_maximum_norm():
    rng = np.random.default_rng(2)
    a, b = gaussian_pair(rng, 0.8, 500)
    assert np.array_equal(terms(np.hstack([a, a]), b), terms(a, b))


def test_monotone_maps_and_rotations_change_little():
    """The mean change is within the standard deviation of a single estimate."""
    changes: dict[str, list[float]] = {"monotone": [], "rotated": []}
    turn, estimates = np.array([[0.6, -0.8], [0.8, 0.6]]), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a = rng.normal(size=(1000, 2))
        b = a.sum(1, keepdims=True) + rng.normal(size=(1000, 1))
        expected = information(a, b)
        changes["monotone"].append(information(np.exp(a / 2), np.tanh(b / 2)) - expected)
        changes["rotated"].append(information(a @ turn, b) - expected)
        estimates.append(expected)
    for name, change in changes.items():
        assert np.any(change), name
        assert np.abs(np.mean(change)) < np.std(estimates, ddof=1), name


@pytest.mark.parametrize(("n", "printed"), [(1000, 8.634), (4000, 10.634)])
def test_a_variable_and_itself_measure_the_size_of_the_sample(n, printed):
    """All n_a = n_b = k - 1, so the estimate is psi(n) - psi(k), which grows as log2 n."""
    x = np.random.default_rng(0).normal(size=(n, 1))
    found = terms(x, x)
    assert found.mean() == pytest.approx((digamma(n) - digamma(3)) / np.log(2), abs=1e-12)
    assert found.mean() == pytest.approx(printed, abs=5e-4)


FUNCTIONS = {
    "itself": lambda x: x[:, :1],
    "a square": lambda x: x[:, :1] ** 2,
    "a tanh unit of two": lambda x: np.tanh(x[:, :2] @ [[0.7], [-1.0]]),
    "a tanh layer of two": lambda x: np.tanh(x[:, :2] @ [[0.7, 0.4], [-1.0, 0.5]]),
    "a tanh layer of five": lambda x: np.tanh(x @ np.sin(np.arange(25)).reshape(5, 5)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [300, 2000])
def test_a_deterministic_network_is_refused(name, n):
    x = np.random.default_rng(3).normal(size=(n, 5))
    t = FUNCTIONS[name](x)
    inputs = x[:, : {"itself": 1, "a square": 1, "a tanh layer of five": 5}.get(name, 2)]
    for pair in ((inputs, t), (t, inputs)):
        with pytest.raises(ValueError, match=r"measure the sample size \(as in any"):
            information(*pair)


def test_noise_finer_than_the_samples_is_refused_and_coarser_is_not():
    rng = np.random.default_rng(4)
    x, noise = rng.normal(size=(2, 1000, 1))
    with pytest.raises(ValueError, match="at the resolution of the samples"):
        information(x, x + 1e-5 * noise)
    assert information(x, x + 1e-2 * noise) > 5


def test_growth_is_one_bit_per_doubling_for_a_function_and_none_for_a_density():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 1))
    # psi(2000) - psi(1000), whatever the sample.
    assert growth(x, x)[0] == pytest.approx((digamma(2000) - digamma(1000)) / np.log(2), abs=1e-12)
    found = np.array([growth(*gaussian_pair(np.random.default_rng(s), 0.6)) for s in range(20)])
    assert abs(found[:, 0].mean()) < 4 * found[:, 0].std(ddof=1) / np.sqrt(20)
    # The spread over samples has a relative error of 1/sqrt(2 * 19), 16 %; neighbours correlate.
    assert 0.4 < found[:, 1].mean() / found[:, 0].std(ddof=1) < 1.6


@pytest.mark.parametrize(("units_a", "units_b"), [(1, 1), (3, 2), (5, 5)])
@pytest.mark.parametrize("n", [100, 800])
def test_independent_variables_are_not_refused(units_a, units_b, n):
    rng = np.random.default_rng(6)
    for _ in range(10):
        information(rng.normal(size=(n, units_a)), rng.normal(size=(n, units_b)))


def test_samples_that_repeat_are_refused():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 100, 2))
    with pytest.raises(ValueError, match="98 of the 100 samples of b repeat others"):
        information(a, np.sign(b[:, :1]))
    b[40:43] = b[3]
    with pytest.raises(ValueError, match="3 of the 100 samples of b repeat others"):
        information(a, b)
    with pytest.raises(ValueError, match="3 of the 100 samples of a repeat others"):
        terms(b, a)


@pytest.mark.parametrize(
    ("a", "b", "k", "message"),
    [
        (np.ones(10), np.ones((10, 1)), 3, r"a has shape \(10,\), expected \(n, units\)"),
        (np.arange(9.0)[:, None], np.ones((9, 0)), 3, r"b has shape \(9, 0\), expected"),
        (np.arange(20.0)[:, None], np.arange(19.0)[:, None], 3, "a has 20 samples and b 19"),
        (np.arange(7.0)[:, None], np.arange(7.0)[:, None], 3, "7 samples, expected at least 8"),
        (np.arange(9.0)[:, None], np.arange(9.0)[:, None], 0, "k is 0, expected at least 1"),
        (np.full((9, 1), np.nan), np.arange(9.0)[:, None], 3, "a has values that are not finite"),
    ],
)
def test_what_is_no_pair_of_samples_is_refused(a, b, k, message):
    with pytest.raises(ValueError, match=message):
        information(a, b, k=k)
