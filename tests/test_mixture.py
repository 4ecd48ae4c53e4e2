"""Monte Carlo over a known mixture: closed forms, its own standard errors, the pairwise bounds."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from ibdyn.estimators.mixture import Information, information, propagated
from ibdyn.estimators.pairwise import bounds
from theory.information import mutual_information

# Points at distance D (in sigma), capacity of the binary-input Gaussian channel in bits.
TWO_POINTS = [
    (1, 0.160747),
    (2, 0.485944),
    (3, 0.759979),
    (4, 0.912822),
    (6, 0.994447),
    (8, 0.999865),
]


def even(n):
    return np.full(n, 1 / n), np.eye(2)[np.arange(n) % 2]


def cube(units):
    """All corners (1, 2**units, units) of the cube of half edge 1, by the first unit's sign."""
    return (2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1) - 1)[None]


def clusters(members, patterns, units, labels, seed=0):
    """Patterns of unequal probability with soft and hard labels: t, p_x and p(y|x)."""
    rng = np.random.default_rng(seed)
    t = np.tanh(rng.normal(size=(members, patterns, units)))
    p = rng.dirichlet(np.full(labels, 0.3), patterns)
    p[::3] = np.eye(labels)[p[::3].argmax(-1)]
    return t, rng.dirichlet(np.ones(patterns)), p


def agree(a, b):
    """Whether independent estimates agree within four standard errors of their difference."""
    return bool(
        (abs(a.input - b.input) < 4 * np.hypot(a.input_error, b.input_error)).all()
        and (abs(a.label - b.label) < 4 * np.hypot(a.label_error, b.label_error)).all()
    )


@pytest.mark.parametrize(("distance", "truth"), TWO_POINTS)
def test_two_points_have_the_capacity_of_the_binary_gaussian_channel(distance, truth):
    # Copies of a point are that point, drawn as many times at once.
    t = np.tile([[0.0], [distance]], (1, 500, 1))
    found = information(t, *even(1000), 1, np.random.default_rng(distance), draws=20)
    assert abs(found.input[0] - truth) < 4 * found.input_error[0]
    assert found.input_error[0] < 0.01
    # The label is the point.
    assert found.label == pytest.approx(found.input, abs=1e-12)
    assert found.label_error == pytest.approx(found.input_error, abs=1e-12)


@pytest.mark.parametrize(
    ("units", "half_edge", "variance", "truth", "draws"),
    [(8, 0.3, 0.04, 6.079832, 40), (12, 0.05, 1e-3, 9.514937, 2)],
)
def test_a_cube_has_its_dimension_times_the_information_of_two_points(
    units, half_edge, variance, truth, draws
):
    t, patterns = half_edge * cube(units), 2**units
    rng = np.random.default_rng(units)
    found = information(t, *even(patterns), variance, rng, draws=draws)
    assert abs(found.input[0] - truth) < 4 * found.input_error[0]
    # The label is one unit.
    assert abs(found.label[0] - truth / units) < 4 * found.label_error[0]
    assert found.input_error[0] < 0.05


@pytest.mark.parametrize("draws", [1, 3])
def test_coincident_patterns_have_no_information_and_no_error(draws):
    t, rng = np.full((2, 100, 3), 0.7), np.random.default_rng(0)
    found = information(t, np.full(100, 0.01), np.full((100, 2), 0.5), 1e-3, rng, draws=draws)
    assert np.array(found) == pytest.approx(np.zeros((4, 2)), abs=1e-12)
    alone = information(t[:, :1], [1.0], [[0.5, 0.5]], 1e-3, rng, draws=draws)
    assert np.array(alone) == pytest.approx(np.zeros((4, 2)), abs=1e-12)


def test_patterns_far_apart_have_all_information_and_no_error():
    n = 1000
    t = np.arange(n, dtype=float)[None, :, None]
    found = information(t, *even(n), 1e-3, np.random.default_rng(0), draws=2)
    assert np.array(found)[:, 0] == pytest.approx([np.log2(n), 0, 1, 0], abs=1e-9)


