"""Escape over barriers of energy, by quadrature and in Kramers' limit, against printed numbers."""

import numpy as np
import pytest

from theory.escape import arrhenius_barrier, escape_times, kramers_rate, mean_escape_time
from theory.fokker_planck import decay_rates, discretise
from theory.langevin import SDE

# U = x^4/4 - x^2/2: wells at -1 and 1, U'' = 2; a top at 0, |U''| = 1; between them 1/4.
# At the wall the weight e^(-U/D) is e^(-560) of that in the wells, or less.
WALL = -4.0
# Of the lattice; the gaps of 1201 cells were printed for it. Others differ by their h^2, 1e-5.
REACH = 2.2
PRINTED = {0.05: ("361.90", "729.67", "659.38"), 0.025: ("51050.7", "102108.4", "97861")}
GAPS = {0.05: 0.00277619, 0.025: 1.95901e-5}


def double_well(diffusion):
    return SDE(lambda x: x - x**3, diffusion)


def escape(diffusion, end):
    return mean_escape_time(double_well(diffusion), start=-1, end=end, wall=WALL)


def kramers(diffusion):
    return kramers_rate(0.25, well_curvature=2, top_curvature=1, diffusion=diffusion)


def gap(diffusion, cells=1201):
    return decay_rates(discretise(double_well(diffusion), -REACH, REACH, cells), 1)[0]


@pytest.mark.parametrize("diffusion", PRINTED)
def test_escape_from_the_quartic_well_takes_the_known_time(diffusion):
    found = escape(diffusion, 0), escape(diffusion, 1), 1 / kramers(diffusion)
    for time, printed in zip(found, PRINTED[diffusion], strict=True):
        decimals = len(printed.partition(".")[2])
        assert f"{time:.{decimals}f}" == printed


@pytest.mark.parametrize("diffusion", GAPS)
def test_the_spectral_gap_of_the_quartic_well_is_known(diffusion):
    assert f"{gap(diffusion):.5e}" == f"{GAPS[diffusion]:.5e}"


def test_kramers_rate_is_the_limit_of_the_gap():
    """A gap of two rates, one each way; the ratio goes to 1 with a correction of order D."""
    printed = {0.1: 0.908, 0.05: 0.915, 0.04: 0.931, 0.03: 0.949, 0.025: 0.959}
    for diffusion, ratio in printed.items():
        assert gap(diffusion) / (2 * kramers(diffusion)) == pytest.approx(ratio, abs=5e-4)
    small = np.array([0.01, 0.005, 0.0025])
    defects = np.array([1 - 2 / (escape(d, 1) * 2 * kramers(d)) for d in small])
    # Linear in D but for the next order, D^2: halving D halves the defect.
    assert defects[:-1] / defects[1:] == pytest.approx(2, abs=0.1)
    assert defects[-1] < 0.004


def test_the_gap_is_two_over_the_time_across():
    printed = {0.1: 2.223, 0.05: 2.026, 0.04: 2.008, 0.03: 2.001, 0.025: 2.000}
    for diffusion, product in printed.items():
        assert gap(diffusion) * escape(diffusion, 1) == pytest.approx(product, abs=5e-4)


def test_the_gap_of_a_very_high_barrier_still_agrees_with_quadrature():
    """Rates of 1e-22, far below what eigenvalues of the generator itself would resolve."""
    found = gap(0.005, 1601) * escape(0.005, 1)
    # Of second order in the spacing h against the width of the well, sqrt(D / 2) = 0.05.
    assert found == pytest.approx(2, abs=2 * (2 * REACH / 1600 / 0.05) ** 2)


def test_the_arrhenius_slope_is_the_barrier():
    times = escape_times(double_well(1.0), [0.025, 0.03, 0.04, 0.05], start=-1, end=1, wall=WALL)
    assert times["escape_time"].values[3] == pytest.approx(729.67, abs=0.005)
    assert arrhenius_barrier(times) == pytest.approx(0.2471, abs=5e-5)
    assert arrhenius_barrier(times) == pytest.approx(0.25, rel=0.03)
    # 1/4 + O(D): the prefactor of Kramers does not depend on D.
    colder = escape_times(double_well(1.0), [0.0025, 0.005], start=-1, end=1, wall=WALL)
    assert abs(arrhenius_barrier(colder) - 0.25) < abs(arrhenius_barrier(times) - 0.25) / 9


