"""Searches without guidance: geometric trials, and walks on the cube, exact and simulated."""

import numpy as np
import pytest

from theory.search import cube_steps, mean_cube_steps, mean_trials, trials


@pytest.mark.parametrize("bits", [1, 3, 6, 2.5])
def test_random_search_takes_the_exponential_of_the_entropy(bits):
    n = 100_000
    found = trials(bits, n, rng=np.random.default_rng(0))
    mean = mean_trials(bits)
    assert mean == pytest.approx(np.exp(bits * np.log(2)), rel=1e-14)
    # A geometric variable of mean m has variance m (m - 1).
    assert abs(found.mean() - mean) < 5 * np.sqrt(mean * (mean - 1) / n)
    assert found.min() >= 1


def test_a_target_of_every_state_takes_one_trial():
    assert (trials(0, 10, rng=np.random.default_rng(0)) == 1).all()


@pytest.mark.parametrize(("bits", "steps"), [(4, 17.1667), (6, 75.85), (8, 301.20476)])
def test_walks_on_the_cube_take_the_known_number_of_steps(bits, steps):
    assert mean_cube_steps(bits) == pytest.approx(steps, abs=5e-5)


def test_walks_on_the_cube_take_the_exponential_of_the_entropy_with_a_factor_near_one():
    ratios = [mean_cube_steps(bits) / 2**bits for bits in (4, 6, 8, 20)]
    assert np.round(ratios, 3) == pytest.approx([1.073, 1.185, 1.177, 1.060])
    assert mean_cube_steps(200) / 2.0**200 == pytest.approx(1, abs=2 / 200)


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_steps_solve_the_equations_of_the_walk(bits):
    """The walk is a chain of the distance k: h_k = 1 + (k/n) h_(k-1) + (1 - k/n) h_(k+1)."""
    k = np.arange(bits + 1)
    chain = np.diag(k[1:] / bits, -1) + np.diag(1 - k[:-1] / bits, 1)
    expected = np.linalg.solve(np.eye(bits) - chain[1:, 1:], np.ones(bits))
    assert cube_steps(bits)[1:] == pytest.approx(expected, rel=1e-11)


def test_simulated_walks_on_the_cube_take_as_long():
    bits, walks = 4, 20_000
    rng = np.random.default_rng(1)
    vertex = rng.integers(2**bits, size=walks)
    steps = np.zeros(walks)
    while vertex.any():
        steps += vertex != 0
        flipped = vertex ^ (1 << rng.integers(bits, size=walks))
        vertex = np.where(vertex, flipped, 0)
    error = steps.std(ddof=1) / np.sqrt(walks)
    assert abs(steps.mean() - mean_cube_steps(bits)) < 5 * error


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"bits is -1.0, expected finite and 0 or more"):
        mean_trials(-1)
    with pytest.raises(ValueError, match="searches is -1, expected an integer of at least 0"):
        trials(1, -1, rng=np.random.default_rng(0))
    for steps in (cube_steps, mean_cube_steps):
        with pytest.raises(ValueError, match="bits is 0, expected an integer of at least 1"):
            steps(0)
