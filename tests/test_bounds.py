"""Generalisation bounds: printed numbers, coverage of known distributions, a counter-example."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq
from scipy.stats import binom

from ibdyn import tasks
from theory import bounds
from theory.information import entropy
from theory.random_labels import counter_example, expected_gap, sampled_gaps

SIZES = [410, 1843, 3277]


def few(expected_rate, draws):
    """The count that a binomial of this rate exceeds once in 10^6."""
    return binom.isf(1e-6, draws, expected_rate)


@pytest.mark.parametrize(("samples", "printed"), [(3277, 0.250), (410, 0.501)])
def test_the_classical_bound_of_294_parameters_is_the_printed_one(samples, printed):
    assert bounds.classical(294, samples) == pytest.approx(printed, abs=5e-4)


def test_the_classical_bound_is_the_root_of_its_equation():
    for d in (1, 294, 10_000):
        for m in SIZES:
            expected = brentq(
                lambda e, d=d, m=m: e**2 - (d * np.log(1 / e) + np.log(20)) / (2 * m),
                1e-9,
                1,
                xtol=1e-15,
            )
            assert bounds.classical(d, m) == pytest.approx(expected, rel=1e-12)


def test_a_cover_is_never_of_less_than_one_classifier():
    """From epsilon = 1 on, and without parameters, Hoeffding's inequality is left."""
    assert bounds.classical([0, 5], 1) == pytest.approx(np.sqrt(np.log(20) / 2))
    assert bounds.classical(0, 100) == pytest.approx(np.sqrt(np.log(20) / 200))
    assert np.isnan(bounds.classical(np.nan, 100))


@pytest.mark.parametrize(
    ("cells", "printed", "digits"),
    [
        (2, [0.0787, 0.0371, 0.0278], 5e-5),
        (2**5.5695, [0.2113, 0.0997, 0.0747], 5e-5),
        (64, [0.2421, 0.1142, 0.0856], 5e-5),
        (96, [0.2927, 0.1380, 0.1035], 5e-5),
        (4096, [1.86, 0.878, 0.659], 5e-3),
    ],
)
def test_bounds_of_cells_are_the_printed_table(cells, printed, digits):
    assert bounds.cell_count(cells, SIZES) == pytest.approx(printed, abs=digits)
    assert bounds.input_compression(np.log2(cells), SIZES) == pytest.approx(printed, abs=digits)


def test_the_readings_of_the_literature_are_looser_than_one_side_of_the_theorem():
    info = np.linspace(0, 12, 13)
    found = {r: bounds.input_compression(info, 1000, reading=r) for r in bounds.READINGS}
    assert found["post-ln"] == pytest.approx(np.sqrt((2**info + np.log(20)) / 2000), rel=1e-14)
    assert found["post-log2"] == pytest.approx(np.sqrt((2**info + np.log2(20)) / 2000), rel=1e-14)
    assert (found["one-sided"] < found["post-ln"]).all()
    assert (found["post-ln"] < found["post-log2"]).all()
    assert (found["one-sided"] < found["two-sided"]).all()
    one_side = bounds.cell_count(2**info, 1000, sides=1)
    assert found["one-sided"] == pytest.approx(one_side, rel=1e-14)


def test_more_labels_are_more_labellings():
    assert bounds.cell_count(7, 100, labels=10) == pytest.approx(
        np.sqrt((np.log(10.0**7) + np.log(40)) / 200)
    )


def test_a_bound_of_one_is_vacuous():
    just = (2 * 50 - np.log(40)) / np.log(2)
    k = [just - 1e-6, just + 1e-6, np.nan]
    assert bounds.vacuous(bounds.cell_count(k, 50)).tolist()[:2] == [0, 1]
    assert np.isnan(bounds.vacuous(bounds.cell_count(k, 50))[2])


