"""Optimal partitions against all partitions there are, and against the soft spherical rule."""

import itertools

import numpy as np
import pytest

from ibdyn import tasks
from theory.information import entropy, mutual_information, of_cells
from theory.quantisers import best_quantisers, deterministic_curve, homogenised

SOFT = tasks.spherical_rule(information=0.99)
P_SOFT = SOFT.p_x[:, None] * SOFT.p_y_given_x


def partitions(n):
    """All partitions of n things, as cells numbered in the order of their first members."""
    grown = [[0]]
    for _ in range(n - 1):
        grown = [[*p, cell] for p in grown for cell in range(max(p) + 2)]
    return np.array(grown)


ALL = partitions(7)


def relabelled(cells):
    """Cells numbered in the order of their first members."""
    order = {}
    return [order.setdefault(cell, len(order)) for cell in cells]


def joints(count, x=7, y=2):
    rng = np.random.default_rng(0)
    return [
        rng.dirichlet(np.full(x * y, a)).reshape(x, y) for a in (0.3, 1, 5) for _ in range(count)
    ]


def test_there_are_as_many_partitions_as_bells_number():
    assert len(ALL) == 877


def test_deterministic_curve_is_the_best_of_all_partitions():
    """Random joints have no ties, so the partitions agree as well as their value."""
    betas = np.array([0.5, 1.5, 3, 10, 40])
    for p in joints(40):
        h_t, i_y = of_cells(ALL, p.sum(1), p / p.sum(1, keepdims=True))
        value = h_t - betas[:, None] * i_y
        found = deterministic_curve(p, betas)
        reached = found.information_input - found.beta * found.information_label
        assert reached.values == pytest.approx(value.min(1), abs=1e-12)
        expected = ALL[value.argmin(1)]
        assert [relabelled(one) for one in found.cell.values] == expected.tolist()
        assert found.clusters.values.tolist() == (expected.max(1) + 1).tolist()


def test_best_quantisers_are_the_best_of_all_partitions():
    for p in joints(40):
        _, i_y = of_cells(ALL, p.sum(1), p / p.sum(1, keepdims=True))
        found = best_quantisers(p, range(1, 8))
        for k in range(1, 8):
            allowed = ALL[ALL.max(1) < k]
            best = i_y[ALL.max(1) < k].argmax()
            one = found.sel(cells=k)
            assert one.information_label == pytest.approx(i_y[ALL.max(1) < k][best], abs=1e-12)
            assert relabelled(one.cell.values) == allowed[best].tolist()


@pytest.mark.parametrize("labels", [2, 3])
def test_homogenised_cells_are_the_fewest_of_all_partitions(labels):
    for p in joints(10, y=labels):
        one_hot = (ALL[:, :, None] == np.arange(7)).astype(float)
        errors = 1 - np.einsum("pxt,xy->pty", one_hot, p).max(2).sum(1)
        least = np.array([errors[ALL.max(1) == k].min() for k in range(7)])
        # Between the errors reached by one cell, two and more, away from rounding.
        reachable = np.unique(least.round(9))
        limits = [reachable[0] + 1e-6, *(reachable[:-1] + reachable[1:]) / 2, reachable[-1] + 1e-6]
        found = homogenised(p, limits)
        for limit, cells in zip(limits, found.cells.values, strict=True):
            assert cells == (least <= limit).argmax() + 1
        for error, cells in zip(found.label_error.values, found.cells.values, strict=True):
            assert error == pytest.approx(least[cells - 1], abs=1e-12)


def test_homogenised_hard_labels_are_two_cells_however_many_patterns():
    p = np.eye(2)[np.random.default_rng(1).integers(0, 2, 50)] / 50
    found = homogenised(p, [0.0, 0.5])
    assert found.cells.values.tolist() == [2, 1]
    assert found.label_error[0] == 0
    assert (found.cell[0] == p.argmax(1)).all()


def test_an_error_below_that_of_x_is_refused():
    with pytest.raises(ValueError, match=r"epsilon is 0\.05, expected at least 0\.1, the"):
        homogenised([[0.45, 0.05], [0.05, 0.45]], [0.2, 0.05])


def test_few_cells_keep_the_information_of_the_soft_rule():
    found = best_quantisers(P_SOFT, range(2, 8))
    printed = [0.985402, 0.988206, 0.989941, 0.989994, 0.989997, 0.990000]
    assert found.information_label.values == pytest.approx(printed, abs=5e-7)
    assert found.information_input.sel(cells=7) == pytest.approx(1.447, abs=5e-4)


@pytest.mark.parametrize(
    ("betas", "cells", "information_input", "information_label"),
    [
        ([1.05, 2, 5, 20], 2, 0.999157, 0.985402),
        ([100], 4, 1.327088, 0.989349),
        ([1e4, 1e5], 7, 1.447022, 0.99),
    ],
)
def test_deterministic_curve_of_the_soft_rule(betas, cells, information_input, information_label):
    found = deterministic_curve(P_SOFT, betas)
    assert (found.clusters == cells).all()
    assert found.information_input.values == pytest.approx(information_input, abs=5e-7)
    assert found.information_label.values == pytest.approx(information_label, abs=5e-7)


