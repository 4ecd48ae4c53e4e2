"""Walkers against the closed forms of the Ornstein-Uhlenbeck process and of free diffusion."""

import itertools

import numpy as np
import pytest

from theory.langevin import (
    SDE,
    euler_maruyama,
    exact_ornstein_uhlenbeck,
    ornstein_uhlenbeck,
    ornstein_uhlenbeck_moments,
    paths,
)

WALKERS = 40_000


def after(walkers, steps):
    return next(itertools.islice(walkers, steps, None))


def assert_moments(sample, mean, variance):
    """Of Gaussian samples, within 5 standard errors along the first axis."""
    n = len(sample)
    assert (np.abs(sample.mean(0) - mean) <= 5 * np.sqrt(variance / n)).all()
    error = variance * np.sqrt(2 / (n - 1))
    assert (np.abs(sample.var(0, ddof=1) - variance) <= 5 * error).all()


def test_five_exact_steps_have_the_known_mean_and_variance():
    # Printed with six decimals.
    mean, variance = ornstein_uhlenbeck_moments(5 * 0.7, start=2, stiffness=1.3, diffusion=0.4)
    assert mean == pytest.approx(0.021134, abs=5e-7)
    assert variance == pytest.approx(0.307658, abs=5e-7)


def test_exact_walkers_have_the_exact_moments_however_long_the_step():
    walkers = exact_ornstein_uhlenbeck(
        np.full(WALKERS, 2.0), stiffness=1.3, diffusion=0.4, dt=0.7, rng=np.random.default_rng(0)
    )
    for step, state in zip(range(6), walkers, strict=False):
        mean, variance = ornstein_uhlenbeck_moments(
            step * 0.7, start=2, stiffness=1.3, diffusion=0.4
        )
        assert_moments(state, mean, variance)


def test_steps_add_up_to_one_long_step():
    """Variances of successive steps compose: v(2 t) = e^(-2 k t) v(t) + v(t)."""
    one = ornstein_uhlenbeck_moments(0.7, start=1, stiffness=1.3, diffusion=0.4)
    two = ornstein_uhlenbeck_moments(1.4, start=1, stiffness=1.3, diffusion=0.4)
    assert one[0] ** 2 == pytest.approx(two[0], rel=1e-14)
    assert (one[0] ** 2 + 1) * one[1] == pytest.approx(two[1], rel=1e-14)


@pytest.mark.parametrize("stiffness", [0.0, 1e-9, -1e-9])
def test_without_a_restoring_drift_walkers_diffuse_freely(stiffness):
    moments = ornstein_uhlenbeck_moments(3.0, start=1.5, stiffness=stiffness, diffusion=0.4)
    # The first correction to 2 D t is -2 D k t^2.
    assert moments == pytest.approx((1.5, 2 * 0.4 * 3), rel=2 * 3 * 1e-9)


def test_a_random_walk_in_many_dimensions_spreads_as_free_diffusion():
    """Mean square 2 D d t = 500 for d = 10, D = 1/4, t = 100, with 200 walkers."""
    sde = SDE(np.zeros_like, 0.25)
    state = after(
        euler_maruyama(sde, np.zeros((200, 10)), dt=1.0, rng=np.random.default_rng(0)), 100
    )
    squares = (state**2).sum(-1)
    assert abs(squares.mean() - 500) < 5 * squares.std(ddof=1) / np.sqrt(200)


def test_walkers_in_equilibrium_forget_exponentially():
    k, d, dt = 1.3, 0.4, 0.3
    rng = np.random.default_rng(1)
    start = rng.normal(scale=np.sqrt(d / k), size=WALKERS)
    walkers = exact_ornstein_uhlenbeck(start, stiffness=k, diffusion=d, dt=dt, rng=rng)
    for step, state in zip(range(6), walkers, strict=False):
        rho = np.exp(-k * step * dt)
        products = start * state / (d / k)
        assert abs(products.mean() - rho) < 5 * products.std(ddof=1) / np.sqrt(WALKERS)


def test_euler_maruyama_has_its_own_stationary_variance():
    """(D/k) / (1 - k dt / 2), reached from 0 as 1 - (1 - k dt)^(2 steps)."""
    k, d, dt, steps = 1.3, 0.4, 0.7, 20
    state = after(
        euler_maruyama(
            ornstein_uhlenbeck(k, d), np.zeros(WALKERS), dt=dt, rng=np.random.default_rng(2)
        ),
        steps,
    )
    stationary = (d / k) / (1 - k * dt / 2)
    assert_moments(state, 0.0, stationary * (1 - (1 - k * dt) ** (2 * steps)))
    assert stationary > 1.5 * d / k


