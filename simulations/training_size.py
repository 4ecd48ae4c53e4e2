"""More samples: converged networks on the plane, their gap, and the bounds over it.

    python -m simulations.training_size --scale quick --out results

Ensembles at the paper's settings (preset ``szt2017-paper``) trained on 3 % to 85 % of the patterns:
the post's figure of converged networks on the information plane, coloured by the size of the
training set, with the limit I(T;Y) = min(I(X;T), H(Y)) of hard labels; then I(T;Y) and the gap
against the size, with the bounds of `theory.bounds`. Bounds are held against the risk on all
patterns minus the training error, which is what their proofs are about. Three widths at three sizes
ask which of parameter count, cell count, I(X;T) and I(X;T|Y) orders the gap at a fixed size.
Records: ``training_size/WIDTH-PERCENT.nc``; numbers: ``training_size.csv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from ibdyn import output
from ibdyn.config import ScheduleConfig
from ibdyn.marks import layer_markers
from simulations.experiment import Experiment, Scale
from theory import bounds
from theory.fitting import mean_interval

PERCENTS = {
    "smoke": (10, 45),
    "quick": (3, 10, 20, 45, 65, 85),
    "paper": (3, 5, 10, 20, 30, 45, 65, 85),
}
WIDE_PERCENTS = {"smoke": (10,), "quick": (10, 45, 85), "paper": (10, 45, 85)}
WIDTHS = {"half": (5, 4, 3, 2, 2), "normal": (10, 7, 5, 4, 3), "double": (20, 14, 10, 8, 6)}
# Members, epochs, and resamples of the members for the rank correlations.
SCALES = {"smoke": (3, 20, 20), "quick": (8, 2000, 300), "paper": (20, 10_000, 1000)}


@dataclass(frozen=True)
class Arguments(Experiment):
    """From 3 % to 85 % of the patterns."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 8 members to epoch 2000; paper: 20 members to epoch 10 000."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train every size and width, draw, and print gaps, bounds and what orders the gap."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    table_file = arguments.out / "training_size.csv"
    output.check_writable(table_file)
    wanted = [("normal", percent) for percent in PERCENTS[arguments.scale]]
    wanted += [
        (width, percent)
        for percent in WIDE_PERCENTS[arguments.scale]
        for width in WIDTHS
        if width != "normal"
    ]
    runs = {f"{width}-{percent}": train(arguments, width, percent) for width, percent in wanted}
    compared = bounds.compare({name: run.isel(step=[-1]) for name, run in runs.items()})
    normal = {name: run for name, run in runs.items() if name.startswith("normal")}
    write(compared, table_file)
    files = [table_file, *(arguments.out / f"training_size-{n}.png" for n in ("plane", "bounds"))]
    with output.picture(files[1]):
        draw_plane(normal)
    with output.picture(files[2]):
        draw_bounds(normal, compared)
    print(summary(compared))
    rng = np.random.default_rng(arguments.seed)
    print(orderings(compared, rng, SCALES[arguments.scale][2]))
    print("wrote", *(str(file) for file in files), sep="\n  ")


def train(arguments: Arguments, width: str, percent: int) -> xr.Dataset:
    """One ensemble's record, saved."""
    members, epochs, _ = SCALES[arguments.scale]
    return arguments.train(
        f"training_size/{width}-{percent:02d}",
        widths=WIDTHS[width],
        train_fraction=percent / 100,
        members=members,
        epochs=epochs,
        schedule=ScheduleConfig(count=20, extra=(0,)),
    )


def last_of(compared: xr.Dataset, name: str) -> xr.Dataset:
    """The last epoch of one run of a comparison, under its one estimator."""
    one = compared.sel(run=name).isel(estimator=0)
    return one.isel(epoch=np.flatnonzero(one.gap.notnull().any("member").values)[-1])


