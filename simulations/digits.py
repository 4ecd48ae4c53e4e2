"""Real data: two networks learn handwritten digits, each in a plain torch loop that is watched.

    python -m simulations.digits --scale quick --out results

A perceptron (64-128-16-10, tanh) and a small convolutional network (ReLU) on scikit-learn's 1797
digits, trained by plain SGD; of each several seeds, watched by `ibdyn.watch` on a fixed part of the
training set and all of the test set, and joined to an ensemble. Their layers are wide, so that
binned activations tell nearly all examples apart: I_binned sits at log2(examples), which the
figures mark hollow. Under Gaussian noise in each unit, by Monte Carlo (`mixture`) and by the
pairwise upper bound, there is something left to see. The noise belongs to the measurement: its
variance (1 beside tanh units, 30 beside the convolutions, whose activations grow far larger; with 1
these too tell all examples apart) was chosen for what it shows, the numbers depend on it, and a
drop (peak to end, the peak being the highest of noisy records, so if anything too large) is one of
what is left under that noise, no loss of information in the deterministic network.

Records: ``digits-NETWORK.nc``; figures: estimators side by side, gradient phases, learning curves.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
import xarray as xr
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

import ibdyn
from ibdyn import figures, output, storage
from ibdyn.seeding import stream
from ibdyn.tasks import digits
from simulations.experiment import Experiment, Scale
from theory import phases, transitions
from theory.fitting import mean_interval


@dataclass(frozen=True)
class Arguments(Experiment):
    """Networks on handwritten digits, watched in a plain torch loop."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 5 seeds, 3000 steps (minutes); paper: 10 seeds, 20 000 steps."""


@dataclass(frozen=True)
class Sizes:
    """Seeds, optimiser steps, and watched examples of the training and of the test set."""

    members: int
    steps: int
    train: int
    test: int


SCALES = {
    "smoke": Sizes(2, 40, 80, 40),
    "quick": Sizes(5, 3000, 400, 200),
    "paper": Sizes(10, 20_000, 800, 400),
}
TEST, BATCH, RATE = 400, 32, 0.1


def perceptron() -> nn.Module:
    """Two hidden layers, each with its tanh, and the logits."""
    return nn.Sequential(
        OrderedDict(
            hidden1=nn.Sequential(nn.Linear(64, 128), nn.Tanh()),
            hidden2=nn.Sequential(nn.Linear(128, 16), nn.Tanh()),
            logits=nn.Linear(16, 10),
        )
    )


def convolutional() -> nn.Module:
    """Two convolutions, each with its ReLU, pooled between and after, and the logits."""
    return nn.Sequential(
        OrderedDict(
            image=nn.Unflatten(1, (1, 8, 8)),
            conv1=nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()),
            pool2=nn.MaxPool2d(2),
            flat=nn.Flatten(),
            logits=nn.Linear(64, 10),
        )
    )


