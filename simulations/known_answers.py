"""Known answers: each estimator of information beside the number that it should find.

Six cases have an answer that is known by other means: two points and the corners of a cube under
Gaussian noise (quadrature), a Gaussian pair and a linear layer (closed forms), and a tanh and a
ReLU unit in cells (closed forms; Saxe et al. 2018). A function for each returns a table of rows,
`known_answers` all of them.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import norm

from ibdyn.estimators import Binned, Estimator, Pairwise, World, finite_sample, gaussian, neighbours
from ibdyn.estimators import mixture as monte_carlo

Floats = NDArray[np.float64]

# Two units of three inputs, with information of 4.051473 bits at a noise variance of 0.1.
WEIGHTS = np.array([[1, 0.5, -0.2], [0, 1, 0.3]])
COVARIANCE = np.array([[2, 0.3, 0], [0.3, 1, 0.2], [0, 0.2, 0.5]])

# Variance of the noise below which nearest neighbours refuse a few thousand samples of this layer.
COARSE = 0.3

SIDES = 8  # cells of each variable of a pair
TOGETHER = 512  # copies of few points drawn at once


class Row(NamedTuple):
    """One estimate, in bits; ``kind`` is estimate, lower bound or upper bound."""

    case: str
    parameter: float
    estimator: str
    kind: str
    estimate: float
    truth: float
    standard_error: float = np.nan


def table(rows: Sequence[Row]) -> xr.Dataset:
    """Rows as variables along ``row``.

    The standard error is NaN where nothing is random, the estimate where the estimator refuses.
    """
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    data = xr.Dataset({name: ("row", list(values)) for name, values in columns.items()})
    for name in ("estimate", "truth", "standard_error"):
        data[name].attrs = {"units": "bit", "long_name": name.replace("_", " ")}
    return data


def of_two_points(distance: float) -> float:
    """I(X;T+Z), in bits, of two even points at a ``distance`` in units of the noise.

    The capacity of the binary-input Gaussian channel, 1 - E log2(1 + exp(-L)) with the log ratio
    L ~ N(D^2/2, D^2) of the densities of the two points, by quadrature.
    """

    def lost(z: float) -> float:
        return float(norm.pdf(z) * np.logaddexp(0, -(distance**2 / 2 + distance * z)) / np.log(2))

    # Beyond 12 deviations there is less than 1e-31; the integrand turns where L is 0.
    turn = max(-distance / 2, -11.0)
    return 1 - quad(lost, -12, 12, points=[turn], epsabs=1e-13, epsrel=1e-13, limit=200)[0]


def _under_noise(
    case: str,
    parameter: float,
    points: Floats,
    variance: float,
    truth: float,
    samples: int,
    rng: np.random.Generator,
) -> list[Row]:
    """Rows of even points (point, unit), each given about ``samples`` over its number of draws."""
    n = len(points)
    sides = (Pairwise("lower", variance), Pairwise("upper", variance))
    rows = [
        Row(case, parameter, side.name, f"{side.bound} bound", _measure(side, points), truth)
        for side in sides
    ]
    # Copies of a point are that point, drawn as many times at once.
    copied = np.tile(points, (max(1, TOGETHER // n), 1))
    even, alike = np.full(len(copied), 1 / len(copied)), np.ones((len(copied), 1))
    draws = max(2, samples // len(copied))
    found = monte_carlo.information(copied[None], even, alike, variance, rng, draws=draws)
    bits, error = found.input[0], found.input_error[0]
    return [*rows, Row(case, parameter, "mixture", "estimate", bits, truth, error)]


def _measure(estimator: Estimator, t: Floats) -> float:
    """I(X;T) of even patterns ``t`` (pattern, unit) with values from -1 to 1, or no limits."""
    n = len(t)
    world = World(np.full(n, 1 / n), np.ones((n, 1)), np.ones((1, n), dtype=bool))
    return float(estimator.information(t[None], (-1, 1), world)["information_input"][0])


def two_points(
    distances: Sequence[float] = range(1, 9), *, samples: int = 50_000, seed: int = 0
) -> xr.Dataset:
    """Pairwise bounds and Monte Carlo of two points at distances in units of the noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for distance in distances:
        points = np.array([[0.0], [distance]])
        truth = of_two_points(distance)
        rows += _under_noise("two points", distance, points, 1.0, truth, samples, rng)
    return table(rows)