def write(compared: xr.Dataset, path: Path) -> None:
    """One row for each run, member and layer at its last epoch, as CSV."""
    last = xr.concat([last_kept(compared, str(name)) for name in compared.run.values], "run")
    last = last.sel(reading="two-sided").isel(epoch=0, estimator=0).drop_vars("epoch")
    rows = last.to_dataframe().reset_index()
    rows[rows.information_input.notna()].to_csv(path, index=False)


def draw_plane(runs: dict[str, xr.Dataset]) -> None:
    """Last record of every member and layer, coloured by training size, and the limit."""
    _, ax = plt.subplots(figsize=(8, 5.4), layout="constrained")
    sizes = [run.attrs["train_size"] for run in runs.values()]
    norm = LogNorm(min(sizes), max(sizes))
    for run in runs.values():
        last = run.isel(step=-1, estimator=0)
        for marker, layer in zip(layer_markers(run), run.layer.values, strict=True):
            one = last.sel(layer=layer)
            points = ax.scatter(
                one.information_input,
                one.information_label,
                c=np.full(one.sizes["member"], run.attrs["train_size"]),
                norm=norm,
                cmap=mpl.colormaps["viridis"],
                marker=marker,
                s=26,
                linewidths=0.3,
                edgecolors="white",
            )
    for marker, layer in zip(layer_markers(run), run.layer.values, strict=True):
        ax.plot([], [], marker, color="0.4", label=f"layer {layer}" if layer != "output" else layer)
    whole, most = np.log2(run.sizes["pattern"]), run.attrs["task_information"]
    ax.plot([0, most, whole], [0, most, most], color="black", label="bottleneck limit")
    ax.set(
        xlabel=r"encoder information $I_\mathrm{binned}$(X;T), binned-range-30 [bit]",
        ylabel=r"decoder information $I_\mathrm{binned}$(T;Y) [bit]",
        title=f"epoch {run.epoch.values[-1]:g}, {run.sizes['member']} members a size",
    )
    ax.legend(fontsize="small", loc="lower right")
    ax.figure.colorbar(points, ax=ax, label="training patterns")


def draw_bounds(runs: dict[str, xr.Dataset], compared: xr.Dataset) -> None:
    """I(T;Y) by layer, and the gap with the bounds of the last hidden layer, against the size."""
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    names = list(runs)
    sizes = np.array([run.attrs["train_size"] for run in runs.values()])
    for layer, colour in (("5", "#0072b2"), ("output", "#d55e00")):
        told = [
            mean_interval(run.information_label.isel(step=-1, estimator=0).sel(layer=layer))
            for run in runs.values()
        ]
        _band(left, sizes, told, colour, f"layer {layer}")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="training patterns")
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xticks([], minor=True)
    left.axhline(next(iter(runs.values())).attrs["task_information"], color="0.6", linestyle=":")
    left.set(ylabel="$I_\\mathrm{binned}$(T;Y) [bit]")
    left.legend()
    gaps = [mean_interval(last_of(compared, name).population_gap) for name in names]
    _band(right, sizes, gaps, "black", "measured: all patterns minus training")
    for bound, colour, label in (
        ("pattern_count", "0.5", "all patterns apart (theorem)"),
        ("classical", "#cc79a7", "classical, number of parameters (heuristic)"),
        ("cell_count", "#009e73", "cells of layer 5 (theorem at step 0 only)"),
        ("input_compression", "#e69f00", r"$2^{I(X;T_5)}$ cells (no theorem)"),
    ):
        values = []
        for name in names:
            one = last_of(compared, name)[bound]
            one = one.sel(layer="5") if "layer" in one.dims else one
            one = one.sel(reading="two-sided") if "reading" in one.dims else one
            values.append(float(one.mean()))
        right.plot(sizes, values, "o--", color=colour, label=label, markersize=4)
    right.axhline(1, color="0.7", linewidth=0.8)
    right.set(yscale="log", ylabel="error rate gap [1]")
    right.legend(fontsize="x-small")