def test_all_64_classes_of_the_soft_rule_are_told_apart():
    found = best_quantisers(P_SOFT, [64, 100])
    for cell in found.cell.values:
        assert cell.max() == 63
        assert len(set(zip(cell, SOFT.spectral_class, strict=True))) == 64
    assert found.information_input.values == pytest.approx(5.5695, abs=5e-5)
    assert found.information_label.values == pytest.approx(0.99, abs=1e-12)


def test_hard_labels_jump_at_beta_one():
    y = np.random.default_rng(2).permutation(np.repeat([0, 1], [30, 70]))
    found = deterministic_curve(np.eye(2)[y] / 100, [0.5, 0.999, 1.001, 50])
    h_y = float(entropy([0.3, 0.7]))
    for name in ("information_input", "information_label"):
        assert found[name].values == pytest.approx([0, 0, h_y, h_y], abs=1e-12)
    assert found.clusters.values.tolist() == [1, 1, 2, 2]
    assert (found.cell[-1] == y).all()


def test_patterns_of_equal_rows_share_a_cell_whatever_their_probability():
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 5, 40)
    p = rng.dirichlet(np.ones(40))[:, None] * rng.dirichlet(np.ones(2), 5)[kind]
    small = np.zeros((5, 2))
    np.add.at(small, kind, p)
    betas = [1.5, 4, 100]
    found, merged = deterministic_curve(p, betas), deterministic_curve(small, betas)
    assert (found.cell.values == merged.cell.values[:, kind]).all()
    assert found.information_label.values == pytest.approx(merged.information_label, abs=1e-13)


def test_posteriors_next_to_one_are_told_apart_by_their_complements():
    tails = np.array([1e-18, 1e-25, 1e-40])
    q = np.concatenate([np.stack([1 - tails, tails], 1), np.stack([tails, 1 - tails], 1)])
    found = best_quantisers(q / 6, [6])
    assert found.cell.values[0].tolist() == [2, 1, 0, 3, 4, 5]


def test_information_of_partitions_is_that_of_their_joint():
    p = joints(1)[1]
    found = best_quantisers(p, [3]).isel(cells=0)
    joint = np.stack([p[found.cell.values == t].sum(0) for t in range(3)])
    assert found.information_label == pytest.approx(mutual_information(joint), abs=1e-13)
    assert found.information_input == pytest.approx(entropy(joint.sum(1)), abs=1e-13)


def test_every_variable_has_units_and_a_long_name():
    p = joints(1)[0]
    found = [deterministic_curve(p, [2.0]), best_quantisers(p, [2]), homogenised(p, [0.5])]
    for variable in itertools.chain(*(one.variables.values() for one in found)):
        assert set(variable.attrs) >= {"units", "long_name"}
    for one in found[:2]:
        assert one.information_input.units == one.information_label.units == "bit"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deterministic_curve([0.5, 0.5], [1]), r"shape \(2,\), expected \(x, y\)"),
        (lambda: deterministic_curve([[1.2, -0.2]], [1]), r"at \(0, 1\) is -0.2, expected a prob"),
        (lambda: deterministic_curve([[0.5, np.nan]], [1]), r"at \(0, 1\) is nan"),
        (lambda: deterministic_curve([[np.inf, 0.0]], [1]), "sums to inf, expected 1"),
        (lambda: deterministic_curve([[0.5, 0.4]], [1]), "sums to 0.9, expected 1"),
        (lambda: deterministic_curve([[0.5, 0.5], [0, 0]], [1]), "0 all along row 1"),
        (lambda: deterministic_curve([[0.2, 0.3, 0.5]], [1]), "has 3 labels, expected 2"),
        (lambda: deterministic_curve([[0.5, 0.5]], 2.0), r"betas has shape \(\)"),
        (lambda: deterministic_curve([[0.5, 0.5]], [1, 0]), "betas at 1 is 0.0, expected finite"),
        (lambda: deterministic_curve([[0.5, 0.5]], [np.inf]), "betas at 0 is inf"),
        (lambda: best_quantisers([[0.5, 0.5]], [0]), r"cells are \[0\], expected a list of int"),
        (lambda: best_quantisers([[0.5, 0.5]], [1.5]), r"cells are \[1.5\]"),
        (lambda: best_quantisers([[0.5, 0.5]], 2), "cells are 2, expected a list"),
        (lambda: homogenised(np.full((1, 13), 1 / 13), [0.5]), "13 labels, expected at most 12"),
        (lambda: homogenised([[0.5, 0.5]], 0.5), r"epsilon has shape \(\)"),
        (lambda: homogenised([[0.5, 0.5]], [np.nan]), "epsilon is nan, expected at least 0.5"),
    ],
)
def test_what_is_no_joint_or_parameter_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