@pytest.mark.parametrize("wall", [-1.0, 0.0, 0.5])
def test_free_diffusion_from_a_wall_takes_the_square_of_the_distance(wall):
    """((end - wall)^2 - (start - wall)^2) / 2 D."""
    free = SDE(np.zeros_like, 0.3)
    expected = ((2 - wall) ** 2 - (0.5 - wall) ** 2) / 0.6
    found = mean_escape_time(free, start=0.5, end=2.0, wall=wall)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("velocity", "diffusion"), [(1.0, 0.1), (-1.0, 0.1), (-1.0, 0.005)])
def test_a_constant_drift_takes_the_known_time(velocity, diffusion):
    """From the wall: L/v - (D/v^2)(1 - e^(-v L/D)); up a slope of 200 D it is e^200."""
    sde = SDE(lambda x: np.full_like(x, velocity), diffusion)
    expected = 1 / velocity + diffusion * np.expm1(-velocity / diffusion)
    found = mean_escape_time(sde, start=0.0, end=1.0, wall=0.0)
    # The time is an exponential of U/D, 200 at most: as many roundings of it.
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_exact_time_solves_the_backward_equation():
    """D tau'' - U' tau' = -1 in the start, by differences of second order."""
    sde, h = double_well(0.05), 1e-2
    for start in (-1.2, -0.3, 0.4):
        before, at, past = (
            mean_escape_time(sde, start=start + s, end=1, wall=WALL) for s in (-h, 0, h)
        )
        curvature, slope = (past - 2 * at + before) / h**2, (past - before) / (2 * h)
        # Terms of hundreds cancel to 1; derivatives vary on the scale sqrt(D) = 0.22.
        terms = abs(0.05 * curvature) + abs((start - start**3) * slope)
        left = 0.05 * curvature + (start - start**3) * slope
        assert left == pytest.approx(-1, abs=max(terms, 1) * (h / 0.22) ** 2)


def test_a_distant_wall_makes_no_difference():
    """Behind it e^(-U/D) is nothing, though U/D is 1e6 there and its rounding 1e-10."""
    near, far = (
        mean_escape_time(double_well(0.0025), start=-1, end=0, wall=wall) for wall in (-2.0, -10.0)
    )
    assert far == pytest.approx(near, rel=1e-10)


def test_tables_have_units():
    sde = SDE(lambda x: x - x**3, 1.0, units="m", time_units="s")
    times = escape_times(sde, [0.1, 0.2], start=-1, end=1, wall=WALL)
    assert times["escape_time"].attrs["units"] == "s"
    assert times["diffusion"].attrs["units"] == "m2 s-1"
    assert times["escape_time"].attrs["long_name"] == "mean escape time from -1 to 1"


def test_bad_input_is_refused():
    sde = double_well(0.1)
    with pytest.raises(ValueError, match=r"wall, start, end are -4.0, 1, 0, expected in rising"):
        mean_escape_time(sde, start=1, end=0, wall=WALL)
    with pytest.raises(ValueError, match="wall, start, end is -inf, expected finite"):
        mean_escape_time(sde, start=-1, end=0, wall=-np.inf)
    with pytest.raises(ValueError, match=r"diffusion is 0.0, expected finite and more than 0"):
        mean_escape_time(double_well(0.0), start=-1, end=0, wall=WALL)
    with pytest.raises(ValueError, match=r"diffusion has shape \(2,\), expected one number"):
        mean_escape_time(double_well([0.1, 0.2]), start=-1, end=0, wall=WALL)
    with pytest.raises(ValueError, match=r"drift maps shape \(16, 16\) to \(\), expected"):
        mean_escape_time(SDE(lambda x: 1.0, 1.0), start=0, end=1, wall=-1)
    with pytest.raises(ValueError, match=r"diffusions is -0.1"):
        escape_times(sde, [0.1, -0.1], start=-1, end=0, wall=WALL)
    with pytest.raises(ValueError, match=r"time is e\^8\d\d\.\d+, more than a float"):
        mean_escape_time(double_well(0.25 / 800), start=-1, end=0, wall=-2)
    with pytest.raises(ValueError, match="did not settle with 16384 panels"):
        mean_escape_time(SDE(lambda x: 1e7 * np.sin(1e7 * x), 1.0), start=0, end=1, wall=-1)
    with pytest.raises(ValueError, match=r"barrier is 0.0, expected finite and more than 0"):
        kramers_rate(0.0, well_curvature=1, top_curvature=1, diffusion=1)
    with pytest.raises(ValueError, match="times have 1 diffusions, expected at least 2"):
        arrhenius_barrier(escape_times(sde, 0.1, start=-1, end=0, wall=WALL))