def _band(ax: Axes, x: np.ndarray, intervals: list[xr.Dataset], colour: str, label: str) -> None:
    mean, low, high = (
        np.array([float(one[name]) for one in intervals]) for name in ("mean", "low", "high")
    )
    bars = np.stack([mean - low, high - mean])
    ax.errorbar(x, mean, yerr=bars, fmt="o-", color=colour, capsize=3, label=label, markersize=4)


def summary(compared: xr.Dataset) -> str:
    """Gap, bounds of the last hidden layer, and how often each is broken, at the last epoch."""
    lines = [
        f"{'run':>10} {'m':>5} {'parameters':>10} {'gap, all patterns':>20} {'I(X;T5)':>8} "
        f"{'cells':>6} {'2^I':>7} {'|T|':>7} {'all':>7}  broken: 2^I, |T|, all"
    ]
    for name in compared.run.values:
        one = last_of(compared, name).sel(layer="5", reading="two-sided")
        gap = mean_interval(one.population_gap)
        broken = [
            float((one.population_gap > one[bound]).where(one.population_gap.notnull()).mean())
            for bound in ("input_compression", "cell_count", "pattern_count")
        ]
        half = float(gap["high"] - gap["mean"])
        lines.append(
            f"{name:>10} {int(one.train_size):5d} {int(one.parameters):10d} "
            f"{float(gap['mean']):11.4f} +- {half:.4f} {float(one.information_input.mean()):8.2f} "
            f"{float(one.occupied_cells.mean()):6.0f} {float(one.input_compression.mean()):7.3f} "
            f"{float(one.cell_count.mean()):7.3f} {float(one.pattern_count.mean()):7.3f}  "
            + ", ".join(f"{share:.0%}" for share in broken)
        )
    return "\n".join(lines)


def orderings(compared: xr.Dataset, rng: np.random.Generator, resamples: int) -> str:
    """Rank correlation of the gap with each predictor at equal size, layer 5, over widths."""
    wide = compared.isel(run=[not str(n).startswith("normal") for n in compared.run.values])
    same = np.isin(compared.train_size.values, np.unique(wide.train_size.values))
    pool = compared.isel(run=same).isel(estimator=[0]).sel(layer=["5"])
    names = [str(name) for name in pool.run.values]
    pool = xr.concat([last_kept(pool, name) for name in names], "run", join="outer")
    found = bounds.orderings(pool).correlation.squeeze(["estimator", "epoch", "layer"], drop=True)
    drawn = []
    for _ in range(resamples):
        members = rng.integers(pool.sizes["member"], size=pool.sizes["member"])
        again = bounds.orderings(pool.isel(member=members).assign_coords(member=pool.member))
        drawn.append(again.correlation.squeeze(["estimator", "epoch", "layer"], drop=True))
    low, high = np.nanquantile([one.values for one in drawn], [0.025, 0.975], axis=0)
    lines = ["rank correlation of the gap, three widths at equal size [95 % bootstrap of members]"]
    for i, size in enumerate(found.train_size.values):
        for j, predictor in enumerate(found.predictor.values):
            value = float(found.isel(train_size=i, predictor=j))
            place = (i, j) if found.dims.index("train_size") == 0 else (j, i)
            lines.append(
                f"  m = {int(size)}: {predictor:>24} {value:+.2f} "
                f"[{low[place]:+.2f}, {high[place]:+.2f}]"
            )
    return "\n".join(lines)


def last_kept(compared: xr.Dataset, name: str) -> xr.Dataset:
    """The last epoch of one run, as epoch 0, so that runs of other lengths stand beside it."""
    one = compared.sel(run=[name])
    place = np.flatnonzero(one.gap.notnull().any(("member", "run")).values)[-1]
    return one.isel(epoch=[place]).assign_coords(epoch=[0.0])


if __name__ == "__main__":
    main()
