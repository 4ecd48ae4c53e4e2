"""The post's first figure with numbers: a trained network as a Markov chain Y -> X -> T_1 -> ...

    python -m simulations.markov_chain --scale quick --out results

draws, for exact states and for cells, the chain of layers with H(T) in every node and I(X;T) and
I(T;Y) on the arrow into it, as means over members with their 95 % intervals. Numbers in red exceed
those of the layer before in some member, against the data processing inequality: never those of
exact states, which are a Markov chain, and possibly those of cells, which are not. The record is
``markov_chain.nc``; ``--record`` takes another instead of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

import ibdyn
from ibdyn import output
from ibdyn.config import ScheduleConfig
from ibdyn.replay import nearest_step
from simulations.experiment import Experiment, Scale
from theory import markov
from theory.fitting import mean_interval
from theory.information import entropy

SCALES = {"smoke": (3, 20), "quick": (20, 4000), "paper": (50, 10_000)}
ESTIMATORS = ("exact", "binned-range-30")
EXCESS = "#b2182b"
# What counts as an excess: more than rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Arguments(Experiment):
    """A network as a Markov chain, with measured information."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 20 members to epoch 4000; paper: 50 members to epoch 10 000."""
    record: Path | None = None
    """A record to draw instead of training."""
    epoch: float | None = None
    """Which epoch to draw, the nearest recorded one; the last unless given."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train or load, measure the chain, draw it, and print it."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    picture = arguments.out / "markov_chain.png"
    output.check_writable(picture)
    run = ibdyn.load(arguments.record) if arguments.record else trained(arguments)
    step = int(run.step[-1])
    if arguments.epoch is not None:
        step = nearest_step(run, round(arguments.epoch * run.attrs["steps_per_epoch"]))
    chains = {name: chain_of(run, step, name) for name in ESTIMATORS}
    with output.picture(picture):
        draw(run, step, chains)
    for name, chain in chains.items():
        print(f"{name}, epoch {run.epoch.sel(step=step).item():g}, mean over members [bit]")
        print(chain.mean("member").to_dataframe().round(4).to_string(), end="\n\n")
    print(f"wrote {picture}")


def trained(arguments: Arguments) -> xr.Dataset:
    """The record of an ensemble, saved."""
    members, epochs = SCALES[arguments.scale]
    return arguments.train(
        "markov_chain",
        members=members,
        epochs=epochs,
        schedule=ScheduleConfig(count=10, extra=(0,)),
        estimators=ESTIMATORS,
    )


def chain_of(run: xr.Dataset, step: int, estimator: str) -> xr.Dataset:
    """`theory.markov.of_layers` of the recorded networks at a step: dims (layer, member)."""
    cells = ibdyn.cells(run, step, estimator).transpose("layer", "member", "pattern")
    p_y_given_x = run.p_y_given_x.transpose("pattern", "label").values
    chain = markov.of_layers(cells.values, run.p_x.values, p_y_given_x, list(run.layer.values))
    return chain.rename(row_0="member").assign_coords(member=run.member)


def draw(run: xr.Dataset, step: int, chains: dict[str, xr.Dataset]) -> Figure:
    """One row for each chain: nodes are variables, arrows say what is made from what."""
    figure, axes = plt.subplots(
        len(chains), figsize=(1.75 * (run.sizes["layer"] + 2) + 1, 3.1 * len(chains)), squeeze=False
    )
    epoch = run.epoch.sel(step=step).item()
    for ax, (name, chain) in zip(axes.flat, chains.items(), strict=True):
        _draw_chain(ax, run, chain)
        symbol = str(run.symbol.sel(estimator=name).item()).partition("_")[2]
        title = rf"$I_\mathrm{{{symbol}}}$: {name}, epoch {epoch:g}, {run.sizes['member']} members"
        ax.set_title(title, loc="left", fontsize="medium")
    axes[-1, 0].text(
        0.5,
        -0.02,
        "bits, mean ± 95 % interval; red: exceeds the layer before in some member",
        transform=axes[-1, 0].transAxes,
        ha="center",
        fontsize="small",
        color="0.3",
    )
    figure.tight_layout()
    return figure


def _draw_chain(ax: Axes, run: xr.Dataset, chain: xr.Dataset) -> None:
    layers = chain.layer.values.tolist()
    symbols = ["Y", "X", *(rf"$T_{{{layer}}}$" for layer in layers[:-1]), r"$\hat Y$"]
    units = [
        f"{run.sizes['label']} labels",
        f"{run.sizes['input']} inputs",
        *(f"{width} units" for width in run.width.values),
    ]
    entropies = [run.attrs["label_entropy"], float(entropy(run.p_x)), *chain.entropy.mean("member")]
    for at, (symbol, width, bits) in enumerate(zip(symbols, units, entropies, strict=True)):
        ax.add_patch(Circle((at, 0), 0.27, facecolor="#eef3f8", edgecolor="0.25"))
        ax.text(at, 0, symbol, ha="center", va="center", fontsize="large")
        ax.text(at, -0.42, f"H = {float(bits):.3f}", ha="center", va="top", fontsize="small")
        ax.text(at, -0.62, width, ha="center", va="top", fontsize="x-small", color="0.4")
    for at in range(len(symbols) - 1):
        ax.add_patch(
            FancyArrowPatch((at + 0.28, 0), (at + 0.72, 0), arrowstyle="-|>", mutation_scale=13)
        )
    for name, symbol, height in (
        ("information_input", "I(X;T)", 0.72),
        ("information_label", "I(T;Y)", 0.42),
    ):
        interval = mean_interval(chain[name])
        excess = markov.processing_violations(chain[name]).max("member")
        ax.text(0.5, height, f"{symbol} =", ha="center", fontsize="small")
        for at, layer in enumerate(layers):
            mean = float(interval["mean"][at])
            half = float(interval["high"][at]) - mean
            over = at > 0 and float(excess.sel(layer=layer)) > ROUNDING
            text = f"{mean:.3f}" + (f" ± {half:.3f}" if np.isfinite(half) else "")
            colour = EXCESS if over else "black"
            ax.text(at + 1.5, height, text, ha="center", fontsize="small", color=colour)
    ax.set(xlim=(-0.5, len(symbols) - 0.5), ylim=(-0.85, 0.95), aspect="equal")
    ax.axis("off")


if __name__ == "__main__":
    main()
