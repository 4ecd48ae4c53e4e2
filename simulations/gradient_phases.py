"""The post's gradient figure, in every formula, with the transition marked, and what noise does.

    python -m simulations.gradient_phases --scale quick --out results

Mean and spread of the gradients by layer, in the four formulas published under one name and as the
signal-to-noise ratio at frozen weights, with the crossing and the change point of each layer and
their 95 % intervals over members; and the same networks, from the same initial weights, trained by
minibatches, by the full batch, and by Langevin steps whose temperature is that of the minibatches,
a mean over their run (an epoch is one step for the last two). Printed are, for each layer, the
transition by both definitions, the test that there is one, the onset of compression, whether the
two coincide against shuffled pairings, and the exponent and temperature of the weights' motion
after the crossing beside the prediction from the gradient noise. The law of relaxation is fitted to
the minibatch run and to ``szt2017-stored``, which has no minibatch noise at all. Records:
``gradient_phases-VARIANT.nc``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from matplotlib.axes import Axes

from ibdyn import figures, output
from ibdyn.config import ScheduleConfig
from simulations.experiment import Experiment, Scale
from theory import diffusion, onset, phases, transitions
from theory.censoring import OBSERVED, time_interval
from theory.relaxation import relaxation_times, sum_condition
from theory.relaxation_law import compare_laws, fit_law

SCALES = {"smoke": (4, 60, 25, 49), "quick": (10, 4000, 120, 199), "paper": (50, 10_000, 300, 999)}
FORMULAS = ("paper", "publication", "released", "saxe2018")


@dataclass(frozen=True)
class Arguments(Experiment):
    """Drift and diffusion, layer by layer."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 10 members to epoch 4000; paper: 50 members to epoch 10 000."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train the variants, draw, and print transitions, onsets, diffusion and relaxation."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    files = [arguments.out / f"gradient_phases-{name}.png" for name in ("formulas", "variants")]
    for file in files:
        output.check_writable(file)
    rng, repetitions = np.random.default_rng(arguments.seed), SCALES[arguments.scale][3]
    stored_epochs = SCALES["smoke"][1] if arguments.scale == "smoke" else SCALES["paper"][1]
    runs = {"minibatch": train(arguments, "minibatch")}
    temperature = mean_temperature(runs["minibatch"])
    runs["full batch"] = train(arguments, "full-batch", batch_size=None, learning_rate=0.05)
    runs["Langevin"] = train(
        arguments,
        "langevin",
        optimizer="langevin",
        batch_size=None,
        temperature=temperature,
    )
    stored = train(arguments, "stored", base="szt2017-stored", epochs=stored_epochs)
    with output.picture(files[0]):
        draw_formulas(runs["minibatch"])
    with output.picture(files[1]):
        draw_variants(runs)
    print(f"temperature of a weight by minibatch noise, mean over the run: {temperature:.3g} nat")
    print(summary(runs["minibatch"], rng, repetitions))
    for name, run in (("minibatch", runs["minibatch"]), ("szt2017-stored", stored)):
        print(f"\nrelaxation, {name}\n{relaxation(run, rng)}")
    print("wrote", *(str(file) for file in files), sep="\n  ")


def train(
    arguments: Arguments, name: str, *, base: str = "szt2017-paper", **changes: object
) -> xr.Dataset:
    """One variant's record, saved. All begin at the same weights."""
    members, epochs, count, _ = SCALES[arguments.scale]
    schedule = ScheduleConfig(count=count, extra=(0,))
    fields = {"members": members, "epochs": epochs, "schedule": schedule} | changes
    return arguments.train(f"gradient_phases-{name}", base, **fields)


def mean_temperature(run: xr.Dataset) -> float:
    """Temperature of one weight by minibatch noise, a mean over the run, weights and members."""
    weights = int((run.parameter_kind == "weight").sum())
    total = diffusion.predicted_temperature(run).sum("layer").mean("member")
    return float(total.integrate("step")) / float(run.step[-1]) / weights


def draw_formulas(run: xr.Dataset) -> None:
    """The four formulas and the ratio with its transitions: five Axes."""
    _, axes = plt.subplots(2, 3, figsize=(15, 8.4), layout="constrained")
    for ax, formula in zip(axes.flat, FORMULAS, strict=False):
        figures.gradient_phases(run, formula=formula, ax=ax)
        ax.set_title(formula)
    figures.signal_to_noise(run, ax=axes[1, 1])
    axes[1, 1].set_title("exact ratio at frozen weights")
    _draw_transitions(run, axes[1, 2])


