"""What compression needs: noise, saturation or neither, and whether it is clustering.

    python -m simulations.controls --scale quick --out results

The reference (tanh, minibatch SGD, preset ``szt2017-paper``) beside networks that differ from it in
one thing and start from the same weights where they can: ReLU; the full batch; batches of 64 and
1024; Langevin steps at three temperatures, 0 among them; labels shuffled over the patterns; hidden
layers of equal width; noise of their own (Goldfeld et al. 2019) and quantised states (Lorenzen et
al. 2022), for which only the torch engine serves; and the linear student-teacher (Saxe et al.
2018), whose information is exact.
For each the drop of I(X;T) of the last hidden layer from its peak to the end, the peak being chosen
on one half of the members and the drop measured on the other (`theory.onset.cross_fitted_drop`),
with its interval; saturation, class scatter and errors at the end; and, within each run, the rank
correlation between I(X;T) and the share of the scatter that lies within classes. Records:
``controls/VARIANT.nc``; numbers: ``controls.csv``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from scipy.stats import spearmanr

from ibdyn import output
from ibdyn.config import ScheduleConfig
from ibdyn.presets import preset
from simulations.experiment import Experiment, Scale
from theory.fitting import mean_interval
from theory.onset import cross_fitted_drop


@dataclass(frozen=True)
class Arguments(Experiment):
    """Compression with and without noise, saturation and labels."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 10 members to epoch 3000; paper: 20 members to epoch 10 000."""


# Members, epochs and recorded steps; the same where only the torch engine serves.
SCALES = {"smoke": (4, 12, 5), "quick": (10, 3000, 40), "paper": (20, 10_000, 100)}
SLOW = {"smoke": (4, 3, 3), "quick": (4, 150, 8), "paper": (10, 2000, 15)}
# A ReLU has no upper limit to fix cells by: cells over the run, of a width, of each step apart.
RELU_ESTIMATORS = ("binned-run-30", "binned-width-0.07", "binned-range-30")
TEMPERATURES = (0.0, 1e-6, 1e-4)
# An effect that differs from 0 by less than this is none.
LEAST_DROP = 0.1


def variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """Each variant's preset and what it changes."""
    sgd = "szt2017-paper"
    found: dict[str, tuple[str, dict[str, Any]]] = {
        "tanh": (sgd, {}),
        "relu": (sgd, {"activation": "relu", "estimators": RELU_ESTIMATORS}),
        "batch-64": (sgd, {"batch_size": 64}),
        "batch-1024": (sgd, {"batch_size": 1024}),
        "full-batch": (sgd, {"batch_size": None, "learning_rate": 0.5}),
        "random-labels": (sgd, {"task": {"random_labels": True}}),
        "equal-widths": (sgd, {"widths": (7,) * 5}),
    }
    for temperature in TEMPERATURES:
        langevin = {"optimizer": "langevin", "batch_size": None, "learning_rate": 0.5}
        found[f"langevin-{temperature:g}"] = (sgd, langevin | {"temperature": temperature})
    found["quantised"] = ("lorenzen2022", {"estimators": ("exact",)})
    found["noisy"] = ("goldfeld2019", {"estimators": ("mixture-propagated-4", "binned-range-30")})
    found["linear"] = ("saxe2018-linear", {})
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Train every variant, measure its compression, draw, and say what was found."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    table_file, picture = (arguments.out / f"controls.{kind}" for kind in ("csv", "png"))
    output.check_writable(table_file)
    runs = {name: train(arguments, name, *variant) for name, variant in variants().items()}
    rng = np.random.default_rng(arguments.seed)
    table = xr.concat([measured(name, run, rng) for name, run in runs.items()], "variant")
    table.to_dataframe().to_csv(table_file)
    with output.picture(picture):
        draw(table)
    print(summary(table))
    print("wrote", *(str(file) for file in (table_file, picture)), sep="\n  ")


def train(arguments: Arguments, name: str, base: str, changes: Mapping[str, Any]) -> xr.Dataset:
    """One variant's record, saved."""
    slow = preset(base).disturbed or base == "saxe2018-linear"
    members, epochs, count = (SLOW if slow else SCALES)[arguments.scale]
    schedule = ScheduleConfig(count=count, extra=(0,))
    fields = {"members": members, "epochs": epochs, "schedule": schedule} | dict(changes)
    return arguments.train(f"controls/{name}", base, **fields)


