"""The post's bound figure: trained layers, the bottleneck limit, and what a finite sample leaves.

    python -m simulations.bottleneck_limit --scale quick --out results

Networks learn the soft spherical rule, I(X;Y) = 0.99 bit, whose bottleneck curve is known to a
certified 1e-6 nat (a rule with hard labels has the trivial curve I(T;Y) = min(I(X;T), H(Y))). The
figure holds their layers against the limit (black) and the worst case for m samples (red: Tishby &
Zaslavsky 2015, heuristic, with a constant that is free). Printed are, for the trained networks and
for two controls, the same networks before training and networks trained on labels that were
shuffled over the patterns (their curve is the same), each layer's distance to the curve along both
axes, the beta that suits its encoder best with the divergence left at that beta; and Delta C and
Delta G of the output at three values of the constant. Records: ``bottleneck_limit.nc`` and
``bottleneck_limit-random.nc``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro
import xarray as xr
from numpy.typing import NDArray

import ibdyn
from ibdyn import figures, output
from ibdyn.config import ScheduleConfig, TaskConfig
from simulations.experiment import Experiment, Scale
from theory import bottleneck, finite_sample, limit
from theory.fitting import mean_interval

SCALES = {"smoke": (4, 20, 20), "quick": (20, 3000, 100), "paper": (50, 10_000, 100)}
INFORMATION = 0.99
ESTIMATOR = "binned-range-30"
# The constant of the red curve is free; the gaps are printed for all of these.
CONSTANTS = (0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Arguments(Experiment):
    """Trained layers beside the information bottleneck."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 20 members to epoch 3000; paper: 50 members to epoch 10 000."""


def main(argv: Sequence[str] | None = None) -> None:
    """Solve, train, draw, and print the distances."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    picture = arguments.out / "bottleneck_limit.png"
    output.check_writable(picture)
    trained = train(arguments, random_labels=False)
    shuffled = train(arguments, random_labels=True)
    p_xy = joint_of(trained)
    curve = bottleneck.curve(p_xy, np.geomspace(0.9, 2000, SCALES[arguments.scale][2]))
    red = {
        c: finite_sample.red_curve(curve, trained.attrs["train_size"], 2, constant=c)
        for c in CONSTANTS
    }
    with output.picture(picture):
        figures.bottleneck(trained, curve, red=red[1.0])
    print(f"largest certified gap of the curve: {float(curve.gap.max()):.1e} nat")
    for name, run, step in (
        ("trained", trained, -1),
        ("untrained", trained, 0),
        ("random labels", shuffled, -1),
    ):
        print(f"\n{name}, epoch {run.epoch.values[step]:g}\n{distances(run, curve, step)}")
    print(f"\n{gaps(trained, p_xy, red)}\n\nwrote {picture}")


def train(arguments: Arguments, *, random_labels: bool) -> xr.Dataset:
    """The record of an ensemble on the soft rule, saved."""
    members, epochs, _ = SCALES[arguments.scale]
    return arguments.train(
        "bottleneck_limit-random" if random_labels else "bottleneck_limit",
        task=TaskConfig(information=INFORMATION, random_labels=random_labels),
        members=members,
        epochs=epochs,
        schedule=ScheduleConfig(count=20, extra=(0,)),
        estimators=(ESTIMATOR,),
    )


def joint_of(run: xr.Dataset) -> NDArray[np.float64]:
    """p(x,y) of a record's task, (pattern, label)."""
    joint: NDArray[np.float64] = (run.p_x * run.p_y_given_x).transpose("pattern", "label").values
    return joint


def distances(run: xr.Dataset, curve: xr.Dataset, step: int) -> str:
    """Distance to the curve, and fitted beta, of each layer at one record: mean +- 95 %."""
    one = run.isel(step=step, estimator=0)
    found = limit.distance(one, curve)
    betas, divergences = fitted(run, int(one.step))
    lines = [
        f"{'layer':>8} {'I(X;T) in excess':>18} {'I(T;Y) lacking':>18} {'beta':>10} "
        f"{'divergence':>18}  [bit]"
    ]
    for j, layer in enumerate(run.layer.values):
        cells = [_interval(found[name].sel(layer=layer)) for name in found]
        beta = float(np.median(betas[:, j]))
        divergence = _interval(xr.DataArray(divergences[:, j], dims="member"))
        lines.append(f"{layer:>8} {cells[0]:>18} {cells[1]:>18} {beta:10.3g} {divergence:>18}")
    return "\n".join(lines)


def fitted(run: xr.Dataset, step: int) -> tuple[NDArray, NDArray]:
    """Best beta of each layer's encoder and the divergence left, in bits: (member, layer)."""
    p_xy = joint_of(run)
    cells = ibdyn.cells(run, step, ESTIMATOR).transpose("member", "layer", "pattern").values
    found = [[limit.fitted_beta_of_cells(one, p_xy) for one in member] for member in cells]
    betas, divergences = np.moveaxis(np.array(found), -1, 0)
    return betas, divergences


def gaps(run: xr.Dataset, p_xy: NDArray, red: dict[float, xr.Dataset]) -> str:
    """Delta C and Delta G of the output, in bits, at each constant of the red curve."""
    last = run.isel(step=-1, estimator=0).sel(layer="output")
    lines = [f"output against the optimum of the red curve, m = {run.attrs['train_size']}  [bit]"]
    for constant, curve in red.items():
        found = finite_sample.gaps(
            last.information_input, last.information_label, run.attrs["task_information"], curve
        )
        lines.append(
            f"  constant {constant:g}: R* = {curve.optimal_information_input.item():.3f}, "
            f"Delta C = {_interval(found.complexity_gap)}, "
            f"Delta G = {_interval(found.generalisation_gap)}"
        )
    return "\n".join(lines)


def _interval(values: xr.DataArray) -> str:
    interval = mean_interval(values)
    mean = float(interval["mean"])
    return f"{mean:.3f} +- {float(interval['high']) - mean:.3f}"


if __name__ == "__main__":
    main()
