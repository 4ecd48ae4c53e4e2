"""Entropies from counts: exact expectations, published biases, the null of shuffled labels."""

import itertools
import warnings

import mpmath
import numpy as np
import pytest
from scipy.special import digamma, xlogy
from scipy.stats import binom, hypergeom, kstest, multinomial

from ibdyn.estimators import finite_sample
from ibdyn.estimators.finite_sample import ESTIMATORS, CoverageWarning, information, plugin

UNIFORM = np.full(64, 1 / 64)
ZIPF = 1 / np.arange(1, 257) / (1 / np.arange(1, 257)).sum()
NAMES = sorted(ESTIMATORS)

hardly_covered = pytest.mark.filterwarnings(
    "ignore::ibdyn.estimators.finite_sample.CoverageWarning"
)


def entropy(p):
    return -xlogy(p, p).sum() / np.log(2)


def expected_plugin(cells, chances, n):
    """-K sum_j P(n_i = j) (j/n) log2(j/n) for K cells of equal chances."""
    j = np.arange(n + 1)
    return -cells * (chances * xlogy(j / n, j / n)).sum() / np.log(2)


@pytest.mark.parametrize(("cells", "n"), [(2, 5), (3, 6), (4, 5)])
def test_all_samples_there_are_average_to_the_exact_expectation(cells, n):
    counts = np.array([c for c in itertools.product(range(n + 1), repeat=cells) if sum(c) == n])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        found = multinomial.pmf(counts, n, np.full(cells, 1 / cells)) @ plugin(counts)
    expected = expected_plugin(cells, binom.pmf(np.arange(n + 1), n, 1 / cells), n)
    assert found == pytest.approx(expected, abs=1e-12)


@hardly_covered
@pytest.mark.parametrize(("n", "printed"), [(64, 5.181628), (256, 5.810924), (1024, 5.955118)])
def test_plugin_entropy_of_independent_samples_has_its_expectation(n, printed):
    assert expected_plugin(64, binom.pmf(np.arange(n + 1), n, 1 / 64), n) == pytest.approx(
        printed, abs=5e-7
    )
    counts = np.random.default_rng(n).multinomial(n, UNIFORM, 2000)
    found = plugin(counts)
    assert abs(found.mean() - printed) < 4 * found.std(ddof=1) / np.sqrt(2000)


@pytest.mark.parametrize(("n", "printed"), [(256, 5.822327), (1024, 5.966251), (3277, 5.997210)])
def test_plugin_entropy_of_a_train_split_has_its_expectation(n, printed):
    """Without replacement from 4096 patterns, 64 in each cell: the bias is less."""
    assert expected_plugin(64, hypergeom.pmf(np.arange(n + 1), 4096, 64, n), n) == pytest.approx(
        printed, abs=5e-7
    )
    counts = np.random.default_rng(n).multivariate_hypergeometric(np.full(64, 64), n, 2000)
    found = plugin(counts)
    assert abs(found.mean() - printed) < 4 * found.std(ddof=1) / np.sqrt(2000)


COLUMNS = ("plugin", "miller_madow", "grassberger", "chao_shen", "jackknife", "chao_wang_jost")
PRINTED = [
    (64, UNIFORM, 2, (-0.82, -0.37, -0.06, 0.08, -0.07, 0.02)),
    (256, UNIFORM, 3, (-0.189, -0.015, 0.003, -0.017, 0.016, 0.001)),
    (64, ZIPF, 2, (-1.47, -1.06, -0.61, -0.54, -0.72, -0.24)),
    (1024, ZIPF, 3, (-0.193, -0.058, -0.005, 0.091, 0.001, 0.002)),
]


@pytest.mark.parametrize(("n", "p", "decimals", "biases"), PRINTED)
@hardly_covered
def test_biases_are_those_found_before(n, p, decimals, biases):
    """Means over 200 samples, printed with 2 or 3 decimals, and over 2000 others."""
    counts = np.random.default_rng(0).multinomial(n, p, 2000)
    for name, printed in zip(COLUMNS, biases, strict=True):
        found = ESTIMATORS[name](counts) - entropy(p)
        standard_error = found.std(ddof=1) * np.sqrt(1 / 200 + 1 / 2000)
        assert abs(found.mean() - printed) < 4 * standard_error + 0.5 * 10**-decimals, name