def on_a_line(t, p_x, p_y_given_x):
    """I(T+Z;Y) in bits of points on a line under unit noise, by quadrature.

    The trapezoid rule on a grid of 0.01 over ten standard deviations is exact to rounding.
    """
    z = np.arange(min(t) - 10, max(t) + 10, 0.01)
    density = np.exp(-((z - np.array(t)[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi)
    return mutual_information(density.T @ (p_x[:, None] * p_y_given_x) * 0.01)


@pytest.mark.parametrize("seed", range(3))
def test_unequal_points_and_soft_labels_have_their_quadrature(seed):
    rng = np.random.default_rng(seed)
    t, p_x, p = rng.uniform(0, 6, 9), rng.dirichlet(np.ones(9)), rng.dirichlet([0.4] * 3, 9)
    copies = np.tile(t, 100)[None, :, None], np.tile(p_x, 100) / 100, np.tile(p, (100, 1))
    found = information(*copies, 1, rng, draws=40)
    assert abs(found.input[0] - on_a_line(t, p_x, np.eye(9))) < 4 * found.input_error[0]
    assert abs(found.label[0] - on_a_line(t, p_x, p)) < 4 * found.label_error[0]


@pytest.mark.parametrize("variance", [1e-3, 0.03, 1.0])
@pytest.mark.parametrize(("units", "labels"), [(2, 2), (5, 3)])
def test_the_pairwise_bounds_hold_the_estimate(units, labels, variance):
    t, p_x, p = clusters(3, 300, units, labels)
    sides = bounds(t, p_x, p, variance)
    found = information(t, p_x, p, variance, np.random.default_rng(0), draws=20)
    assert (sides.input_lower - 4 * found.input_error < found.input).all()
    assert (found.input < sides.input_upper + 4 * found.input_error).all()
    assert (sides.label_lower - 4 * found.label_error < found.label).all()
    assert (found.label < sides.label_upper + 4 * found.label_error).all()


@pytest.mark.parametrize("draws", [2, 8])
def test_the_standard_error_is_the_spread_of_repeated_estimates(draws):
    """Estimates of 300 members that are one and the same, from noises of their own."""
    t, p_x, p = clusters(1, 60, 2, 2)
    repeats = 300
    rng = np.random.default_rng(1)
    found = information(np.tile(t, (repeats, 1, 1)), p_x, p, 0.1, rng, draws=draws)
    for estimate, error in ((found.input, found.input_error), (found.label, found.label_error)):
        # Squared errors average to the variance, which the repeats estimate to sqrt(2 / n) of it.
        spread, claimed = estimate.var(ddof=1), error**2
        doubt = np.hypot(spread * np.sqrt(2 / repeats), claimed.std() / np.sqrt(repeats))
        assert abs(claimed.mean() - spread) < 4 * doubt


def test_with_one_draw_the_standard_error_is_no_less_than_the_spread():
    t, p_x, p = clusters(1, 60, 2, 2)
    repeats = 300
    many = np.tile(t, (repeats, 1, 1))
    found = information(many, p_x, p, 0.1, np.random.default_rng(1))
    for estimate, error in ((found.input, found.input_error), (found.label, found.label_error)):
        spread, claimed = estimate.var(ddof=1), error**2
        doubt = np.hypot(spread * np.sqrt(2 / repeats), claimed.std() / np.sqrt(repeats))
        assert claimed.mean() > spread - 4 * doubt


def test_with_one_draw_the_differences_between_patterns_count_as_error():
    """Half the patterns are one (1 bit each), half are far apart (6 bits): nothing is random."""
    t = np.maximum(np.arange(64.0) - 31, 0)[None, :, None]
    one = information(t, *even(64), 1e-4, np.random.default_rng(0))
    two = information(t, *even(64), 1e-4, np.random.default_rng(0), draws=2)
    assert [one.input[0], two.input[0]] == pytest.approx([3.5, 3.5], abs=1e-9)
    assert two.input_error[0] == pytest.approx(0, abs=1e-9)
    assert one.input_error[0] == pytest.approx(2.5 * (64 / 63) / np.sqrt(64), abs=1e-9)


def test_the_estimate_has_no_bias():
    """The mean of many one-draw estimates and one estimate with many draws agree."""
    t, p_x, p = clusters(1, 60, 2, 2)
    rng = np.random.default_rng(2)
    few = information(np.tile(t, (1000, 1, 1)), p_x, p, 0.1, rng)
    mean = Information(*(np.array([bits.mean()]) for bits in few))
    error = [np.array([bits.std() / np.sqrt(1000)]) for bits in (few.input, few.label)]
    few_mean = mean._replace(input_error=error[0], label_error=error[1])
    assert agree(few_mean, information(t, p_x, p, 0.1, rng, draws=1000))


def test_estimates_obey_the_laws_of_isotropic_noise():
    t, p_x, p = clusters(2, 200, 4, 2)
    rng = np.random.default_rng(1)
    expected = information(t, p_x, p, 0.05, rng, draws=50)
    units, patterns = rng.permutation(4), rng.permutation(200)
    rotation = ortho_group.rvs(4, random_state=rng)
    same = {
        "units permuted": (t[..., units], p_x, p, 0.05),
        "patterns permuted": (t[:, patterns], p_x[patterns], p[patterns], 0.05),
        "signs flipped": (t * [1, -1, 1, -1], p_x, p, 0.05),
        "rotated": (t @ rotation, p_x, p, 0.05),
        "scaled with the noise": (3 * t, p_x, p, 0.05 * 9),
        "units doubled, and the variance": (np.tile(t, 2), p_x, p, 0.1),
        "a silent unit": (np.pad(t, [(0, 0), (0, 0), (0, 1)]), p_x, p, 0.05),
    }
    for law, given in same.items():
        assert agree(information(*given, rng, draws=50), expected), law


def test_estimates_obey_to_rounding_the_laws_that_keep_the_noise():
    t, p_x, p = clusters(2, 200, 4, 2)
    expected = np.array(information(t, p_x, p, 0.05, np.random.default_rng(1), draws=3))
    moved = information(t + 1, p_x, p, 0.05, np.random.default_rng(1), draws=3)
    assert np.array(moved) == pytest.approx(expected, abs=1e-10)
    scaled = information(3 * t, p_x, p, 0.45, np.random.default_rng(1), draws=3)
    assert np.array(scaled) == pytest.approx(expected, abs=1e-10)


def test_wide_layers_and_draws_nearer_to_another_pattern_do_not_overflow():
    """2000 units: densities of exp(-1000) and less, whose ratios are still of order 1."""
    rng = np.random.default_rng(0)
    t = 0.02 * rng.normal(size=(1, 32, 2000))
    found = information(t, *even(32), 1, rng, draws=50)
    sides = bounds(t, *even(32), 1)
    assert sides.input_lower[0] - 4 * found.input_error[0] < found.input[0]
    assert found.input[0] < sides.input_upper[0] + 4 * found.input_error[0]


def test_patterns_without_probability_change_nothing():
    t, p_x, p = clusters(1, 200, 3, 2)
    expected = information(t, p_x, p, 0.05, np.random.default_rng(1), draws=2)
    more, none = np.concatenate([t, t + 0.01], 1), np.concatenate([p_x, np.zeros(200)])
    found = information(more, none, np.tile(p, (2, 1)), 0.05, np.random.default_rng(1), draws=2)
    assert np.array_equal(found, expected)


def test_patterns_and_labels_without_probability_change_nothing_in_noisy_networks():
    t, p_x, p = clusters(3, 100, 3, 2)
    more, none = np.concatenate([t, t + 0.01], 1), np.concatenate([p_x, np.zeros(100)])
    never = np.eye(3)[np.full(100, 2)]
    labels = np.concatenate([np.pad(p, ((0, 0), (0, 1))), never])
    expected = propagated(t[None], p_x, p, 0.05, np.random.default_rng(1))
    found = propagated(more[None], none, labels, 0.05, np.random.default_rng(1))
    assert np.array_equal(found, expected)


def test_paths_that_all_coincide_are_draws_of_a_network_without_noise():
    t, p_x, p = clusters(2, 100, 3, 3)
    t = t.astype(np.float32)
    draws = information(t, p_x, p, 0.05, np.random.default_rng(1), draws=4)
    paths = np.repeat(t[:, None], 4, axis=1)
    found = propagated(paths, p_x, p, 0.05, np.random.default_rng(1))
    assert np.allclose(found, draws, rtol=1e-12, atol=0)


def test_members_that_share_a_generator_have_draws_of_their_own():
    t, p_x, p = clusters(1, 100, 3, 2)
    one, other = (
        information(np.repeat(t, 2, axis=0), p_x, p, 0.05, np.random.default_rng(k)).input
        for k in (1, 2)
    )
    assert len({*one, *other}) == 4


def test_single_precision_is_that_of_the_centres_alone():
    t, p_x, p = clusters(3, 100, 3, 2)
    t = t[None].astype(np.float32)
    found, expected = (
        propagated(centres, p_x, p, 0.3, np.random.default_rng(1))
        for centres in (t, t.astype(float))
    )
    assert np.array_equal(found, expected)


def test_a_single_path_is_refused():
    t, p_x, p = clusters(1, 10, 3, 2)
    with pytest.raises(ValueError, match=r"\(1, 1, 10, 3\).* at least 2 paths"):
        propagated(t[None], p_x, p, 0.05, np.random.default_rng(1))


def test_one_pattern_has_no_information_in_any_draw_of_a_noisy_network():
    """Each draw's own mixture is then the whole mixture."""
    centres = np.random.default_rng(0).normal(size=(1, 8, 1, 3))
    found = propagated(centres, [1.0], [[0.3, 0.7]], 0.25, np.random.default_rng(1))
    assert np.abs(np.array(found)).max() < 1e-12


def test_a_member_with_a_generator_of_its_own_has_the_same_bits_in_any_company():
    t, p_x, p = clusters(4, 300, 3, 2)
    t[1, 7, 2] = np.nan
    together = information(t, p_x, p, 0.01, [np.random.default_rng(k) for k in range(4)], draws=2)
    assert np.isnan(np.array(together)).all(0).tolist() == [False, True, False, False]
    for k in (0, 2, 3):
        alone = information(t[[k]], p_x, p, 0.01, [np.random.default_rng(k)], draws=2)
        assert np.array_equal(np.array(alone)[:, 0], np.array(together)[:, k])


def test_a_member_that_is_not_finite_leaves_the_noise_of_the_others_as_it_is():
    t, p_x, p = clusters(3, 200, 3, 2)
    expected = np.array(information(t, p_x, p, 0.01, np.random.default_rng(0), draws=2))
    t[1, 0, 0] = np.inf
    found = np.array(information(t, p_x, p, 0.01, np.random.default_rng(0), draws=2))
    assert np.isnan(found[:, 1]).all()
    assert np.array_equal(found[:, [0, 2]], expected[:, [0, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variance": 0}, "variance is 0, expected more than 0"),
        ({"draws": 0}, "draws is 0, expected at least 1"),
        ({"rng": []}, "0 generators for 1 members, expected one for each"),
        ({"rng": [np.random.default_rng(0)] * 2}, "2 generators for 1 members"),
        ({"p_x": np.full(3, 1 / 3)}, r"shapes \(3,\) and \(4, 2\), expected \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"activations": np.zeros((1, 4, 2)), "p_x": np.full(4, 0.25), "variance": 1.0}
    given |= {"p_y_given_x": np.eye(2)[[0, 1, 0, 1]], "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        information(**(given | change))
