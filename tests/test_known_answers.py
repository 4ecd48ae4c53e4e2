"""Known answers: the truths are the printed numbers, and every estimator finds them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.special import entr

from simulations import known_answers as known
from simulations.known_answers_figure import draw

# Distance in units of the noise: lower bound, capacity, upper bound in bits, six decimals printed.
TWO_POINTS = {
    1: (0.087353, 0.160747, 0.316051),
    2: (0.316051, 0.485944, 0.816882),
    3: (0.594386, 0.759979, 0.984061),
    4: (0.816882, 0.912822, 0.999516),
    6: (0.984061, 0.994447, 1.000000),
    8: (0.999516, 0.999865, 1.000000),
}


def of(table, estimator):
    """Parameters, estimates, truths and standard errors of one estimator's rows."""
    rows = table.isel(row=np.flatnonzero(table.estimator == estimator))
    names = ("parameter", "estimate", "truth", "standard_error")
    return [rows[name].values for name in names]


def assert_within_four_standard_errors(table, estimator):
    _, estimate, truth, error = of(table, estimator)
    assert len(estimate)
    assert (abs(estimate - truth) < 4 * error).all()


@pytest.mark.parametrize("distance", TWO_POINTS)
def test_two_points_have_the_printed_capacity(distance):
    assert known.of_two_points(distance) == pytest.approx(TWO_POINTS[distance][1], abs=5.1e-7)


@pytest.mark.parametrize("distance", [1e-3, 0.1, 30.0, 1e3])
def test_points_close_by_and_far_apart_have_their_limits(distance):
    """D^2 / (8 ln 2) of small distances (less D^4 / (64 ln 2)), one bit of large ones."""
    expected = distance**2 / 8 / np.log(2) if distance < 1 else 1
    tolerance = 1e-12 if distance > 1 else distance**4 / 32 + 1e-12
    assert known.of_two_points(distance) == pytest.approx(expected, abs=tolerance)


def test_two_points_are_bracketed_by_the_printed_bounds_and_found_by_monte_carlo():
    table = known.two_points(list(TWO_POINTS))
    expected = np.array(list(TWO_POINTS.values())).T
    for name, printed in (("pairwise-lower-1", expected[0]), ("pairwise-upper-1", expected[2])):
        assert of(table, name)[1] == pytest.approx(printed, abs=5.1e-7)
    assert (of(table, "pairwise-lower-1")[1] < expected[1]).all()
    assert (of(table, "pairwise-upper-1")[1] > expected[1]).all()
    assert_within_four_standard_errors(table, "mixture")


@pytest.mark.parametrize(
    ("units", "half_edge", "variance", "truth"),
    [(8, 0.3, 0.04, 6.079832), (12, 0.05, 1e-3, 9.514937)],
)
def test_a_cube_has_the_printed_information(units, half_edge, variance, truth):
    table = known.hypercube(
        (1, units), half_edge=half_edge, variance=variance, samples=2 * 2**units
    )
    _, (one, many), truths, _ = of(table, f"pairwise-lower-{variance}")
    assert many == pytest.approx(units * one, abs=1e-9)
    assert truths[1] == pytest.approx(truth, abs=5.1e-7)
    assert many < truth < of(table, f"pairwise-upper-{variance}")[1][1]
    if units == 12:
        assert many == pytest.approx(7.638518, abs=5.1e-7)
        assert of(table, f"pairwise-upper-{variance}")[1][1] == pytest.approx(11.883742, abs=5.1e-7)
    assert_within_four_standard_errors(table, "mixture")


@pytest.fixture(scope="module")
def pair():
    return known.gaussian_pair((0, 0.5, 0.9, 0.99))


def test_a_gaussian_pair_has_its_closed_form(pair):
    _, estimate, truth, error = of(pair, "gaussian")
    assert truth == pytest.approx([0, 0.2075, 1.1980, 2.8255], abs=5.1e-5)
    assert estimate == pytest.approx(truth, abs=1e-12)
    assert np.isnan(error).all()


def test_neighbours_of_a_gaussian_pair_find_the_printed_numbers(pair):
    assert of(pair, "neighbours")[1] == pytest.approx([-0.011, 0.192, 1.184, 2.821], abs=5.1e-4)
    assert_within_four_standard_errors(pair, "neighbours")


def test_cells_tell_less_than_the_pair(pair):
    rho, estimate, truth, error = of(pair, "chao_wang_jost, 8 x 8 cells")
    assert (estimate < truth + 4 * error).all()
    # At a correlation the cells lose more than their sample is uncertain, and at 0 nothing.
    assert ((estimate < truth - 4 * error) == (rho > 0)).all()
    assert set(pair.kind.values[pair.estimator == "chao_wang_jost, 8 x 8 cells"]) == {"lower bound"}


@pytest.fixture(scope="module")
def layer():
    return known.linear_layer((0.1, 0.3, 10), repetitions=5)


