"""How long noise takes to carry a walker over a barrier of energy.

Mean first-passage times of dx = -U'(x) dt + sqrt(2 D) dW: exact by quadrature, and Kramers' limit
of small D. D stands for the temperature: heights of U are measured against it.
"""

from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from . import quadrature
from .checks import Floats, finite, positive
from .langevin import SDE

# Two successive quadratures agree to this share of the time.
AGREEMENT = 1e-11


def mean_escape_time(sde: SDE, *, start: float, end: float, wall: float) -> float:
    """Mean time from ``start`` to the first arrival at ``end`` above it, in ``sde.time_units``.

    tau = (1/D) int_start^end dy e^(U(y)/D) int_wall^y dz e^(-U(z)/D), with a reflecting ``wall``
    at or below ``start`` (Gardiner 2009, equation 5.5.23). For a side without a wall, put it where
    e^(-U/D) no longer counts. Panels are doubled until two results agree to eleven digits.

    ValueError if D is not one number above 0, the points are out of order, panels are too coarse
    for the drift to the last, or the time exceeds what a float holds.

    >>> free = SDE(np.zeros_like, 0.5)
    >>> print(round(mean_escape_time(free, start=0.0, end=2.0, wall=-1.0), 10))
    8.0
    """
    d = sde.single_diffusion()
    finite("wall, start, end", [wall, start, end])
    if not wall <= start < end:
        raise ValueError(f"wall, start, end are {wall}, {start}, {end}, expected in rising order")
    before = np.inf
    for panels in 2 ** np.arange(4, 15):
        log_time = _log_escape_time(
            sde, d, np.linspace([wall, start], [start, end], panels + 1, axis=1)
        )
        if abs(log_time - before) <= AGREEMENT:
            if log_time > np.log(np.finfo(float).max):
                raise ValueError(f"the mean escape time is e^{log_time:.6g}, more than a float")
            return float(np.exp(log_time))
        before = log_time
    raise ValueError(
        f"the mean escape time did not settle with {panels} panels (last e^{log_time:.6g}), "
        "expected a drift that is smooth on that scale"
    )


def _log_escape_time(sde: SDE, diffusion: float, edges: Floats) -> float:
    """Log of tau, with panels between ``edges`` (2, panel + 1), below the start and above it."""
    below, above = edges
    # U / D counts from the start on both sides: from a far wall, rounding would outweigh the well.
    energy = np.concatenate([_climb(sde, below[::-1])[::-1, ::-1], _climb(sde, above)]) / diffusion
    inner = quadrature.running(np.exp(energy.min() - energy), np.append(below, above[1:]))
    inner, outer = inner[len(below) - 1 :], energy[len(below) - 1 :]
    integral = quadrature.totals(np.exp(outer - outer.max()) * inner, above).sum()
    return float(np.log(integral / diffusion) + outer.max() - energy.min())


def _climb(sde: SDE, edges: Floats) -> Floats:
    """Potential above that of the first edge."""
    return -quadrature.running(sde.velocity(quadrature.points(edges)), edges)


def escape_times(
    sde: SDE, diffusions: ArrayLike, *, start: float, end: float, wall: float
) -> xr.Dataset:
    """Table of `mean_escape_time` with the drift of ``sde`` along ``diffusions`` (diffusion,).

    ValueError as for `mean_escape_time`.
    """
    d = np.atleast_1d(positive("diffusions", diffusions))
    times = [
        mean_escape_time(replace(sde, diffusion=one), start=start, end=end, wall=wall) for one in d
    ]
    time_attrs = {
        "units": sde.time_units,
        "long_name": f"mean escape time from {start:g} to {end:g}",
    }
    coordinate_attrs = {"units": sde.diffusion_units, "long_name": "diffusion"}
    return xr.Dataset(
        {"escape_time": ("diffusion", times, time_attrs)},
        {"diffusion": ("diffusion", d, coordinate_attrs)},
    )


def kramers_rate(
    barrier: ArrayLike,
    *,
    well_curvature: ArrayLike,
    top_curvature: ArrayLike,
    diffusion: ArrayLike,
) -> Floats:
    """Rate sqrt(U''(a) |U''(b)|) / (2 pi) e^(-dU/D) over a ``barrier`` dU high against D.

    ``well_curvature`` is U''(a) at the bottom and ``top_curvature`` |U''(b)| at the top. A walker
    on the top falls to either side, so the mean time to the top is half that across: 1 / rate.
    Kramers 1940, the overdamped limit; arguments broadcast.

    ValueError if a number is not finite and above 0.

    >>> rate = kramers_rate(0.25, well_curvature=2, top_curvature=1, diffusion=0.05)
    >>> print((1 / rate).round(2))
    659.38
    """
    height, d = positive("barrier", barrier), positive("diffusion", diffusion)
    well = positive("well_curvature", well_curvature)
    top = positive("top_curvature", top_curvature)
    return np.asarray(np.sqrt(well * top) / (2 * np.pi) * np.exp(-height / d))


def arrhenius_barrier(times: xr.Dataset) -> float:
    """Slope of ln tau against 1/D in a table of `escape_times`: the height of the barrier.

    In the units of the diffusion. Least squares; exact as D goes to 0. ValueError unless there are
    two diffusions or more.
    """
    d = times["diffusion"].values
    if len(d) < 2:
        raise ValueError(f"times have {len(d)} diffusions, expected at least 2")
    return float(np.polyfit(1 / d, np.log(times["escape_time"].values), 1)[0])