# Each network's layers, and the variance of the noise under which they are measured.
NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[str, ...], int]] = {
    "perceptron": (perceptron, ("hidden1", "hidden2", "logits"), 1),
    "convolutional": (convolutional, ("conv1", "conv2", "logits"), 30),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Train and watch both networks, save, draw, and say what was found."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    written = []
    for name in NETWORKS:
        path = arguments.out / f"digits-{name}.nc"
        output.check_writable(path)
        sizes = SCALES[arguments.scale]
        run = ibdyn.join([watched(name, k, sizes, arguments.seed) for k in range(sizes.members)])
        run.attrs["history"] = storage.stamp(arguments.command)
        ibdyn.save(run, path)
        print(f"{name}:", summary(run), sep="\n")
        written += [path, *draw(run, arguments.out, path.stem)]
    print("wrote", *(str(file) for file in written), sep="\n  ")


def watched(name: str, member: int, sizes: Sizes, seed: int) -> xr.Dataset:
    """The record of one network, trained by plain SGD on shuffled batches."""
    build, layers, variance = NETWORKS[name]
    task = digits()
    x = torch.tensor(task.x, dtype=torch.float32)
    y = torch.tensor(task.p_y_given_x.argmax(-1))
    order = torch.tensor(stream(seed, "split").permutation(len(x)))
    test, train = order[:TEST], order[TEST:]
    with torch.random.fork_rng([]):
        torch.manual_seed(int(stream(seed, "weights", member).integers(2**63)))
        model = build()
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    with ibdyn.watch(
        model,
        x[train[: sizes.train]],
        y[train[: sizes.train]],
        test_inputs=x[test[: sizes.test]],
        test_labels=y[test[: sizes.test]],
        layers=layers,
        estimators=(
            "binned-range-30",
            f"mixture-measured-{variance}:1",
            f"pairwise-upper-{variance}",
        ),
        train_size=len(train),
        member=member,
    ) as watcher:
        for rows in batches(len(train), sizes.steps, stream(seed, "batches", member)):
            optimizer.zero_grad()
            loss = cross_entropy(model(x[train[rows]]), y[train[rows]])
            loss.backward()
            optimizer.step()
            watcher.step(loss)
    return watcher.record()


def batches(size: int, steps: int, rng: np.random.Generator) -> list[torch.Tensor]:
    """Places of each step's examples: the training set in a new order in each epoch."""
    found: list[torch.Tensor] = []
    while len(found) < steps:
        found += torch.tensor(rng.permutation(size)).split(BATCH)
    return found[:steps]


def draw(run: xr.Dataset, folder: Path, stem: str) -> list[Path]:
    """Three figures: the planes of all estimators, the gradient phases, the learning curves."""
    pictures = []
    for name, figure in (
        ("estimators", figures.estimator_planes),
        ("gradient-phases", figures.gradient_phases),
        ("learning-curves", figures.learning_curves),
    ):
        pictures.append(folder / f"{stem}-{name}.png")
        with output.picture(pictures[-1]):
            figure(run)
    return pictures


def summary(run: xr.Dataset) -> str:
    """I(X;T) of each layer by each estimator, its drop under noise, and the gradients' noise."""
    errors = run.error_rate.isel(step=-1).mean("member")
    ceiling = np.log2(run.sizes["pattern"])
    lines = [
        f"  {run.sizes['member']} seeds, {run.step.values[-1]} steps; error rate of training "
        f"{float(errors.sel(split='train')):.3f}, of test {float(errors.sel(split='test')):.3f}; "
        f"gradients {run.attrs['gradients']}",
        f"  {'layer':>9} {'units':>6}"
        + "".join(f"{name.rpartition(':')[0] or name:>24}" for name in run.estimator.values)
        + f"{'drop under noise':>24}{'noise overtakes at step':>25}",
    ]
    crossing = transitions.crossing(run)
    for layer in run.layer.values:
        one = run.sel(layer=layer)
        cells = [
            interval(one.isel(step=-1, estimator=i).information_input.values) for i in (0, 1, 2)
        ]
        noisy = one.information_input.isel(estimator=1)
        cells.append(interval((noisy.max("step") - noisy.isel(step=-1)).values))
        lines.append(
            f"  {layer:>9} {one.width.item():6}"
            + "".join(f"{cell:>24}" for cell in cells)
            + f"{overtaken(crossing.sel(layer=layer)):>25}"
        )
    told = (run.resolved == 1).isel(step=-1).all("member")
    for name in run.estimator.values:
        lost = run.layer.values[~told.sel(estimator=name).values].tolist()
        lines.append(
            f"  {name}: at the ceiling of {ceiling:.2f} bit in {', '.join(lost) or 'no layer'}"
        )
    ratio = phases.signal_to_noise(run).mean("member")
    peak, last = float(ratio.max()), ratio.isel(step=-1)
    lines.append(
        f"  signal-to-noise of the gradients: {peak:.2f} at most, "
        f"{float(last.min()):.3f} to {float(last.max()):.3f} at the end"
    )
    return "\n".join(lines)


def overtaken(seen: xr.Dataset) -> str:
    """The median step at which noise overtakes the mean gradient, if the run saw it."""
    if (seen.censored == 1).any():
        return f"not in {int((seen.censored == 1).sum())} seeds"
    return f"{float(seen.time.median()):g}" + (" or before" if (seen.censored == -1).any() else "")


def interval(values: NDArray[np.float64]) -> str:
    """Mean over members +- half of its 95 % interval, in bits."""
    found = mean_interval(xr.DataArray(values, dims="member"))
    return f"{float(found['mean']):.3f} +- {float(found['high'] - found['mean']):.3f}"


if __name__ == "__main__":
    main()
