"""An ensemble about to train: every array that decides what it will do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from . import tasks
from .architecture import Architecture
from .config import RunConfig
from .initialisation import initial_parameters
from .patterns import Task
from .seeding import key, stream
from .splits import train_mask


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks, their data and the order of their batches; numbers in the run's dtype.

    members : names of the members, which address their random streams.
    initial : (member, parameter) initial parameters.
    x : (pattern, input) inputs.
    in_train : (member, pattern) training set of each member.
    train : (member, training pattern) indices of the training patterns, ascending.
    drawn : (member, pattern) labels drawn from a soft p(y|x), integers, or real ones from their
        Gaussian; None where nothing is drawn.
    batch_keys : (member,) keys of the batch order, see `batches.permutation`.
    langevin_keys : (member,) keys of the noise of Langevin steps, see `normals.fill`.
    """

    config: RunConfig
    task: Task
    architecture: Architecture
    members: tuple[int, ...]
    initial: NDArray
    x: NDArray
    in_train: NDArray[np.bool_]
    train: NDArray[np.int64]
    drawn: NDArray | None
    batch_keys: NDArray[np.uint64]
    langevin_keys: NDArray[np.uint64]

    @property
    def batch_size(self) -> int:
        """Patterns a step; the last batch of an epoch may be smaller."""
        size = self.train.shape[1]
        return size if self.config.batch_size is None else min(self.config.batch_size, size)

    @cached_property
    def targets(self) -> NDArray:
        """What the outputs should say of the training patterns, in the run's dtype.

        Shape (member, training pattern, output unit): p(y|x) of each label for a softmax, p(y=1|x)
        for a sigmoid; of drawn labels 0 or 1. Of a real label its mean, or as drawn.
        """
        if self.task.gaussian is not None:
            real = self.task.y_mean[self.train]
            if self.drawn is not None:
                real = np.take_along_axis(self.drawn, self.train, axis=1)
            return np.ascontiguousarray(real[..., None], dtype=self.x.dtype)
        p = self.task.p_y_given_x
        if self.drawn is None:
            labels = p[self.train]
        else:
            labels = np.eye(p.shape[1])[np.take_along_axis(self.drawn, self.train, axis=1)]
        units = labels if self.architecture.output == "softmax" else labels[..., 1:]
        return np.ascontiguousarray(units, dtype=self.x.dtype)

    @property
    def label_variance(self) -> float:
        """Variance of a real label given x, which scales its loss; 1 where there are labels."""
        return 1.0 if self.task.gaussian is None else self.task.gaussian.variance

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in a pass through the training set."""
        return -(-self.train.shape[1] // self.batch_size)


def prepare(config: RunConfig, members: Sequence[int] | None = None) -> Ensemble:
    """All that a run of ``config`` starts from, for ``members`` (all of them by default).

    Raises ValueError where the configuration does not fit the task.
    """
    members = tuple(range(config.members)) if members is None else tuple(members)
    if not members or len(set(members)) < len(members):
        raise ValueError(f"members {members} are none or repeat, expected different members")
    task = tasks.from_config(config.task, config.seed)
    if not np.allclose(task.p_x, task.p_x[0]):
        raise ValueError(
            f"task {task.name!r} has patterns of unequal p(x); training draws them equally often"
        )
    in_train = np.stack(
        [
            train_mask(task, config.train_fraction, config.split, stream(config.seed, "split", k))
            for k in members
        ]
    )
    initial = initial_parameters(architecture_of(config, task), config.init, config.seed, members)
    return assemble(config, task, members, in_train, _drawn_labels(config, task, members), initial)


def assemble(
    config: RunConfig,
    task: Task,
    members: Sequence[int],
    in_train: NDArray[np.bool_],
    drawn: NDArray | None,
    initial: NDArray,
) -> Ensemble:
    """The ensemble of these arrays, whether drawn from streams or read from a record.

    ``in_train`` (member, pattern), ``initial`` (member, parameter), ``drawn`` as in `Ensemble`.
    """
    architecture = architecture_of(config, task)
    dtype = np.dtype(config.dtype)

    def keys(name: str) -> NDArray[np.uint64]:
        return np.array([key(config.seed, name, k) for k in members], dtype=np.uint64)

    return Ensemble(
        config=config,
        task=task,
        architecture=architecture,
        members=tuple(members),
        initial=initial.astype(dtype),
        x=task.x.astype(dtype),
        in_train=in_train,
        train=np.stack([np.flatnonzero(mask) for mask in in_train]),
        drawn=drawn,
        batch_keys=keys("batches"),
        langevin_keys=keys("langevin"),
    )


def architecture_of(config: RunConfig, task: Task) -> Architecture:
    """The networks of a configuration, between the task's inputs and labels."""
    labels = 0 if task.gaussian is not None else task.p_y_given_x.shape[1]
    return Architecture(task.x.shape[1], config.widths, labels, config.activation, config.output)


def _drawn_labels(config: RunConfig, task: Task, members: Sequence[int]) -> NDArray | None:
    """One label for each member and pattern, by inversion; None for hard or expected labels."""
    if task.gaussian is not None:
        if config.labels == "expected":
            return None
        size = len(task.x)
        z = [stream(config.seed, "labels", member).standard_normal(size) for member in members]
        return task.y_mean + np.sqrt(task.gaussian.variance) * np.stack(z)
    p = task.p_y_given_x
    if config.labels == "expected" or (p.max(-1) == 1).all():
        return None
    u = np.stack([stream(config.seed, "labels", member).random(len(p)) for member in members])
    return (u[..., None] > p.cumsum(-1)[:, :-1]).sum(-1)
