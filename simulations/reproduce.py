"""Everything: each simulation, its records and figures, and a verdict for every claim.

    ibdyn reproduce --scale quick --out results

Simulations run one after the other in one folder, each with what it printed in ``NAME.txt``. A file
``NAME.done`` marks those that are finished, and ensembles are recorded as they are trained: a run
that was stopped, even in the midst of an ensemble, goes on where it was. At the end the claims of
the literature are judged by the records (`theory.claims`): ``claims.csv`` and ``claims.md``.
"""

import contextlib
import csv
import importlib
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
import xarray as xr

import ibdyn
from ibdyn import output, storage
from simulations import reparametrisation
from simulations.experiment import Experiment, Scale
from theory import claims

# Minutes of each simulation on two cores at smoke, quick and paper scale, as measured.
MINUTES: Mapping[str, tuple[float, float, float]] = {
    "information_plane": (0.1, 0.5, 0.7),
    "estimators": (0.1, 0.7, 5),
    "markov_chain": (0.1, 0.3, 1),
    "reparametrisation": (0.1, 0.1, 0.3),
    "bottleneck_limit": (0.1, 0.7, 2.5),
    "gradient_phases": (0.1, 0.7, 5),
    "hidden_layers": (0.1, 0.6, 8),
    "diffusion": (0.1, 1, 8),
    "training_size": (0.1, 1, 2.5),
    "controls": (0.1, 1, 7),
}


@dataclass(frozen=True)
class Arguments(Experiment):
    """Run every simulation and judge every claim."""

    scale: Scale = "quick"
    """smoke: a minute, to see that all runs; quick: some ten; paper: about an hour."""


def main(argv: Sequence[str] | None = None) -> None:
    """Say how long it will take, run what is left, judge, and print the verdicts."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__, prog="ibdyn reproduce")
    output.check_writable(arguments.out / "claims.csv")
    left = [name for name in MINUTES if not is_done(arguments, name)]
    print(forecast(arguments.scale, left), file=sys.stderr)
    for name in left:
        run(arguments, name)
    verdicts = claims.judge(evidence(arguments.out), np.random.default_rng(arguments.seed))
    with (arguments.out / "claims.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, claims.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(claims.to_rows(verdicts))
    (arguments.out / "claims.md").write_text(claims.to_markdown(verdicts))
    print(claims.summary(verdicts))
    print(f"wrote {arguments.out}/claims.csv, claims.md and {len(MINUTES)} simulations")


def forecast(scale: Scale, left: Sequence[str]) -> str:
    """What is still to run, and about how long it takes on two cores."""
    if not left:
        return "all simulations are done, judging the claims"
    column = ("smoke", "quick", "paper").index(scale)
    minutes = sum(MINUTES[name][column] for name in left)
    return f"{len(left)} of {len(MINUTES)} simulations to run, about {minutes:.0f} minutes"


def run(arguments: Arguments, name: str) -> None:
    """One simulation; what it prints is kept beside its files."""
    print(f"{name} ...", file=sys.stderr)
    begun, printed = time.monotonic(), io.StringIO()
    simulation = importlib.import_module(f"simulations.{name}")
    options = {"--scale": arguments.scale, "--out": arguments.out, "--seed": arguments.seed}
    with contextlib.redirect_stdout(printed):
        simulation.main([str(word) for option in options.items() for word in option])
    minutes = (time.monotonic() - begun) / 60
    (arguments.out / f"{name}.txt").write_text(printed.getvalue())
    done = {"scale": arguments.scale, "seed": arguments.seed, "minutes": round(minutes, 2)}
    _mark(arguments, name).write_text(json.dumps(done) + "\n")
    print(f"{name}: {minutes:.1f} minutes\n\n{printed.getvalue()}", flush=True)


def is_done(arguments: Arguments, name: str) -> bool:
    """Whether the folder has the simulation; ValueError if it has it at another scale or seed."""
    mark = _mark(arguments, name)
    if not mark.is_file():
        return False
    found = json.loads(mark.read_text())
    for field in ("scale", "seed"):
        expected = getattr(arguments, field)
        if found[field] != expected:
            raise ValueError(
                f"{mark} is of {field} {found[field]}, expected {expected}: use another folder"
            )
    return True


def _mark(arguments: Arguments, name: str) -> Path:
    return arguments.out / f"{name}.done"


def evidence(folder: Path) -> dict[str, xr.Dataset]:
    """The records that claims are judged by, named by their place in the folder.

    What is not there is left out: the claims that need it stay open.
    """
    names = {name for claim in claims.CLAIMS for name in claim.records}
    files = {
        file.relative_to(folder).with_suffix("").as_posix(): file for file in folder.rglob("*.nc")
    }
    return {name: _loaded(name, file) for name, file in sorted(files.items()) if name in names}


def _loaded(name: str, file: Path) -> xr.Dataset:
    return storage.read(file, name) if name == reparametrisation.KIND else ibdyn.load(file)


if __name__ == "__main__":
    main()
