"""One network of a record, cloned at one of its steps into replicas with noise of their own."""

import numpy as np
import xarray as xr

from .config import RunConfig
from .ensemble import Ensemble, assemble
from .estimators import from_name
from .progress import Progress
from .recorder import Recorder
from .replay import ensemble_of, nearest_step
from .seeding import key
from .simulation import attributes, record, recorded_steps, recording
from .state import State
from .storage import content_hash

# What a fork may do otherwise than its source; the rest is the network, its data and their number.
CHANGEABLE = (
    "optimizer",
    "learning_rate",
    "momentum",
    "temperature",
    "weight_decay",
    "batch_size",
    "batch_order",
    "schedule",
    "estimators",
    "seed",
    "dtype",
    "engine",
    "device",
)


def fork(
    run: xr.Dataset,
    member: int,
    step: int,
    replicas: int,
    *,
    epochs: int,
    progress: bool = True,
    command: str = "ibdyn.fork",
    **changes: object,
) -> xr.Dataset:
    """Train ``replicas`` clones of a record's network on from a recorded step; return their record.

    The replicas are the members 0..replicas - 1. They start from the same parameters and have the
    split and the labels of their source; the order of their batches and their Langevin noise are
    their own. ``changes`` are fields of the configuration that they do not share with the source
    (see `CHANGEABLE`). Steps and epochs count from the fork, whose attributes say what was forked:
    ``fork_title``, ``fork_member``, ``fork_step`` and ``fork_sha256``, the hash of the record.

    Streams are those of a new root seed, a function of the source's seed (or of ``seed`` among the
    changes, which gives other replicas), the member and the step. It is the ``seed`` of the fork's
    configuration, which alone does not give the fork again: that takes the source.

    A record has no moments of the optimiser, so replicas cannot go on with momentum or adam.

    Raises ValueError, before any work, for those, for a member or step that is not there, not kept
    or not finite, and for changes that do not fit.
    """
    ensemble = prepare_fork(run, member, step, replicas, epochs=epochs, **changes)
    estimators = [from_name(name) for name in ensemble.config.estimators]
    recorded = recorded_steps(ensemble)
    recorder, state = Recorder(ensemble, recorded, estimators), State.initial(ensemble.initial)
    with Progress(ensemble.config.epochs, shown=progress) as bar:
        for _ in recording(recorder, recorded, state, bar):
            pass
    attrs = attributes(ensemble, command)
    attrs |= {
        "title": f"{attrs['title']}, fork of member {member} at step {step}",
        "fork_title": run.attrs["title"],
        "fork_member": member,
        "fork_step": step,
        "fork_sha256": content_hash(run),
        "complete": 1,
    }
    return record(recorder, attrs)


def prepare_fork(
    run: xr.Dataset, member: int, step: int, replicas: int, *, epochs: int, **changes: object
) -> Ensemble:
    """The replicas of `fork`, about to train; raises as `fork`."""
    if replicas < 1:
        raise ValueError(f"replicas is {replicas}, expected 1 or more")
    if member not in run.member.values:
        known = run.member.values.tolist()
        raise ValueError(f"member {member} is not in the record, expected one of {known}")
    if step not in run.step.values:
        nearest = nearest_step(run, step)
        raise ValueError(f"step {step} is not recorded; the nearest is {nearest}")
    source = ensemble_of(run.sel(member=[member], step=[step]))
    if not np.isfinite(source.initial).all():
        raise ValueError(
            f"parameters of member {member} at step {step} were not kept or are not finite"
        )
    unknown = changes.keys() - set(CHANGEABLE)
    if unknown:
        raise ValueError(
            f"{', '.join(sorted(unknown))} cannot change in a fork, expected one of "
            + ", ".join(CHANGEABLE)
        )
    config = RunConfig.model_validate(
        {**source.config.model_dump(), **changes, "members": replicas, "epochs": epochs}
    )
    if config.optimizer == "adam" or config.momentum:
        raise ValueError(
            f"the record has no moments for optimizer {config.optimizer} with momentum "
            f"{config.momentum:g} to go on with, expected sgd without momentum or langevin"
        )
    # Attributes of a record hold 63 bits.
    seed = key(config.seed, "fork", member, step) >> 1
    config = config.model_copy(update={"seed": seed})
    drawn = None if source.drawn is None else source.drawn.repeat(replicas, 0)
    return assemble(
        config,
        source.task,
        range(replicas),
        source.in_train.repeat(replicas, 0),
        drawn,
        source.initial.repeat(replicas, 0),
    )
