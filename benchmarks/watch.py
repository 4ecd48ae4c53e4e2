"""Watching: what `ibdyn.watch` adds to a plain training loop.

    python -m benchmarks.watch

Four networks on random images of 8 x 8 pixels in ten classes: one of linear layers, one of
convolutions, one with batch norms, and a transformer over the eight rows; batches of 64 from 1000
examples, on which they are watched too, with the default estimator. Steps and measurements are
timed in turn, on one thread. A run of S steps at the default schedule measures about 10 log10(S)
times, so the watcher's share of the time that training takes alone is that many measurements over
S steps; it falls as log(S)/S. Between measurements `step` only counts.

Prints the share at `STEPS` steps, and the largest of them.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numba
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import ibdyn
from benchmarks.timing import interleaved, row
from ibdyn.probes import Arrays
from ibdyn.watched import measure

STEPS, EXAMPLES, BATCH, CLASSES = 20_000, 1000, 64, 10


class Rows(nn.Module):
    """A transformer over the rows of an image."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True, dropout=0.1)
        self.embed, self.encoder = nn.Linear(8, width), nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of images (example, 1, row, column)."""
        found: torch.Tensor = self.head(self.encoder(self.embed(x[:, 0])).mean(1))
        return found


def convolutions(norm: Callable[[int], nn.Module]) -> nn.Module:
    """Two convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        norm(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        norm(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, CLASSES),
    )


def linear() -> nn.Module:
    """Three linear layers, 128 and 64 units wide."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear layers": linear,
    "convolutions": partial(convolutions, lambda width: nn.Identity()),
    "batch norms": partial(convolutions, nn.BatchNorm2d),
    "transformer": Rows,
}


def jobs(
    build: Callable[[], nn.Module], steps: int = 100
) -> tuple[Callable[[], None], Callable[[], Arrays]]:
    """So many optimiser steps of a network, and one measurement of it."""
    torch.manual_seed(0)
    model, x = build(), torch.rand(EXAMPLES, 1, 8, 8)
    y = torch.arange(EXAMPLES) % CLASSES
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    watcher = ibdyn.watch(model, x, y, batch_size=BATCH)

    def train() -> None:
        for _ in range(steps):
            rows = torch.randint(EXAMPLES, (BATCH,))
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return train, partial(measure, watcher.watched, 0)


def recorded(steps: int) -> int:
    """Measurements of a run of so many steps at the default schedule, its last step among them."""
    wanted = {steps}
    for step in ibdyn.schedule.log():
        if step > steps:
            return len(wanted)
        wanted.add(step)
    raise AssertionError("the schedule has no end")


def share(name: str, repeats: int, steps: int) -> float:
    """Print and return the watcher's share of the time that training takes alone."""
    train, look = jobs(NETWORKS[name])
    seconds = interleaved({"train": train, "measure": look}, repeats)
    step = seconds["train"] / 100
    found = seconds["measure"] * recorded(steps) / (step * steps)
    row(
        name,
        f"{step * 1e3:.2f}",
        f"{seconds['measure'] * 1e3:.1f}",
        f"{seconds['measure'] / step:.0f}",
        f"{found:.1%}",
    )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15, help="timed repeats of each job")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the training")
    arguments = parser.parse_args(argv)
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    row(
        f"{recorded(arguments.steps)} recorded of {arguments.steps} steps",
        "step, ms",
        "measure, ms",
        "in steps",
        "share",
    )
    shares = [share(name, arguments.repeats, arguments.steps) for name in NETWORKS]
    print(f"ratio: {max(shares):.3f} (time of watching over time of training)")


if __name__ == "__main__":
    main()
