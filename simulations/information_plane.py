"""The post's first experiment: 50 networks on the spherical rule move on the information plane.

    python -m simulations.information_plane --scale quick --out results

writes the record ``information_plane.nc`` and five figures next to it: the plane at the epochs 0,
400 and 9000 (or the last), the mean paths, the gradient phases, their signal-to-noise ratio and
the learning curves. The settings are the preset ``szt2017-paper``; only the number of members and
epochs depend on the scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro
import xarray as xr

from ibdyn import output
from ibdyn.config import ScheduleConfig
from simulations.experiment import Experiment, Scale
from theory import phases
from theory.fitting import mean_interval

SCALES = {"smoke": (4, 30, 20), "quick": (20, 10_000, 200), "paper": (50, 10_000, 300)}


@dataclass(frozen=True)
class Arguments(Experiment):
    """Networks on the spherical rule, on the information plane."""

    scale: Scale = "quick"
    """smoke: seconds; quick: 20 members; paper: 50 members (two minutes on two cores)."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, draw, and print what was found."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    members, epochs, count = SCALES[arguments.scale]
    path = arguments.out / "information_plane.nc"
    output.check_writable(path)
    schedule = ScheduleConfig(count=count)
    run = arguments.train(path.stem, members=members, epochs=epochs, schedule=schedule)
    figures = output.draw(run, arguments.out, path.stem)
    print(summary(run))
    print("wrote", *(str(file) for file in (path, *figures)), sep="\n  ")


def summary(run: xr.Dataset) -> str:
    """What the run found, layer by layer: final information and signal-to-noise, +- 95 %."""
    last = run.isel(step=-1, estimator=0)
    rows = [f"{'layer':>8} {'I(X;T) [bit]':>16} {'I(T;Y) [bit]':>16} {'peak SNR':>10} {'SNR':>8}"]
    ratio = phases.signal_to_noise(run).mean("member")
    for layer in run.layer.values:
        cells = []
        for name in ("information_input", "information_label"):
            interval = mean_interval(last[name].sel(layer=layer))
            half = float(interval["high"] - interval["mean"])
            cells.append(f"{float(interval['mean']):.3f} +- {half:.3f}")
        one = ratio.sel(layer=layer)
        rows.append(
            f"{layer:>8} {cells[0]:>16} {cells[1]:>16} "
            f"{float(one.max()):10.2f} {float(one[-1]):8.3f}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
