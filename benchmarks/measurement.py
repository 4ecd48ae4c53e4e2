"""Measurement: every estimator against its plain form, and all probes against training.

    python -m benchmarks.measurement

The network of the paper, 4096 patterns, six layers, one thread, at the start and after training.
First binned information with 30 cells: ours measures 50 members at once, the plain forms one member
at a time; both give nanoseconds per (pattern x layer). Then all estimators on one member, with the
pairwise bounds against float64 and their memory. Last the cost of all probes of a recorded step,
and its share of the training between two of them at the default schedule.

Prints the least ratio of the 50 members' binned information and that of the pairwise input bounds.
"""

import argparse
from collections.abc import Sequence
from functools import partial

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import estimators, plain
from benchmarks.timing import interleaved, row
from benchmarks.training import study
from ibdyn import kernel, probes, schedule
from ibdyn.ensemble import Ensemble
from ibdyn.estimators import Binned
from ibdyn.estimators.counting import cell_information
from ibdyn.response import respond

ESTIMATOR = Binned("range", 30)


def ours(ensemble: Ensemble, activations: Sequence[NDArray]) -> None:
    """Binned information of all layers and members."""
    task = ensemble.task
    for layer, t in zip(ensemble.architecture.layers, activations, strict=True):
        cells = ESTIMATOR.cells(t, layer.limits)
        cell_information(cells, task.p_x, task.p_y_given_x, ensemble.in_train)


def theirs(ensemble: Ensemble, activations: Sequence[NDArray], by_bytes: bool) -> None:
    """Binned information of all layers of the first member."""
    labels = ensemble.task.p_y_given_x.argmax(-1)
    for layer, t in zip(ensemble.architecture.layers, activations, strict=True):
        plain.information(t[0], np.linspace(*layer.limits, 31), labels, by_bytes)


def binned(name: str, ensemble: Ensemble, parameters: NDArray, repeats: int) -> float:
    """Print nanoseconds per pattern and layer of each side; the ratio to the plain form."""
    activations, _ = respond(ensemble, parameters)
    seconds = interleaved(
        {
            "numpy.unique(axis=0)": partial(theirs, ensemble, activations, False),
            "numpy.unique of bytes": partial(theirs, ensemble, activations, True),
            "ours, 50 members": partial(ours, ensemble, activations),
        },
        repeats,
    )
    units = len(ensemble.x) * len(activations)
    ns = {job: taken / units * 1e9 for job, taken in seconds.items()}
    ns["ours, 50 members"] /= len(ensemble.members)
    for job, value in ns.items():
        row(f"{name}: {job}", f"{value:.1f}", f"{value / ns['ours, 50 members']:.1f}")
    return ns["numpy.unique(axis=0)"] / ns["ours, 50 members"]


def share_of_training(ensemble: Ensemble, parameters: NDArray, repeats: int) -> None:
    """Print the cost of a recorded step's probes, as a share of the training up to the next."""
    config, plan = ensemble.config, ensemble.config.schedule
    recorded = len(schedule.recorded_epochs(config.epochs, plan.count, plan.extra))
    between = config.epochs * ensemble.steps_per_epoch / recorded
    steps = 5 * ensemble.steps_per_epoch
    state = kernel.State.initial(parameters)
    seconds = interleaved(
        {
            "train": partial(kernel.advance, state, ensemble, ensemble.targets, steps),
            "probe": partial(probes.measure, ensemble, parameters, [ESTIMATOR], 0),
        },
        repeats,
    )
    share = seconds["probe"] / (seconds["train"] / steps * between)
    row(
        f"{recorded} recorded steps, {between:.0f} between, on average",
        f"{seconds['probe'] * 1e3:.1f}",
        f"{share:.0%}",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15, help="timed repeats of each job")
    parser.add_argument("--epochs", type=int, default=500, help="epochs until trained")
    arguments = parser.parse_args(argv)
    ensemble = study(train_fraction=0.85)
    stops = [0, arguments.epochs * ensemble.steps_per_epoch]
    start, trained = kernel.trajectory(ensemble, stops)
    most = numba.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    row("binned information, one thread", "ns", "ratio")
    ratios = [
        binned(name, ensemble, parameters, arguments.repeats)
        for name, parameters in (("start", start), ("trained", trained))
    ]
    moments = {
        name: respond(ensemble, parameters)[0]
        for name, parameters in (("start", start), ("trained", trained))
    }
    pairwise = estimators.tables(ensemble, moments, max(1, arguments.repeats // 3))
    for threads in sorted({1, min(2, most)}):
        numba.set_num_threads(threads)
        row(f"all probes of a record, {threads} thread(s)", "ms", "of training")
        share_of_training(ensemble, trained, arguments.repeats)
    numba.set_num_threads(most)
    print(f"ratio: {min(ratios):.1f} (binned information)")
    print(f"ratio: {pairwise:.1f} (pairwise bounds)")


if __name__ == "__main__":
    main()