def test_the_entropy_bound_is_its_formula_and_infinite_for_tiny_shares():
    found = bounds.entropy_bound(2.0, 1000, [0.5, 1e-4])
    c = np.log(40)
    expected = np.sqrt((16 * np.log(2) + c) / 2000) + 0.5 + np.sqrt(c / 2000)
    assert found[0] == pytest.approx(expected, rel=1e-14)
    assert found[1] == np.inf


@pytest.mark.parametrize("eta", [0.1, 0.3, 0.7])
def test_all_but_a_share_eta_is_in_two_to_the_entropy_over_eta_cells(eta):
    rng = np.random.default_rng(0)
    for concentration in (0.01, 0.1, 1):
        p = np.sort(rng.dirichlet(np.full(500, concentration)))[::-1]
        heavy = int(2 ** (entropy(p) / eta))
        assert p[:heavy].sum() >= 1 - eta


@pytest.mark.parametrize(
    ("large", "small", "bits", "bound"), [(0.7, 10_000, 4.868, 0.1078), (0.9, 1000, 1.466, 0.0495)]
)
def test_two_to_the_information_is_no_number_of_cells(large, small, bits, bound):
    """The gap exceeds every reading on average, and no theorem in any of 1000 samples."""
    found = counter_example(large, small, 1000)
    assert found.entropy == pytest.approx(bits, abs=5e-4)
    assert found.input_compression.sel(reading="one-sided") == pytest.approx(bound, abs=5e-5)
    assert (found.gap > found.input_compression).all()
    p = np.append(large, np.full(small, (1 - large) / small))
    drawn = sampled_gaps(p, 1000, 1000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(found.gap.item(), abs=4 * drawn.std() / np.sqrt(1000))
    excess = (drawn > found.input_compression.sel(reading="one-sided").item()).mean()
    assert excess > 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1000)
    assert drawn.max() < found.cell_count
    assert drawn.max() < found.entropy_bound


def test_the_gap_of_fair_labels_is_that_of_all_samples():
    """All samples of size 3 and their labels, in cells of 1/2, 1/3 and 1/6."""
    p = np.array([1 / 2, 1 / 3, 1 / 6])
    total = 0.0
    for cells in np.ndindex(3, 3, 3):
        for labels in np.ndindex(2, 2, 2):
            sums = np.bincount(cells, np.array(labels) - 0.5, 3)
            total += p[list(cells)].prod() / 8 * np.abs(sums).sum() / 3
    assert expected_gap(p, 3) == pytest.approx(total, rel=1e-13)


