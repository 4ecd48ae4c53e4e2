"""Pairwise bounds: closed forms, the plain full-matrix form, the laws of isotropic noise."""

import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import ortho_group

from ibdyn.estimators.pairs import TILE
from ibdyn.estimators.pairwise import Bounds, bounds
from theory import information

# Points at distance D (in sigma): lower bound, capacity of the binary-input Gaussian channel by
# quadrature, upper bound, in bits.
TWO_POINTS = [
    (1, 0.087353, 0.160747, 0.316051),
    (2, 0.316051, 0.485944, 0.816882),
    (3, 0.594386, 0.759979, 0.984061),
    (4, 0.816882, 0.912822, 0.999516),
    (6, 0.984061, 0.994447, 1.000000),
    (8, 0.999516, 0.999865, 1.000000),
]


def plain(t, p_x, p_y_given_x, variance):
    """Bounds of one member t (pattern, unit) from the full matrix, in float64."""
    t = t.astype(float)
    square = sum((column[:, None] - column) ** 2 for column in t.T)
    w = p_x[:, None] * p_y_given_x

    def entropy(p, scale):
        """-sum_i p_i ln sum_j p_j exp(-scale D_ij) in bits: h up to a constant."""
        seen = p > 0
        inside = square[np.ix_(seen, seen)]
        return -p[seen] @ logsumexp(-scale * inside, b=p[seen], axis=1) / np.log(2)

    lower, upper = 1 / (8 * variance), 1 / (2 * variance)
    p_y = w.sum(0)
    given = [
        sum(p * entropy(c / p, s) for p, c in zip(p_y, w.T, strict=True) if p > 0)
        for s in (lower, upper)
    ]
    total = [entropy(p_x, lower), entropy(p_x, upper)]
    return Bounds(*total, total[0] - given[1], total[1] - given[0], total[1] - given[1])


def even(n):
    return np.full(n, 1 / n), np.eye(2)[np.arange(n) % 2]


def cube(units):
    """All corners (1, 2**units, units) of the cube of half edge 1."""
    return (2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1) - 1)[None]


def layers(members, patterns, units, labels, kind, seed=0):
    """Clusters with distributions of every sort: t, p_x and p(y|x)."""
    rng = np.random.default_rng(seed)
    t = np.tanh(rng.normal(size=(members, patterns, units)) * rng.uniform(0.1, 4, units))
    t[:, : patterns // 8] = t[:, :1]
    p = rng.dirichlet(np.full(labels, 0.3), patterns)
    p_x = rng.dirichlet(np.ones(patterns))
    if kind == "hard":
        p = np.eye(labels)[p.argmax(-1)]
    elif kind == "mixed":
        p[::3] = np.eye(labels)[p[::3].argmax(-1)]
        p_x[::5] = 0
        p_x /= p_x.sum()
    return t, p_x, p


@pytest.mark.parametrize(("distance", "lower", "_", "upper"), TWO_POINTS)
def test_two_points_have_their_closed_forms(distance, lower, _, upper):
    t = np.array([[[0.0], [distance]]])
    found = bounds(t, *even(2), variance=1)
    assert found.input_lower[0] == pytest.approx(lower, abs=5.1e-7)
    assert found.input_upper[0] == pytest.approx(upper, abs=5.1e-7)
    closed = [-np.log2((1 + np.exp(-(distance**2) / q)) / 2) for q in (8, 2)]
    assert found.input_lower[0] == pytest.approx(closed[0], abs=1e-9)
    assert found.input_upper[0] == pytest.approx(closed[1], abs=1e-9)
    # The label is the point, and one point has no error: the interval is that of the input.
    assert found.label_lower == pytest.approx(found.input_lower, abs=1e-12)
    assert found.label_upper == pytest.approx(found.input_upper, abs=1e-12)
    assert found.label_published == pytest.approx(found.input_upper, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-9)])
def test_a_cube_has_its_dimension_times_the_bounds_of_two_points(dtype, tolerance):
    t = (0.05 * cube(12)).astype(dtype)
    found = bounds(t, *even(4096), variance=1e-3)
    square = (2 * t[0, -1, 0].astype(float)) ** 2
    closed = [-12 * np.log2((1 + np.exp(-square / q)) / 2) for q in (8e-3, 2e-3)]
    assert found.input_lower[0] == pytest.approx(closed[0], abs=tolerance)
    assert found.input_upper[0] == pytest.approx(closed[1], abs=tolerance)
    # float32 has another 0.05: 7e-10 off, which moves a bound by 12 / ln 2 * 0.1 / 1e-3 of it.
    assert found.input_lower[0] == pytest.approx(7.638518, abs=2e-6)
    assert found.input_upper[0] == pytest.approx(11.883742, abs=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 100, 128, 1000])