def test_every_corrected_entropy_is_right_to_a_thirtieth_of_a_bit_with_four_samples_a_cell():
    counts = np.random.default_rng(1).multinomial(256, UNIFORM, 2000)
    for name in NAMES:
        bias = ESTIMATORS[name](counts).mean() - 6
        # The standard error of the mean is 0.001.
        assert (abs(bias) < 0.03) == (name != "plugin"), name


def textbook(name, counts):
    """Each formula as printed, one cell at a time and in many digits, in bits."""
    n_i = [int(c) for c in counts if c]
    n, f1, f2 = sum(n_i), n_i.count(1), n_i.count(2)
    log, psi = mpmath.log, mpmath.digamma

    def plug(parts):
        m = sum(parts)
        return -sum(mpmath.mpf(c) / m * log(mpmath.mpf(c) / m) for c in parts if c)

    if name == "plugin":
        h = plug(n_i)
    elif name == "miller_madow":
        h = plug(n_i) + mpmath.mpf(len(n_i) - 1) / (2 * n)
    elif name == "jackknife":
        left = [plug([*n_i[:i], c - 1, *n_i[i + 1 :]]) for i, c in enumerate(n_i)]
        h = n * plug(n_i) - mpmath.mpf(n - 1) / n * sum(
            c * h_i for c, h_i in zip(n_i, left, strict=True)
        )
    elif name == "grassberger":
        h = log(n) - sum(
            c * (psi(c) + (-1) ** c * (psi(mpmath.mpf(c + 1) / 2) - psi(mpmath.mpf(c) / 2)) / 2)
            for c in n_i
        ) / mpmath.mpf(n)
    elif name == "chao_shen":
        q = [(1 - mpmath.mpf(f1 if f1 < n else n - 1) / n) * c / n for c in n_i]
        h = -sum(q_i * log(q_i) / (1 - (1 - q_i) ** n) for q_i in q)
    else:
        h = sum(mpmath.mpf(c) / n * (psi(n) - psi(c)) for c in n_i)
        if f1 > 0:
            pair = 2 * f2 if f2 else 2
            a = mpmath.mpf(pair) / ((n - 1) * (f1 if f2 else f1 - 1) + pair)
            # One sample alone and none in twos is A = 1, 0/0 in the formula: nothing is added.
            h += mpmath.mpf(f1) / n * printed_unseen(n, a) if a < 1 else 0
    return float(h / log(2))


def printed_unseen(n, a):
    """(1 - A)^(1 - n) [-log A - sum_(r<n) (1 - A)^r/r], in the digits of mpmath's context."""
    q, power, total = 1 - a, mpmath.mpf(1), -mpmath.log(a)
    for r in range(1, n):
        power *= q
        total -= power / r
    return total / power


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "counts",
    [
        [1, 1, 0, 2, 5, 3, 1],
        [4, 4, 6, 0, 12],
        [1, 1, 1, 7, 9, 30],
        [2, 2],
        [9, 1],
        [1] * 12,
        [1, 2] * 15,
        [7],
    ],
)
@hardly_covered
def test_estimators_are_their_printed_formulas(name, counts):
    with mpmath.workdps(60):
        assert ESTIMATORS[name](counts) == pytest.approx(textbook(name, counts), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 100, 100_000])
@pytest.mark.parametrize(
    ("f1", "f2"), [(1.0, 0), (0.5, 0.2), (0.01, 0), (0.0, 0.001), (0.3, 0.001)]
)
def test_what_unseen_cells_add_keeps_its_digits_at_any_size(n, f1, f2):
    """The printed form loses a factor (1 - A)^(1 - n), so mpmath is given as many digits more."""
    f1, f2 = max(1, int(f1 * n)), int(f2 * n)
    pair = max(2, 2 * f2)
    gap = (n - 1) * (f1 if f2 else f1 - 1)
    if gap == 0:
        assert finite_sample._unseen(np.array(n), np.array(1.0)) == 0
        return
    lost = n * np.log10((gap + pair) / gap)
    with mpmath.workdps(int(lost) + 50):
        expected = float(printed_unseen(n, mpmath.mpf(pair) / (gap + pair)))
    found = finite_sample._unseen(np.array(n), np.array(pair / (gap + pair)))
    assert found == pytest.approx(expected, rel=1e-13)