def test_the_gap_of_many_samples_in_equal_cells_is_gaussian():
    """sqrt(K/(2 pi m)), less a share K/4m or so."""
    formula = np.sqrt(64 / (2 * np.pi * 3277))
    assert formula == pytest.approx(0.0558, abs=5e-5)
    uniform = np.full(64, 1 / 64)
    exact = expected_gap(uniform, 3277)
    assert 0 < formula - exact < formula * 64 / 3277
    drawn = sampled_gaps(uniform, 3277, 1000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(exact, abs=4 * drawn.std() / np.sqrt(1000))
    assert drawn.max() < bounds.cell_count(64, 3277)


def test_no_labelling_of_fixed_cells_breaks_the_cell_count_bound_too_often():
    """The worst of all 2^K at once, in 1000 samples; half of the bound would be broken."""
    rng, delta, m = np.random.default_rng(2), 0.5, 60
    p_ty = rng.dirichlet(np.ones(6)).reshape(3, 2)
    n_ty = rng.multinomial(m, p_ty.ravel(), 1000).reshape(1000, 3, 2)
    worst = (p_ty[:, ::-1] - n_ty[..., ::-1] / m).max(-1).sum(-1)
    bound = bounds.cell_count(3, m, sides=1, delta=delta)
    assert (worst > bound).sum() <= few(delta, 1000)
    assert (worst > bound / 2).mean() > delta


@pytest.mark.parametrize(("samples", "delta"), [(50, 0.2), (200, 0.05)])
def test_the_test_set_bounds_hold_at_every_risk_and_the_exact_one_barely(samples, delta):
    """Coverage summed over all outcomes; that of the exact one comes down to 1 - delta."""
    errors = np.arange(samples + 1)
    found = bounds.test_set(errors, samples, delta)
    risks = np.linspace(0.001, 0.999, 999)
    p = binom.pmf(errors[:, None], samples, risks)
    for name in ("hoeffding", "clopper_pearson"):
        coverage = (p * (risks <= found[name].values[:, None])).sum(0)
        assert coverage.min() >= 1 - delta
    assert coverage.min() == pytest.approx(1 - delta, abs=1e-3)
    assert (found.clopper_pearson[:-1] < found.hoeffding[:-1]).all()


def test_the_exact_bound_is_the_risk_that_makes_so_few_errors_rare_and_the_other_in_closed_form():
    found = bounds.test_set(xr.DataArray([0, 3, 100], dims="member"), 100, 0.05)
    assert found.clopper_pearson.dims == ("member",)
    assert found.clopper_pearson[0] == pytest.approx(1 - 0.05**0.01, rel=1e-12)
    assert binom.cdf(3, 100, found.clopper_pearson[1]) == pytest.approx(0.05, rel=1e-9)
    assert found.clopper_pearson[2] == 1
    expected = [k / 100 + np.sqrt(np.log(20) / 200) for k in (0, 3, 100)]
    assert found.hoeffding.values == pytest.approx(expected, rel=1e-12)


def test_a_partition_from_the_other_half_is_fair_and_from_the_same_half_is_not():
    """Cells that are the labels seen: nothing to learn, all remembered. 1000 samples of each."""
    rng, delta, m = np.random.default_rng(3), 0.5, 400
    broken = 0
    for _ in range(1000):
        pattern, label = rng.integers(0, 10_000, m), rng.integers(0, 2, m)
        own = np.arange(m) >= m // 2
        cell_of = np.full(10_000, 2)
        cell_of[pattern[~own]] = label[~own]
        cells = cell_of[pattern]
        found = bounds.split_sample(cells, label, own, delta)
        broken += 0.5 - float(found.error_rate) > float(found.gap_bound)
    assert found.cells == 3
    assert found.samples == 200
    assert found.gap_bound == bounds.cell_count(3, 200, delta=delta)
    assert broken <= few(delta, 1000)
    # On the half that made the cells their names are the vote.
    assert 0.5 - np.mean(cells[~own] != label[~own]) > found.gap_bound


def test_the_histogram_classifier_is_the_majority_of_its_half():
    cells = np.array([4, 4, 9, 9, 7, 4, 4, 4, 9, 5, 5, 5])
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 0, 0, 2, 2, 2])
    own = np.arange(12) >= 5
    found = bounds.split_sample(cells, labels, own, 0.05, label_count=3)
    assert found.cell.values.tolist() == [4, 7, 9]
    # Cell 7 has no sample of the half.
    assert found.predicted.values.tolist() == [1, 2, 0]
    assert found.predicted_elsewhere == 2
    assert found.error_rate == pytest.approx(1 / 7)
    assert found.cells == 4
    assert found.gap_bound == pytest.approx(np.sqrt((4 * np.log(3) + np.log(40)) / 14))
    assert found.vacuous == 0
    assert found.risk_bound == found.error_rate + found.gap_bound


