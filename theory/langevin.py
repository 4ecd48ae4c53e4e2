"""Stochastic differential equations as data, and walkers that follow them.

An equation dx = f(x) dt + sqrt(2 D) dW is its drift f, its diffusion D and its units. Walkers are
iterators of states: the caller decides how far to go and what to look at. Each takes the generator
that it draws from.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import exprel

from .checks import Floats, at_least, finite, non_negative, positive


@dataclass(frozen=True, eq=False)
class SDE:
    """dx = f(x) dt + sqrt(2 D) dW, with noise that does not depend on the state.

    ``drift`` f maps states of any shape to velocities of that shape; for one coordinate it acts on
    each number by itself, for several the last axis is the coordinate. ``diffusion`` D, 0 or more,
    is one number, or one for each coordinate. ``units`` are those of x and ``time_units`` those of
    t, so D has ``diffusion_units``.

    ValueError if D is negative or not finite.

    >>> SDE(lambda x: -x, 0.5, units="m", time_units="s").diffusion_units
    'm2 s-1'
    """

    drift: Callable[[Floats], Floats]
    diffusion: ArrayLike
    units: str = "1"
    time_units: str = "1"

    def __post_init__(self) -> None:
        non_negative("diffusion", self.diffusion)

    def velocity(self, state: Floats) -> Floats:
        """The drift at ``state``; ValueError unless it has the shape of ``state``."""
        found = np.asarray(self.drift(state))
        if found.shape != state.shape:
            raise ValueError(f"drift maps shape {state.shape} to {found.shape}, expected the same")
        return found

    def single_diffusion(self) -> float:
        """D of one coordinate with noise; ValueError unless it is one number above 0."""
        d = positive("diffusion", self.diffusion)
        if d.ndim:
            raise ValueError(f"diffusion has shape {d.shape}, expected one number")
        return float(d)

    @property
    def diffusion_units(self) -> str:
        """Units of x squared over those of t."""
        return _product((self.units, 2), (self.time_units, -1))

    @property
    def density_units(self) -> str:
        """One over the units of x."""
        return _product((self.units, -1))

    @property
    def rate_units(self) -> str:
        """One over the units of t."""
        return _product((self.time_units, -1))


def ornstein_uhlenbeck(
    stiffness: float, diffusion: float, *, units: str = "1", time_units: str = "1"
) -> SDE:
    """Linear restoring drift, dx = -k x dt + sqrt(2 D) dW, of ``stiffness`` k.

    ValueError if k or D is not finite, or D negative.
    """
    k = float(finite("stiffness", stiffness))
    return SDE(lambda x: -k * x, diffusion, units, time_units)


def euler_maruyama(
    sde: SDE, start: ArrayLike, *, dt: float, rng: np.random.Generator
) -> Iterator[Floats]:
    """States at times 0, dt, 2 dt, ... by x' = x + f(x) dt + sqrt(2 D dt) xi, without end.

    ``start`` is (walker,) or (walker, coordinate), as is every state. Weak error of first order in
    dt: with drift -k x the stationary variance is (D/k) / (1 - k dt / 2), that of SGD.

    ValueError if ``start`` is not finite or ``dt`` not above 0.
    """
    return _euler_maruyama(sde, finite("start", start), float(positive("dt", dt)), rng)


def _euler_maruyama(
    sde: SDE, state: Floats, dt: float, rng: np.random.Generator
) -> Iterator[Floats]:
    spread = np.sqrt(2 * np.asarray(sde.diffusion, dtype=float) * dt)
    while True:
        yield state
        state = state + dt * sde.velocity(state) + spread * rng.standard_normal(state.shape)


def exact_ornstein_uhlenbeck(
    start: ArrayLike,
    *,
    stiffness: ArrayLike,
    diffusion: ArrayLike,
    dt: float,
    rng: np.random.Generator,
) -> Iterator[Floats]:
    """States of dx = -k x dt + sqrt(2 D) dW at times 0, dt, 2 dt, ..., exact for any dt.

    x' = e^(-k dt) x + sqrt((D/k)(1 - e^(-2 k dt))) xi (Gillespie 1996). ``start`` is (walker,) or
    (walker, coordinate); ``stiffness`` k and ``diffusion`` D are one number or one for each
    coordinate. With k = 0 walkers diffuse freely.

    ValueError if a number is not finite, D is negative, or ``dt`` is not above 0.
    """
    state = finite("start", start)
    mean, variance = ornstein_uhlenbeck_moments(
        float(positive("dt", dt)), start=1.0, stiffness=stiffness, diffusion=diffusion
    )
    return _autoregression(state, mean, np.sqrt(variance), rng)


def _autoregression(
    state: Floats, factor: Floats, spread: Floats, rng: np.random.Generator
) -> Iterator[Floats]:
    while True:
        yield state
        state = factor * state + spread * rng.standard_normal(state.shape)


def ornstein_uhlenbeck_moments(
    time: ArrayLike, *, start: ArrayLike, stiffness: ArrayLike, diffusion: ArrayLike
) -> tuple[Floats, Floats]:
    """Mean e^(-k t) x0 and variance (D/k)(1 - e^(-2 k t)) at ``time``, from one point ``start``.

    Arguments broadcast. The variance is 2 D t where k = 0, and grows without bound where k < 0.

    ValueError if a number is not finite, or a time or D is negative.

    >>> mean, variance = ornstein_uhlenbeck_moments(3.5, start=2.0, stiffness=1.3, diffusion=0.4)
    >>> print(mean.round(6), variance.round(6))
    0.021134 0.307658
    """
    t, d = non_negative("time", time), non_negative("diffusion", diffusion)
    k, x = finite("stiffness", stiffness), finite("start", start)
    return np.asarray(np.exp(-k * t) * x), np.asarray(2 * d * t * exprel(-2 * k * t))


def paths(walkers: Iterator[Floats], sde: SDE, *, dt: float, steps: int) -> xr.DataArray:
    """The first ``steps`` steps of ``walkers``, dims time (from 0), walker (and coordinate).

    ValueError if ``dt`` is not above 0, ``steps`` is negative or states have other dims.
    """
    times = float(positive("dt", dt)) * np.arange(at_least("steps", steps, 0) + 1)
    states = np.array(list(itertools.islice(walkers, len(times))))
    if states.ndim not in (2, 3):
        raise ValueError(
            f"states have shape {states.shape[1:]}, expected (walker,) or (walker, coordinate)"
        )
    return xr.DataArray(
        states,
        {"time": ("time", times, {"units": sde.time_units, "long_name": "time"})},
        ("time", "walker", "coordinate")[: states.ndim],
        attrs={"units": sde.units, "long_name": "position"},
    )


def _product(*powers: tuple[str, int]) -> str:
    return (
        " ".join(
            f"{unit if unit.isalpha() else f'({unit})'}{power}"
            for unit, power in powers
            if unit != "1"
        )
        or "1"
    )
