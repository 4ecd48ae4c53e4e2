"""The Fokker-Planck solver: laws that hold for any step, and the Ornstein-Uhlenbeck spectrum."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.fokker_planck import (
    Lattice,
    decay_rates,
    densities,
    discretise,
    evolve,
    spectrum,
)
from theory.langevin import (
    SDE,
    exact_ornstein_uhlenbeck,
    ornstein_uhlenbeck,
    ornstein_uhlenbeck_moments,
)

EPSILON = np.finfo(float).eps
OU = ornstein_uhlenbeck(1.0, 0.5)


def after(states, steps):
    return next(itertools.islice(states, steps, None))


def at_two(lattice):
    """All probability at x = 2, shared by its two cells so that the mean is 2."""
    p = np.zeros(len(lattice.x))
    i = np.searchsorted(lattice.x, 2)
    share = (lattice.x[i] - 2) / (lattice.x[i] - lattice.x[i - 1])
    p[i - 1], p[i] = share, 1 - share
    return p


def double_well(diffusion):
    return SDE(lambda x: x - x**3, diffusion)


@given(
    st.floats(-14, 14),
    st.floats(-2, 1),
    st.integers(3, 60),
    st.integers(0, 2**32 - 1),
)
def test_any_step_keeps_probability_and_positivity(log_dt, log_diffusion, cells, seed):
    lattice = discretise(double_well(10.0**log_diffusion), -2, 2, cells)
    p = np.random.default_rng(seed).dirichlet(np.full(cells, 0.1))
    for q in itertools.islice(evolve(lattice, p, dt=10.0**log_dt), 4):
        assert (q >= 0).all()
        # A step multiplies and adds positive numbers, a few roundings a cell.
        assert abs(q.sum() - 1) < 4 * 10 * cells * EPSILON


@pytest.mark.parametrize("dt", [1e-3, 1.0, 1e5, 1e200])
def test_the_gibbs_state_stays(dt):
    lattice = discretise(OU, -6, 6, 401)
    q = after(evolve(lattice, lattice.stationary, dt=dt), 1)
    # The exponents of the Gibbs state are up to 36, rounded to EPSILON of that.
    assert q == pytest.approx(lattice.stationary, rel=36 * 10 * EPSILON)


def test_a_long_step_forgets_everything():
    """One implicit step leaves at most 1 / (1 + gap dt) of the deviation."""
    lattice = discretise(OU, -4, 4, 81)
    q = after(evolve(lattice, np.eye(81)[0], dt=1e100), 1)
    assert q == pytest.approx(lattice.stationary, rel=1e-12)


def test_every_pair_of_neighbours_is_in_balance():
    lattice = discretise(OU, -6, 6, 401)
    p = lattice.stationary
    forth, back = lattice.up * p[:-1], lattice.down * p[1:]
    # U/D is up to 36 above the middle, rounded to EPSILON of that at each cell.
    assert forth == pytest.approx(back, rel=36 * 10 * EPSILON)


def test_gibbs_weights_are_stationary_to_rounding():
    """The residual printed for these cells is 3.6e-15: units in the last place of rate x weight."""
    lattice = discretise(OU, -6, 6, 401)
    p = np.exp(-(lattice.x**2))
    p /= p.sum()
    flux = lattice.up * p[:-1] - lattice.down * p[1:]
    residual = np.abs(np.diff(flux, prepend=0, append=0)).max()
    assert residual < 10 * EPSILON * lattice.up.max() * p.max()


@pytest.mark.parametrize("diffusion", [0.05, 0.5])
def test_the_stationary_state_is_gibbs(diffusion):
    lattice = discretise(double_well(diffusion), -2, 2, 101)
    energy = lattice.x**4 / 4 - lattice.x**2 / 2
    expected = np.exp((energy.min() - energy) / diffusion)
    # U/D is summed over the cells: up to 100 roundings of at most U/D = 40.
    assert lattice.stationary == pytest.approx(expected / expected.sum(), rel=100 * 40 * EPSILON)


def test_the_stationary_state_of_a_linear_drift_is_gaussian():
    k, d = 1.7, 0.3
    lattice = discretise(ornstein_uhlenbeck(k, d), -4, 4, 201)
    density = lattice.stationary / (lattice.x[1] - lattice.x[0])
    assert density == pytest.approx(
        np.sqrt(k / (2 * np.pi * d)) * np.exp(-k * lattice.x**2 / (2 * d)), rel=1e-11
    )
    # The sum is exact but for what lies beyond the ends, at 9.5 standard deviations.
    assert lattice.stationary @ lattice.x**2 == pytest.approx(d / k, rel=1e-12)


def test_the_spectrum_of_a_linear_drift_is_that_of_the_oscillator():
    lattice = discretise(OU, -6, 6, 801)
    # Printed error of the first: -7.5e-5. That of mode m is m (m + 1) / 2 - ... times larger.
    rates = decay_rates(lattice, 5)
    h = lattice.x[1] - lattice.x[0]
    assert rates == pytest.approx(np.arange(1, 6), rel=5 * h**2)


def test_the_spectral_gap_converges_at_second_order():
    printed = {101: -4.8e-3, 201: -1.2e-3, 401: -3.0e-4, 801: -7.5e-5}
    errors = np.array([decay_rates(discretise(OU, -6, 6, n), 1)[0] - 1 for n in printed])
    for error, expected in zip(errors, printed.values(), strict=True):
        assert f"{error:.1e}" == f"{expected:.1e}"
    # error = a h^2 + b h^4 + ...: the order is 2 up to O(h^2).
    order = np.log2(errors[:-1] / errors[1:])
    spacing = 12 / (np.array([101, 201, 401]) - 1)
    assert (np.abs(order - 2) < spacing**2).all()
    assert abs((4 * errors[3] - errors[2]) / 3) < spacing[2] ** 4


def test_a_flat_box_has_the_spectrum_of_the_discrete_laplacian():
    """No flux through the ends of n cells: (4 D / h^2) sin^2(pi m / 2 n)."""
    cells, d = 50, 0.3
    lattice = discretise(SDE(np.zeros_like, d), 0, 4.9, cells)
    modes = np.arange(1, cells)
    expected = 4 * d / 0.1**2 * np.sin(np.pi * modes / (2 * cells)) ** 2
    assert decay_rates(lattice, cells - 1) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("leak", [1e-3, 1e-12, 1e-30])
def test_the_gap_behind_a_high_barrier_keeps_its_digits(leak):
    """Three cells, the middle one all but never entered: the gap solves a quadratic equation."""
    up, down = np.array([leak, 1.0]), np.array([1.0, leak])
    lattice = Lattice(np.arange(3.0), up, down, np.full(3, np.nan), OU)
    # G G^T has trace S and determinant P.
    s, p = 2 + 2 * leak, leak * (2 + leak)
    expected = 2 * p / (s + np.sqrt(s**2 - 4 * p))
    assert decay_rates(lattice, 1)[0] == pytest.approx(expected, rel=1e-13)


def test_implicit_steps_have_the_known_mean():
    """A linear drift contracts the mean by 1 / (1 + k dt) a step, up to O(h^2)."""
    lattice = discretise(OU, -6, 6, 401)
    p = after(evolve(lattice, at_two(lattice), dt=0.01), 100)
    mean = p @ lattice.x
    assert mean == pytest.approx(0.73964, abs=5e-6)
    contracted = 2 * 1.01**-100
    assert contracted == pytest.approx(0.73942, abs=5e-6)
    assert mean == pytest.approx(contracted, rel=(12 / 400) ** 2)


def test_implicit_steps_converge_to_the_exact_moments():
    """Errors at t = 1 are of first order in dt: halving it halves them up to O(dt)."""
    lattice = discretise(OU, -6, 6, 1201)
    mean, variance = ornstein_uhlenbeck_moments(1.0, start=2, stiffness=1, diffusion=0.5)
    errors = []
    for steps in (50, 100, 200):
        p = after(evolve(lattice, at_two(lattice), dt=1 / steps), steps)
        centre = p @ lattice.x
        errors.append([centre - mean, p @ (lattice.x - centre) ** 2 - variance])
    ratio = np.array(errors[:-1]) / np.array(errors[1:])
    # h = 0.01 leaves an error of 2e-5, a share of up to 1 % of the errors from dt.
    assert ratio == pytest.approx(2, abs=0.06)


def test_densities_are_those_of_walkers():
    dt, steps, walkers = 0.002, 250, 40_000
    lattice = discretise(OU, -6, 6, 601)
    found = densities(lattice, at_two(lattice), dt=dt, steps=steps)
    assert found.dims == ("time", "x")
    p = found.isel(time=-1).values * (lattice.x[1] - lattice.x[0])
    states = exact_ornstein_uhlenbeck(
        np.full(walkers, 2.0),
        stiffness=1,
        diffusion=0.5,
        dt=dt * steps,
        rng=np.random.default_rng(0),
    )
    state = after(states, 1)
    for power in (1, 2):
        sample = state**power
        error = sample.std(ddof=1) / np.sqrt(walkers)
        assert abs(sample.mean() - p @ lattice.x**power) < 5 * error


def test_tables_have_units():
    sde = ornstein_uhlenbeck(1.0, 0.5, units="m", time_units="s")
    lattice = discretise(sde, -6, 6, 101)
    table = spectrum(lattice, 4)
    assert table["decay_rate"].attrs["units"] == "s-1"
    assert table["relaxation_time"].attrs["units"] == "s"
    assert (table["decay_rate"] * table["relaxation_time"]).values == pytest.approx(1)
    assert list(table.mode.values) == [1, 2, 3, 4]
    found = densities(lattice, lattice.stationary, dt=0.1, steps=2)
    assert found.attrs["units"] == "m-1"
    assert found.integrate("x").values == pytest.approx(1, abs=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"diffusion is 0.0, expected finite and more than 0"):
        discretise(SDE(np.negative, 0.0), -1, 1, 10)
    with pytest.raises(ValueError, match=r"diffusion has shape \(2,\), expected one number"):
        discretise(SDE(np.negative, [1.0, 2.0]), -1, 1, 10)
    with pytest.raises(ValueError, match="low is 1 and high 1, expected low below high"):
        discretise(OU, 1, 1, 10)
    with pytest.raises(ValueError, match="cells is 2, expected an integer of at least 3"):
        discretise(OU, -1, 1, 2)
    lattice = discretise(OU, -1, 1, 10)
    with pytest.raises(ValueError, match=r"probability has shape \(3,\), expected \(10,\)"):
        evolve(lattice, np.ones(3), dt=0.1)
    with pytest.raises(ValueError, match=r"probability is -1.0"):
        evolve(lattice, -np.ones(10), dt=0.1)
    with pytest.raises(ValueError, match=r"dt is -1.0"):
        evolve(lattice, np.ones(10), dt=-1.0)
    with pytest.raises(ValueError, match="dt times the fastest rate is inf, expected finite"):
        evolve(lattice, np.ones(10), dt=1e308)
    with pytest.raises(ValueError, match="count is 10, expected less than the 10 cells"):
        spectrum(lattice)
    with pytest.raises(ValueError, match="steps is -1"):
        densities(lattice, lattice.stationary, dt=0.1, steps=-1)