@pytest.mark.parametrize(
    ("classes", "printed"), [(True, [0.0074, 0.0003, 0.0001]), (False, [0.437, 0.308, 0.218])]
)
def test_the_vote_on_the_soft_spherical_rule_has_the_printed_gaps(classes, printed):
    """Means over 40 samples, within 4 standard errors of a difference and the digits printed.

    The printed ones are of a vote that says 1 in cells without a sample.
    """
    task = tasks.spherical_rule(information=0.99)
    cell = task.spectral_class if classes else np.arange(4096)
    rng = np.random.default_rng(4)
    for m, expected in zip(SIZES, printed, strict=True):
        gaps = []
        for _ in range(40):
            x = rng.integers(0, 4096, m)
            y = (rng.random(m) < task.p_y_given_x[x, 1]).astype(int)
            # The other half makes a cell of each, and is as large as that takes.
            half = np.arange(4096 + m) >= 4096
            found = bounds.split_sample(
                np.append(cell, cell[x]), np.append(np.zeros(4096, int), y), half, 0.05
            )
            said = np.where(np.isin(cell, cell[x]), found.predicted.sel(cell=cell), 1)
            risk = 1 - task.p_y_given_x[np.arange(4096), said].mean()
            gaps.append(risk - float(found.error_rate))
        error = np.std(gaps) / np.sqrt(40)
        assert np.mean(gaps) == pytest.approx(expected, abs=4 * np.sqrt(2) * error + 5e-4)
        assert max(gaps) < found.gap_bound


def test_what_a_layer_keeps_beyond_the_label_is_the_entropy_given_it():
    """H(T|Y) of four equal cells, two to a label."""
    assert bounds.conditional_information(2.0, 1.0) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.classical(-1, 10), "parameters are -1, expected 0 or more"),
        (lambda: bounds.classical(1, 0), "samples are 0, expected 1 or more"),
        (lambda: bounds.classical(1, 10, delta=0), "delta is 0, expected between 0 and 1"),
        (lambda: bounds.cell_count([2, 0.5], 10), "cells are 0.5, expected 1 or more"),
        (lambda: bounds.cell_count(2, 10, labels=1), "labels are 1, expected 2 or more"),
        (lambda: bounds.cell_count(2, 10, sides=3), "sides are 3, expected 1 or 2"),
        (lambda: bounds.input_compression(2, 10, reading="bits"), "reading 'bits' is unknown"),
        (lambda: bounds.entropy_bound(-1, 10, 0.1), "entropy is -1, expected 0 bits or more"),
        (lambda: bounds.entropy_bound(1, 10, 1.0), "eta is 1.0, expected between 0 and 1"),
        (lambda: bounds.test_set([1, 11], 10, 0.1), "errors are 11, expected integers from 0"),
        (lambda: bounds.test_set(1.5, 10, 0.1), "errors are 1.5, expected integers from 0"),
        (lambda: bounds.test_set(0, 0, 0.1), "samples are 0, expected 1 or more"),
        (lambda: split(cells=[0.5, 1, 1]), r"cells have shape \(3,\) and dtype float64"),
        (lambda: split(labels=[0, 1]), r"labels have shape \(2,\) .* expected integers of shape"),
        (lambda: split(half=[0, 1, 1]), "half have .* expected booleans"),
        (lambda: split(labels=[0, 1, 2]), "labels are 0 to 2, expected 0 to 1"),
        (lambda: split(half=[True] * 3), "half holds 3 of 3 samples, expected some, not all"),
        (lambda: split(half=[False] * 3), "half holds 0 of 3 samples"),
        (lambda: split(delta=1), "delta is 1, expected between 0 and 1"),
        (lambda: expected_gap([0.5, 0.4], 10), r"p_t has shape \(2,\) and sums to 0.9"),
        (lambda: expected_gap([1.2, -0.2], 10), r"sums to 1, expected probabilities"),
        (lambda: expected_gap([1], 0), "samples are 0, expected 1 or more"),
        (lambda: counter_example(1, 5, 10), "large is 1, expected a probability"),
        (lambda: counter_example(0.5, 0, 10), "small_cells are 0, expected 1 or more"),
    ],
)
def test_what_is_no_sample_or_partition_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def split(cells=(1, 1, 2), labels=(0, 1, 1), half=(True, True, False), delta=0.05):
    return bounds.split_sample(np.array(cells), np.array(labels), np.array(half), delta)
