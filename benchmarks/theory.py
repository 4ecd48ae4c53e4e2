"""Fits member by member against the plain form: one optimiser call for each curve.

    python -m benchmarks.theory

50 members x 7 layers x 300 log-spaced steps. Ours is all curves at once, labels included. Plain
is ``scipy.optimize.curve_fit`` from a sensible start for the exponential, and for the broken line a
loop over the same grid of breaks with ``numpy.linalg.lstsq`` of each; both are run on a slice of
the curves and extrapolated in proportion. Prints seconds, and by how much their estimates differ.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from benchmarks.timing import interleaved, row
from theory import breaks, existence, fitting
from theory.autoregression import autoregressive

MEMBERS, LAYERS, STEPS = 50, 7, 300


class Case(NamedTuple):
    """Two jobs that give estimates (curve,), plain of the first ``curves``; how far they differ."""

    plain: Callable[[], NDArray]
    ours: Callable[[], NDArray]
    curves: int
    tolerance: float


def study(members: int = MEMBERS, steps: int = STEPS) -> tuple[xr.DataArray, xr.DataArray]:
    """Relaxing curves and broken power laws, (member, layer, step), with autocorrelated errors."""
    rng = np.random.default_rng(0)
    step = np.unique(np.round(np.geomspace(1, 1e5, 2 * steps)).astype(int))[-steps:]
    shape = (members, LAYERS)
    noise = autoregressive(0.6, (members * LAYERS, steps), rng).reshape(*shape, steps)
    time = np.exp(rng.normal(7, 0.5, shape))[..., None]
    place = rng.normal(8, 0.5, shape)[..., None]
    relaxing = 4 + 3 * np.exp(-step / time) + 0.05 * noise
    x = np.log(step)
    broken = np.exp(-0.1 * x - 1.1 * np.maximum(x - place, 0) + 0.15 * noise)
    dims = ("member", "layer", "step")
    return xr.DataArray(relaxing, {"step": step}, dims), xr.DataArray(broken, {"step": step}, dims)


def plain_exponential(curves: xr.DataArray, count: int) -> NDArray:
    """Times of the first ``count`` curves by ``curve_fit``, one after the other."""
    t = curves.step.values.astype(float)

    def model(t: NDArray, limit: float, amplitude: float, time: float) -> NDArray:
        return limit + amplitude * np.exp(-t / time)

    found = []
    for y in curves.values.reshape(-1, len(t))[:count]:
        half = t[np.argmax(y < (y[0] + y[-1]) / 2)]
        found.append(curve_fit(model, t, y, (y[-1], y[0] - y[-1], half), maxfev=5000)[0][2])
    return np.array(found)


def plain_break(curves: xr.DataArray, count: int) -> NDArray:
    """Breaks in log step of the first ``count`` curves, one regression for each of the grid."""
    x = np.log(curves.step.values.astype(float))
    found = []
    for y in np.log(curves.values.reshape(-1, len(x))[:count]):
        squares = []
        for c in breaks.grid(x):
            design = np.stack([np.ones_like(x), x, np.maximum(x - c, 0)], 1)
            squares.append(np.linalg.lstsq(design, y, rcond=None)[1][0])
        found.append(breaks.grid(x)[np.argmin(squares)])
    return np.array(found)


def cases(relaxing: xr.DataArray, broken: xr.DataArray, count: int) -> dict[str, Case]:
    """Cases by name; the times of ``curve_fit`` are right to its stopping rule."""
    return {
        "exponential": Case(
            lambda: plain_exponential(relaxing, count),
            lambda: np.asarray(fitting.exponential(relaxing)["time"].values.ravel()),
            count,
            1e-3,
        ),
        "one free break": Case(
            lambda: plain_break(broken, count),
            lambda: np.asarray(np.log(fitting.broken_line(broken)["position"].values.ravel())),
            count,
            1e-9,
        ),
    }


def compare(name: str, case: Case, total: int, repeats: int) -> float:
    """Print seconds of each side for ``total`` curves and the relative difference; the ratio."""
    seconds = interleaved({"plain": case.plain, "ours": case.ours}, repeats)
    whole = seconds["plain"] * total / case.curves
    ratio = whole / seconds["ours"]
    apart = np.abs(case.ours()[: case.curves] / case.plain() - 1).max()
    row(name, f"{whole:.3g}", f"{seconds['ours']:.3g}", f"{ratio:.3g}", f"{apart:.1e}")
    return ratio


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and the least ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats of each job")
    parser.add_argument("--curves", type=int, default=20, help="curves of the plain slice")
    arguments = parser.parse_args(argv)
    relaxing, broken = study()
    total = MEMBERS * LAYERS
    row(f"{total} curves x {STEPS} steps, s", "plain", "ours", "ratio", "apart")
    ratios = [
        compare(name, case, total, arguments.repeats)
        for name, case in cases(relaxing, broken, arguments.curves).items()
    ]
    x, y = np.log(broken.step.values.astype(float)), np.log(broken.values.reshape(total, -1))
    alone: dict[str, Callable[[], object]] = {
        "power law": lambda: fitting.power_law(relaxing),
        "up to three breaks": lambda: fitting.broken_lines(broken),
        "sup-F, 999 nulls": lambda: existence.sup_f_test(x, y, np.random.default_rng(0)),
        "two laws, validated over members": lambda: fitting.cross_validate(
            relaxing, {"exponential": fitting.exponential, "power": fitting.power_law}
        ),
    }
    for name, taken in interleaved(alone, 1).items():
        row(name, "", f"{taken:.3g}")
    print(f"ratio: {min(ratios):.0f} (fits of {total} curves)")


if __name__ == "__main__":
    main()