def measured(name: str, run: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """One row: the last hidden layer's drop and interval, clustering, saturation and errors."""
    hidden = run.isel(layer=-2, estimator=0)
    blocks = min(10, run.sizes["step"] // 2)
    drop = cross_fitted_drop(hidden.information_input, rng, blocks=blocks)
    within = mean_interval(clustering(hidden))
    last = hidden.isel(step=-1).mean("member")
    row = {
        "estimator": run.estimator.values[0],
        "members": run.sizes["member"],
        "epochs": run.epoch.values[-1],
        "drop": float(drop["mean"]),
        "drop_low": float(drop["low"]),
        "drop_high": float(drop["high"]),
        "clustering": float(within["mean"]),
        "clustering_low": float(within["low"]),
        "clustering_high": float(within["high"]),
        "saturation": float(last.saturation),
        "within_share": float(within_share(hidden).isel(step=-1).mean()),
        "information_input": float(last.information_input),
        "information_label": float(last.information_label),
        "train_error": float(run.error_rate.sel(split="train").isel(step=-1).mean()),
        "test_error": float(run.error_rate.sel(split="test").isel(step=-1).mean()),
    }
    return xr.Dataset(row).expand_dims(variant=[name])


def within_share(hidden: xr.Dataset) -> xr.DataArray:
    """Share of the scatter of the activations that lies within classes."""
    share: xr.DataArray = hidden.within_scatter / (hidden.within_scatter + hidden.between_scatter)
    return share


def clustering(hidden: xr.Dataset) -> xr.DataArray:
    """Rank correlation of I(X;T) and the share within classes along a run, (member,)."""
    share = within_share(hidden).transpose("member", "step").values
    information = hidden.information_input.transpose("member", "step").values
    found = []
    for x, y in zip(share, information, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        varies = known.sum() > 2 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0
        found.append(spearmanr(x[known], y[known])[0] if varies else np.nan)
    return xr.DataArray(np.array(found, dtype=float), dims="member")


def draw(table: xr.Dataset) -> None:
    """Drop of the last hidden layer and its association with clustering, by variant."""
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), sharey=True, layout="constrained")
    at = np.arange(table.sizes["variant"])
    for ax, name, label in (
        (left, "drop", "drop of I(X;T) of the last hidden layer, peak to end [bit]"),
        (right, "clustering", "rank correlation of I(X;T) and scatter within classes"),
    ):
        mean, low, high = (table[n].values for n in (name, f"{name}_low", f"{name}_high"))
        bars = np.abs(np.stack([mean - low, high - mean]))
        ax.errorbar(mean, at, xerr=bars, fmt="o", color="#0072b2", capsize=3)
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.set(xlabel=label)
    names = [
        f"{variant}  ({estimator})"
        for variant, estimator in zip(table.variant.values, table.estimator.values, strict=True)
    ]
    left.set(yticks=at, yticklabels=names)
    left.invert_yaxis()


def summary(table: xr.Dataset) -> str:
    """The table, and what it says of noise, saturation and clustering."""
    lines = [
        f"{'variant':>15} {'epochs':>7} {'drop [bit]':>22} {'saturation':>10} "
        f"{'train error':>11} {'test error':>10} {'clustering':>22}"
    ]
    for variant in table.variant.values:
        one = table.sel(variant=variant)
        lines.append(
            f"{variant:>15} {one.epochs.item():7g} {_interval(one, 'drop'):>22} "
            f"{one.saturation.item():10.3f} {one.train_error.item():11.4f} "
            f"{one.test_error.item():10.4f} {_interval(one, 'clustering'):>22}"
        )
    lines.append("")
    for question, names in (
        ("without gradient noise", ("full-batch", "langevin-0")),
        ("with gradient noise", ("tanh", "batch-64", "batch-1024")),
        ("without saturation", ("relu", "linear")),
        ("without anything to generalise", ("random-labels",)),
        ("in exact or noisy information", ("quantised", "noisy")),
    ):
        verdicts = ", ".join(f"{name} {_verdict(table.sel(variant=name))}" for name in names)
        lines.append(f"compression {question}: {verdicts}")
    return "\n".join(lines)


def _interval(one: xr.Dataset, name: str) -> str:
    mean, low, high = (float(one[n]) for n in (name, f"{name}_low", f"{name}_high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _verdict(one: xr.Dataset) -> str:
    low, high = float(one.drop_low), float(one.drop_high)
    if low > LEAST_DROP:
        return f"yes ({_interval(one, 'drop')} bit)"
    if high < LEAST_DROP:
        return f"no ({_interval(one, 'drop')} bit)"
    return f"undecided ({_interval(one, 'drop')} bit)"


if __name__ == "__main__":
    main()
