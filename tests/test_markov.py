"""Layers as a Markov chain: what is known of one layer from the next, and its laws."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from theory import information, markov

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def binary_entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def channel(e):
    return np.array([[1 - e, e], [e, 1 - e]])


def test_two_binary_channels_in_a_row_are_one_with_the_errors_joined():
    """The crossover of BSC(a) then BSC(b) is a(1 - b) + b(1 - a)."""
    p_x = [0.5, 0.5]
    chain = markov.of_encoders([channel(0.1), channel(0.2)], p_x, channel(0.05), ["1", "2"])
    errors = np.array([0.1, 0.1 * 0.8 + 0.2 * 0.9])
    to_label = errors * 0.95 + 0.05 * (1 - errors)
    assert chain.information_input.values == pytest.approx(1 - binary_entropy(errors), abs=1e-14)
    assert chain.information_label.values == pytest.approx(1 - binary_entropy(to_label), abs=1e-14)
    before = [1 - binary_entropy(0.1), 1 - binary_entropy(0.2)]
    assert chain.information_before.values == pytest.approx(before, abs=1e-14)
    assert chain.entropy.values == pytest.approx([1, 1])
    assert chain.information_input.attrs["units"] == "bit"


@given(seeds)
def test_stochastic_layers_obey_the_data_processing_inequality(rng):
    encoders = [rng.dirichlet(np.full(b, 0.3), a) for a, b in ((6, 5), (5, 4), (4, 4))]
    p_x, p_y = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(3), 6)
    chain = markov.of_encoders(encoders, p_x, p_y, ["1", "2", "output"])
    for name in ("information_input", "information_label"):
        assert markov.processing_violations(chain[name]).max() < 1e-12
        assert (chain[name] > -1e-12).all()
    assert (chain.information_before >= chain.information_input - 1e-12).all()


@given(seeds)
def test_deterministic_layers_are_stochastic_ones_of_zeros_and_ones(rng):
    first, then = rng.integers(0, 5, 9), rng.integers(0, 3, 5)
    p_x, p_y = rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(2), 9)
    cells = np.stack([first, then[first]])
    exact = markov.of_layers(cells, p_x, p_y, ["1", "2"])
    same = markov.of_encoders([np.eye(5)[first], np.eye(3)[then]], p_x, p_y, ["1", "2"])
    for name in exact:
        assert exact[name].values == pytest.approx(same[name].values, abs=1e-12)
    assert exact.information_before.values == pytest.approx(exact.entropy.values, abs=1e-12)
    assert markov.refines(cells[0], cells[1])


def test_cells_that_do_not_decide_the_next_are_no_chain():
    """Popcount scaled by a thousandth and back: one cell, then thirteen."""
    popcount = (np.arange(4096)[:, None] >> np.arange(12) & 1).sum(1)
    p_x, p_y = np.full(4096, 1 / 4096), np.eye(2)[popcount % 2]
    chain = markov.of_layers(np.stack([np.zeros(4096, int), popcount]), p_x, p_y, ["1", "2"])
    assert chain.information_input.values == pytest.approx([0, 2.8385287436], abs=1e-10)
    assert chain.information_before.values == pytest.approx([0, 0], abs=1e-12)
    excess = markov.processing_violations(chain.information_input)
    assert excess.layer.values.tolist() == ["2"]
    assert excess.values == pytest.approx([2.8385287436], abs=1e-10)
    assert not markov.refines(np.zeros(4096, int), popcount)
    assert markov.refines(popcount, np.zeros(4096, int))


def test_a_chain_of_members_keeps_their_axis():
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 4, (3, 3, 50))
    p_x, p_y = np.full(50, 0.02), rng.dirichlet(np.ones(2), 50)
    chain = markov.of_layers(cells, p_x, p_y, ["1", "2", "output"])
    for member in range(3):
        alone = markov.of_layers(cells[:, member], p_x, p_y, ["1", "2", "output"])
        for name in chain:
            assert chain[name].values[:, member] == pytest.approx(alone[name].values, abs=1e-12)


def test_excess_needs_layers():
    with pytest.raises(ValueError, match=r"dims {'step': 3}, expected a layer dim of at least 2"):
        markov.processing_violations(xr.DataArray(np.zeros(3), dims="step"))


@given(seeds)
def test_measures_of_finite_distributions_obey_their_identities(rng):
    p = rng.dirichlet(np.full(24, 0.5)).reshape(2, 3, 4)
    p_xy, p_xz, p_z = p.sum(2), p.sum(1), p.sum((0, 1))
    chain_rule = information.mutual_information(p.reshape(2, 12))
    both = information.mutual_information(p_xz) + information.conditional_information(p)
    assert both == pytest.approx(chain_rule, abs=1e-12)
    independent = p_xy.sum(1, keepdims=True) * p_xy.sum(0)
    divergence = information.kl_divergence(p_xy, independent, axis=(0, 1))
    assert divergence == pytest.approx(information.mutual_information(p_xy), abs=1e-12)
    given_y = information.conditional_entropy(p_xy, base=np.e)
    expected = information.entropy(p_xy.sum(1), base=np.e) - np.log(2) * divergence
    assert given_y == pytest.approx(expected, abs=1e-12)
    by_z = [information.mutual_information(p[..., z] / p_z[z]) for z in range(4)]
    assert information.conditional_information(p) == pytest.approx(p_z @ by_z, abs=1e-12)
    assert information.kl_divergence(p_z, np.roll(p_z, 1)) >= 0


def test_divergence_from_a_distribution_without_the_event_is_infinite():
    assert information.kl_divergence([0.5, 0.5], [1, 0]) == np.inf
    assert information.kl_divergence([1, 0], [0.5, 0.5], base=np.e) == pytest.approx(np.log(2))


def test_what_cells_leave_open_of_a_decision_is_a_conditional_entropy():
    rng = np.random.default_rng(1)
    values, cells = rng.integers(0, 2, 60), rng.integers(0, 5, 60)
    p_x = rng.dirichlet(np.ones(60))
    joint = np.zeros((2, 5))
    np.add.at(joint, (values, cells), p_x)
    found = information.entropy_given_cells(values, cells, p_x)
    assert found == pytest.approx(information.conditional_entropy(joint), abs=1e-12)