def test_coincident_patterns_have_no_information(n, dtype):
    t = np.full((1, n, 3), 0.7, dtype)
    found = bounds(t, np.full(n, 1 / n), np.full((n, 2), 0.5), variance=1e-3)
    assert np.concatenate(found) == pytest.approx(np.zeros(5), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_patterns_far_apart_have_all_information(dtype):
    n = 1000
    t = np.arange(n, dtype=dtype)[None, :, None]
    found = bounds(t, *even(n), variance=1e-3)
    assert found.input_lower[0] == pytest.approx(np.log2(n), abs=1e-9)
    assert found.input_upper[0] == pytest.approx(np.log2(n), abs=1e-9)
    assert found.label_lower[0] == pytest.approx(1, abs=1e-9)
    assert found.label_upper[0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-11)])
@pytest.mark.parametrize("kind", ["hard", "soft", "mixed"])
@pytest.mark.parametrize(
    ("patterns", "units", "labels"), [(2, 1, 2), (127, 2, 3), (700, 5, 2), (600, 12, 7)]
)
def test_bounds_are_those_of_the_full_matrix(patterns, units, labels, kind, dtype, tolerance):
    t, p_x, p = layers(2, patterns, units, labels, kind)
    t = t.astype(dtype)
    for variance in (1e-3, 0.1):
        found = bounds(t, p_x, p, variance)
        for k in range(2):
            expected = plain(t[k], p_x, p, variance)
            assert [bound[k] for bound in found] == pytest.approx(list(expected), abs=tolerance)


def test_the_single_precision_error_does_not_grow_with_equal_terms():
    """Sums of a weight that float32 has not exactly, 4096 times over."""
    t = np.zeros((1, 4096, 2), np.float32)
    p = np.tile([1 / 3, 2 / 3], (4096, 1))
    p[0] = [0, 1]
    found = bounds(t, np.full(4096, 1 / 4096), p, variance=1e-3)
    assert np.concatenate(found[:2]) == pytest.approx(np.zeros(2), abs=1e-6)


def test_an_offset_costs_no_precision():
    """Differences of float32 numbers close to each other are exact, products are not."""
    t = np.random.default_rng(0).integers(0, 64, (1, 500, 3)).astype(np.float32) / 1024
    near, far = bounds(t, *even(500), 1e-4), bounds(t + np.float32(1024), *even(500), 1e-4)
    assert np.array_equal(near, far)


@pytest.mark.parametrize("kind", ["hard", "soft", "mixed"])
def test_the_lower_bound_is_the_upper_one_at_four_times_the_variance(kind):
    t, p_x, p = layers(3, 300, 4, 3, kind)
    found, wider = bounds(t, p_x, p, 0.01), bounds(t, p_x, p, 0.04)
    assert found.input_lower == pytest.approx(wider.input_upper, abs=1e-11)


@pytest.mark.parametrize("kind", ["hard", "soft", "mixed"])
def test_the_bounds_are_in_order_and_the_published_form_lies_between(kind):
    t, p_x, p = layers(5, 300, 3, 3, kind)
    for variance in (1e-4, 1e-2, 1):
        found = bounds(t, p_x, p, variance)
        assert (found.input_lower <= found.input_upper).all()
        assert (found.label_lower <= found.label_published).all()
        assert (found.label_published <= found.label_upper).all()
        # Nothing is known of a label that is not known of the pattern, bound by bound.
        assert (found.label_lower <= found.input_lower + 1e-12).all()