def hypercube(
    dimensions: Sequence[int] = (1, 2, 4, 6, 8, 10, 12),
    *,
    half_edge: float = 0.05,
    variance: float = 1e-3,
    samples: int = 50_000,
    seed: int = 0,
) -> xr.Dataset:
    """The same of the corners of a cube: in each dimension, exactly as much as of two points."""
    rng = np.random.default_rng(seed)
    one = of_two_points(2 * half_edge / math.sqrt(variance))
    rows = []
    for d in dimensions:
        bits = np.arange(2**d)[:, None] >> np.arange(d) & 1
        corners = half_edge * (2 * bits.astype(float) - 1)
        rows += _under_noise("cube", d, corners, variance, d * one, samples, rng)
    return table(rows)


def gaussian_pair(
    correlations: Sequence[float] = (0, 0.3, 0.5, 0.7, 0.9, 0.99),
    *,
    samples: int = 2000,
    repetitions: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Closed form, nearest neighbours and cells of two Gaussian variables.

    The cells are even ones of each variable and tell less than the pair, up to the error of their
    sample. The k-th repetition draws from the generator of ``seed`` + k.
    """
    edges = norm.ppf(np.arange(1, SIDES) / SIDES)
    rows = []
    for rho in correlations:
        near, counted = np.empty((2, repetitions))
        for k in range(repetitions):
            x, noise = np.random.default_rng(seed + k).normal(size=(2, samples, 1))
            y = rho * x + np.sqrt(1 - rho**2) * noise
            near[k] = neighbours.information(x, y)
            cells = SIDES * np.digitize(x, edges) + np.digitize(y, edges)
            counts = np.bincount(cells[:, 0], minlength=SIDES**2).reshape(SIDES, SIDES)
            counted[k] = finite_sample.information(counts)
        truth = -np.log1p(-(rho**2)) / (2 * np.log(2))
        closed = float(gaussian.input_information([[rho]], [[1.0]], 1 - rho**2))
        cells_name = f"chao_wang_jost, {SIDES} x {SIDES} cells"
        rows += [
            Row("Gaussian pair", rho, "gaussian", "estimate", closed, truth),
            _repeated("Gaussian pair", rho, "neighbours", "estimate", near, truth),
            _repeated("Gaussian pair", rho, cells_name, "lower bound", counted, truth),
        ]
    return table(rows)


def linear_layer(
    variances: Sequence[float] = (0.1, 0.3, 1, 3, 10),
    *,
    samples: int = 2000,
    repetitions: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Closed form and nearest neighbours of a linear layer of three inputs and two noisy units.

    Nearest neighbours fall short as the noise gets finer, and refuse samples of a noise below
    `COARSE`, so they are asked from there on. The truth is the determinant of the layer.
    """
    root = np.linalg.cholesky(COVARIANCE)
    of_signal = WEIGHTS @ COVARIANCE @ WEIGHTS.T
    rows = []
    for variance in variances:
        truth = float(np.linalg.slogdet(np.eye(2) + of_signal / variance)[1] / (2 * np.log(2)))
        closed = float(gaussian.input_information(WEIGHTS, COVARIANCE, variance))
        rows.append(Row("linear layer", variance, "gaussian", "estimate", closed, truth))
        if variance < COARSE:
            continue
        near = np.empty(repetitions)
        for k in range(repetitions):
            rng = np.random.default_rng(seed + k)
            x = rng.normal(size=(samples, 3)) @ root.T
            t = x @ WEIGHTS.T + np.sqrt(variance) * rng.normal(size=(samples, 2))
            near[k] = neighbours.information(x, t)
        rows.append(_repeated("linear layer", variance, "neighbours", "estimate", near, truth))
    return table(rows)


def _repeated(
    case: str, parameter: float, estimator: str, kind: str, found: Floats, truth: float
) -> Row:
    """The mean of repetitions and its standard error."""
    error = float(found.std(ddof=1) / np.sqrt(len(found)))
    return Row(case, parameter, estimator, kind, float(found.mean()), truth, error)


GAINS = tuple(np.logspace(-2, 3, 11).tolist())


def tanh_cells(gain: float, count: int) -> Floats:
    """Probabilities of the ``count`` even cells from -1 to 1 of tanh(w x), x ~ N(0, 1)."""
    inner = np.arctanh(np.linspace(-1, 1, count + 1)[1:-1]) / gain
    return np.diff(norm.cdf(np.concatenate([[-np.inf], inner, [np.inf]])))


def relu_cells(gain: float, width: float) -> Floats:
    """Probabilities of the cells of a ``width`` of max(w x, 0), x ~ N(0, 1), to 38 deviations."""
    edges = np.arange(1, np.ceil(38 * gain / width) + 2) * width / gain
    return -np.diff(np.concatenate([[1.0], norm.sf(edges), [0.0]]))


def tanh_unit(
    gains: Sequence[float] = GAINS,
    *,
    grid: int = 2**18,
    samples: int = 2000,
    repetitions: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Thirty cells of tanh(w x), x ~ N(0, 1): of all inputs, a quantile grid, and of samples."""
    binned = Binned("range", 30)
    cases = [(w, lambda x, w=w: np.tanh(w * x), tanh_cells(w, binned.count)) for w in gains]
    return _unit("tanh unit", binned, cases, grid, samples, repetitions, seed)


def relu_unit(
    gains: Sequence[float] = GAINS[2:],
    *,
    grid: int = 2**18,
    samples: int = 2000,
    repetitions: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """The same of max(w x, 0) in cells of 2/30, of which there is no last: it never turns."""
    binned = Binned("width", width=2 / 30)
    cases = [(w, lambda x, w=w: np.maximum(w * x, 0), relu_cells(w, binned.width)) for w in gains]
    return _unit("ReLU unit", binned, cases, grid, samples, repetitions, seed)


def _unit(
    case: str,
    binned: Binned,
    gains: Sequence[tuple[float, Callable[[Floats], Floats], Floats]],
    grid: int,
    samples: int,
    repetitions: int,
    seed: int,
) -> xr.Dataset:
    """Rows of a unit: for each gain its function of x and the probabilities of its cells."""
    quantiles = norm.ppf((np.arange(grid) + 0.5) / grid)
    rng, rows = np.random.default_rng(seed), []
    for gain, respond, p in gains:
        truth = float(entr(p).sum() / np.log(2))
        exact = _measure(binned, respond(quantiles[:, None]))
        x = rng.normal(size=(repetitions, samples, 1))
        cells = binned.cells(respond(x), (-1, 1))
        counts = [np.bincount(one, minlength=cells.max() + 1) for one in cells]
        sampled = finite_sample.chao_wang_jost(counts)
        rows += [
            Row(case, gain, binned.name, "estimate", exact, truth),
            _repeated(case, gain, f"chao_wang_jost, {samples} samples", "estimate", sampled, truth),
        ]
    return table(rows)


def known_answers(*, thinned: bool = False, seed: int = 0) -> xr.Dataset:
    """All cases in one table; ``thinned`` is a fifth of the parameters and samples, for a try."""
    if not thinned:
        cases = two_points, hypercube, gaussian_pair, linear_layer, tanh_unit, relu_unit
        return xr.concat([case(seed=seed) for case in cases], "row")
    few = {"repetitions": 4, "seed": seed}
    return xr.concat(
        [
            two_points((1, 3), samples=10_000, seed=seed),
            hypercube((1, 6), samples=10_000, seed=seed),
            gaussian_pair((0, 0.9), samples=500, **few),
            linear_layer((0.1, 3), samples=500, **few),
            tanh_unit(GAINS[::3], grid=2**14, samples=500, **few),
            relu_unit(GAINS[3::3], grid=2**14, samples=500, **few),
        ],
        "row",
    )
