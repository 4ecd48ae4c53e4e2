"""The post's diffusion with numbers: clones of one trained network spread, against the theory.

    python -m simulations.diffusion --scale quick --out results

trains one network of the preset ``szt2017-paper``, forks it in its late phase into 200 replicas
that differ in the order of their batches, and compares the variance of the cloud along eigenvectors
of the Hessian and along random directions with the exact result for a quadratic loss
(`theory.cloud`), from the Hessian and the covariance of the per-sample gradients measured at the
fork. Nothing is fitted to the cloud. There are two predictions: batches share out the training set
in every epoch (*reshuffled*, what the record does), or are drawn anew at each step, the usual
picture of SGD as an SDE. Where curvature is not positive there is no stationary variance; the
prediction for finite times holds there too.

A second fork, by Langevin steps at the temperature that SGD is said to have, is the control: its
noise is known, so only the quadratic loss is put to the test. Replicas compute in float64: the
rounding of float32 would spread them more than reshuffled batches do.

Records: ``diffusion-source.nc``, ``diffusion-sgd.nc``, ``diffusion-langevin.nc``; numbers of all
directions: ``diffusion.csv``; figure: ``diffusion.png``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import chi2

import ibdyn
from ibdyn import networks, output
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.replay import ensemble_of
from simulations.experiment import Experiment, Scale
from theory import cloud, sgd

Floats = NDArray[np.float64]

# Replicas, epochs of the source, epochs of the forks.
SCALES = {"smoke": (20, 20, 4), "quick": (200, 3000, 100), "paper": (200, 3000, 1000)}
RANDOM_DIRECTIONS = 4
COLOURS = ("#000000", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
STYLES = {"reshuffled": "-", "drawn anew": ":", "Langevin": "-"}


@dataclass(frozen=True)
class Arguments(Experiment):
    """A cloud of clones of one network, against the theory of diffusion."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 200 replicas for 100 epochs; paper: for 1000."""


class Landscape(NamedTuple):
    """The training loss around one network: (d,) curvatures, descending, and (d, d) the rest.

    ``basis`` has the eigenvectors in its columns; ``noise`` is the covariance of the per-sample
    gradients (nat^2), normalised by their number, in the eigenvectors' coordinates.
    """

    curvatures: Floats
    basis: Floats
    noise: Floats