def test_a_linear_layer_has_the_printed_information(layer):
    _, estimate, truth, _ = of(layer, "gaussian")
    assert truth[0] == pytest.approx(4.051473, abs=5.1e-7)
    assert estimate == pytest.approx(truth, abs=1e-12)


def test_neighbours_find_a_noisy_layer_and_fall_short_of_a_finer_one(layer):
    variance, estimate, truth, error = of(layer, "neighbours")
    assert variance.tolist() == [0.3, 10]
    assert abs(estimate[1] - truth[1]) < 4 * error[1]
    assert estimate[0] < truth[0] - 4 * error[0]


def test_neighbours_refuse_the_finest_layer(monkeypatch):
    monkeypatch.setattr(known, "COARSE", 0.1)
    with pytest.raises(ValueError, match="the estimate grows by"):
        known.linear_layer((0.1,))


TANH = {0.01: 1.0000, 0.871: 4.8998, 1: 4.8771, 10: 2.0442, 100: 1.1506, 1000: 1.0195}
RELU = {0.1: 1.144, 1: 3.325, 10: 5.114, 100: 6.796, 1000: 8.459}


@pytest.fixture(scope="module")
def tanh():
    return known.tanh_unit(list(TANH), grid=2**16)


@pytest.fixture(scope="module")
def relu():
    return known.relu_unit(list(RELU), grid=2**16)


def test_units_have_the_printed_entropies(tanh, relu):
    assert of(tanh, "binned-range-30")[2] == pytest.approx(list(TANH.values()), abs=5.1e-5)
    printed = of(relu, "chao_wang_jost, 2000 samples")[2]
    assert printed == pytest.approx(list(RELU.values()), abs=5.1e-4)


def test_a_tanh_unit_has_most_in_its_cells_at_the_printed_weight():
    table = known.tanh_unit([0.84, 0.871, 0.9], grid=2**10, repetitions=2)
    truth = of(table, "binned-range-30")[2]
    assert truth.argmax() == 1


def test_a_relu_unit_grows_by_half_a_bit_with_each_doubling():
    """1 + (log2(sqrt(2 pi e) w / width) - 1) / 2 of large weights."""
    p = known.relu_cells(1000.0, 2 / 30)
    expected = 1 + (np.log2(np.sqrt(2 * np.pi * np.e) * 1000 / (2 / 30)) - 1) / 2
    assert entr(p).sum() / np.log(2) == pytest.approx(expected, abs=1e-3)


def resolution(p, grid):
    """By how many bits the cells of a quantile grid may differ from their probabilities.

    Of ``grid`` points even in probability, a cell has its share to within one.
    """
    off = [entr(np.clip(p + step / grid, 0, 1)) - entr(p) for step in (-1, 1)]
    return np.abs(off).max(0).sum() / np.log(2)


def test_cells_of_all_inputs_have_their_closed_form_at_the_resolution_of_the_grid(tanh, relu):
    cells = {
        "binned-range-30": lambda w: known.tanh_cells(w, 30),
        f"binned-width-{2 / 30!r}": lambda w: known.relu_cells(w, 2 / 30),
    }
    for table, (name, probabilities) in zip((tanh, relu), cells.items(), strict=True):
        weights, estimate, truth, error = of(table, name)
        allowed = np.array([resolution(probabilities(w), 2**16) for w in weights])
        assert (allowed[:2] < 0.15).all()
        assert (abs(estimate - truth) < allowed).all()
        assert np.isnan(error).all()
        # The same from the grid's points up to each edge, counted in closed form.
        for w, bits in zip(weights, estimate, strict=True):
            upto = np.concatenate([[0], np.cumsum(probabilities(w))])
            p = np.diff(np.clip(np.ceil(2**16 * upto - 0.5), 0, 2**16)) / 2**16
            assert bits == pytest.approx(entr(p).sum() / np.log(2), abs=1e-9)


def test_samples_find_the_entropy_of_a_unit(tanh, relu):
    for table in (tanh, relu):
        assert_within_four_standard_errors(table, "chao_wang_jost, 2000 samples")


def test_all_cases_are_in_one_table_and_drawn_with_a_panel_and_its_differences_each(pair, tanh):
    table = xr.concat([pair, tanh], "row")
    assert {table[name].attrs["units"] for name in ("estimate", "truth", "standard_error")} == {
        "bit"
    }
    figure = draw(table)
    panels = figure.axes
    assert [ax.get_title() for ax in panels] == ["Gaussian pair", "cells of tanh(w x)", "", ""]
    assert all("[bit]" in ax.get_ylabel() for ax in panels)
    legend = [text.get_text() for text in panels[0].get_legend().get_texts()]
    cells = "chao_wang_jost, 8 x 8 cells, lower bound"
    assert sorted(legend) == sorted(["truth", "gaussian", "neighbours", cells])
    line = panels[0].get_lines()[0]
    assert line.get_ydata() == pytest.approx(of(pair, "gaussian")[2])
    plt.close(figure)
