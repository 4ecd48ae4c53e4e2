"""From a configuration to a record: train, measure, put together."""

from collections.abc import Iterable, Iterator, Sequence

import xarray as xr
from numpy.typing import NDArray

from . import hindsight, probes, storage
from .config import RunConfig
from .ensemble import Ensemble, prepare
from .estimators import from_name
from .progress import Progress
from .recorder import Recorder
from .schedule import paced, recorded_epochs
from .state import State

# Units in a layer beyond which torch's matrix products beat the kernel.
KERNEL_WIDTH = 160


class Interrupted(KeyboardInterrupt):
    """A run stopped by hand; ``run`` is the record of what was measured until then."""

    def __init__(self, run: xr.Dataset) -> None:
        super().__init__(f"interrupted at epoch {run.epoch.values[-1]:g}")
        self.run = run


def simulate(
    config: RunConfig,
    *,
    progress: bool = True,
    members: Sequence[int] | None = None,
    command: str = "ibdyn.simulate",
) -> xr.Dataset:
    """Train the ensemble of ``config`` and return its record (see `ibdyn.schema`).

    Every recorded step is measured before the update that follows it. ``members`` trains only
    these of the ensemble, each with the trajectory it has in the whole; ``command`` is what the
    record's history says.

    Raises ValueError if the configuration does not fit its task, before any work, and
    `Interrupted` on Ctrl-C, which carries the record so far, marked incomplete.
    """
    ensemble = prepare(config, members)
    estimators = [from_name(name) for name in config.estimators]
    recorded = recorded_steps(ensemble)
    recorder = Recorder(ensemble, recorded, estimators)
    attrs = attributes(ensemble, command)
    state = State.initial(ensemble.initial)
    with Progress(config.epochs, shown=progress) as bar:
        try:
            for _ in recording(recorder, paced(recorded), state, bar):
                pass
        except KeyboardInterrupt:
            if not recorder.steps:
                raise
            attrs["complete"] = 0
            raise Interrupted(record(recorder, attrs)) from None
    return record(recorder, {**attrs, "complete": 1})


def recorded_steps(ensemble: Ensemble) -> list[int]:
    """The steps that a run records, ascending, from 0 to its last."""
    config = ensemble.config
    epochs = recorded_epochs(config.epochs, config.schedule.count, config.schedule.extra)
    return (epochs * ensemble.steps_per_epoch).tolist()


def recording(
    recorder: Recorder, stops: Iterable[int], state: State, bar: Progress
) -> Iterator[int]:
    """Train from ``state`` to each of ``stops``, and record those that are wanted.

    Yields each stop once ``recorder`` and ``state`` have reached it.
    """
    ensemble = recorder.ensemble
    for parameters in trajectory(ensemble, stops, state):
        loss = None
        if state.step in recorder.wanted:
            measured = probes.measure(ensemble, parameters, recorder.estimators, state.step)
            recorder.add(state.step, parameters, measured)
            loss = float(measured["loss"][0].mean())
        bar.at(state.step // ensemble.steps_per_epoch, loss)
        yield state.step


def record(recorder: Recorder, attrs: dict[str, object]) -> xr.Dataset:
    """The record of what was measured, with what is measured last."""
    history = [row["parameters"] for row in recorder.rows]
    hindsight.fill(recorder.ensemble, recorder.steps, history, recorder.rows, recorder.estimators)
    return recorder.dataset(attrs)


def engine_of(ensemble: Ensemble) -> str:
    """The engine that trains an ensemble: kernel or torch.

    ``auto`` is the kernel on a CPU, up to `KERNEL_WIDTH` units a layer: beyond, training is matrix
    products and torch's are the faster. Noise and quantisation are torch's.
    """
    config = ensemble.config
    if config.engine != "auto":
        return config.engine
    narrow = ensemble.architecture.sizes.max() <= KERNEL_WIDTH
    plain = config.device == "cpu" and not config.disturbed
    return "kernel" if plain and narrow else "torch"


def trajectory(ensemble: Ensemble, stops: Iterable[int], state: State) -> Iterator[NDArray]:
    """Parameters (member, parameter) at each of the ``stops``, from the ensemble's engine.

    Begins at ``state`` and moves it along.
    """
    if engine_of(ensemble) == "kernel":
        from . import kernel

        return kernel.trajectory(ensemble, stops, state)
    from . import training

    return training.trajectory(ensemble, stops, state)


def attributes(ensemble: Ensemble, command: str) -> dict[str, object]:
    """Attributes of a record: what was run, on which task, by what."""
    config, task = ensemble.config, ensemble.task
    layers = ensemble.architecture.layers
    sizes = "-".join(map(str, (layers[0].fan_in, *(layer.width for layer in layers))))
    return {
        "title": f"{task.name}: {len(ensemble.members)} networks {sizes}, {config.activation}",
        **storage.provenance(command),
        "config": config.to_json(),
        "seed": config.seed,
        "engine": engine_of(ensemble),
        "task": task.name,
        "task_information": task.information,
        "label_entropy": task.label_entropy,
        "batch_size": ensemble.batch_size,
        "train_size": ensemble.train.shape[1],
        "steps_per_epoch": ensemble.steps_per_epoch,
    }
