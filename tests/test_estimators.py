"""Binned cells: every policy's edges, exact packing, the laws of binned information."""

import numpy as np
import pytest
from scipy.stats import norm

from ibdyn.estimators import Binned, from_name
from ibdyn.estimators.binned import pack
from theory import information

NAMES = [
    "binned-range-30",
    "binned-fixed-30:-1:1",
    "binned-fixed-7:-0.5:1e-05",
    "binned-width-0.07",
    "binned-width-0.1234567890123",
    "binned-extremes-100",
    "binned-quantiles-30",
    "binned-published-50",
]


def column(*values):
    return np.array(values, dtype=float)[None, :, None]


def cells(name, t, limits=(-1, 1)):
    return from_name(name).cells(t, limits)[0].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_estimator(name):
    assert from_name(name).name == name
    assert from_name(from_name(name).name) == from_name(name)


def test_a_number_is_read_as_it_was_written():
    assert from_name("binned-width-0.07").width == 0.07
    assert from_name("binned-fixed-30:-1:1.5") == Binned("fixed", 30, low=-1, high=1.5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("binned-range-1", "count 1, expected at least 2"),
        ("binned-width-0", "width is 0.0, expected more than 0"),
        ("binned-fixed-3:1:1", "low 1.0, expected less than high 1.0"),
        ("binned-rang-30", "is none of binned-range-COUNT"),
        ("knn-3", "is unknown, expected one of binned-range-COUNT"),
    ],
)
def test_names_that_mean_nothing_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        from_name(name)


def test_parameters_of_another_policy_are_refused():
    with pytest.raises(ValueError, match=r"binned width takes width, not \['count'\]"):
        Binned("width", 30, width=0.1)
    with pytest.raises(ValueError, match="policy 'log' is unknown"):
        Binned("log", 30)


def test_fixed_cells_are_half_open_with_an_overflow_cell_at_either_side():
    t = column(-9, -1.0001, -1, -0.51, -0.5, 0.4999, 0.5, 1, 1.0001, 9)
    assert cells("binned-fixed-4:-1:1", t) == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]


def test_range_takes_the_activations_limits_and_the_layers_extremes_where_it_has_none():
    t = column(0, 0.5, 1, 3, 4)
    assert cells("binned-range-4", t / 4, (-1, 1)) == [0, 0, 0, 1, 1]
    assert cells("binned-range-4", t, (0, np.inf)) == [0, 0, 1, 3, 3]
    assert cells("binned-extremes-4", t / 4, (-1, 1)) == [0, 0, 1, 3, 3]


def test_extremes_are_those_of_each_member():
    t = np.stack([column(0, 1, 2)[0], column(0, 10, 20)[0]])
    found = from_name("binned-extremes-2").cells(t, (0, np.inf))
    assert found.tolist() == [[0, 1, 1], [0, 1, 1]]


def test_a_constant_layer_has_one_cell():
    assert cells("binned-extremes-30", column(2, 2, 2)) == [0, 0, 0]
    assert cells("binned-quantiles-30", column(2, 2, 2)) == [0, 0, 0]


def test_cells_of_a_width_go_on_without_end():
    assert cells("binned-width-0.5", column(-0.6, -0.5, 0, 0.49, 0.5, 100)) == [0, 1, 2, 2, 3, 202]


def test_quantile_cells_hold_equal_counts_of_distinct_values_and_never_part_equal_ones():
    t = np.exp(np.linspace(-3, 3, 90))
    _, counts = np.unique(cells("binned-quantiles-30", column(*t)), return_counts=True)
    assert counts.tolist() == [3] * 30
    assert cells("binned-quantiles-2", column(0, 0, 0, 0, 1, 2, 3)) == [0, 0, 0, 0, 0, 1, 1]


def test_quantile_cells_are_invariant_under_monotone_maps():
    t = np.random.default_rng(0).normal(size=(2, 200, 3))
    estimator = from_name("binned-quantiles-9")
    found = [information.of_cells(estimator.cells(f, (0, 1)), *even(200)) for f in (t, np.sinh(t))]
    assert np.array_equal(found[0], found[1])


