"""Binned cells: every policy's edges, exact packing, the laws of binned information."""

import numpy as np
import pytest
from scipy.stats import norm

from ibdyn.estimators import Binned, counting, from_name
from theory import information

NAMES = [
    "binned-range-30",
    "binned-fixed-30:-1:1",
    "binned-fixed-7:-0.5:1e-05",
    "binned-width-0.07",
    "binned-width-0.1234567890123",
    "binned-extremes-100",
    "binned-unit-7",
    "binned-quantiles-30",
    "binned-published-50",
]
OTHERS = [
    "exact",
    "quantised-8",
    "binned-run-100",
    "pairwise-upper-0.001",
    "pairwise-lower-1e-05",
    "pairwise-published-2",
    "mixture-measured-0.001:3",
    "mixture-propagated-8",
]


def column(*values):
    return np.array(values, dtype=float)[None, :, None]


def cells(name, t, limits=(-1, 1)):
    """Cells of one member, numbered by first appearance."""
    return from_name(name).cells(np.asarray(t), limits)[0].tolist()


@pytest.mark.parametrize("name", NAMES + OTHERS)
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
        ("pairwise-upper-0", "variance is 0.0, expected more than 0"),
        ("pairwise-middle-1", "is none of pairwise-upper-VARIANCE"),
        ("exact-8", "is none of exact"),
        ("quantised-0", "quantised has 0 bits, expected 1 to 24"),
        ("quantised-x", "is none of quantised-BITS"),
        ("mixture-measured-0:1", "variance is 0.0, expected more than 0"),
        ("mixture-measured-0.1:0", "measured has count 0, expected at least 1"),
        ("mixture-propagated-1", "propagated has count 1, expected at least 2"),
        ("mixture-0.1", "is none of mixture-measured-VARIANCE:DRAWS"),
        ("knn-3", "is unknown, expected one of exact, quantised-BITS, binned-range-COUNT"),
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
    assert cells("binned-range-4", t, (0, np.inf)) == [0, 0, 1, 2, 2]
    assert cells("binned-extremes-4", t / 4, (-1, 1)) == [0, 0, 1, 2, 2]


def test_extremes_are_those_of_each_member():
    t = np.stack([column(0, 1, 2)[0], column(0, 10, 20)[0]])
    found = from_name("binned-extremes-2").cells(t, (0, np.inf))
    assert found.tolist() == [[0, 1, 1], [0, 1, 1]]