@hardly_covered
def test_a_hundred_thousand_samples_alone_have_the_entropy_of_the_smallest_gap():
    """f_1 = n, f_2 = 0: psi(n) + gamma and the addition, near log(n^2/2) nats."""
    n = 100_000
    a = 2 / ((n - 1) ** 2 + 2)
    with mpmath.workdps(50):
        unseen = float(printed_unseen(n, 2 / mpmath.mpf((n - 1) ** 2 + 2)))
    found = ESTIMATORS["chao_wang_jost"](np.ones(n, dtype=int))
    assert found == pytest.approx((digamma(n) - digamma(1) + unseen) / np.log(2), rel=1e-13)
    # The sum over r < n is the harmonic number, short of it by n A at most.
    assert found == pytest.approx(-np.log2(a), abs=3 * n * a * np.log(n))


@pytest.mark.parametrize("name", NAMES)
@hardly_covered
def test_one_cell_has_no_entropy_and_empty_cells_and_their_order_do_not_matter(name):
    estimate = ESTIMATORS[name]
    for n in (1, 2, 57):
        # Grassberger's is log n - G(n), next to 0 for many samples only.
        expected = textbook(name, [n]) if name == "grassberger" else 0
        assert estimate([n]) == pytest.approx(expected, abs=1e-12)
    counts = np.random.default_rng(2).multinomial(80, UNIFORM, (3, 5))
    padded = np.concatenate([counts, np.zeros((3, 5, 9), int)], axis=-1)[..., ::-1]
    assert estimate(counts).shape == (3, 5)
    assert estimate(padded) == pytest.approx(estimate(counts), abs=1e-12)
    assert estimate(counts[1, 2]) == pytest.approx(estimate(counts)[1, 2], abs=1e-13)


def binary_entropy(k, n):
    p = k / n
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p)) / np.log(2)


def expected_coin(cells):
    """E I(T;Y) of the plug-in: H of all labels less the mean H of those in a cell."""
    n, m = 4096, 4096 // cells
    whole = (binom.pmf(np.arange(n + 1), n, 0.5) * binary_entropy(np.arange(n + 1), n)).sum()
    part = (binom.pmf(np.arange(m + 1), m, 0.5) * binary_entropy(np.arange(m + 1), m)).sum()
    return whole - part