def test_each_coordinate_may_have_its_own_diffusion():
    d, k, dt = np.array([0.1, 0.4, 0.0]), np.array([1.0, 0.5, 2.0]), 0.1
    start = np.broadcast_to([1.0, -1.0, 3.0], (WALKERS, 3))
    mean, variance = ornstein_uhlenbeck_moments(1.0, start=start[0], stiffness=k, diffusion=d)
    exact = exact_ornstein_uhlenbeck(
        start, stiffness=k, diffusion=d, dt=dt, rng=np.random.default_rng(3)
    )
    assert_moments(after(exact, 10)[:, :2], mean[:2], variance[:2])
    assert after(exact, 0)[:, 2] == pytest.approx(3 * np.exp(-2 * 1.1), rel=1e-13)
    euler = euler_maruyama(SDE(lambda x: -k * x, d), start, dt=dt, rng=np.random.default_rng(4))
    c = 1 - k * dt
    discrete = 2 * d * dt * (1 - c**20) / (1 - c**2)
    assert_moments(after(euler, 10)[:, :2], (c**10 * start[0])[:2], discrete[:2])


def test_walkers_draw_from_their_generator_alone_and_leave_the_start_as_it_is():
    start = np.zeros(4)
    sde = ornstein_uhlenbeck(1.0, 0.5)
    np.random.seed(0)  # noqa: NPY002
    one = euler_maruyama(sde, start, dt=0.1, rng=np.random.default_rng(7))
    first = [next(one) for _ in range(4)]
    np.random.seed(1)  # noqa: NPY002
    two = euler_maruyama(sde, start, dt=0.1, rng=np.random.default_rng(7))
    assert np.array_equal(first, [next(two) for _ in range(4)])
    assert not start.any()
    assert not np.array_equal(first[1], first[2])


def test_paths_have_names_and_units():
    sde = ornstein_uhlenbeck(1.0, 0.5, units="m", time_units="s")
    rng = np.random.default_rng(0)
    found = paths(euler_maruyama(sde, np.ones(3), dt=0.5, rng=rng), sde, dt=0.5, steps=4)
    assert found.dims == ("time", "walker")
    assert found.time.values == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert (found.attrs["units"], found.time.attrs["units"]) == ("m", "s")
    assert (found.isel(time=0) == 1).all()
    many = paths(euler_maruyama(sde, np.ones((3, 2)), dt=0.5, rng=rng), sde, dt=0.5, steps=1)
    assert many.dims == ("time", "walker", "coordinate")


@pytest.mark.parametrize(
    ("units", "diffusion_units", "rate_units"),
    [
        (("1", "1"), "1", "1"),
        (("m", "1"), "m2", "1"),
        (("1", "s"), "s-1", "s-1"),
        (("m s-1", "s"), "(m s-1)2 s-1", "s-1"),
    ],
)
def test_units_of_diffusion_and_rates(units, diffusion_units, rate_units):
    sde = SDE(np.negative, 1.0, *units)
    assert (sde.diffusion_units, sde.rate_units) == (diffusion_units, rate_units)


def test_bad_input_is_refused_before_the_first_step():
    sde, rng = ornstein_uhlenbeck(1.0, 0.5), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"diffusion is -0.5, expected finite and 0 or more"):
        SDE(np.negative, -0.5)
    with pytest.raises(ValueError, match=r"dt is 0.0, expected finite and more than 0"):
        euler_maruyama(sde, np.zeros(2), dt=0.0, rng=rng)
    with pytest.raises(ValueError, match="start is nan, expected finite"):
        euler_maruyama(sde, [0.0, np.nan], dt=0.1, rng=rng)
    with pytest.raises(ValueError, match="stiffness is inf, expected finite"):
        exact_ornstein_uhlenbeck([0.0], stiffness=np.inf, diffusion=1, dt=0.1, rng=rng)
    with pytest.raises(ValueError, match=r"time is -1.0"):
        ornstein_uhlenbeck_moments(-1.0, start=0, stiffness=1, diffusion=1)
    wrong = euler_maruyama(SDE(lambda x: x.sum(), 1.0), np.zeros(2), dt=0.1, rng=rng)
    with pytest.raises(ValueError, match=r"drift maps shape \(2,\) to \(\), expected the same"):
        after(wrong, 1)
    walkers = euler_maruyama(sde, 0.0, dt=0.1, rng=rng)
    with pytest.raises(ValueError, match="steps is -1, expected an integer of at least 0"):
        paths(walkers, sde, dt=0.1, steps=-1)
    with pytest.raises(ValueError, match=r"states have shape \(\), expected \(walker,\)"):
        paths(walkers, sde, dt=0.1, steps=1)
