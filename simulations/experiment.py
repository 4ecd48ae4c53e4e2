"""What every simulation takes, a scale, a folder and a seed, and how it comes by its records."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr

import ibdyn
from ibdyn.presets import preset

Scale = Literal["smoke", "quick", "paper"]


@dataclass(frozen=True)
class Experiment:
    """Arguments of a simulation, whose module has the subclass."""

    scale: Scale = "quick"
    """smoke: seconds; quick: a minute or so; paper: the size of the published experiment."""
    out: Path = Path("results")
    """Folder for records, tables and figures."""
    seed: int = 0
    """Root of all random streams."""

    @property
    def command(self) -> str:
        """The command line that does the same again, for the history of records."""
        module = Path(inspect.getfile(type(self))).stem
        return f"python -m simulations.{module} --scale {self.scale} --seed {self.seed}"

    def train(self, name: str, base: str = "szt2017-paper", **changes: Any) -> xr.Dataset:
        """The record of the preset ``base`` with ``changes``, and the experiment's seed.

        It is in the file ``name``.nc, or trained: see `ibdyn.simulate_once`.
        """
        config = preset(base, seed=self.seed, **changes)
        return ibdyn.simulate_once(config, self.out / f"{name}.nc", command=self.command)
