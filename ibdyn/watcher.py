"""Record any torch model inside somebody's own training loop.

    with ibdyn.watch(model, inputs, labels) as watcher:
        for x, y in batches:
            ...
            optimizer.step()
            watcher.step(loss)
    watcher.save("run.nc")

The record has the schema of every other: a watched model is one member, its layers are modules by
their names, and its patterns are a fixed set of examples, equally likely. Nothing of the training
is disturbed: parameters, their gradients, buffers, modes and random states are after a measurement
what they were before, to the bit.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from . import modules, output, schedule, schema, storage
from .estimators import Estimator, from_name
from .gradients import Loss
from .probe_sets import Values, probe_set
from .recorder import estimator_coordinates, resolved
from .watched import SEED, Watched, measure, prepare

# Parameters are kept up to this many, and the inputs of the examples up to so many numbers.
PARAMETERS, INPUTS = 250_000, 10_000_000


def cross_entropy(outputs: Any, labels: Tensor) -> Tensor:
    """Cross-entropy of logits (example, label), the first of several outputs, in nats."""
    logits = modules.first_tensor(outputs)
    assert logits is not None
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def watch(
    model: nn.Module,
    inputs: Values,
    labels: Values,
    *,
    layers: Sequence[str] | None = None,
    estimators: Sequence[str | Estimator] = ("binned-range-30",),
    every: Iterable[int] | None = None,
    loss: Loss = cross_entropy,
    test_inputs: Values | None = None,
    test_labels: Values | None = None,
    in_train: Values | None = None,
    batch_size: int | None = None,
    train_size: int | None = None,
    member: int = 0,
    path: str | Path | None = None,
) -> "Watcher":
    """A `Watcher` of ``model``, which measures it on a fixed set of examples while it is trained.

    inputs, labels : examples along the first axis, as the model takes them (floating-point numbers
        in its own precision; integers where it begins with an embedding), and their integer
        classes. Information is over all of them, and of those of the test set too.
    layers : names of modules; by default all that own a weight, in the order in which they run,
        see `modules.choose_layers`. Activations are what a module returns (of several tensors the
        first, of several calls the last), so those of a linear module are before a non-linearity:
        name the activation, or a Sequential of both, for those after it.
    estimators : names of `ibdyn.estimators`; none that needs the whole run or a network of ours.
    every : optimiser steps to measure after, ascending, by default `schedule.log()`; the last step
        is measured besides.
    loss : ``loss(outputs, labels)``, the mean over the examples, or one number for each.
    test_inputs, test_labels : examples that are not trained on; or ``in_train``, which says of each
        example of ``inputs`` whether it is trained on. By default all are.
    batch_size : examples in an optimiser step, which the noise of a step depends on; unless given,
        as many as most often went through the model in training mode between two steps.
    train_size : examples that training draws from, which makes the epoch; unless given, the
        training examples here.
    member : the model's name in an ensemble, see `ibdyn.join`.
    path : where the record is written when the ``with`` block ends, by whatever end.

    All is measured in evaluation mode: without dropout, with the running statistics of batch norms.
    Loss and error rate are over the training and the test examples, the error rate being NaN unless
    the first output has the shape (example, label). Gradients are of the weights of a layer, over
    the training examples; ``gradients`` among the record's attributes says how they were taken, see
    `ibdyn.gradients`. Of a layer with several weights the norms are those of all of them together,
    a convolution's being a matrix (output channel, the rest), and the spectral norm is the largest;
    without weights they are NaN. Parameters are kept up to `PARAMETERS` of them, else left out.
    Hooks of the model's own run in a measurement too, and what a model writes to plain attributes
    stays.

    Raises, before any training, ValueError for whatever does not fit, and OSError where ``path``
    cannot be written.
    """
    original = getattr(model, "_orig_mod", model)
    if any(nn.parameter.is_lazy(p) for p in original.parameters()):
        raise ValueError("the model has parameters without a shape, run it once before")
    probes = probe_set(original, inputs, labels, test_inputs, test_labels, in_train)
    chosen = [from_name(e) if isinstance(e, str) else e for e in estimators]
    for name, number, least in (
        ("batch_size", batch_size, 1),
        ("train_size", train_size, 1),
        ("member", member, 0),
    ):
        if number is not None and (isinstance(number, bool) or number < least):
            raise ValueError(f"{name} is {number}, expected {least} or more")
    every = schedule.log() if every is None else every
    if isinstance(every, int) or not isinstance(every, Iterable):
        raise ValueError(f"every is {every!r}, expected steps: schedule.log(), range(0, 9999, 100)")
    if path is not None:
        output.check_writable(Path(path))
    found, widths, left_out = modules.choose_layers(original, layers, probes.x)
    watched = prepare(original, found, widths, probes, loss, chosen, batch_size, member)
    file = None if path is None else Path(path)
    return Watcher(model, watched, left_out, every, batch_size, train_size, file)


@dataclass
class Meter:
    """A hook that counts the examples that go through a model in training mode."""

    examples: int = 0

    def __call__(self, module: nn.Module, arguments: tuple, named: Mapping[str, Any]) -> None:
        """Count those of one pass, before it."""
        first = modules.first_tensor([*arguments, *named.values()])
        if module.training and torch.is_grad_enabled() and first is not None and first.ndim:
            self.examples += len(first)


class Watcher:
    """Measures a model after some of its optimiser steps; made by `watch`, used by ``with``.

    ``layers`` are the names of the watched modules, in the order in which they run.
    """

    def __init__(
        self,
        model: nn.Module,
        watched: Watched,
        left_out: Sequence[str],
        every: Iterable[int],
        batch_size: int | None,
        train_size: int | None,
        path: Path | None,
    ) -> None:
        self.layers = tuple(watched.layers)
        self._model, self.watched, self._left_out = model, watched, left_out
        self._batch_size = batch_size
        self._train_size = train_size or int(watched.probes.in_train.sum())
        self._path = path
        self._every = iter(every)
        self._next = next(self._every, None)
        self._step = 0
        self._reported: Tensor | float | None = None
        self._watching, self._complete = False, 0
        self._meter, self._sizes = Meter(), Counter[int]()
        self._steps: list[int] = []
        self._rows: list[dict[str, NDArray]] = []

    def __enter__(self) -> "Watcher":
        self._hook = self._model.register_forward_pre_hook(self._meter, with_kwargs=True)
        self._watching = True
        self._measure_if_due()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hook.remove()
        self._watching = False
        if kind is None:
            if self._step not in self._steps:
                self._measure()
            self._complete = 1
        if self._path is not None and self._steps:
            self.save(self._path)

    def step(self, loss: Tensor | float | None = None) -> None:
        """Say that the optimiser has made a step, and measure if this one is to be recorded.

        ``loss`` is what the loop knows of it; the record has it as ``reported_loss``, NaN where it
        was not given. RuntimeError outside of the ``with`` block.
        """
        if not self._watching:
            raise RuntimeError("the watcher is not watching: with ibdyn.watch(...) as watcher")
        self._step += 1
        self._sizes[self._meter.examples] += 1
        self._meter.examples = 0
        self._reported = loss.detach() if isinstance(loss, Tensor) else loss
        self._measure_if_due()

    def save(self, path: str | Path) -> None:
        """Write `record` to a NetCDF file; raises as `record` and `ibdyn.save`."""
        storage.save(self.record(), path)

    def record(self) -> xr.Dataset:
        """What was measured so far (see `ibdyn.schema`); ValueError if that is nothing.

        The attribute ``complete`` is 1 once the ``with`` block has ended without an error.
        """
        if not self._steps:
            raise ValueError("nothing was measured yet, so there is no record")
        arrays = {
            name: np.stack([row[name] for row in self._rows], variable.dims.index("step"))
            for name, variable in schema.VARIABLES.items()
            if name in self._rows[0]
        }
        probes, last = self.watched.probes, self._rows[-1]
        finite = np.isfinite(arrays["loss"][0]).all() and not np.isinf(last["weight_norm"]).any()
        arrays |= {
            "resolved": resolved(arrays["information_input"], len(probes.x)),
            "diverged": np.array([not finite]),
            "p_x": probes.task.p_x,
            "p_y_given_x": probes.task.p_y_given_x,
            "in_train": probes.in_train[None],
        }
        if probes.task.x.size <= INPUTS:
            arrays["x"] = probes.task.x
        batch = min(self._batch(), self._train_size)
        steps_per_epoch = -(-self._train_size // batch)
        attrs = {
            "batch_size": batch,
            "train_size": self._train_size,
            "steps_per_epoch": steps_per_epoch,
            "complete": self._complete,
        }
        run = schema.dataset(arrays, self._coordinates(steps_per_epoch), self._attributes() | attrs)
        run["reported_loss"] = xr.Variable(
            ("member", "step"),
            [[float(row["reported_loss"]) for row in self._rows]],
            {"units": "nat", "long_name": "loss that the training loop reported at the step"},
        )
        return run

    def _batch(self) -> int:
        """Examples in an optimiser step: as told, as seen most often, or else all."""
        if self._batch_size is not None:
            return self._batch_size
        seen = [size for size, _ in self._sizes.most_common() if size]
        return seen[0] if seen else self._train_size

    def _coordinates(self, steps_per_epoch: int) -> dict[str, NDArray]:
        watched = self.watched
        found = {
            "member": np.array([watched.member]),
            "step": np.array(self._steps),
            "epoch": np.array(self._steps) / steps_per_epoch,
            "layer": np.array(self.layers),
            "width": np.array(watched.widths),
            "depth": np.arange(1, len(self.layers) + 1),
            "split": np.array(["train", "test"]),
            **estimator_coordinates(watched.estimators),
        }
        if "parameters" in self._rows[0]:
            found |= modules.parameter_coordinates(watched.model, watched.layers)
        return found

    def _attributes(self) -> dict[str, object]:
        watched, task = self.watched, self.watched.probes.task
        name = type(watched.model).__name__
        like = next(watched.model.parameters(), watched.probes.x)
        config = {
            "watched": name,
            "layers": self.layers,
            "estimators": [estimator.name for estimator in watched.estimators],
            "device": like.device.type,
            "dtype": str(like.dtype).removeprefix("torch."),
        }
        count = sum(p.numel() for p in watched.model.parameters())
        kept = f"none of {count}, more than {PARAMETERS}" if count > PARAMETERS else "all"
        left = {"layers_left_out": ", ".join(self._left_out)} if self._left_out else {}
        return {
            "title": f"{name} watched, {len(self.layers)} layers",
            **storage.provenance("ibdyn.watch"),
            "config": json.dumps(config),
            "seed": SEED,
            "engine": "watched",
            "gradients": watched.method.about,
            "task": task.name,
            "task_information": task.information,
            "label_entropy": task.label_entropy,
            "parameters_kept": kept,
            **left,
        }

    def _measure_if_due(self) -> None:
        while self._next is not None and self._next < self._step:
            self._next = next(self._every, None)
        if self._next == self._step:
            self._measure()

    def _measure(self) -> None:
        row = measure(self.watched, self._step)
        row["reported_loss"] = np.array(np.nan if self._reported is None else float(self._reported))
        parameters = list(self.watched.model.parameters())
        if 0 < sum(p.numel() for p in parameters) <= PARAMETERS:
            flat = [p.detach().flatten().cpu().float() for p in parameters]
            row["parameters"] = torch.cat(flat).numpy()[None]
        self._steps.append(self._step)
        self._rows.append(row)
