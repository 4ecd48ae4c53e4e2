"""Every estimator of information against the plain form that people run, one thread.

Both sides of a case answer the same question, of the six layers of one member or of drawn samples,
and return it in bits. The plain sides are torch, whose threads are set with ours, and numpy without
large matrix products, which has one thread anyway.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import plain_estimators as plain
from benchmarks.timing import interleaved, peak_memory, row
from ibdyn.ensemble import Ensemble
from ibdyn.estimators import Binned, World, finite_sample, gaussian, mixture, neighbours
from ibdyn.estimators.pairwise import bounds

POLICIES = (Binned("range", 30), Binned("width", width=0.07), Binned("quantiles", 30))
VARIANCE = 1e-3
INPUT_BOUNDS = "pairwise, input"
Job = Callable[[], NDArray]


class Case(NamedTuple):
    """Two jobs that return the same bits, up to ``tolerance``."""

    plain: Job
    ours: Job
    tolerance: float


def of_layers(ensemble: Ensemble, activations: Sequence[NDArray]) -> dict[str, Case]:
    """Cases by name, of the layers (member, pattern, unit) of the first member.

    Where the input alone is bounded by the plain side, ours bounds the label as well. The plain
    bounds err by the cancellation of float32 products.
    """
    task = ensemble.task
    world = World(task.p_x, task.p_y_given_x, ensemble.in_train[:1])
    labels = task.p_y_given_x.argmax(-1)
    layers = [np.ascontiguousarray(t[:1]) for t in activations]
    limits = [layer.limits for layer in ensemble.architecture.layers]

    def told(policy: Binned, t: NDArray, ends: tuple[float, float]) -> list[float]:
        found = policy.information(t, ends, world)
        return [found["information_input"][0], found["information_label"][0]]

    def binned(policy: Binned) -> Case:
        pairs = list(zip(layers, limits, strict=True))
        return Case(
            lambda: np.array([plain.binned(t[0], labels, policy, ends) for t, ends in pairs]),
            lambda: np.array([told(policy, t, ends) for t, ends in pairs]),
            1e-10,
        )

    def drawn() -> NDArray:
        rng = np.random.default_rng(0)
        found = [mixture.information(t, task.p_x, task.p_y_given_x, VARIANCE, rng) for t in layers]
        return np.array([[each.input[0], each.label[0]] for each in found])

    def plainly_drawn() -> NDArray:
        rng = np.random.default_rng(0)
        return np.array([plain.mixture(t[0], labels, VARIANCE, rng) for t in layers])

    def all_bounds() -> NDArray:
        return np.array([bounds(t, task.p_x, task.p_y_given_x, VARIANCE) for t in layers])[:, :4, 0]

    return {policy.name: binned(policy) for policy in POLICIES} | {
        INPUT_BOUNDS: Case(
            lambda: np.array([plain.pairwise_input(t[0], VARIANCE) for t in layers]),
            lambda: all_bounds()[:, :2],
            1e-3,
        ),
        "pairwise, input and label": Case(
            lambda: np.array([plain.pairwise(t[0], labels, VARIANCE) for t in layers]),
            all_bounds,
            1e-3,
        ),
        "mixture, one draw": Case(plainly_drawn, drawn, 1e-8),
    }


def of_samples(samples: int, repetitions: int) -> dict[str, Case]:
    """Cases by name of estimators that are not for the layers of a known world."""
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, samples, 1))
    b = a + noise
    weights, covariance = rng.normal(size=(50, 10, 12)), np.eye(12)
    cells = rng.integers(64, size=samples)
    y = cells % 2 ^ (rng.random(samples) < 0.1)

    def tested() -> NDArray:
        rng = np.random.default_rng(1)
        found = finite_sample.permutation_null(cells, y, repetitions, rng, "miller_madow")
        return np.append(found.observed, found.null)

    return {
        f"neighbours, {samples} samples": Case(
            lambda: plain.neighbours(a, b, 3),
            lambda: np.array([neighbours.information(a, b)]),
            1e-10,
        ),
        "gaussian, 50 layers": Case(
            lambda: plain.gaussian(weights, covariance, 0.1),
            lambda: gaussian.input_information(weights, covariance, 0.1),
            1e-10,
        ),
        f"{samples} samples, {repetitions} shuffles": Case(
            lambda: plain.sampled_information(cells, y, repetitions, np.random.default_rng(1)),
            tested,
            1e-10,
        ),
    }


def compare(name: str, case: Case, repeats: int) -> float:
    """Print the milliseconds of each side and by how much their bits differ; the ratio."""
    seconds = interleaved({"plain": case.plain, "ours": case.ours}, repeats)
    ratio = seconds["plain"] / seconds["ours"]
    difference = np.abs(case.plain() - case.ours()).max()
    times = (f"{seconds[side] * 1e3:.3g}" for side in ("plain", "ours"))
    row(name, *times, f"{ratio:.3g}", f"{difference:.1e}")
    return ratio


def errors(ensemble: Ensemble, activations: Sequence[NDArray]) -> dict[str, float]:
    """Largest difference in bits of each side's input bounds from those in float64."""
    case = of_layers(ensemble, activations)[INPUT_BOUNDS]
    exact = np.array([plain.pairwise_reference(t[0], VARIANCE) for t in activations])
    return {side: np.abs(getattr(case, side)() - exact).max() for side in ("plain", "ours")}


def memory() -> None:
    """Print what the input bounds and a mixture of 4096 patterns add to the peak of a process."""
    begin = (
        "import numpy as np, torch; from benchmarks import plain_estimators as plain; "
        "from ibdyn.estimators import mixture; from ibdyn.estimators.pairwise import bounds; "
        "t = np.tanh(np.random.default_rng(0).normal(size=(4096, 10))).astype(np.float32); "
        "labels = np.arange(4096) % 2; "
        "torch.set_num_threads(1); "
        "world = lambda n: (np.full(n, 1 / n), np.eye(2)[labels[:n]]); "
    )
    jobs = {
        "pairwise": (
            f"plain.pairwise_input(t[:n], {VARIANCE})",
            f"bounds(t[None, :n], *world(n), {VARIANCE})",
        ),
        "mixture": (
            f"plain.mixture(t[:n], labels[:n], {VARIANCE}, np.random.default_rng(0))",
            f"mixture.information(t[None, :n], *world(n), {VARIANCE}, np.random.default_rng(0))",
        ),
    }
    for name, sides in jobs.items():
        added = []
        for job in sides:
            small, large = (
                peak_memory(f"{begin}[{job} for n in {sizes}]") for sizes in ([64], [64, 4096])
            )
            added.append(f"{large - small:.0f}")
        row(name, *added)


def tables(ensemble: Ensemble, moments: Mapping[str, Sequence[NDArray]], repeats: int) -> float:
    """Print all tables, for activations by name; the least ratio of the pairwise bounds."""
    ratios = []
    sides, columns = ("plain", "ours"), ("plain", "ours", "ratio", "bits apart")
    for moment, activations in moments.items():
        row(f"{moment}: six layers of one member, ms", *columns)
        for name, case in of_layers(ensemble, activations).items():
            ratio = compare(name, case, repeats)
            if name == INPUT_BOUNDS:
                ratios.append(ratio)
        found = errors(ensemble, activations)
        bits = (f"{found[side]:.1e}" for side in sides)
        row(f"{INPUT_BOUNDS}, from float64, bits", *bits)
    row("samples, ms", *columns)
    for name, case in of_samples(2000, 99).items():
        compare(name, case, repeats)
    row("peak memory of 4096 patterns, MiB", *sides)
    memory()
    return min(ratios)
