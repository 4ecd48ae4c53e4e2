"""Laws of growth against the equations and the walks that they come from."""

import itertools

import numpy as np
import pytest

from theory.growth import free_diffusion, separable_growth, ultra_slow_diffusion
from theory.langevin import SDE, euler_maruyama


def test_growth_without_noise_has_the_known_values():
    # Printed with four decimals.
    found = separable_growth([10, 100, 1e3, 1e4])
    assert found == pytest.approx([2.1773, 4.5688, 6.9018, 9.2095], abs=5e-5)


def test_growth_without_noise_solves_its_equation():
    t = np.concatenate([[0], np.logspace(-6, 12, 200)])
    w = separable_growth(t)
    assert np.exp(w) + w == pytest.approx(t + 1, rel=1e-13)
    assert w[0] == 0


def test_walkers_without_noise_follow_the_law():
    """Euler's method of first order: half the step, half the error up to O(dt)."""
    sde = SDE(lambda w: 1 / (1 + np.exp(w)), 0.0)
    errors = []
    for dt in (0.1, 0.05):
        walkers = euler_maruyama(sde, np.zeros(1), dt=dt, rng=np.random.default_rng(0))
        state = next(itertools.islice(walkers, round(10 / dt), None))
        errors.append(state[0] - separable_growth(10.0))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.1)
    assert 0 < errors[1] < 0.05


def test_free_diffusion_is_that_of_a_random_walk():
    rng = np.random.default_rng(0)
    steps = rng.choice([-1.0, 1.0], size=(200, 100, 5)).sum(1)
    squares = (steps**2).sum(-1)
    # Steps of variance 1 = 2 D: 500 after 100 steps in 5 dimensions.
    expected = free_diffusion(100, diffusion=0.5, dimension=5)
    assert expected == 500
    assert abs(squares.mean() - expected) < 5 * squares.std(ddof=1) / np.sqrt(200)


@pytest.mark.parametrize(
    ("hurst", "printed"), [(0.5, (0.15, 0.28, 0.40)), (0.25, (0.075, 0.15, 0.22))]
)
def test_a_logarithm_misfits_a_power_by_little_over_few_decades(hurst, printed):
    """Residual over spread of a + b ln t fitted to t^H, at 60 times equidistant in ln t."""
    for decades, expected in zip((1, 2, 3), printed, strict=True):
        t = np.logspace(0, decades, 60)
        y = free_diffusion(t, diffusion=0.5, dimension=1) ** hurst
        line = np.stack([np.ones_like(t), ultra_slow_diffusion(t, roughness=4)], -1)
        residual = y - line @ np.linalg.lstsq(line, y, rcond=None)[0]
        assert float(f"{residual.std() / y.std():.2g}") == expected


@pytest.mark.parametrize(("roughness", "power"), [(1, 4), (2, 2), (4, 1)])
def test_ultra_slow_diffusion_is_a_power_of_the_logarithm(roughness, power):
    t = np.array([1.0, np.e, np.e**3])
    found = ultra_slow_diffusion(t, roughness=roughness)
    assert found == pytest.approx([0, 1, 3.0**power], rel=1e-14)


def test_sinais_walk_is_slower_than_free_diffusion_and_not_yet_as_slow_as_its_law():
    """Exact probabilities on sites that step up with chance 1/4 or 3/4, averaged over them."""
    rng = np.random.default_rng(0)
    worlds, reach, times = 200, 220, (1000, 3000)
    up = rng.choice([0.25, 0.75], size=(worlds, 2 * reach + 1))
    up[:, 0], up[:, -1] = 1, 0
    down = 1 - up
    p = np.zeros_like(up)
    p[:, reach] = 1
    squares = []
    for t in range(1, times[1] + 1):
        moved = np.zeros_like(p)
        moved[:, 1:] = (p * up)[:, :-1]
        moved[:, :-1] += (p * down)[:, 1:]
        p = moved
        if t in times:
            squares.append(p @ (np.arange(2 * reach + 1.0) - reach) ** 2)
    assert p[:, [0, -1]].max() < 1e-4
    early, late = squares
    growth = late.mean() / early.mean()
    error = (late - growth * early).std(ddof=1) / early.mean() / np.sqrt(worlds)
    slow = np.divide(*ultra_slow_diffusion(times[::-1], roughness=1))
    free = np.divide(*free_diffusion(times[::-1], diffusion=1, dimension=1))
    assert growth + 5 * error < free
    assert growth > slow


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"time is -1.0, expected finite and 0 or more"):
        separable_growth(-1)
    with pytest.raises(ValueError, match=r"diffusion is -1.0"):
        free_diffusion(1, diffusion=-1, dimension=1)
    with pytest.raises(ValueError, match="dimension is 0, expected an integer of at least 1"):
        free_diffusion(1, diffusion=1, dimension=0)
    with pytest.raises(ValueError, match=r"time is 0.5, expected at least 1"):
        ultra_slow_diffusion([2, 0.5], roughness=1)
    with pytest.raises(ValueError, match=r"roughness is 0.0"):
        ultra_slow_diffusion(2, roughness=0)
