"""Distances to the bottleneck curve, on curves and encoders that are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr

from theory import bottleneck, limit

BIT = {"units": "bit"}


def bits(dims, values):
    return (dims, np.asarray(values, dtype=float), BIT)


def plane(dims, rates, relevance):
    return xr.Dataset(
        {"information_input": bits(dims, rates), "information_label": bits(dims, relevance)}
    )


def optimal_encoder(p_xy, beta, clusters, seed):
    """Fixed point of the bottleneck equations, from a random start."""
    p_x = p_xy.sum(1)
    rows = p_xy / p_x[:, None]
    encoder = np.random.default_rng(seed).dirichlet(np.ones(clusters), len(p_x))
    for _ in range(20_000):
        p_t = p_x @ encoder
        p_y_t = (encoder * p_x[:, None] / p_t).T @ rows
        weights = p_t * np.exp(-beta * rel_entr(rows[:, None], p_y_t).sum(-1))
        encoder = weights / weights.sum(1, keepdims=True)
    return encoder


def test_distances_are_those_to_a_broken_line():
    curve = plane("beta", [1, 2], [0.8, 1.0])
    run = plane(("layer",), [3, 0.5, 1.5, 2.0], [0.9, 0.2, 0.9, 1.1])
    found = limit.distance(run, curve)
    assert found.excess_input.values[:3] == pytest.approx([1.5, 0.25, 0.0], abs=1e-12)
    assert found.deficit_label.values == pytest.approx([0.1, 0.2, 0.0, -0.1], abs=1e-12)
    assert np.isnan(found.excess_input.values[3])
    assert found.excess_input.attrs["units"] == "bit"


def test_points_below_the_chord_of_others_do_not_bend_the_curve():
    curve = plane("beta", [2, 1, 0.5, 3], [1.0, 0.8, 0.1, 1.0])
    run = plane("layer", [0.5], [0.4])
    found = limit.distance(run, curve)
    assert found.deficit_label.item() == pytest.approx(0.0, abs=1e-12)
    assert found.excess_input.item() == pytest.approx(0.0, abs=1e-12)


def test_a_record_without_bits_is_refused():
    curve = plane("beta", [1], [1])
    nats = curve.assign(information_label=curve.information_label.assign_attrs(units="nat"))
    with pytest.raises(ValueError, match="'information_label' of the run has units 'nat'"):
        limit.distance(nats, curve)
    with pytest.raises(ValueError, match="curve holds no 'information_input'"):
        limit.distance(curve, curve.drop_vars("information_input"))


@pytest.mark.parametrize("beta", [4.0, 6.0, 9.0])
def test_an_optimal_encoder_has_its_own_beta_and_no_divergence(beta):
    rng = np.random.default_rng(4)
    p_xy = rng.dirichlet(np.ones(6))[:, None] * rng.dirichlet([0.3, 0.3, 0.3], 6)
    encoder = optimal_encoder(p_xy, beta, 3, seed=1)
    found, divergence = limit.fitted_beta(encoder, p_xy)
    assert found == pytest.approx(beta, rel=1e-6)
    assert divergence == pytest.approx(0, abs=1e-9)


def test_the_fit_is_the_least_divergence_over_beta():
    rng = np.random.default_rng(5)
    p_x, rows = rng.dirichlet(np.ones(40)), rng.dirichlet([0.4, 0.4], 40)
    cells = np.where(rows[:, 0] < 0.5, 3, 7)
    cells[:6] = 3
    encoder = (cells[:, None] == [3, 7]).astype(float)
    p_xy = p_x[:, None] * rows
    p_t = p_x @ encoder
    p_y_t = (encoder * p_x[:, None] / p_t).T @ rows

    def objective(beta):
        weights = p_t * np.exp(-beta * rel_entr(rows[:, None], p_y_t).sum(-1))
        optimal = weights / weights.sum(1, keepdims=True)
        return float(p_x @ rel_entr(encoder, optimal).sum(1)) / np.log(2)

    least = minimize_scalar(objective, bounds=(0, 50), method="bounded", options={"xatol": 1e-9})
    for found in (limit.fitted_beta_of_cells(cells, p_xy), limit.fitted_beta(encoder, p_xy)):
        assert found == pytest.approx((least.x, least.fun), rel=1e-5)


def test_hard_labels_sorted_by_label_have_an_infinite_beta_and_noise_has_none():
    p_xy = np.eye(2)[[0, 0, 1, 1]] / 4
    beta, divergence = limit.fitted_beta_of_cells(np.array([5, 5, 6, 6]), p_xy)
    assert divergence == pytest.approx(0, abs=1e-12)
    soft = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]) / 4
    assert limit.fitted_beta_of_cells(np.array([5, 5, 6, 6]), soft)[0] == np.inf
    beta, divergence = limit.fitted_beta_of_cells(np.array([5, 6, 5, 6]), soft)
    assert beta == 0
    assert divergence == pytest.approx(1)


def test_a_layer_that_knows_all_is_as_far_as_it_exceeds_the_sufficient_statistic():
    rng = np.random.default_rng(6)
    rows = rng.dirichlet([0.5, 0.5], 3)
    p_xy = np.repeat(rows, 4, axis=0) / 12
    curve = bottleneck.curve(p_xy)
    assert curve.sufficient_information.item() == pytest.approx(np.log2(3), abs=1e-12)
    run = plane("layer", [np.log2(12)], [curve.total_information.item() + 1e-13])
    found = bottleneck.distance(run, curve)
    assert found.excess_input.item() == pytest.approx(2, abs=1e-9)
    assert found.deficit_label.item() == pytest.approx(0, abs=1e-9)


def test_points_of_the_curve_are_at_no_distance_and_have_their_beta():
    rng = np.random.default_rng(7)
    p_xy = rng.dirichlet(np.ones(20)).reshape(10, 2)
    curve = bottleneck.curve(p_xy, [3, 8, 20])
    found = bottleneck.distance(curve, curve)
    assert np.abs(found.excess_input).max() < 1e-9
    assert np.abs(found.deficit_label).max() < 1e-9
    for i, beta in enumerate([3, 8, 20]):
        encoder = bottleneck.encoder(p_xy, curve.isel(beta=i)).values
        best, divergence = bottleneck.fitted_beta(encoder, p_xy)
        # A gap of 1e-6 nat in a convex Lagrangian leaves its square root in the encoder.
        assert divergence < 1e-4
        assert best == pytest.approx(beta, rel=0.02)
