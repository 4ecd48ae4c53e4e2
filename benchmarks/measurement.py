"""Measurement: binned information against ``numpy.unique``, and all probes against training.

    python -m benchmarks.measurement

The network of the paper, 4096 patterns, 30 cells, six layers, one thread, at the start and after
training. Ours measures 50 members at once, the plain forms one member at a time; both give
nanoseconds per (pattern x layer). Then the cost of all probes of a record, and its share of the
training between two records at the default schedule.
"""

import argparse
from collections.abc import Sequence

import numba
import numpy as np

from benchmarks import plain
from benchmarks.timing import interleaved, row
from benchmarks.training import study
from ibdyn import kernel, probes, schedule
from ibdyn.estimators import from_name
from ibdyn.estimators.counting import cell_information
from ibdyn.response import respond


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15, help="timed repeats of each job")
    parser.add_argument("--epochs", type=int, default=500, help="epochs until trained")
    arguments = parser.parse_args(argv)
    ensemble, estimator = study(train_fraction=0.85), from_name("binned-range-30")
    task, layers = ensemble.task, ensemble.architecture.layers
    labels = task.p_y_given_x.argmax(-1)
    stops = [0, arguments.epochs * ensemble.steps_per_epoch]
    most = numba.get_num_threads()
    ratios = []
    numba.set_num_threads(1)
    row("binned information, one thread", "ns", "ratio")
    for name, parameters in zip(
        ("start", "trained"), kernel.trajectory(ensemble, stops), strict=True
    ):
        activations, _ = respond(ensemble, parameters)
        edges = [np.linspace(*layer.limits, 31) for layer in layers]

        def ours(activations: list[np.ndarray] = activations) -> None:
            for layer, t in zip(layers, activations, strict=True):
                cells = estimator.cells(t, layer.limits)
                cell_information(cells, task.p_x, task.p_y_given_x, ensemble.in_train)

        def theirs(
            by_bytes: bool,
            activations: list[np.ndarray] = activations,
            edges: list[np.ndarray] = edges,
        ) -> None:
            for t, edge in zip(activations, edges, strict=True):
                plain.information(t[0], edge, labels, by_bytes)

        seconds = interleaved(
            {
                "numpy.unique(axis=0)": lambda theirs=theirs: theirs(False),
                "numpy.unique of bytes": lambda theirs=theirs: theirs(True),
                "ours, 50 members": ours,
            },
            arguments.repeats,
        )
        units = len(task.x) * len(layers)
        ns = {job: taken / units * 1e9 for job, taken in seconds.items()}
        ns["ours, 50 members"] /= len(ensemble.members)
        for job, value in ns.items():
            row(f"{name}: {job}", f"{value:.1f}", f"{value / ns['ours, 50 members']:.1f}")
        ratios.append(ns["numpy.unique(axis=0)"] / ns["ours, 50 members"])
    config = ensemble.config
    records = len(
        schedule.recorded_epochs(config.epochs, config.schedule.count, config.schedule.extra)
    )
    between = config.epochs * ensemble.steps_per_epoch / records
    state, targets = kernel.State.initial(parameters), ensemble.targets
    for threads in sorted({1, min(2, most)}):
        numba.set_num_threads(threads)
        slice_steps = 5 * ensemble.steps_per_epoch
        seconds = interleaved(
            {
                "train": lambda n=slice_steps: kernel.advance(state, ensemble, targets, n),
                "probe": lambda: probes.measure(ensemble, parameters, [estimator]),
            },
            arguments.repeats,
        )
        row(f"all probes of a record, {threads} thread(s)", "ms", "of training")
        share = seconds["probe"] / (seconds["train"] / slice_steps * between)
        row(
            f"{records} records, {between:.0f} steps between, on average",
            f"{seconds['probe'] * 1e3:.1f}",
            f"{share:.0%}",
        )
    numba.set_num_threads(most)
    print(f"ratio: {min(ratios):.1f}")


if __name__ == "__main__":
    main()