def test_published_cells_are_those_of_the_published_line():
    edges = np.linspace(-1, 1, 50, dtype=np.float32)
    rng = np.random.default_rng(0)
    t = np.concatenate([rng.uniform(-1.2, 1.2, 2000), edges, [1, -1]]).astype(np.float32)
    published = edges[np.digitize(t, edges) - 1]
    found = from_name("binned-published-50").cells(t[None, :, None], (-1, 1))[0]
    pairs = set(zip(published.tolist(), found.tolist(), strict=True))
    assert len(pairs) == len(set(published.tolist())) == len(set(found.tolist()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_units_fall_in_the_end_cells_whatever_the_precision(dtype):
    one = dtype(1)
    t = np.array([-one, np.nextafter(-one, dtype(0)), np.nextafter(one, dtype(0)), one])
    assert cells("binned-range-30", t[None, :, None]) == [0, 0, 29, 29]


@pytest.mark.parametrize("units", [1, 3, 12, 13, 40])
def test_rows_are_packed_exactly_however_many_units(units):
    rng = np.random.default_rng(units)
    digits = rng.integers(-1, 31, (2, 500, units))
    digits[:, 250:] = digits[:, :250]
    keys = pack(digits)
    for member in range(2):
        rows = {tuple(row) for row in digits[member].tolist()}
        pairs = set(zip(map(tuple, digits[member].tolist()), keys[member].tolist(), strict=True))
        assert len(rows) == len(pairs) == len(set(keys[member].tolist()))


def even(n):
    return np.full(n, 1 / n), np.eye(2)[np.arange(n) % 2]


def test_uniform_activations_fill_the_cells_evenly():
    t = (np.arange(3000) + 0.5) / 1500 - 1
    i_x, _ = information.of_cells(
        from_name("binned-range-30").cells(column(*t), (-1, 1)), *even(3000)
    )
    assert i_x[0] == pytest.approx(np.log2(30), abs=1e-6)


@pytest.mark.parametrize("w", [0.01, 0.871, 1, 10, 100, 1000])
def test_one_tanh_neuron_has_its_closed_form(w):
    """tanh(w x), x ~ N(0, 1): cell i has p = Phi(atanh(b_{i+1}) / w) - Phi(atanh(b_i) / w)."""
    edges = (
        np.arctanh(
            np.linspace(-1, 1, 31).clip(-1, 1),
            where=np.arange(31) % 30 > 0,
            out=np.array([-np.inf] + [0.0] * 29 + [np.inf]),
        )
        / w
    )
    p = np.diff(norm.cdf(edges))
    n = 100_000
    x = norm.ppf((np.arange(n) + 0.5) / n)
    found = from_name("binned-range-30").cells(np.tanh(w * column(*x)), (-1, 1))
    i_x, _ = information.of_cells(found, *even(n))
    # Stratified points: each cell's share is off by at most 1/n, so H by 30 log2(n)/n.
    assert i_x[0] == pytest.approx(information.entropy(p), abs=30 * np.log2(n) / n)


def test_permuting_units_or_patterns_changes_nothing():
    rng = np.random.default_rng(1)
    t = np.tanh(rng.normal(size=(2, 300, 4)))
    estimator = from_name("binned-range-30")
    expected = information.of_cells(estimator.cells(t, (-1, 1)), *even(300))
    units = information.of_cells(estimator.cells(t[..., [2, 0, 3, 1]], (-1, 1)), *even(300))
    assert np.array_equal(units, expected)


def test_binned_information_can_violate_the_data_processing_inequality():
    """A layer scaled by 1000 is a function of the one before, and its cells know more."""
    popcount = np.arange(4096)[:, None] >> np.arange(12) & 1
    first = 0.001 * popcount.sum(-1) / 12
    bits = [
        information.of_cells(
            from_name("binned-fixed-30:-1:1").cells(column(*t), (-1, 1)), *even(4096)
        )[0][0]
        for t in (first, 1000 * first)
    ]
    assert bits[0] == 0
    assert bits[1] == pytest.approx(2.8385287436, abs=1e-9)
