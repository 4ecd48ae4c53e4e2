"""Many answers to one question: every estimator where the truth is known, and on one ensemble.

    python -m simulations.estimators --scale quick --out results

The first figure and ``known_answers.csv`` (estimate, truth, standard error) hold each estimator
against closed forms: two points and a hypercube in Gaussian noise, Gaussian pairs, and the one
tanh or ReLU neuron of Saxe et al. 2018. The second shows one trained ensemble, the preset
``szt2017-paper``, under all of them side by side on the information plane; its record is
``estimators.nc``. Printed are, for each estimator, the final information of every layer, how far a
layer exceeds the one before it against the data processing inequality, and, where patterns are
sorted into cells, how many bits of the network's decision the cells leave open.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro
import xarray as xr

import ibdyn
from ibdyn import figures, output
from ibdyn.config import ScheduleConfig
from ibdyn.estimators import CellEstimator, from_name
from simulations import known_answers_figure
from simulations.experiment import Experiment, Scale
from simulations.known_answers import known_answers
from theory.information import entropy_given_cells
from theory.markov import processing_violations

SCALES = {"smoke": (3, 20, 3), "quick": (10, 3000, 12), "paper": (50, 10_000, 40)}
ESTIMATORS = (
    "exact",
    "quantised-8",
    "binned-range-30",
    "binned-width-0.07",
    "binned-quantiles-30",
    "pairwise-lower-0.001",
    "pairwise-upper-0.001",
    "pairwise-published-0.001",
    "mixture-measured-0.001:2",
)


@dataclass(frozen=True)
class Arguments(Experiment):
    """Every estimator where the truth is known, and side by side on one ensemble."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 10 members to epoch 3000; paper: 50 members to epoch 10 000."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is known, train, measure, draw, and print what was found."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    folder = arguments.out
    files = [folder / name for name in ("known_answers.csv", "known_answers.png", "estimators.nc")]
    for file in files:
        output.check_writable(file)
    answers = known_answers(thinned=arguments.scale == "smoke", seed=arguments.seed)
    answers.to_dataframe().to_csv(files[0], index=False)
    run = trained(arguments)
    files.append(folder / "estimators.png")
    with output.picture(files[1]):
        known_answers_figure.draw(answers)
    with output.picture(files[3]):
        figures.estimator_planes(run)
    print(summary(run))
    print("wrote", *(str(file) for file in files), sep="\n  ")


def trained(arguments: Arguments) -> xr.Dataset:
    """The record of one ensemble under all estimators, saved."""
    members, epochs, count = SCALES[arguments.scale]
    return arguments.train(
        "estimators",
        members=members,
        epochs=epochs,
        schedule=ScheduleConfig(count=count, extra=(0, epochs)),
        estimators=ESTIMATORS,
    )


def summary(run: xr.Dataset) -> str:
    """Final information by layer, the largest violation in the run, and H(decision | cell)."""
    last = run.isel(step=-1)
    step = int(last.step)
    decisions = ibdyn.decisions(run, step).values[:, None]
    worst = processing_violations(run.information_input.mean("member")).max(("step", "layer"))
    width = max(len(name) for name in run.estimator.values)
    layers = "".join(f"{layer:>8}" for layer in run.layer.values)
    lines = [f"mean I(X;T) at epoch {last.epoch.item():g}, bit", f"{'':{width}}{layers}   excess"]
    for name in run.estimator.values:
        bits = last.information_input.sel(estimator=name).mean("member").values
        row = "".join(f"{value:8.3f}" for value in bits)
        lines.append(f"{name:{width}}{row}{worst.sel(estimator=name).item():9.4f}")
    lines += ["", "mean H(decision | cell), bit", f"{'':{width}}{layers}"]
    for name in run.estimator.values:
        if isinstance(from_name(name), CellEstimator):
            cells = ibdyn.cells(run, step, name).values
            bits = entropy_given_cells(decisions, cells, run.p_x.values).mean(0)
            lines.append(f"{name:{width}}" + "".join(f"{value:8.4f}" for value in bits))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
