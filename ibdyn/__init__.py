"""A laboratory for the information dynamics of learning.

`simulate` trains the ensemble of a `RunConfig` and returns its record, an xarray Dataset;
`simulate_to` does so to a file and loses nothing when it is stopped, `resume` goes on, and
`simulate_once` does whichever of these is left; `save` and `load` keep records as NetCDF; `cells`,
`decisions` and `measure` look again at a record's networks, `fork` trains one on in many replicas;
`run_sweep` trains all configurations of a `Sweep`, here or on a cluster, and `open_sweep` opens
their records. `watch` records any torch model in somebody's own training loop, `join` makes an
ensemble of such records. What needs torch is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import figures, presets, schedule, tasks
    from .config import RunConfig
    from .forks import fork
    from .grids import Sweep
    from .members import join
    from .replay import cells, decisions, measure
    from .resumption import resume, simulate_once, simulate_to
    from .simulation import simulate
    from .storage import load, save
    from .sweep import open_sweep, run_sweep
    from .watcher import watch

__all__ = [
    "RunConfig",
    "Sweep",
    "cells",
    "decisions",
    "figures",
    "fork",
    "join",
    "load",
    "measure",
    "open_sweep",
    "presets",
    "resume",
    "run_sweep",
    "save",
    "schedule",
    "simulate",
    "simulate_once",
    "simulate_to",
    "tasks",
    "watch",
]

_HOMES = {
    "RunConfig": "config",
    "Sweep": "grids",
    "cells": "replay",
    "decisions": "replay",
    "fork": "forks",
    "join": "members",
    "load": "storage",
    "measure": "replay",
    "open_sweep": "sweep",
    "resume": "resumption",
    "run_sweep": "sweep",
    "save": "storage",
    "simulate": "simulation",
    "simulate_once": "resumption",
    "simulate_to": "resumption",
    "watch": "watcher",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ibdyn' has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return __all__
