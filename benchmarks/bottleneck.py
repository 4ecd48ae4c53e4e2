"""The bottleneck curve against plain Blahut-Arimoto on all patterns, and against `dit`.

    python -m benchmarks.bottleneck

The soft rule of 4096 patterns, 100 betas, to a certified gap of 1e-6 nat, merging of patterns
included. The plain iteration starts at each beta from T = X and stops once a sweep gains less than
1e-9 nat. It would take hours, so its time is extrapolated: sweeps of all 4096 patterns are timed,
and sweeps are counted on the 64 classes of equal p(y|x). From T = X, clusters of one class stay
copies of each other, so that the count is the same; the benchmark compares both after a sweep.

`dit` (``pip install "ibdyn[benchmark]"``) minimises the same Lagrangian with a general optimiser.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks import plain
from benchmarks.timing import interleaved, row
from ibdyn.tasks import spherical_rule
from theory import bottleneck
from theory.information import mutual_information
from theory.sufficiency import merged

POINTS = 100
TOLERANCE = 1e-6
# Sweeps are counted at every tenth beta, to a sweep's gain of SWEEP_GAIN or the cap.
EVERY, SWEEP_GAIN, CAP = 10, 1e-9, 20_000
BETAS = np.linspace(1, 11, 11)


def soft_joint() -> NDArray:
    """The joint distribution of the soft spherical rule."""
    task = spherical_rule(information=0.99)
    return task.p_x[:, None] * task.p_y_given_x


def lagrangian(p_x: NDArray, p_y_x: NDArray, p_t_x: NDArray, beta: float) -> float:
    """I(X;T) - beta I(T;Y), in nats."""
    i_x = mutual_information(p_x[:, None] * p_t_x, base=np.e)
    i_y = mutual_information((p_x[:, None] * p_t_x).T @ p_y_x, base=np.e)
    return float(i_x - beta * i_y)


def plain_run(joint: NDArray, beta: float) -> tuple[int, float]:
    """Sweeps of the plain iteration from T = X until it stops, and the Lagrangian there."""
    p_x = joint.sum(1)
    p_y_x = joint / p_x[:, None]
    encoder, value = np.eye(len(joint)), np.inf
    sweeps, gain = 0, np.inf
    while gain >= SWEEP_GAIN and sweeps < CAP:
        encoder = plain.bottleneck_sweep(p_x, p_y_x, encoder, beta)
        last, value = value, lagrangian(p_x, p_y_x, encoder, beta)
        sweeps, gain = sweeps + 1, last - value
    return sweeps, value


def difference_after_a_sweep(joint: NDArray, classes: NDArray, beta: float) -> float:
    """Lagrangian of all patterns less that of their classes, both one sweep from T = X."""
    values = []
    for p_xy in (joint, classes):
        p_x = p_xy.sum(1)
        p_y_x = p_xy / p_x[:, None]
        encoder = plain.bottleneck_sweep(p_x, p_y_x, np.eye(len(p_xy)), beta)
        values.append(lagrangian(p_x, p_y_x, encoder, beta))
    return values[0] - values[1]


def against_plain(repeats: int) -> float:
    """Print our time, the sweeps' time and number; the ratio to the plain iteration."""
    joint = soft_joint()
    ends = bottleneck.curve(joint).beta.values
    betas = np.geomspace(ends[0], ends[-1], POINTS)
    seconds = interleaved({"curve": partial(bottleneck.curve, joint, betas)}, repeats)["curve"]
    curve = bottleneck.curve(joint, betas, tolerance=TOLERANCE)
    row(f"{POINTS} betas, {betas[0]:.2f} to {betas[-1]:.1f}", "seconds", "gap, nat")
    row("ours", f"{seconds:.3f}", f"{curve.gap.values.max():.1e}")

    p_x = joint.sum(1)
    p_y_x = joint / p_x[:, None]
    sweep = partial(plain.bottleneck_sweep, p_x, p_y_x, np.eye(len(joint)), 5.0)
    taken = interleaved({"sweep": sweep}, 3)["sweep"]
    classes, _ = merged(joint)
    runs = np.array([plain_run(classes, beta) for beta in betas[::EVERY]])
    sweeps = runs[:, 0].mean()
    excess = runs[:, 1] - curve.lagrangian.values[::EVERY]
    total = taken * sweeps * POINTS
    row("one plain sweep of 4096 patterns", f"{taken:.3f}")
    row(
        "difference to the classes after it, nat",
        f"{difference_after_a_sweep(joint, classes, 5):.0e}",
    )
    row(f"sweeps at a beta, mean of every {EVERY}th", f"{sweeps:.0f}")
    row("plain, extrapolated", f"{total:.0f}", f"{excess.max():.1e}")
    row("largest gain of plain on ours, nat", f"{max(-excess.min(), 0):.1e}")
    return total / seconds


def dit_curve(joint: NDArray) -> NDArray:
    """I(X;T) - beta I(T;Y) along `BETAS`, in nats, by `dit`."""
    import dit
    from dit.rate_distortion import IBCurve

    outcomes = [(str(x), str(y)) for x, y in np.ndindex(joint.shape)]
    distribution = dit.Distribution(outcomes, joint.ravel())
    found = IBCurve(
        distribution, beta_min=BETAS[0], beta_max=BETAS[-1], beta_num=len(BETAS), method="sp"
    )
    return (found.complexities - found.betas * found.relevances) * np.log(2)


def our_curve(joint: NDArray) -> xr.Dataset:
    """The same by ours."""
    return bottleneck.curve(joint, BETAS)


def against_dit() -> float:
    """Print the times and the excess over the best found; the least ratio of the times."""
    row(f"small joints, {len(BETAS)} betas", "dit, s", "ours, s", "ratio", "dit, nat", "ours, nat")
    rng = np.random.default_rng(0)
    ratios = []
    for shape in ((2, 2), (3, 2), (4, 2), (3, 3)):
        joint = rng.dirichlet(np.full(shape[0] * shape[1], 0.5)).reshape(shape)
        jobs: dict[str, Callable[[], object]] = {
            "dit": partial(dit_curve, joint),
            "ours": partial(our_curve, joint),
        }
        seconds = interleaved(jobs, 3)
        theirs, ours = dit_curve(joint), our_curve(joint).lagrangian.values
        sharp = bottleneck.curve(joint, BETAS, tolerance=1e-9).lagrangian.values
        best = np.minimum(sharp, theirs)
        ratios.append(seconds["dit"] / seconds["ours"])
        row(
            f"{shape[0]} patterns, {shape[1]} labels",
            f"{seconds['dit']:.2f}",
            f"{seconds['ours']:.4f}",
            f"{ratios[-1]:.0f}",
            f"{(theirs - best).max():.0e}",
            f"{(ours - best).max():.0e}",
        )
    return min(ratios)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats of our curve")
    arguments = parser.parse_args(argv)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Both sides are to run on one thread, which has to be said before numpy is loaded.
        command = [sys.executable, "-m", "benchmarks.bottleneck", *map(str, argv or sys.argv[1:])]
        os.execve(sys.executable, command, os.environ | {"OMP_NUM_THREADS": "1"})
    print(f"ratio to plain Blahut-Arimoto: {against_plain(arguments.repeats):.0f}")
    if find_spec("dit") is None:
        print('dit is missing, not compared: pip install "ibdyn[benchmark]"')
    else:
        print(f"ratio to dit: {against_dit():.0f}")


if __name__ == "__main__":
    main()
