"""The Fokker-Planck equation of one coordinate, as jumps between the cells of a line.

dp/dt = d/dx [-f p + D dp/dx] by finite volumes whose fluxes are exact for constant drift between
two cells (Chang & Cooper 1970; Scharfetter & Gummel 1969), with no flux through the ends. The
cells are then a Markov jump process: it keeps probability and positivity, and e^(-U/D) on the
cells, with f = -U', is stationary exactly.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.linalg.lapack import dgttrs
from scipy.special import exprel, softmax

from . import quadrature
from .checks import Floats, at_least, finite, non_negative, positive
from .langevin import SDE


@dataclass(frozen=True, eq=False)
class Lattice:
    """Cells centred on ``x`` (cell,), and the rates of jumping between neighbours.

    ``up`` (cell - 1,) are the rates from a cell to the next, ``down`` from the next back, per unit
    of time; ``stationary`` (cell,) are the probabilities e^(-U/D) / Z; ``sde`` is what was
    discretised.
    """

    x: Floats
    up: Floats
    down: Floats
    stationary: Floats
    sde: SDE


def discretise(sde: SDE, low: float, high: float, cells: int) -> Lattice:
    """Cells centred on ``cells`` equidistant points from ``low`` to ``high``.

    With z the drop of -U/D to the next cell, of spacing h, the rates are (D/h^2) B(z) up and
    (D/h^2) B(-z) down, B(z) = z / (e^z - 1). Observables err by O(h^2).

    ValueError if D is not one number above 0, ``low`` not below ``high``, or ``cells`` below 3.
    """
    d = sde.single_diffusion()
    if not finite("low", low) < finite("high", high):
        raise ValueError(f"low is {low} and high {high}, expected low below high")
    x, h = np.linspace(low, high, at_least("cells", cells, 3), retstep=True)
    z = -quadrature.totals(sde.velocity(quadrature.points(x)), x) / d
    rate = d / h**2
    # 1 / exprel(z) is B(z) without cancellation near 0.
    return Lattice(
        x=x,
        up=rate / exprel(z),
        down=rate / exprel(-z),
        stationary=softmax(-np.concatenate([[0.0], z.cumsum()])),
        sde=sde,
    )


def evolve(lattice: Lattice, probability: ArrayLike, *, dt: float) -> Iterator[Floats]:
    """Probabilities (cell,) at times 0, dt, 2 dt, ... by implicit Euler steps, without end.

    Each solves (1 - dt L) p' = p: first order in dt, and for any dt as large as one likes no
    probability is negative and their sum is kept to rounding.

    ValueError if ``probability`` does not fit the cells or has a negative value, ``dt`` is not
    above 0, or too large for a float to hold its product with the rates.
    """
    p = non_negative("probability", probability)
    if p.shape != lattice.x.shape:
        raise ValueError(f"probability has shape {p.shape}, expected {lattice.x.shape}")
    return _evolve(p, _factorise(lattice, float(positive("dt", dt))))


Factors = tuple[Floats, Floats, Floats, Floats, NDArray[np.int32]]


def _factorise(lattice: Lattice, dt: float) -> Factors:
    """Factors L U of 1 - dt L, in LAPACK's form, by sums of positive numbers alone.

    Columns of the matrix add up to 1, and what is left of it after each elimination adds up to a
    known number too: pivots from these sums, not from differences, lose no digit at large dt
    (Grassmann, Taksar & Heyman 1985, for Markov chains).
    """
    fastest = float(max(lattice.up.max(), lattice.down.max()))
    finite("dt times the fastest rate", dt * fastest)
    up, down = dt * lattice.up, dt * lattice.down
    pivot = np.empty(len(lattice.x))
    total = 1.0
    for i, (forth, back) in enumerate(zip(up, down, strict=True)):
        pivot[i] = total + forth
        total = 1.0 + back * (total / pivot[i])
    pivot[-1] = total
    no_exchanges = np.arange(1, len(pivot) + 1, dtype=np.int32)
    return -up / pivot[:-1], pivot, -down, np.zeros(len(pivot) - 2), no_exchanges


def _evolve(p: Floats, factors: Factors) -> Iterator[Floats]:
    while True:
        yield p
        p = dgttrs(*factors, p)[0]


def decay_rates(lattice: Lattice, count: int) -> Floats:
    """The ``count`` smallest eigenvalues of -L above the 0 of the stationary state, per time.

    -L, made symmetric, is G^T G with G bidiagonal: sqrt(up) on the diagonal, -sqrt(down) beside
    it. The rates are the squares of G's singular values, so even one many orders of magnitude
    below the jump rates, behind a high barrier, has its digits.

    ValueError unless ``count`` is from 1 to one less than the cells.
    """
    cells = len(lattice.x)
    if at_least("count", count, 1) >= cells:
        raise ValueError(f"count is {count}, expected less than the {cells} cells")
    # Eigenvalues of [[0, G], [G^T, 0]], tridiagonal once its rows alternate (Golub & Kahan 1965),
    # are +-singular values and one 0.
    alternating = np.ravel(np.sqrt(np.stack([lattice.up, lattice.down], -1)))
    singular = eigh_tridiagonal(
        np.zeros(2 * cells - 1),
        alternating,
        eigvals_only=True,
        select="i",
        select_range=(cells, cells + count - 1),
        tol=2 * np.finfo(float).tiny,
    )
    return np.asarray(singular**2)


def spectrum(lattice: Lattice, count: int = 10) -> xr.Dataset:
    """Table of the slowest modes, from 1: ``decay_rate`` and ``relaxation_time`` = 1 / rate.

    The first rate is the spectral gap: its time is that in which memory of the start fades.

    ValueError as for `decay_rates`.
    """
    rates = decay_rates(lattice, count)
    return xr.Dataset(
        {
            "decay_rate": (
                "mode",
                rates,
                {"units": lattice.sde.rate_units, "long_name": "decay rate"},
            ),
            "relaxation_time": (
                "mode",
                1 / rates,
                {"units": lattice.sde.time_units, "long_name": "relaxation time"},
            ),
        },
        {"mode": ("mode", np.arange(1, count + 1), {"units": "1", "long_name": "mode"})},
    )


def densities(lattice: Lattice, probability: ArrayLike, *, dt: float, steps: int) -> xr.DataArray:
    """Probability densities over the first ``steps`` steps of `evolve`, dims time (from 0), x.

    ValueError as for `evolve`, or if ``steps`` is negative.
    """
    at_least("steps", steps, 0)
    states = np.array(list(itertools.islice(evolve(lattice, probability, dt=dt), steps + 1)))
    sde = lattice.sde
    return xr.DataArray(
        states / (lattice.x[1] - lattice.x[0]),
        {
            "time": ("time", dt * np.arange(steps + 1), {"units": sde.time_units}),
            "x": ("x", lattice.x, {"units": sde.units, "long_name": "position"}),
        },
        ("time", "x"),
        attrs={"units": sde.density_units, "long_name": "probability density"},
    )