def on_a_line(t, p_x, p_y_given_x):
    """I(T+Z;Y) in bits of points on a line under unit noise, by quadrature.

    The trapezoid rule on a grid of 0.01 over ten standard deviations is exact to rounding.
    """
    z = np.arange(min(t) - 10, max(t) + 10, 0.01)
    density = np.exp(-((z - np.array(t)[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi)
    cells = density.T @ (p_x[:, None] * p_y_given_x) * 0.01
    return information.mutual_information(cells)


def test_the_published_form_is_no_bound():
    """Below the truth where the error within a class is the larger one, and above it elsewhere."""
    t = [0.0, 2.0, 0.0]
    p_x, p = np.array([0.49, 0.01, 0.5]), np.eye(2)[[0, 0, 1]]
    below = bounds(np.array(t)[None, :, None], p_x, p, 1)
    truth = on_a_line(t, p_x, p)
    assert below.label_lower[0] < below.label_published[0] < truth - 1e-5
    assert truth < below.label_upper[0]
    above = bounds(np.array([[[0.0], [2.0]]]), *even(2), 1)
    assert above.label_published[0] > on_a_line([0.0, 2.0], *even(2)) + 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_truth_on_a_line(seed):
    rng = np.random.default_rng(seed)
    t, p_x, p = rng.uniform(0, 6, 9), rng.dirichlet(np.ones(9)), rng.dirichlet([0.4] * 3, 9)
    found = bounds(t[None, :, None], p_x, p, 1)
    assert found.label_lower[0] < on_a_line(t, p_x, p) < found.label_upper[0]
    assert found.input_lower[0] < on_a_line(t, p_x, np.eye(9)) < found.input_upper[0]


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_bounds_obey_the_laws_of_isotropic_noise(kind):
    t, p_x, p = layers(2, 300, 5, 2, kind)
    rng = np.random.default_rng(1)
    expected = np.array(bounds(t, p_x, p, 0.02))
    units, patterns = rng.permutation(5), rng.permutation(300)
    same = {
        "units permuted": bounds(t[..., units], p_x, p, 0.02),
        "patterns permuted": bounds(t[:, patterns], p_x[patterns], p[patterns], 0.02),
        "signs flipped": bounds(t * [1, -1, 1, -1, -1], p_x, p, 0.02),
        "rotated": bounds(t @ ortho_group.rvs(5, random_state=rng), p_x, p, 0.02),
        "moved": bounds(t + rng.normal(size=5), p_x, p, 0.02),
        "scaled with the noise": bounds(3 * t, p_x, p, 0.02 * 9),
        "units doubled, and the variance": bounds(np.tile(t, 2), p_x, p, 0.04),
        "a silent unit": bounds(np.pad(t, [(0, 0), (0, 0), (0, 1)]), p_x, p, 0.02),
    }
    for law, found in same.items():
        assert np.array(found) == pytest.approx(expected, abs=1e-11), law


def test_scaling_and_doubling_change_the_bounds_at_the_same_noise():
    t, p_x, p = layers(1, 300, 5, 2, "hard")
    assert bounds(t, p_x, p, 0.02).input_lower < bounds(2 * t, p_x, p, 0.02).input_lower
    assert bounds(t, p_x, p, 0.02).input_lower < bounds(np.tile(t, 2), p_x, p, 0.02).input_lower


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_member_has_the_same_bits_in_any_company_and_layout(dtype):
    t, p_x, p = layers(5, 300, 3, 2, "soft")
    t = t.astype(dtype)
    together = np.array(bounds(t, p_x, p, 0.01))
    for k in range(5):
        alone = bounds(np.asfortranarray(t[[k]]), p_x, p, 0.01)
        assert np.array_equal(np.array(alone)[:, 0], together[:, k])


def test_a_member_that_is_not_finite_is_nan_and_alone_in_that():
    t, p_x, p = layers(4, 200, 3, 2, "hard")
    expected = np.array(bounds(t, p_x, p, 0.01))
    t[1, 7, 2], t[3, 199, 0] = np.nan, -np.inf
    found = np.array(bounds(t, p_x, p, 0.01))
    assert np.isnan(found[:, [1, 3]]).all()
    assert np.array_equal(found[:, [0, 2]], expected[:, [0, 2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("variance", [5e-324, 1e-200, 1e-30, 1e30, 1e200])
def test_extreme_variances_see_all_patterns_or_none(variance, dtype):
    t = np.repeat(np.arange(64, dtype=dtype), 2)[None, :, None]
    found = bounds(t, *even(128), variance)
    assert np.concatenate(found[:2]) == pytest.approx(6 if variance < 1 else 0, abs=1e-9)


def test_activations_near_the_end_of_single_precision_are_measured():
    t = np.float32(3e38) * np.array([[[-1], [-1], [1], [1]]], np.float32)
    for variance, bits in ((1e-3, 1), (1e70, 1), (1e90, 0)):
        found = bounds(t, *even(4), variance)
        assert np.concatenate(found[:2]) == pytest.approx(bits, abs=1e-3)


def test_a_label_too_rare_for_single_precision_is_counted():
    t = np.arange(4, dtype=np.float32)[None, :, None]
    p = np.array([[1 - 1e-60, 1e-60], [1, 0], [1, 0], [1, 0]])
    found = bounds(t, np.full(4, 0.25), p, 1e-3)
    assert np.concatenate(found[2:]) == pytest.approx(np.zeros(3), abs=1e-12)


def test_memory_is_that_of_the_layer_and_not_of_its_pairs():
    t, p_x, p = layers(2, 32 * TILE, 12, 2, "soft")
    t = t.astype(np.float32)
    bounds(t[:, :TILE], np.full(TILE, 1 / TILE), p[:TILE], 0.01)
    tracemalloc.start()
    bounds(t, p_x, p, 0.01)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The layer is 0.4 MB, one matrix of all pairs 64 MB.
    assert peak < 8e6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variance": 0}, "variance is 0, expected more than 0"),
        ({"variance": -1.0}, "variance is -1.0, expected more than 0"),
        ({"variance": np.nan}, "variance is nan, expected more than 0"),
        ({"variance": np.inf}, "variance is inf, expected more than 0 and finite"),
        ({"activations": np.zeros((4, 2))}, r"shape \(4, 2\), expected \(member, pattern, unit\)"),
        ({"p_x": np.full(3, 1 / 3)}, r"shapes \(3,\) and \(4, 2\), expected \(4,\) and \(4, label"),
        ({"p_x": np.ones(4)}, "p_x is no distribution"),
        ({"p_y_given_x": np.full((4, 2), 0.4)}, "p_y_given_x is no distribution"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"activations": np.zeros((1, 4, 2)), "p_x": np.full(4, 0.25)}
    given |= {"p_y_given_x": np.eye(2)[[0, 1, 0, 1]], "variance": 1.0}
    with pytest.raises(ValueError, match=message):
        bounds(**(given | change))
