"""Clouds of SGD on a quadratic loss: every order of real batches, limits, and free growth."""

import itertools

import numpy as np
import pytest

from theory import cloud, sgd

RNG = np.random.default_rng(0)
CURVATURES = np.array([2.0, 0.7, 0.0, -0.3])
RATE = 0.2


def at(epoch, *arguments, **named):
    return next(itertools.islice(cloud.covariances(*arguments, **named), epoch, None))


@pytest.mark.parametrize("sizes", [(2, 2), (2, 2, 1), (3, 2), (1, 1, 1, 1)])
def test_two_epochs_of_all_orders_of_real_batches(sizes):
    """Gradients a w + g_i of each sample i, in every one of the N! orders."""
    n = sum(sizes)
    noise = RNG.normal(size=(n, 4))
    noise -= noise.mean(0)
    ends = np.cumsum(sizes)[:-1]

    def epoch(w, order):
        for batch in np.split(np.array(order), ends):
            w = w - RATE * (CURVATURES * w + noise[batch].mean(0))
        return w

    walkers = np.zeros((1, 4))
    steps = cloud.covariances(
        CURVATURES, noise.T @ noise / n, cloud.reshuffled(sizes), learning_rate=RATE
    )
    assert (next(steps) == 0).all()
    for found in itertools.islice(steps, 2):
        walkers = np.concatenate([epoch(walkers, o) for o in itertools.permutations(range(n))])
        assert np.abs(walkers.mean(0)).max() < 1e-12
        assert np.abs(found - np.cov(walkers.T, ddof=0)).max() < 1e-12


def test_equal_batches_end_at_the_reshuffled_variance():
    a, batches, size = np.array([2.0, 0.7, 0.1]), 5, 3
    found = at(400, a, np.eye(3), cloud.reshuffled([size] * batches), learning_rate=RATE)
    per_batch = sgd.batch_covariance(1.0, size, train_size=batches * size)
    expected = sgd.reshuffled_variance(a, per_batch, batches, learning_rate=RATE)
    assert np.diag(found) == pytest.approx(expected, rel=1e-12)


def test_independent_batches_end_at_the_stationary_covariance():
    a = np.array([2.0, 0.7, 0.1])
    noise = np.array([[1.0, 0.4, 0.0], [0.4, 0.7, 0.1], [0.0, 0.1, 0.2]])
    found = at(400, a, noise, cloud.drawn_anew([3] * 5), learning_rate=RATE)
    per_batch = sgd.batch_covariance(noise, 3, train_size=15)
    expected = sgd.stationary_covariance(np.diag(a), per_batch, learning_rate=RATE)
    assert found == pytest.approx(expected, rel=1e-12)


def test_flat_directions_diffuse_and_concave_ones_run_away():
    """Independent noise of variance s^2: eta^2 s^2 sum_t m^2t, for a = 0 eta^2 s^2 t."""
    a = np.array([0.0, -0.3])
    found = np.diag(at(50, a, np.eye(2), [[2.0]], learning_rate=RATE))
    m = 1 + RATE * 0.3
    assert found == pytest.approx(
        [RATE**2 * 2 * 50, RATE**2 * 2 * (m**100 - 1) / (m**2 - 1)], rel=1e-12
    )


def test_equal_batches_cancel_where_nothing_contracts_them_and_a_smaller_last_one_does_not():
    for sizes, expected in (([3, 3], 0.0), ([3, 3, 2], (8 * (1 / 3 + 1 / 3 + 1 / 2) - 9) / 7)):
        found = at(50, [0.0], [[1.0]], cloud.reshuffled(sizes), learning_rate=RATE)
        assert found.item() == pytest.approx(50 * RATE**2 * expected, abs=1e-13)


def test_each_batch_has_the_same_variance_either_way():
    sizes = [4, 4, 4, 1]
    assert np.diag(cloud.reshuffled(sizes)) == pytest.approx(np.diag(cloud.drawn_anew(sizes)))
    assert np.abs(np.array(sizes) @ cloud.reshuffled(sizes)).max() < 1e-15


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"batch_sizes are .5., expected two or more"):
        cloud.reshuffled([5])
    with pytest.raises(ValueError, match="batch_size is 0, expected an integer of at least 1"):
        cloud.drawn_anew([5, 0])
    with pytest.raises(ValueError, match=r"covariance has shape \(2, 2\), expected \(3, 3\)"):
        cloud.covariances(np.ones(3), np.eye(2), [[1.0]], learning_rate=0.1)
    with pytest.raises(ValueError, match=r"batches has shape \(1, 2\), expected \(1, 1\)"):
        cloud.covariances(np.ones(2), np.eye(2), [[1.0, 0.0]], learning_rate=0.1)
    with pytest.raises(ValueError, match="learning_rate is 0"):
        cloud.covariances(np.ones(2), np.eye(2), [[1.0]], learning_rate=0)