def test_each_unit_has_its_own_extremes():
    t = np.array([[[0.0, 0.0], [1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]])
    assert cells("binned-unit-2", t) == [0, 0, 1, 1]
    assert cells("binned-extremes-2", t) == [0, 0, 1, 1]
    t[..., 0] = [0, 4, 4, 0]
    assert cells("binned-unit-2", t) == [0, 1, 2, 3]
    assert cells("binned-extremes-2", t) == [0, 0, 1, 1]


def test_limits_over_the_run_are_those_of_each_member():
    t = np.stack([column(0, 1, 2)[0], column(0, 1, 2)[0]])
    found = from_name("binned-run-4").cells(t, (np.array([0, 0.0]), np.array([2.0, 8.0])))
    assert found.tolist() == [[0, 1, 2], [0, 0, 1]]


def test_states_are_equal_or_not_to_the_last_bit():
    a = np.float32(0.1)
    t = np.array([a, np.nextafter(a, np.float32(1)), a, -a, 0.0, -0.0], np.float32)
    assert cells("exact", t[None, :, None]) == [0, 1, 0, 2, 3, 3]
    wide = np.random.default_rng(0).normal(size=(1, 500, 40))
    wide[:, 250:] = wide[:, :250]
    wide[0, -1, 39] = np.nextafter(wide[0, -1, 39], 9)
    assert cells("exact", wide) == [*range(250), *range(249), 250]


def test_quantised_states_are_the_nearest_levels():
    t = np.random.default_rng(0).uniform(-1, 1, 3000)
    for bits in (1, 3, 8):
        levels = np.round((t + 1) / 2 * (2**bits - 1)).astype(int)
        found = from_name(f"quantised-{bits}").cells(column(*t), (-1, 1))[0]
        pairs = set(zip(levels.tolist(), found.tolist(), strict=True))
        assert len(pairs) == len(set(levels.tolist())) == len(set(found.tolist()))
    assert cells("quantised-1", column(-1, -0.1, 0.1, 1)) == [0, 0, 1, 1]
    assert cells("quantised-1", column(0, 1.4, 1.6, 3), (0, np.inf)) == [0, 0, 1, 1]


def test_a_constant_layer_has_one_cell():
    for name in ("exact", "quantised-8", "binned-unit-30"):
        assert cells(name, column(2, 2, 2)) == [0, 0, 0]
    assert cells("binned-extremes-30", column(2, 2, 2)) == [0, 0, 0]
    assert cells("binned-quantiles-30", column(2, 2, 2)) == [0, 0, 0]


def test_cells_of_a_width_go_on_without_end():
    assert cells("binned-width-0.5", column(-0.6, -0.5, 0, 0.49, 0.5, 100)) == [0, 1, 2, 2, 3, 4]
    assert cells("binned-width-0.5", column(0.5, 0.9, 1.0, -1e9)) == [0, 0, 1, 2]


def test_quantile_cells_hold_equal_counts_of_distinct_values_and_never_part_equal_ones():
    t = np.exp(np.linspace(-3, 3, 90))
    _, counts = np.unique(cells("binned-quantiles-30", column(*t)), return_counts=True)
    assert counts.tolist() == [3] * 30
    assert cells("binned-quantiles-2", column(0, 0, 0, 0, 1, 2, 3)) == [0, 0, 0, 0, 0, 1, 1]


def test_quantile_cells_are_invariant_under_monotone_maps():
    t = np.random.default_rng(0).normal(size=(2, 200, 3))
    estimator = from_name("binned-quantiles-9")
    assert np.array_equal(estimator.cells(t, (0, 1)), estimator.cells(np.sinh(t), (0, 1)))


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
    assert cells("binned-range-30", t[None, :, None]) == [0, 0, 1, 1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("units", [1, 3, 12, 13, 40])
def test_patterns_share_a_cell_where_all_their_units_do_however_many(name, units):
    rng = np.random.default_rng(units)
    levels = rng.uniform(-1.2, 1.2, 5).astype(np.float32)
    t = levels[rng.integers(0, 5, (2, 300, units))]
    t[:, 150:] = t[:, :150]
    estimator = from_name(name)
    together = estimator.cells(t, (-1, 1))
    for member in range(2):
        # The same cells, one unit at a time, on edges that all units of the layer share.
        alone = [
            estimator.cells(
                np.concatenate([t[[member], :, j], t[[member]].reshape(1, -1)], 1)[..., None],
                (-1, 1),
            )[0, :300]
            for j in range(units)
        ]
        rows = list(zip(*(one.tolist() for one in alone), strict=True))
        pairs = set(zip(rows, together[member].tolist(), strict=True))
        assert len(pairs) == len(set(rows)) == len(set(together[member].tolist()))


def test_cells_are_numbered_by_first_appearance_and_keys_that_collide_stay_apart():
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 2**64, 5000, dtype=np.uint64)
    keys[2500:] = keys[:2500]
    cells, table = np.empty(5000, np.int32), np.empty(8192, np.int32)
    assert counting.number(keys, cells, table) == 2500
    assert cells.tolist() == [*range(2500)] * 2


def test_layers_that_are_not_finite_have_no_cells():
    t = np.zeros((4, 5, 2), dtype=np.float32)
    t[1, 3, 1], t[2, 0, 0], t[3, 4, 1] = np.nan, np.inf, 1e30
    for name in NAMES:
        lost = (from_name(name).cells(t, (-np.inf, np.inf)) == counting.EMPTY).all(1)
        # A layer of 1e30 spans more cells of a fixed width than can be told apart.
        assert lost.tolist() == [False, True, True, "width" in name], name
    in_train = np.ones((4, 5), bool)
    found = counting.cell_information(
        from_name("binned-range-30").cells(t, (-1, 1)), *even(5), in_train
    )
    for values in found.values():
        assert np.isnan(values).tolist() == [False, True, True, False]


@pytest.mark.parametrize("labels", [2, 3])
def test_counted_information_is_the_exact_information_of_the_cells(labels):
    rng = np.random.default_rng(labels)
    p_x, p = rng.dirichlet(np.ones(500)), rng.dirichlet(np.full(labels, 0.2), 500)
    p[:100] = np.eye(labels)[rng.integers(0, labels, 100)]
    keys = rng.integers(0, [[3], [40], [400], [10**6]], (4, 500))
    cells = np.stack([np.unique(row, return_inverse=True)[1] for row in keys]).astype(np.int32)
    in_train = rng.random((4, 500)) < 0.3
    found = counting.cell_information(cells, p_x, p, in_train)
    i_x, i_y = information.of_cells(cells, p_x, p)
    assert found["information_input"] == pytest.approx(i_x, abs=1e-12)
    assert found["information_label"] == pytest.approx(i_y, abs=1e-12)
    assert found["occupied_cells"].tolist() == information.occupied(cells).tolist()
    assert found["occupied_cells_train"].tolist() == information.occupied(cells, in_train).tolist()


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


@pytest.mark.parametrize(
    ("w", "printed"), [(0.1, 1.144), (1, 3.325), (10, 5.114), (100, 6.796), (1000, 8.459)]
)
def test_one_relu_neuron_has_its_closed_form(w, printed):
    """relu(w x), x ~ N(0, 1), cells of width d: Phi((i + 1) d / w) - Phi(i d / w), half at 0."""
    width = 2 / 30
    edges = norm.cdf(np.arange(int(6 * w / width) + 2) * width / w)
    p = np.diff(edges)
    p[0] += 0.5
    assert information.entropy(p) == pytest.approx(printed, abs=5e-4)
    n = 100_000
    t = np.maximum(w * norm.ppf((np.arange(n) + 0.5) / n), 0)
    found = from_name(f"binned-width-{width}").cells(column(*t), (0, np.inf))
    i_x, _ = information.of_cells(found, *even(n))
    # Stratified points: each cell's share is off by at most 1/n, by which -p ln p changes by less
    # than (1 + ln n)/n; but a thousand cells of few points each cannot all be off one way.
    cells_hit = information.occupied(found)[0]
    assert i_x[0] == pytest.approx(information.entropy(p), abs=cells_hit * np.log2(n * np.e) / n)


def test_a_gaussian_in_narrow_cells_has_its_differential_entropy():
    n = 200_000
    x = norm.ppf((np.arange(n) + 0.5) / n)
    i_x, _ = information.of_cells(
        from_name("binned-width-0.1").cells(column(*x), (-np.inf, np.inf)), *even(n)
    )
    exact = information.entropy(np.diff(norm.cdf(np.arange(-80, 81) * 0.1)))
    assert exact == pytest.approx(5.3696, abs=5e-5)
    assert exact == pytest.approx(np.log2(2 * np.pi * np.e) / 2 - np.log2(0.1), abs=1e-3)
    assert i_x[0] == pytest.approx(exact, abs=100 * np.log2(n * np.e) / n)


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
