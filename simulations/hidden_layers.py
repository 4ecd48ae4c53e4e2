"""Depth: planes of networks with one to six hidden layers, and how long they take to learn.

    python -m simulations.hidden_layers --scale quick --out results

The post's figure of six networks on the information plane, by Adam (4e-4, as the code that made it)
and by SGD, and its claim that depth shortens learning exponentially: epochs until the test error is
12, 10, 8 and 5 % against the number of hidden layers, with the law T = T_0 K exp(S / K) and its
rivals (`theory.depth`), S held against the measured compression. The control has the same depths at
equal widths (7, ..., 7), so that narrow layers cannot be the cause. Records are in
``hidden_layers/``, one a configuration (`ibdyn.open_sweep`), times in ``hidden_layers.csv``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from matplotlib.axes import Axes

from ibdyn import figures, output
from ibdyn.config import ScheduleConfig
from simulations.experiment import Experiment, Scale
from theory.censoring import RIGHT, time_interval
from theory.depth import depth_scaling, learning_time
from theory.relaxation import compression, first_passage

NARROWING = ((10,), (10, 7), (10, 7, 5), (10, 7, 5, 4), (10, 7, 5, 4, 3), (10, 7, 5, 4, 4, 3))
EQUAL = tuple((7,) * depth for depth in range(1, 7))
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "adam": {"optimizer": "adam", "learning_rate": 4e-4},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
}
FAMILIES = {
    "adam": ("adam", NARROWING),
    "sgd": ("sgd", NARROWING),
    "adam-equal": ("adam", EQUAL),
}
SCALES = {"smoke": (3, 12, 4), "quick": (8, 2000, 60), "paper": (20, 10_000, 120)}
TARGETS = (0.12, 0.10, 0.08, 0.05)


@dataclass(frozen=True)
class Arguments(Experiment):
    """One to six hidden layers: their planes, and epochs to learn."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 8 members to epoch 2000; paper: 20 members to epoch 10 000."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train all depths, draw their planes and times, and print the laws."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    table_file = arguments.out / "hidden_layers.csv"
    output.check_writable(table_file)
    runs = {
        (family, len(widths)): train(arguments, f"{family}-{len(widths)}", optimizer, widths)
        for family, (optimizer, sizes) in FAMILIES.items()
        for widths in sizes
    }
    table = xr.concat(
        [times_of(run, family, depth) for (family, depth), run in runs.items()], "row"
    )
    table.to_dataframe().to_csv(table_file, index=False)
    files = [table_file]
    for optimizer in OPTIMIZERS:
        files.append(arguments.out / f"hidden_layers-{optimizer}.png")
        with output.picture(files[-1]):
            draw_planes(
                {depth: run for (family, depth), run in runs.items() if family == optimizer}
            )
    files.append(arguments.out / "hidden_layers-times.png")
    with output.picture(files[-1]):
        draw_times(table)
    print(laws(table, runs, arguments.seed))
    print("wrote", *(str(file) for file in files), sep="\n  ")


def train(arguments: Arguments, name: str, optimizer: str, widths: tuple[int, ...]) -> xr.Dataset:
    """One depth's ensemble, saved."""
    members, epochs, count = SCALES[arguments.scale]
    return arguments.train(
        f"hidden_layers/{name}",
        **OPTIMIZERS[optimizer],
        widths=widths,
        batch_size=512,
        train_fraction=0.8,
        members=members,
        epochs=epochs,
        schedule=ScheduleConfig(count=count, extra=(0,)),
    )


def times_of(run: xr.Dataset, family: str, depth: int) -> xr.Dataset:
    """Rows (family, layers, target, member, epoch, censored): first record at each target error."""
    error = run.error_rate.sel(split="test")
    rows = []
    for target in TARGETS:
        found = first_passage(error, target, along="epoch")
        rows.append(
            xr.Dataset(
                {
                    "family": ("row", [family] * run.sizes["member"]),
                    "layers": ("row", [depth] * run.sizes["member"]),
                    "target": ("row", [target] * run.sizes["member"]),
                    "member": ("row", run.member.values),
                    "epoch": ("row", found.time.values),
                    "censored": ("row", found.censored.values.astype(int)),
                }
            )
        )
    return xr.concat(rows, "row")


def select(table: xr.Dataset, family: str, target: float) -> xr.Dataset:
    """The rows of one family and target."""
    chosen = (table.family == family) & np.isclose(table.target, target)
    return table.isel(row=np.flatnonzero(chosen))


