"""The dictionary of SGD, exact variances against Lyapunov solvers, real batches and simulations."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from theory.langevin import euler_maruyama
from theory.sgd import (
    batch_covariance,
    diffusion,
    effective_temperature,
    lag_correlation,
    reshuffled_variance,
    stationary_covariance,
    stationary_variance,
    to_sde,
)

HESSIAN = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]])
NOISE = np.array([[1.0, 0.4, 0.0], [0.4, 0.7, 0.1], [0.0, 0.1, 0.2]])


def companion(hessian, learning_rate, momentum):
    """Matrix of one step of (w, v), and how noise enters it."""
    eye = np.eye(len(hessian))
    force = learning_rate * hessian
    matrix = np.block([[eye - force, momentum * eye], [-force, momentum * eye]])
    return matrix, np.vstack([eye, eye])


def by_lyapunov(hessian, covariance, learning_rate, momentum):
    matrix, entry = companion(hessian, learning_rate, momentum)
    noise = learning_rate**2 * entry @ covariance @ entry.T
    return solve_discrete_lyapunov(matrix, noise, method="direct")


def test_the_variance_on_a_parabola_has_the_known_values():
    # Printed with six, four, seven and five decimals.
    noise = batch_covariance(2.0, 4)
    assert stationary_variance(1.5, noise, learning_rate=0.3) == pytest.approx(0.064516, abs=5e-7)
    assert diffusion(noise, learning_rate=0.3) / 1.5 == pytest.approx(0.05, rel=1e-14)
    heavy = stationary_variance(1.5, noise, learning_rate=0.05, momentum=0.9)
    assert heavy == pytest.approx(0.0850112, abs=5e-8)
    approximate = effective_temperature(noise, learning_rate=0.05, momentum=0.9) / 1.5
    assert approximate == pytest.approx(0.08333, abs=5e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_small_learning_rates_have_the_variance_of_the_sde(momentum):
    """T / a, with a relative correction eta a / (2 (1 + mu))."""
    for eta in (1e-2, 1e-4):
        exact = stationary_variance(1.5, 0.5, learning_rate=eta, momentum=momentum)
        temperature = effective_temperature(0.5, learning_rate=eta, momentum=momentum)
        expected = 1 / (1 - eta * 1.5 / (2 * (1 + momentum)))
        assert exact * 1.5 / temperature == pytest.approx(expected, rel=1e-13)


def test_every_batch_without_replacement_gives_the_finite_population_factor():
    gradients = np.random.default_rng(0).normal(size=(8, 2))
    covariance = np.cov(gradients.T, ddof=0)
    for size in range(1, 9):
        batches = itertools.combinations(range(8), size)
        means = np.array([gradients[list(batch)].mean(0) for batch in batches])
        found = batch_covariance(covariance, size, train_size=8)
        assert found == pytest.approx(np.cov(means.T, ddof=0).reshape(2, 2), abs=1e-14)
    assert batch_covariance(3.0, 1, train_size=1) == 0


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 0.99),
    st.integers(0, 2**32 - 1),
)
def test_covariances_solve_the_lyapunov_equation_of_weights_and_velocities(share, momentum, seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3, 4))
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    hessian = basis * rng.uniform(0.05, 1, 3) @ basis.T
    eta = share * 2 * (1 + momentum) / np.linalg.eigvalsh(hessian)[-1]
    covariance = factor @ factor.T
    found = stationary_covariance(hessian, covariance, learning_rate=eta, momentum=momentum)
    expected = by_lyapunov(hessian, covariance, eta, momentum)[:3, :3]
    # Of the solver: its equations are singular where a mode hardly decays.
    matrix, _ = companion(hessian, eta, momentum)
    condition = np.linalg.cond(np.eye(36) - np.kron(matrix, matrix))
    scale = np.abs(expected).max()
    assert found == pytest.approx(expected, abs=50 * np.finfo(float).eps * condition * scale)


def test_covariances_without_momentum_solve_the_discrete_equation():
    eta = 0.4
    s = stationary_covariance(HESSIAN, NOISE, learning_rate=eta)
    left = HESSIAN @ s + s @ HESSIAN - eta * HESSIAN @ s @ HESSIAN
    assert left == pytest.approx(eta * NOISE, abs=1e-14)
    m = np.eye(3) - eta * HESSIAN
    assert s == pytest.approx(solve_discrete_lyapunov(m, eta**2 * NOISE), abs=1e-13)


def test_noise_shaped_like_the_curvature_gives_nearly_isotropic_weights():
    """C = A: (eta / B)(2 - eta A)^-1."""
    eta, batch = 0.1, 4
    found = stationary_covariance(HESSIAN, batch_covariance(HESSIAN, batch), learning_rate=eta)
    expected = eta / batch * np.linalg.inv(2 * np.eye(3) - eta * HESSIAN)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_one_dimension_is_the_matrix_of_one(momentum):
    matrix = stationary_covariance([[1.5]], [[0.5]], learning_rate=0.3, momentum=momentum)
    number = stationary_variance(1.5, 0.5, learning_rate=0.3, momentum=momentum)
    assert matrix == pytest.approx(np.reshape(number, (1, 1)), rel=1e-14)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_simulated_descent_has_the_stationary_covariance(momentum):
    eta, walkers, steps = 0.4, 20_000, 200
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(NOISE)
    w, v = np.zeros((2, walkers, 3))
    for _ in range(steps):
        gradient = w @ HESSIAN + rng.normal(size=w.shape) @ root.T
        v = momentum * v - eta * gradient
        w = w + v
    expected = stationary_covariance(HESSIAN, NOISE, learning_rate=eta, momentum=momentum)
    # What is left of the start is less than a thousandth of the standard errors.
    matrix, _ = companion(HESSIAN, eta, momentum)
    assert np.abs(np.linalg.eigvals(matrix)).max() ** (2 * steps) < 1e-5
    products = w[:, :, None] * w[:, None, :]
    error = products.std(0, ddof=1) / np.sqrt(walkers)
    assert (np.abs(products.mean(0) - expected) < 5 * error).all()


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_lag_correlations_are_those_of_the_linear_map(momentum):
    eta, a = 0.3, 1.5
    found = lag_correlation(a, 8, learning_rate=eta, momentum=momentum)
    matrix, _ = companion(np.array([[a]]), eta, momentum)
    joint = by_lyapunov(np.array([[a]]), np.eye(1), eta, momentum)
    expected = [
        (np.linalg.matrix_power(matrix, lag) @ joint)[0, 0] / joint[0, 0] for lag in range(9)
    ]
    assert found == pytest.approx(expected, abs=1e-13)
    if not momentum:
        assert found == pytest.approx((1 - eta * a) ** np.arange(9), abs=1e-14)


def test_lag_correlations_keep_the_shape_of_the_curvatures():
    a = np.array([[0.5, 1.0, 1.5]])
    assert lag_correlation(a, 4, learning_rate=0.1).shape == (5, 1, 3)
    assert (lag_correlation(a, 0, learning_rate=0.1) == np.ones((1, 1, 3))).all()


def test_one_euler_step_of_the_sde_is_one_step_of_gradient_descent():
    eta, s2 = 0.3, np.array([0.5, 0.1])
    start = np.random.default_rng(0).normal(size=(10, 2))
    sde = to_sde(lambda w: w**3, s2, learning_rate=eta)
    walkers = euler_maruyama(sde, start, dt=eta, rng=np.random.default_rng(1))
    noise = np.sqrt(s2) * np.random.default_rng(1).normal(size=(10, 2))
    assert next(walkers) == pytest.approx(start)
    assert next(walkers) == pytest.approx(start - eta * (start**3 - noise), rel=1e-14)


def test_the_temperature_is_the_mean_over_directions():
    eta, batch = 0.2, 5
    expected = eta * np.trace(NOISE) / (2 * batch * 3)
    found = effective_temperature(batch_covariance(NOISE, batch), learning_rate=eta)
    assert found == pytest.approx(expected, rel=1e-14)
    assert effective_temperature(0.4, learning_rate=eta) == pytest.approx(0.04, rel=1e-14)


def descend(samples, batches, eta, a, epochs, rng, walkers):
    """Weights of losses a (w - sample)^2 / 2 after epochs that share out the samples."""
    w = np.zeros(walkers)
    for _ in range(epochs):
        order = rng.permuted(np.broadcast_to(samples, (walkers, len(samples))), axis=1)
        for batch in np.split(order, batches, axis=1):
            w = w - eta * a * (w - batch.mean(1))
    return w


@pytest.mark.parametrize("eta", [0.02, 0.3])
def test_epochs_of_shared_out_batches_have_less_variance(eta):
    """Real batches of 4 of 16 samples, against the formula for epochs and that for fresh draws."""
    a, walkers, epochs = 1.5, 20_000, 60
    rng = np.random.default_rng(0)
    samples = rng.normal(size=16)
    samples -= samples.mean()
    w = descend(samples, 4, eta, a, epochs, rng, walkers)
    noise = batch_covariance(a**2 * samples.var(), 4, train_size=16)
    expected = reshuffled_variance(a, noise, 4, learning_rate=eta)
    squares = w**2
    error = squares.std(ddof=1) / np.sqrt(walkers)
    start = (1 - eta * a) ** (2 * 4 * epochs)
    assert abs(squares.mean() - expected * (1 - start)) < 5 * error
    assert squares.mean() + 5 * error < stationary_variance(a, noise, learning_rate=eta)


def test_slow_directions_hardly_feel_shared_out_batches():
    """Small eta a M: the variance goes to eta^2 s^2 M/(M - 1) (eta a) (M^2 - 1)/24, eta^2 down."""
    a, m = 1.0, 8
    for eta in (1e-3, 1e-4):
        found = reshuffled_variance(a, 1.0, m, learning_rate=eta)
        expected = eta**3 * a * m * (m + 1) / 24
        # Corrections are of relative order eta a M.
        assert found == pytest.approx(expected, rel=eta * a * m)


def test_descent_with_fresh_batches_has_the_variance_of_the_formula():
    """Batches drawn anew at each step, without replacement within each."""
    eta, a, walkers, steps = 0.3, 1.5, 20_000, 40
    rng = np.random.default_rng(2)
    samples = rng.normal(size=8)
    samples -= samples.mean()
    w = np.zeros(walkers)
    for _ in range(steps):
        batch = rng.permuted(np.broadcast_to(samples, (walkers, 8)), axis=1)[:, :3]
        w = w - eta * a * (w - batch.mean(1))
    noise = batch_covariance(a**2 * samples.var(), 3, train_size=8)
    expected = stationary_variance(a, noise, learning_rate=eta)
    squares = w**2
    error = squares.std(ddof=1) / np.sqrt(walkers)
    assert abs(squares.mean() - expected) < 5 * error


@pytest.mark.parametrize("function", [stationary_variance, lag_correlation])
@pytest.mark.parametrize(
    ("curvature", "momentum", "message"),
    [
        (4.0, 0.0, "learning rate times curvature is 2, expected less than 2"),
        (7.8, 0.9, "learning rate times curvature is 3.9, expected less than 3.8"),
        (0.0, 0.0, "curvature is 0.0, expected finite and more than 0"),
        (1.0, 1.0, "momentum is 1.0, expected 0 or more and less than 1"),
    ],
)
def test_steps_without_a_stationary_state_are_refused(function, curvature, momentum, message):
    with pytest.raises(ValueError, match=message):
        function(curvature, 1, learning_rate=0.5, momentum=momentum)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="batch_size is 0, expected an integer of at least 1"):
        batch_covariance(1.0, 0)
    with pytest.raises(ValueError, match="train_size is 3, expected an integer of at least 4"):
        batch_covariance(1.0, 4, train_size=3)
    with pytest.raises(ValueError, match=r"learning_rate is 0.0"):
        diffusion(1.0, learning_rate=0.0)
    with pytest.raises(ValueError, match=r"batch_variance is -1.0"):
        to_sde(np.negative, -1.0, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"batch_covariance has shape \(2,\), expected \(\) or"):
        effective_temperature([1.0, 2.0], learning_rate=0.1)
    with pytest.raises(ValueError, match="batches is 1, expected an integer of at least 2"):
        reshuffled_variance(1.0, 1.0, 1, learning_rate=0.1)
    wrong = [
        (np.eye(2), NOISE, r"batch_covariance has shape \(3, 3\), expected the hessian's \(2, 2\)"),
        (np.ones((2, 3)), NOISE, r"hessian has shape \(2, 3\), expected a square"),
        (np.array([[1, 0.5], [0, 1]]), np.eye(2), "hessian differs from its transpose by 0.5"),
        (np.eye(2), -np.eye(2), "batch_covariance has the eigenvalue -1, expected a positive"),
        (-np.eye(2), np.eye(2), "curvature is -1.0, expected finite and more than 0"),
    ]
    for hessian, covariance, message in wrong:
        with pytest.raises(ValueError, match=message):
            stationary_covariance(hessian, covariance, learning_rate=0.1)
