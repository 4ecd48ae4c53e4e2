"""Bounds of a finite sample: printed numbers, coverage, and the optimum of the red curve."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq

from theory.finite_sample import data_bounds, fixed_bounds, gaps, red_curve
from theory.information import entropy, mutual_information
from theory.quantisers import deterministic_curve


def phi(u):
    return u * np.log(1 / u) if 0 < u < 1 / np.e else (1 / np.e if u else 0)


def coin_curve(heads=0.5):
    """Deterministic labels: the points (0, 0) and (H(Y), H(Y))."""
    return deterministic_curve(np.diag([1 - heads, heads]), [0.5, 2.0])


def bent_curve(points=401, units="bit"):
    """I_Y = R (2 - R)/2 bits for R up to 1, concave; three clusters."""
    r = np.linspace(0, 1, points)
    bit = {"units": units}
    return xr.Dataset(
        {
            "information_input": ("beta", r, bit),
            "information_label": ("beta", r * (2 - r) / 2, bit),
            "clusters": ("beta", np.full(points, 3), {"units": "1"}),
        },
        {"beta": 1 / (1 - r * (1 - 1e-9))},
    )


@pytest.mark.parametrize(("clusters", "printed", "rounding"), [(2, 2.416, 5e-4), (64, 58.6, 0.05)])
def test_bounds_are_vacuous_at_the_published_sample(clusters, printed, rounding):
    """The numbers are those of the first term; the second adds some thousandths of it."""
    found = fixed_bounds(3277, clusters, 2)
    second = (3 * (clusters + 1) - 4) / 3277 / np.log(2)
    assert found.label_bound - second == pytest.approx(printed, abs=rounding)
    assert found.label_bound > 1
    assert found.input_bound == pytest.approx(
        (clusters * np.log(3277) * np.sqrt(np.log(80) / 6554) + (clusters - 1) / 3277) / np.log(2)
    )


def test_two_clusters_need_31_thousand_samples_for_one_bit():
    def beyond(m):
        return float(fixed_bounds(m, 2, 2).label_bound) - 1

    assert brentq(beyond, 1e3, 1e6) == pytest.approx(31_000, abs=500)


def test_bounds_of_many_numbers_of_clusters_are_those_of_each():
    found = fixed_bounds(1000, [2, 5], 3, delta=0.1)
    for clusters in (2, 5):
        one = fixed_bounds(1000, clusters, 3, delta=0.1)
        assert found.label_bound.sel(clusters=clusters) == one.label_bound
        assert found.input_bound.sel(clusters=clusters) == one.input_bound


def test_data_bounds_are_their_printed_formulas():
    rng = np.random.default_rng(0)
    encoder, counts = rng.dirichlet(np.ones(3), 5), rng.integers(0, 500, (5, 2))
    counts[2] = 0
    m, delta = counts.sum(), 0.05
    n = 2 + np.sqrt(2 * np.log(4 / delta))
    h_t = [entropy(row, base=np.e) for row in encoder]
    h_y = [entropy(column / column.sum() @ encoder, base=np.e) for column in counts.T]

    def sums(n):
        return sum(phi(n * np.linalg.norm(t - t.mean()) / np.sqrt(m)) for t in encoder.T)

    input_bound = sums(n) + n * np.linalg.norm(h_t - np.mean(h_t)) / np.sqrt(m)
    label_bound = 2 * sums(n) + n * np.linalg.norm(h_y - np.mean(h_y)) / np.sqrt(m)
    r = 1 + np.sqrt(np.log(1 / delta))
    sharper = sums(r) + r * np.linalg.norm(h_t - np.mean(h_t)) / np.sqrt(m)
    found = data_bounds(encoder, counts)
    expected = np.array([input_bound, label_bound, sharper]) / np.log(2)
    assert [v.item() for v in found.values()] == pytest.approx(expected, rel=1e-12)
    assert found.input_bound_mcdiarmid < found.input_bound


def test_an_encoder_that_ignores_x_is_known_without_error():
    found = data_bounds(np.tile([0.3, 0.7], (6, 1)), np.ones((6, 2), int))
    assert [v.item() for v in found.values()] == pytest.approx([0, 0, 0], abs=1e-12)


def test_bounds_hold_for_the_worst_of_many_encoders():
    """All encoders at once, as the worst is chosen after the sample, which is fair game for them.

    5 % might be broken; as the typical slack is 30 to 200 none is expected to be.
    """
    rng = np.random.default_rng(1)
    p_xy = rng.dirichlet(np.ones(20)).reshape(10, 2)
    p_x = p_xy.sum(1)
    soft = rng.dirichlet(np.full(3, 0.3), (20, 10))
    hard = np.eye(3)[rng.integers(0, 3, (20, 10))]
    encoders = np.concatenate([soft, hard])
    slack = []
    for _ in range(8):
        counts = rng.multinomial(1000, p_xy.ravel()).reshape(10, 2)
        seen = counts / 1000
        for encoder in encoders:
            error_x = abs(
                mutual_information(p_x[:, None] * encoder)
                - mutual_information(seen.sum(1)[:, None] * encoder)
            )
            error_y = abs(
                mutual_information(encoder.T @ p_xy) - mutual_information(encoder.T @ seen)
            )
            bound = data_bounds(encoder, counts)
            assert error_x < bound.input_bound_mcdiarmid
            assert error_y < bound.label_bound
            fixed = fixed_bounds(1000, 3, 2)
            assert error_x < fixed.input_bound
            assert error_y < fixed.label_bound
            slack.append(bound.input_bound_mcdiarmid.item() / error_x)
    assert 30 < np.median(slack) < 200


@pytest.mark.parametrize("samples", [50, 100, 120])
def test_the_red_optimum_of_deterministic_labels_is_the_known_one(samples):
    """d/dR of R - c |Y| 2^R/sqrt n is 0 at R* = log2(sqrt n/(c |Y| log 2))."""
    red = red_curve(coin_curve(), samples, 2, constant=4.0)
    expected = np.log2(np.sqrt(samples) / (4 * 2 * np.log(2)))
    assert 0 < expected < 1
    assert red.optimal_information_input == pytest.approx(expected, abs=1e-12)
    value = expected - 8 * 2**expected / np.sqrt(samples)
    assert red.optimal_information_label == pytest.approx(value, abs=1e-12)
    assert red.attrs["constant"] == 4
    assert red.attrs["mode"] == "heuristic"


@pytest.mark.parametrize("heads", [0.5, 0.3])
def test_the_red_optimum_is_capped_at_the_label_entropy(heads):
    h_y = float(entropy([heads, 1 - heads]))
    red = red_curve(coin_curve(heads), 100_000, 2)
    assert red.optimal_information_input == pytest.approx(h_y, abs=1e-12)
    assert red.optimal_information_label == red.information_label.max()


def test_the_red_optimum_of_few_samples_is_to_know_nothing():
    red = red_curve(coin_curve(), 4, 2, constant=2.0)
    assert red.optimal_information_input == 0
    assert red.optimal_information_label == -2


@pytest.mark.parametrize("samples", [10, 100, 1000])
def test_the_optimum_on_lines_is_that_of_a_bent_curve(samples):
    """Lines of width 1/400 under a curve of second derivative 1 are within 1/400^2/8 of it."""
    red = red_curve(bent_curve(), samples, 2)
    r = np.linspace(0, 1, 2_000_001)
    worst = r * (2 - r) / 2 - 2 * 2**r / np.sqrt(samples)
    assert red.optimal_information_label == pytest.approx(worst.max(), abs=1 / 400**2 / 8)
    assert red.optimal_information_input == pytest.approx(r[worst.argmax()], abs=1 / 400)
    order = np.random.default_rng(0).permutation(401)
    shuffled = red_curve(bent_curve().isel(beta=order), samples, 2)
    assert shuffled.optimal_information_input == red.optimal_information_input


def test_the_penalty_is_what_the_worst_case_lacks():
    curve = bent_curve()
    red = red_curve(curve, 500, 2, constant=0.3)
    assert red.penalty.values == pytest.approx(0.6 * 2**curve.information_input / np.sqrt(500))
    assert (curve.information_label - red.penalty == red.information_label).all()


def test_bounds_make_red_curves_that_are_clipped_at_nothing():
    curve = bent_curve()
    vacuous = red_curve(curve, 3277, 2, mode="sst_fixed")
    assert (vacuous.information_label == 0).all()
    assert vacuous.optimal_information_input == 0
    many = 10**8
    red = red_curve(curve, many, 2, mode="sst_fixed", delta=0.01)
    bound = fixed_bounds(many, 3, 2, delta=0.01).label_bound.item()
    assert red.penalty.values == pytest.approx(bound, rel=1e-12)
    assert red.optimal_information_input == 1
    assert red.optimal_information_label == pytest.approx(0.5 - bound, abs=1e-12)
    assert red.attrs["delta"] == 0.01
    assert "constant" not in red.attrs


def test_bounds_of_the_data_make_a_red_curve_along_an_own_curve():
    """Encoders that name one of two equal labels with probability a, else nothing."""
    share = np.linspace(0, 1, 5)
    counts = np.diag([10**7, 10**7])
    bounds = [data_bounds([[a, 0, 1 - a], [0, a, 1 - a]], counts).label_bound.item() for a in share]
    bit = {"units": "bit"}
    curve = xr.Dataset(
        {
            "information_input": ("beta", share, bit),
            "information_label": ("beta", share, bit),
        },
        {"beta": np.arange(1, 6)},
    )
    bound = xr.DataArray(bounds, {"beta": curve.beta}, "beta", attrs=bit)
    red = red_curve(curve, 2 * 10**7, 2, mode="sst_data", label_bound=bound)
    assert red.information_label.values == pytest.approx(np.maximum(share - bounds, 0), abs=1e-15)
    assert red.optimal_information_label == red.information_label.max()


def test_gaps_are_distances_to_the_red_optimum():
    red = red_curve(coin_curve(), 100, 2, constant=4.0)
    r, i = red.optimal_information_input.item(), red.optimal_information_label.item()
    output = xr.DataArray([1.2, 0.9], dims="member")
    label = xr.DataArray([0.8, 0.7], dims="member")
    found = gaps(output, label, 1.0, red)
    assert found.complexity_gap.values == pytest.approx([1.2 - r, 0.9 - r], abs=1e-12)
    assert found.distortion.values == pytest.approx([0.2, 0.3], abs=1e-12)
    assert found.optimal_distortion == pytest.approx(1 - i, abs=1e-12)
    assert found.generalisation_gap.values == pytest.approx([0.2 - (1 - i), 0.3 - (1 - i)])
    at_optimum = gaps(r, i, 1.0, red)
    assert (at_optimum.complexity_gap, at_optimum.generalisation_gap) == pytest.approx((0, 0))


def test_every_variable_is_in_bits_and_has_a_long_name():
    red = red_curve(coin_curve(), 100, 2)
    found = [fixed_bounds(100, 2, 2), data_bounds(np.eye(2), np.eye(2, dtype=int)), red]
    found.append(gaps(1.0, 0.5, 1.0, red))
    for variable in [v for one in found for v in one.values()]:
        assert variable.units == "bit"
        assert variable.long_name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fixed_bounds(1, 2, 2), "samples are 1, expected at least 2"),
        (lambda: fixed_bounds(9, 0, 2), "clusters are 0, expected 1 or more"),
        (lambda: fixed_bounds(9, 2, 0), "labels are 0, expected at least 1"),
        (lambda: fixed_bounds(9, 2, 2, delta=1), "delta is 1, expected between 0 and 1"),
        (lambda: data_bounds(np.eye(2), [1, 2]), r"counts have shape \(2,\), expected \(x, y\)"),
        (lambda: data_bounds(np.eye(3), np.eye(2)), r"shape \(3, 3\), expected \(2, t\)"),
        (lambda: data_bounds(np.eye(2), np.eye(2) / 2), "a count is 0.5, expected integers"),
        (lambda: data_bounds(np.eye(2) / 2, np.eye(2)), "sums to 0.5 in row 0, expected 1"),
        (lambda: data_bounds(np.eye(2), np.zeros((2, 2))), "samples are 0, expected at least 2"),
        (lambda: red_curve(bent_curve(), 9, 2, mode="pac"), "mode 'pac' is unknown, expected one"),
        (lambda: red_curve(bent_curve(), 9, 2, constant=0), "constant is 0, expected finite"),
        (lambda: red_curve(bent_curve()[["clusters"]], 9, 2), "curve has clusters, expected 'info"),
        (
            lambda: red_curve(bent_curve().drop_vars("clusters"), 9, 2, mode="sst_fixed"),
            "expected 'clusters' too",
        ),
        (
            lambda: red_curve(bent_curve(), 9, 2, mode="sst_data"),
            "label_bound is None, expected that of data_bounds in mode sst_data",
        ),
        (
            lambda: red_curve(
                bent_curve(), 9, 2, mode="sst_data", label_bound=bent_curve(7).information_label
            ),
            "beta",
        ),
        (lambda: gaps(1.0, 0.5, np.nan, red_curve(coin_curve(), 9, 2)), "total is nan, expected"),
        (
            lambda: gaps(xr.DataArray(1, attrs={"units": "nat"}), 0.5, 1, None),
            "'information_input' has units 'nat', expected 'bit'",
        ),
        (lambda: red_curve(bent_curve().isel(beta=0), 9, 2), r"has dims \(\), expected \('beta'"),
        (
            lambda: red_curve(bent_curve(units="nat"), 9, 2),
            "has units 'nat', expected 'bit'",
        ),
        (lambda: red_curve(bent_curve().where(False), 9, 2), "'information_input' has values that"),
    ],
)
def test_what_is_no_sample_or_curve_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