def draw_planes(runs: dict[int, xr.Dataset]) -> None:
    """A grid of information planes, one for each depth."""
    _, axes = plt.subplots(2, 3, figsize=(13, 7.6), layout="constrained")
    for ax, (depth, run) in zip(axes.flat, runs.items(), strict=True):
        figures.information_paths(run, ax=ax)
        widths = "-".join(str(width) for width in run.width.values[:-1])
        ax.set_title(f"{depth} hidden: {widths}", fontsize="medium")
    legends = [legend for ax in axes.flat if (legend := ax.get_legend())]
    for again in legends[1:]:
        again.remove()


COLOURS = {0.12: "#0072b2", 0.10: "#009e73", 0.08: "#e69f00", 0.05: "#d55e00"}


def draw_times(table: xr.Dataset) -> None:
    """Epochs to each target against depth: geometric means, 95 % intervals, and the fitted law."""
    figure, axes = plt.subplots(
        1, len(FAMILIES), figsize=(13, 4.7), sharey=True, layout="constrained"
    )
    for ax, family in zip(axes, FAMILIES, strict=True):
        for target in TARGETS:
            _draw_target(ax, select(table, family, target), COLOURS[target], target)
        ax.set(yscale="log", xlabel="hidden layers", title=family, xticks=range(1, 7))
    figure.supxlabel(
        "lines: T = T0 K exp(S / K); percentages: networks that do not get there in the run",
        fontsize="small",
    )
    axes[0].set_ylabel("epochs until the test error is reached")
    axes[0].legend(fontsize="small", title="test error")


def _draw_target(ax: Axes, rows: xr.Dataset, colour: str, target: float) -> None:
    depths = np.unique(rows.layers.values)
    intervals = [_interval(rows, depth) for depth in depths]
    mean, low, high = (
        np.array([float(i[name]) for i in intervals]) for name in ("mean", "low", "high")
    )
    bars = np.stack([mean - low, high - mean])
    ax.errorbar(depths, mean, yerr=bars, fmt="o", color=colour, capsize=3, label=f"{target:.0%}")
    late = np.array([float((rows.censored[rows.layers == d] == RIGHT).mean()) for d in depths])
    for depth, share in zip(depths, late, strict=True):
        if share > 0:
            edge = float(rows.epoch.max())
            ax.annotate(
                f"{share:.0%}",
                (depth, edge),
                xytext=(0, 4 + 9 * list(TARGETS).index(target)),
                textcoords="offset points",
                ha="center",
                fontsize="x-small",
                color=colour,
            )
    law = _laws_of(rows, np.random.default_rng(0), repetitions=1)
    if law is not None:
        one = law.sel(law="sequential")
        fine = np.linspace(1, depths.max(), 60)
        curve = np.exp(float(one.intercept)) * learning_time(fine, float(one.coefficient))
        ax.plot(fine, curve, color=colour, linewidth=1)


def _interval(rows: xr.Dataset, depth: int) -> xr.Dataset:
    one = rows.isel(row=np.flatnonzero(rows.layers.values == depth)).rename(row="member")
    return time_interval(one.epoch.drop_attrs(), one.censored)


def _laws_of(
    rows: xr.Dataset, rng: np.random.Generator, repetitions: int = 300
) -> xr.Dataset | None:
    """The laws of depth, or None where networks of fewer than 4 depths arrive."""
    hidden = rows.censored.values == RIGHT
    if len(np.unique(rows.layers.values[~hidden])) < 4:
        return None
    return depth_scaling(
        rows.layers.values, rows.epoch.values, hidden, rng, repetitions=repetitions
    )


def laws(table: xr.Dataset, runs: dict[tuple[str, int], xr.Dataset], seed: int) -> str:
    """Fitted laws of depth for each family and target, and the measured compression."""
    rng = np.random.default_rng(seed)
    lines = []
    for family in FAMILIES:
        total = {
            depth: float(
                compression(run.isel(estimator=0)).isel(step=-1).sum("layer").mean("member")
            )
            for (name, depth), run in runs.items()
            if name == family
        }
        sums = ", ".join(f"{depth}: {value:.2f}" for depth, value in total.items())
        lines.append(f"{family}: measured sum of C by hidden layers [nat] {sums}")
        for target in TARGETS:
            found = _laws_of(select(table, family, target), rng)
            if found is None:
                lines.append(f"  error {target:.0%}: reached by too few networks to fit")
                continue
            s = found.sel(law="sequential")
            best = ", ".join(
                f"{law} {float(found.aic.sel(law=law)):.1f} ({float(found.best.sel(law=law)):.0%})"
                for law in found.law.values
            )
            lines.append(
                f"  error {target:.0%}: S = {float(s.coefficient):.2f} "
                f"[{float(s.low):.2f}, {float(s.high):.2f}] nat; criterion (share best): {best}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