def _draw_transitions(run: xr.Dataset, ax: Axes) -> None:
    """Crossing, change point and compression onset by layer, with intervals."""
    ticks = np.arange(run.sizes["layer"])
    for shift, (label, marker, colour, found) in zip(
        (-0.2, 0, 0.2),
        (
            ("crossing of one", "o", "#0072b2", transitions.crossing(run, "epoch")),
            ("change point", "s", "#d55e00", transitions.change_point(run, "epoch")),
            ("compression onset", "^", "#009e73", onset_of(run)),
        ),
        strict=True,
    ):
        interval = time_interval(found.time, found.censored)
        mean = interval["mean"].values
        bars = np.abs(np.stack([mean - interval["low"], interval["high"] - mean]))
        ax.errorbar(
            mean, ticks + shift, xerr=bars, fmt=marker, color=colour, label=label, capsize=2
        )
    ax.set(
        xscale="log",
        xlim=(0.5, 3 * float(run.epoch[-1])),
        xlabel="epoch",
        yticks=ticks,
        yticklabels=run.layer.values,
        ylabel="layer",
        title="transitions, where two members or more have one",
    )
    ax.legend(fontsize="small")


def draw_variants(runs: dict[str, xr.Dataset]) -> None:
    """Each variant's layers: their paths through the information plane, and their gradients."""
    _, axes = plt.subplots(2, len(runs), figsize=(13, 7.4), sharey="row", layout="constrained")
    for (upper, lower), (name, run) in zip(axes.T, runs.items(), strict=True):
        figures.information_paths(run, ax=upper)
        upper.set_title(name)
        figures.gradient_phases(run, ax=lower)
    # Gradients of the first fall to where a legend would be.
    for lower in axes[1, :-1]:
        lower.get_legend().remove()
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")


def onset_of(run: xr.Dataset) -> xr.Dataset:
    """Onset of compression in epochs, (member, layer)."""
    return onset.compression_onset(run.information_input.isel(estimator=0), "epoch")


def summary(run: xr.Dataset, rng: np.random.Generator, repetitions: int) -> str:
    """Transitions, their test, the onset of compression, and the motion after the crossing."""
    crossing, change = transitions.crossing(run, "epoch"), transitions.change_point(run, "epoch")
    test = transitions.detect(run, rng, along="epoch", repetitions=repetitions)
    start = onset_of(run)
    together = onset.coincidence(crossing, start, rng, repetitions)
    steps = transitions.crossing(run, "step")
    moved = diffusion.weight_diffusion(run, steps.time.where(steps.censored == 0))
    peak = phases.signal_to_noise(run).max(("member", "step"))
    lines = [
        f"largest ratio of any member and layer: {float(peak.max()):.1f}",
        f"{'layer':>7} {'crossing [epoch]':>22} {'change point [epoch]':>22} {'onset [epoch]':>22} "
        f"{'p(break)':>9} {'coincide':>9} {'p(pairs)':>9} {'exponent':>9} {'T/T_pred':>9}",
    ]
    for layer in run.layer.values:
        cells = [_times(found.sel(layer=layer)) for found in (crossing, change, start)]
        one, both = test.sel(layer=layer), together.sel(layer=layer)
        motion = moved.sel(layer=layer).median("member")
        lines.append(
            f"{layer:>7} {cells[0]:>22} {cells[1]:>22} {cells[2]:>22} {float(one.p):9.3f} "
            f"{'yes' if both.coincide else 'no':>9} {float(both.p):9.3f} "
            f"{float(motion.exponent):9.2f} {float(motion.ratio):9.3g}"
        )
    return "\n".join(lines)


def _times(found: xr.Dataset) -> str:
    interval = time_interval(found.time, found.censored)
    if not np.isfinite(interval["mean"]):
        return f"{int(interval.observed)} of {found.sizes['member']}"
    mean, low, high = (float(interval[name]) for name in ("mean", "low", "high"))
    return f"{mean:.4g} [{low:.3g}, {high:.3g}]"


def relaxation(run: xr.Dataset, rng: np.random.Generator) -> str:
    """The law ln time = a + b C and its rivals, and the condition of the sum."""
    found = relaxation_times(run.isel(estimator=0), "epoch")
    points = int(found.included.sum())
    lines = [f"  layers of networks with a drop of 0.1 bit or more, and resolved: {points}"]
    observed = (found.included & (found.censored == OBSERVED)).sum("member")
    if not (observed > 1).any() or found.included.any("layer").sum() < 3:
        lines.append("  relaxation seen to its end in too few of them to fit a law")
    else:
        for name, compression in (
            ("A, C at the end", found.compression),
            ("B, drop", found["drop"]),
        ):
            kept = compression.where(found.included)
            law = fit_law(found.time, kept, found.censored, rng, repetitions=500)
            lines.append(
                f"  reading {name}: b = {float(law.slope):.2f} "
                f"[{float(law.slope_low):.2f}, {float(law.slope_high):.2f}] per nat, "
                f"{int(law.points)} points, {int(law.censored)} censored (theory: b = 1)"
            )
            rivals = compare_laws(found.time, kept, found.censored)
            gains = ", ".join(
                f"{rival} {float(rivals.advantage.sel(law=rival)):+.3f}"
                for rival in rivals.law.values
                if rival != "exponential"
            )
            lines.append(f"    log density of unseen members above rivals: {gains}")
    condition = sum_condition(found.compression)
    lines.append(
        f"  exp(sum C) >= sum exp(C) holds in {float(condition.holding):.0%} of the networks"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