def main(argv: Sequence[str] | None = None) -> None:
    """Train, fork, measure, predict, draw, and print what agrees and what does not."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    picture, table_file = (arguments.out / f"diffusion.{kind}" for kind in ("png", "csv"))
    output.check_writable(picture)
    replicas, epochs, further = SCALES[arguments.scale]
    schedule = ScheduleConfig(count=20, extra=(0,))
    source = arguments.train("diffusion-source", members=1, epochs=epochs, schedule=schedule)
    step = int(source.step[-1])
    landscape = landscape_of(source, step)
    sizes = batch_sizes(source)
    rate = RunConfig.from_json(source.attrs["config"]).learning_rate
    one_batch = sgd.batch_covariance(landscape.noise, sizes[0], train_size=sum(sizes))
    temperature = sgd.effective_temperature(one_batch, learning_rate=rate)
    langevin: dict[str, Any] = {
        "optimizer": "langevin",
        "batch_size": None,
        "temperature": temperature,
    }
    forks = {
        name: ibdyn.fork(
            source,
            0,
            step,
            replicas,
            epochs=further * epoch_steps,
            command=arguments.command,
            schedule=schedule,
            dtype="float64",
            **changes,
        )
        for name, epoch_steps, changes in (
            ("sgd", 1, dict[str, Any]()),
            ("langevin", len(sizes), langevin),
        )
    }
    white = np.eye(len(landscape.curvatures)) * 2 * temperature / rate
    noises = {
        "sgd": {
            "reshuffled": (landscape.noise, cloud.reshuffled(sizes)),
            "drawn anew": (landscape.noise, cloud.drawn_anew(sizes)),
        },
        "langevin": {"Langevin": (white, np.eye(1))},
    }
    directions = chosen_directions(landscape, np.random.default_rng(arguments.seed))
    tables = []
    for name, run in forks.items():
        ibdyn.save(run, arguments.out / f"diffusion-{name}.nc")
        tables.append(compared(run, name, landscape, directions, noises[name], rate))
    table = xr.concat(tables, "row")
    table.to_dataframe().to_csv(table_file, index=False)
    with output.picture(picture):
        draw(table)
    print(f"temperature of a weight by minibatch noise: {temperature:.3g} nat")
    print(summary(table, landscape, rate))
    print("wrote", *(str(file) for file in (table_file, picture)), sep="\n  ")


def landscape_of(run: xr.Dataset, step: int) -> Landscape:
    """Hessian and per-sample gradient covariance of the training loss of the record's network."""
    ensemble = ensemble_of(run.sel(step=[step]))
    x = torch.tensor(ensemble.x[ensemble.train[0]], dtype=torch.float64)
    target = torch.tensor(ensemble.targets[0], dtype=torch.float64)
    theta = torch.tensor(ensemble.initial[0], dtype=torch.float64)

    def loss(theta: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        z = networks.forward(ensemble.architecture, theta[None], x)[0][-1]
        return networks.sample_loss(ensemble.architecture, z, target[None]).mean()

    one = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    gradients = one(theta, x[:, None], target[:, None]).numpy()
    hessian = torch.func.hessian(loss)(theta, x, target).numpy()
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    basis = vectors[:, ::-1]
    centred = (gradients - gradients.mean(0)) @ basis
    return Landscape(values[::-1], basis, centred.T @ centred / len(x))


def batch_sizes(run: xr.Dataset) -> list[int]:
    """Samples in each batch of an epoch."""
    size, batch = int(run.attrs["train_size"]), int(run.attrs["batch_size"])
    return [min(batch, size - begin) for begin in range(0, size, batch)]


def chosen_directions(landscape: Landscape, rng: np.random.Generator) -> dict[str, Floats]:
    """Unit vectors in the eigenbasis: by rank of curvature, of the least one, and random."""
    d = len(landscape.curvatures)
    places = {"1st": 0, "2nd": 1, "3rd": 2, "10th": 9, "30th": 29, "60th": 59, "least": d - 1}
    directions = {name: np.eye(d)[place] for name, place in places.items()}
    for i in range(RANDOM_DIRECTIONS):
        v = rng.normal(size=d)
        directions[f"random {i + 1}"] = v / np.linalg.norm(v)
    return directions


def compared(
    run: xr.Dataset,
    name: str,
    landscape: Landscape,
    directions: dict[str, Floats],
    noises: dict[str, tuple[Floats, Floats]],
    rate: float,
) -> xr.Dataset:
    """Rows: variance of the cloud along each direction at each record, interval, predictions."""
    theta = run.parameters.transpose("step", "member", "parameter").values
    away = (theta - theta[:1]) @ landscape.basis @ np.array(list(directions.values())).T
    variance = away.var(1, ddof=1)
    free = run.sizes["member"] - 1
    ends = [free / chi2.ppf(q, free) for q in (0.975, 0.025)]
    epochs = run.epoch.values.astype(int)
    predicted = {
        label: np.zeros_like(variance) for label in ("reshuffled", "drawn anew", "Langevin")
    }
    for label in predicted:
        if label not in noises:
            predicted[label][:] = np.nan
            continue
        c, k = noises[label]
        spread = cloud.covariances(landscape.curvatures, c, k, learning_rate=rate)
        for epoch, s in zip(range(epochs[-1] + 1), spread, strict=False):
            for row in np.flatnonzero(epochs == epoch):
                predicted[label][row] = [v @ s @ v for v in directions.values()]
    shape = variance.shape
    v = np.array(list(directions.values()))
    columns = {
        "fork": np.full(shape, name),
        "direction": np.broadcast_to(list(directions), shape),
        "curvature": np.broadcast_to(v**2 @ landscape.curvatures, shape),
        "epoch": np.broadcast_to(epochs[:, None], shape),
        "variance": variance,
        "low": variance * ends[0],
        "high": variance * ends[1],
        **predicted,
    }
    return xr.Dataset({column: ("row", np.ravel(values)) for column, values in columns.items()})


def draw(table: xr.Dataset) -> None:
    """Variance against time with its predictions, and the last variance against them: 2 x 2."""
    _, axes = plt.subplots(2, 2, figsize=(12, 8.6), layout="constrained")
    for (left, right), fork in zip(axes, ("sgd", "langevin"), strict=True):
        rows = table.isel(row=np.flatnonzero((table.fork == fork) & (table.epoch > 0)))
        _draw_growth(left, rows)
        _draw_last(right, rows)
        left.set_title(f"{fork}: variance of the cloud")
        unit = "epochs since the fork" if fork == "sgd" else "steps since the fork"
        left.set(xscale="log", yscale="log", xlabel=unit, ylabel="variance of the weights")
        right.set(
            xscale="log",
            yscale="log",
            xlabel="predicted variance",
            ylabel="variance of the cloud",
            title=f"{fork}: at the end, all directions",
        )


def _draw_growth(ax: Axes, rows: xr.Dataset) -> None:
    names = list(dict.fromkeys(rows.direction.values.tolist()))[:8]
    for name, colour in zip(names, COLOURS, strict=True):
        one = rows.isel(row=np.flatnonzero(rows.direction == name)).sortby("epoch")
        bars = np.stack([one.variance - one.low, one.high - one.variance])
        label = f"{name} (a = {one.curvature.values[0]:.2g})"
        ax.errorbar(
            one.epoch,
            one.variance,
            yerr=bars,
            color=colour,
            label=label,
            fmt="o",
            markersize=4,
            elinewidth=0.8,
        )
        for kind, line in STYLES.items():
            ax.plot(one.epoch, one[kind], line, color=colour, linewidth=1.1)
    for kind, line in STYLES.items():
        if rows[kind].notnull().any():
            ax.plot([], [], line, color="0.4", label=f"predicted, {kind}")
    ax.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_last(ax: Axes, rows: xr.Dataset) -> None:
    last = rows.isel(row=np.flatnonzero(rows.epoch == rows.epoch.max()))
    bars = np.stack([last.variance - last.low, last.high - last.variance])
    for kind, marker, colour in (
        ("reshuffled", "o", "#0072b2"),
        ("drawn anew", "^", "#d55e00"),
        ("Langevin", "o", "#009e73"),
    ):
        if last[kind].notnull().any():
            ax.errorbar(
                last[kind],
                last.variance,
                yerr=bars,
                fmt=marker,
                color=colour,
                elinewidth=0.8,
                label=f"predicted, {kind}",
            )
    ends = [float(last.variance.min()) / 2, float(last.variance.max()) * 2]
    ax.plot(ends, ends, color="0.6", linewidth=1, zorder=0)
    ax.legend(fontsize="small")


def summary(table: xr.Dataset, landscape: Landscape, rate: float) -> str:
    """Ratios of the last variance to each prediction, and where there is no stationary state."""
    a = landscape.curvatures
    lines = [
        f"curvatures: largest {a[0]:.3g}, least {a[-1]:.3g} nat, {(a < 0).sum()} of {len(a)} "
        "negative: no stationary variance there",
        f"learning rate x largest curvature: {rate * a[0]:.3g} (stable below 2)",
    ]
    for fork, kinds in (("sgd", ("reshuffled", "drawn anew")), ("langevin", ("Langevin",))):
        rows = table.isel(row=np.flatnonzero(table.fork == fork))
        last = rows.isel(row=np.flatnonzero(rows.epoch == rows.epoch.max()))
        unit = "epochs" if fork == "sgd" else "steps"
        lines.append(f"{fork}, {int(last.epoch[0])} {unit} after the fork: variance over predicted")
        lines.append(f"{'direction':>10} {'curvature':>10} {'variance':>10}  " + "  ".join(kinds))
        for i in range(last.sizes["row"]):
            one = last.isel(row=i)
            ratios = "  ".join(
                f"{float(one.variance / one[kind]):.3g} "
                f"[{float(one.low / one[kind]):.3g}, {float(one.high / one[kind]):.3g}]"
                for kind in kinds
            )
            lines.append(
                f"{one.direction.item():>10} {one.curvature.item():10.3g} "
                f"{one.variance.item():10.3g}  {ratios}"
            )
        for kind in kinds:
            inside = (last.low <= last[kind]) & (last[kind] <= last.high)
            lines.append(
                f"  within the 95 % interval of {kind}: {int(inside.sum())} of {inside.size}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
