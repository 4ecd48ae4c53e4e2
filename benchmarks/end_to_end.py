"""The whole experiment: 50 networks, 10 000 epochs, about 300 recorded steps.

    python -m benchmarks.end_to_end

Ours is run whole, compilation included if it is not cached, on all threads, the file written. The
plain loop is run on a slice (a few networks, epochs and recorded steps, said below) and
extrapolated in proportion, measurement by ``numpy.unique(axis=0)`` as the published code does it.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import ibdyn
from benchmarks import plain
from benchmarks.timing import row
from ibdyn.ensemble import prepare
from ibdyn.presets import preset
from ibdyn.schedule import recorded_epochs

NETWORKS, EPOCHS, RECORDED = 3, 20, 3


def plain_slice() -> tuple[float, float]:
    """Seconds of the plain loop for one network and epoch, and for measuring a network once."""
    ensemble = prepare(preset("szt2017-paper"), range(NETWORKS))
    x_all = torch.tensor(ensemble.x)
    labels = ensemble.task.p_y_given_x.argmax(-1)
    training, measuring = [], []
    for k in range(NETWORKS):
        model = plain.network(ensemble.architecture.sizes.tolist())
        update = plain.optimizer("sgd", model)
        x, y = x_all[ensemble.train[k]], torch.tensor(labels[ensemble.train[k]])
        plain.epoch(model, update, x, y, ensemble.batch_size)
        begun = time.perf_counter()
        for _ in range(EPOCHS):
            plain.epoch(model, update, x, y, ensemble.batch_size)
        training.append((time.perf_counter() - begun) / EPOCHS)
        begun = time.perf_counter()
        for _ in range(RECORDED):
            with torch.no_grad():
                a = x_all
                for i, module in enumerate(model):
                    a = module(a)
                    last = i == len(model) - 1
                    if isinstance(module, torch.nn.Tanh) or last:
                        t = torch.softmax(a, -1) if last else a
                        plain.information(t.numpy(), np.linspace(-1, 1, 31), labels, False)
        measuring.append((time.perf_counter() - begun) / RECORDED)
    return float(np.median(training)), float(np.median(measuring))


def main(argv: Sequence[str] | None = None) -> None:
    """Print both sides, what was run of them, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=10_000, help="epochs of the experiment")
    epochs = parser.parse_args(argv).epochs
    config = preset("szt2017-paper").model_copy(update={"epochs": epochs})
    recorded = len(recorded_epochs(epochs, config.schedule.count, config.schedule.extra))
    row("seconds", "training", "measuring", "whole")
    before = plain_slice()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run = ibdyn.simulate(config, progress=False)
        ibdyn.save(run, Path(folder) / "run.nc")
        ours = time.perf_counter() - begun
    after = plain_slice()
    trained, measured = (float(np.mean(pair)) for pair in zip(before, after, strict=True))
    training, measuring = trained * config.members * epochs, measured * config.members * recorded
    row("plain, extrapolated", f"{training:.0f}", f"{measuring:.0f}", f"{training + measuring:.0f}")
    row("ours, run whole", "", "", f"{ours:.1f}")
    print(
        f"plain slice: {NETWORKS} networks x {EPOCHS} epochs and {RECORDED} recorded steps, before "
        f"and after ours; extrapolated to {config.members} networks x {epochs} epochs and "
        f"{recorded} recorded steps; only binned information is measured, no gradients"
    )
    print(f"ratio: {(training + measuring) / ours:.0f}")


if __name__ == "__main__":
    main()