@pytest.mark.parametrize(
    ("cells", "first_order", "simulated"),
    [(2, 0.00018, 0.00019), (16, 0.00264, 0.00260), (64, 0.01109, 0.01106), (256, 0.0449, 0.0463)],
)
def test_labels_of_a_fair_coin_seem_to_be_known(cells, first_order, simulated):
    """4096 patterns in equal cells, a label each: (K - 1)/(2 N log 2) bits, and the exact mean."""
    decimals = len(str(first_order)) - 2
    assert (cells - 1) / (2 * 4096 * np.log(2)) == pytest.approx(
        first_order, abs=0.5 * 10**-decimals
    )
    heads = np.random.default_rng(cells).binomial(4096 // cells, 0.5, (1000, cells))
    counts = np.stack([heads, 4096 // cells - heads], axis=-1)
    found = information(counts, "plugin")
    standard_error = found.std(ddof=1) / np.sqrt(1000)
    assert abs(found.mean() - expected_coin(cells)) < 4 * standard_error
    # The number printed before is a simulation too, of 200 samples or more.
    printed_error = found.std(ddof=1) / np.sqrt(200)
    assert abs(expected_coin(cells) - simulated) < 4 * printed_error + 0.5 * 10**-decimals
    # Miller and Madow take the first order away, the next is (K^2 - 1)/(4 N^2 log 2).
    left = information(counts, "miller_madow")
    next_order = (cells**2 - 1) / (4 * 4096**2 * np.log(2))
    assert abs(left.mean()) < 4 * left.std(ddof=1) / np.sqrt(1000) + 2 * next_order


@pytest.mark.parametrize("name", NAMES)
def test_information_is_the_sum_of_entropies_and_symmetric(name):
    table = np.random.default_rng(3).multinomial(400, np.full(12, 1 / 12), (2,)).reshape(2, 4, 3)
    estimate = ESTIMATORS[name]
    expected = estimate(table.sum(2)) + estimate(table.sum(1)) - estimate(table.reshape(2, 12))
    assert information(table, name) == pytest.approx(expected, abs=1e-13)
    assert information(table.swapaxes(1, 2), name) == pytest.approx(expected, abs=1e-12)


def test_samples_alone_in_their_cells_are_warned_of():
    counts = np.array([1, 1, 1, 2])
    for estimate in ESTIMATORS.values():
        with pytest.warns(CoverageWarning, match="up to 60% of the samples are alone"):
            estimate(counts)
    with pytest.warns(CoverageWarning, match="up to 100%"):
        information(np.eye(5, dtype=int))
    with pytest.warns(CoverageWarning, match="up to 100%"):
        finite_sample.permutation_null(np.arange(9), np.arange(9) % 2, 5, np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CoverageWarning)
        information([[1, 1], [1, 3]])
        plugin([[1, 1, 2], [50, 1, 0]])


@hardly_covered
def test_no_estimator_sees_that_labels_of_patterns_kept_apart_are_a_coin():
    """All singletons: the plug-in knows H(Y) whatever the truth, and shuffled labels as well."""
    labels = np.random.default_rng(4).integers(0, 2, 500)
    found = finite_sample.permutation_null(
        np.arange(500), labels, 99, np.random.default_rng(5), "plugin"
    )
    assert found.observed == pytest.approx(entropy(np.bincount(labels) / 500), abs=1e-12)
    assert found.null == pytest.approx(found.observed, abs=1e-12)
    assert found.p_value == 1


@pytest.mark.parametrize("name", ["plugin", "chao_wang_jost"])
@hardly_covered
def test_p_values_are_uniform_where_cells_tell_nothing(name):
    """p - U/(R + 1) is uniform on (0, 1) but for ties, which are rare with so many tables."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(500):
        cells, labels = rng.choice(12, 300, p=np.arange(1, 13) / 78), rng.integers(0, 4, 300)
        found.append(finite_sample.permutation_null(cells, labels, 49, rng, name).p_value)
    assert min(found) > 0.0199
    assert kstest(np.array(found) - rng.random(500) / 50, "uniform").pvalue > 0.001


def test_shuffling_finds_the_bias_and_not_the_information():
    """Labels are a noisy function of the cells: I(T;Y) = 1 - h(0.1), and 0 when shuffled."""
    rng = np.random.default_rng(7)
    cells = rng.integers(0, 64, 4096)
    labels = cells % 2 ^ (rng.random(4096) < 0.1)
    found = finite_sample.permutation_null(cells - 7, labels, 199, rng, "plugin")
    table = np.zeros((64, 2), int)
    np.add.at(table, (cells, labels), 1)
    assert found.observed == pytest.approx(information(table, "plugin"), abs=1e-12)
    assert found.p_value == 1 / 200
    standard_error = found.null.std(ddof=1) / np.sqrt(199)
    # Cells and labels are uneven here by 1/sqrt(64), which changes the next order, 1 % of the bias.
    assert abs(found.null.mean() - expected_coin(64)) < 4 * standard_error + 0.01 * expected_coin(
        64
    )
    # Without its bias, the information is within the spread of 4096 log-likelihood ratios.
    spread = np.sqrt(0.1 * 0.9) * np.log2(9) / np.sqrt(4096)
    excess = found.observed - found.null.mean() - (1 - entropy(np.array([0.1, 0.9])))
    assert abs(excess) < 4 * spread


def test_the_null_is_the_same_however_many_tables_are_held_at_once(monkeypatch):
    rng = np.random.default_rng(8)
    cells, labels = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    args = cells, labels, 40
    together = finite_sample.permutation_null(*args, np.random.default_rng(9))
    monkeypatch.setattr(finite_sample, "AT_ONCE", 700)
    apart = finite_sample.permutation_null(*args, np.random.default_rng(9))
    assert np.array_equal(apart.null, together.null)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plugin([1, -2]), "a count is -2, expected integers of 0 or more"),
        (lambda: plugin([1, 2.5]), "a count is 2.5, expected integers"),
        (lambda: plugin([[1, 2], [0, 0]]), "no samples in some rows of the counts"),
        (lambda: plugin(3), r"a single number, expected \(..., cell\)"),
        (lambda: information([1, 2]), r"shape \(2,\), expected \(..., cell, label\)"),
        (lambda: information(np.ones((2, 2)), "nsb"), "'nsb' is unknown, expected one of plugin,"),
        (lambda: null([1, 2], [1]), r"shape \(2,\) and labels \(1,\), expected \(sample,\)"),
        (lambda: null([0.5, 2], [1, 0]), "cells are float64, expected integers"),
        (lambda: null([1, 2], [1, 0], 0), "repetitions are 0, expected at least 1"),
        (lambda: null([1, 2], [1, 0], 5, "mle"), "estimator 'mle' is unknown"),
    ],
)
def test_what_are_no_counts_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def null(cells, labels, repetitions=5, name="plugin"):
    return finite_sample.permutation_null(
        cells, labels, repetitions, np.random.default_rng(0), name
    )
