"""Exact information of finite distributions, against values worked out on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ibdyn import tasks
from theory import information

X = tasks.hypercube(12)
UNIFORM = np.full(4096, 1 / 4096)
POPCOUNT = X.sum(-1).astype(int)
PARITY = POPCOUNT % 2


def binary_entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def test_entropy_of_known_distributions():
    assert information.entropy([1, 0, 0]) == 0
    assert information.entropy(np.full(8, 1 / 8)) == 3
    assert information.entropy(np.full(8, 1 / 8), base=np.e) == pytest.approx(3 * np.log(2))
    assert information.entropy([[0.5, 0.5], [1, 0]]).tolist() == [1, 0]


def test_mutual_information_of_a_binary_symmetric_channel():
    joint = np.array([[0.45, 0.05], [0.05, 0.45]])
    assert information.mutual_information(joint) == pytest.approx(
        1 - binary_entropy(0.1), abs=1e-14
    )


@pytest.mark.parametrize(
    ("cells", "labels", "input_bits", "label_bits"),
    [
        (np.arange(4096), np.eye(2)[PARITY], 12.0, 1.0),
        (POPCOUNT, np.eye(2)[PARITY], 2.8385287436, 1.0),
        (PARITY, np.eye(2)[PARITY], 1.0, 1.0),
        (np.arange(4096) // 2, np.eye(2)[PARITY], 11.0, 0.0),
        (PARITY, np.array([[0.9, 0.1], [0.1, 0.9]])[PARITY], 1.0, 0.5310044064),
        (np.arange(4096), np.array([[0.9, 0.1], [0.1, 0.9]])[PARITY], 12.0, 0.5310044064),
        (POPCOUNT, np.eye(2)[(POPCOUNT >= 6).astype(int)], 2.8385287436, 0.9629734744),
    ],
)
def test_information_of_cells_of_known_tasks(cells, labels, input_bits, label_bits):
    i_x, i_y = information.of_cells(cells, UNIFORM, labels)
    assert i_x == pytest.approx(input_bits, abs=1e-10)
    assert i_y == pytest.approx(label_bits, abs=1e-10)


def test_the_popcount_of_the_spherical_rule_tells_what_it_is_known_to_tell():
    p = tasks.spherical_rule().p_y_given_x
    assert information.of_cells(POPCOUNT, UNIFORM, p)[1] == pytest.approx(0.627641, abs=1e-6)


def dictionary_information(cells, p_x, p_y_given_x):
    """The same by counting in a dictionary, one pattern at a time."""
    joint: dict = {}
    for cell, p, row in zip(cells, p_x, p_y_given_x, strict=True):
        joint[cell] = joint.get(cell, 0) + p * row
    table = np.array(list(joint.values()))
    p_t = table.sum(1)
    h_t = -sum(p * np.log2(p) for p in p_t if p > 0)
    p_y = table.sum(0)
    h_y = -sum(p * np.log2(p) for p in p_y if p > 0)
    h_ty = -sum(p * np.log2(p) for p in table.ravel() if p > 0)
    return h_t, h_t + h_y - h_ty


probabilities = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(arrays(np.int64, (3, 40), elements=st.integers(-5, 5)), probabilities)
def test_cells_agree_with_a_dictionary_count(cells, rng):
    p_x = rng.dirichlet(np.ones(40))
    p_y_given_x = rng.dirichlet(np.full(3, 0.3), 40)
    i_x, i_y = information.of_cells(cells, p_x, p_y_given_x)
    for row in range(3):
        expected = dictionary_information(cells[row].tolist(), p_x, p_y_given_x)
        assert (i_x[row], i_y[row]) == pytest.approx(expected, abs=1e-12)


@given(arrays(np.int64, 40, elements=st.integers(0, 6)), probabilities)
def test_label_information_is_bounded_and_names_of_cells_do_not_matter(cells, rng):
    p_x = rng.dirichlet(np.ones(40))
    p = rng.dirichlet(np.ones(2), 40)
    i_x, i_y = information.of_cells(cells, p_x, p)
    limits = (i_x, information.entropy(p_x @ p), information.mutual_information(p_x[:, None] * p))
    assert -1e-12 < i_y < min(limits) + 1e-12
    renamed = rng.permutation(1000)[cells] - 500
    assert information.of_cells(renamed, p_x, p) == pytest.approx((i_x, i_y), abs=1e-12)
    shuffled = rng.permutation(40)
    moved = information.of_cells(cells[shuffled], p_x[shuffled], p[shuffled])
    assert moved == pytest.approx((i_x, i_y), abs=1e-12)


@given(arrays(np.int64, 40, elements=st.integers(0, 30)), probabilities)
def test_merging_cells_never_adds_information(cells, rng):
    p_x, p = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(2), 40)
    fine = information.of_cells(cells, p_x, p)
    coarse = information.of_cells(cells // 3, p_x, p)
    assert coarse[0] <= fine[0] + 1e-12
    assert coarse[1] <= fine[1] + 1e-12


def test_occupied_cells_are_counted_with_and_without_a_mask():
    cells = np.array([[1, 1, 2, 9], [4, 4, 4, 4]])
    among = np.array([[True, True, False, False], [False, False, False, True]])
    assert information.occupied(cells).tolist() == [3, 1]
    assert information.occupied(cells, among).tolist() == [1, 1]
