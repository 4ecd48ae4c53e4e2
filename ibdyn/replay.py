"""A record's networks run again: their cells and decisions, and estimators it did not have."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import hindsight, probes, schema
from .config import RunConfig
from .ensemble import Ensemble, assemble
from .estimators import CellEstimator, Estimator, from_name
from .patterns import LinearGaussian, Task
from .recorder import estimator_coordinates, resolved
from .response import respond


def ensemble_of(run: xr.Dataset) -> Ensemble:
    """The ensemble of a record, from the record alone; raises ValueError for what it lacks."""
    _check_ours(run)
    for name in ("x", "parameters"):
        if name not in run:
            raise ValueError(f"the record holds no {name!r}, so its networks cannot be run again")
    task = Task(
        run.attrs["task"],
        run.x.transpose("pattern", "input").values,
        run.p_x.values,
        _labels(run),
    )
    return assemble(
        RunConfig.from_json(run.attrs["config"]),
        task,
        run.member.values.tolist(),
        run.in_train.transpose("member", "pattern").values.astype(bool),
        _drawn(run),
        _parameters(run, int(run.step[0])),
    )


def _check_ours(run: xr.Dataset) -> None:
    if run.attrs.get("engine") == "watched":
        raise ValueError("the record is of a watched model, whose networks cannot be run again")


def _labels(run: xr.Dataset) -> NDArray | LinearGaussian:
    """p(y|x) (pattern, label), or the population of a real label."""
    if "p_y_given_x" in run:
        return run.p_y_given_x.transpose("pattern", "label").values
    covariance = run.covariance.transpose("input", "input_2").values
    return LinearGaussian(run.teacher.values, covariance, run.y_variance.item())


def _drawn(run: xr.Dataset) -> NDArray | None:
    """Labels trained on (member, pattern), integers or real; None where nothing was drawn."""
    if "target" in run:
        return run.target.transpose("member", "pattern").values.astype(int)
    if "target_value" in run:
        return run.target_value.transpose("member", "pattern").values
    return None


def _parameters(run: xr.Dataset, step: int) -> NDArray:
    """Parameters (member, parameter) at a recorded step, in the run's dtype."""
    if step not in run.step.values:
        raise ValueError(f"step {step} is not recorded; the nearest is {nearest_step(run, step)}")
    dtype = RunConfig.from_json(run.attrs["config"]).dtype
    values = run.parameters.sel(step=step).transpose("member", "parameter").values
    return np.ascontiguousarray(values, dtype=dtype)


def _kept_parameters(run: xr.Dataset, step: int) -> NDArray:
    parameters = _parameters(run, step)
    if np.isnan(parameters).all():
        raise ValueError(f"the record holds no parameters at step {step}")
    return parameters


def nearest_step(run: xr.Dataset, step: int) -> int:
    """The recorded step nearest to ``step``."""
    return int(run.step.sel(step=step, method="nearest"))


def cells(run: xr.Dataset, step: int, estimator: str) -> xr.DataArray:
    """Cell of each pattern at a recorded step, as integers: dims (member, layer, pattern).

    ``estimator`` is the name of one that sorts into cells, whether or not the record has it.
    Raises ValueError for an estimator without cells, a record that lacks what its networks need, a
    step without parameters and members that are not finite there.
    """
    chosen = from_name(estimator)
    if not isinstance(chosen, CellEstimator):
        raise ValueError(f"estimator {estimator!r} sorts into no cells, expected a binned one")
    ensemble, parameters = ensemble_of(run), _kept_parameters(run, step)
    limits: list = [layer.limits for layer in ensemble.architecture.layers]
    if chosen.over_run:
        steps = run.step.values.tolist()
        history = (_parameters(run, each) for each in steps)
        limits = hindsight.extremes(ensemble, steps, history)
    parts = []
    for block in probes.blocks(len(parameters)):
        own = [(low[block], high[block]) for low, high in limits] if chosen.over_run else limits
        activations, _ = respond(ensemble, parameters[block], step, block)
        found = [chosen.cells(t, ends) for t, ends in zip(activations, own, strict=True)]
        parts.append(np.stack(found, axis=1))
    joined = np.concatenate(parts)
    if (joined < 0).any():
        lost = run.member.values[(joined < 0).any((1, 2))].tolist()
        raise ValueError(f"members {lost} are not finite at step {step}, they have no cells")
    return xr.DataArray(
        joined,
        {"member": run.member, "layer": run.layer},
        ("member", "layer", "pattern"),
        name="cell",
        attrs={"long_name": f"cell of the pattern by {estimator}", "units": "1"},
    )


def decisions(run: xr.Dataset, step: int) -> xr.DataArray:
    """The most probable label of each pattern at a recorded step: dims (member, pattern).

    Raises ValueError for a record that lacks what its networks need, a step without parameters, and
    a task whose label is real.
    """
    ensemble, parameters = ensemble_of(run), _kept_parameters(run, step)
    if ensemble.task.gaussian is not None:
        raise ValueError(f"the task {ensemble.task.name} has a real label, nothing is decided")
    parts = [
        respond(ensemble, parameters[block], step, block)[1].argmax(1)
        for block in probes.blocks(len(parameters))
    ]
    return xr.DataArray(
        np.concatenate(parts),
        {"member": run.member},
        ("member", "pattern"),
        name="decision",
        attrs={"long_name": "most probable label of the pattern", "units": "1"},
    )


def measure(run: xr.Dataset, estimators: Sequence[str]) -> xr.Dataset:
    """The record with further estimators, measured on its parameters: nothing is trained again.

    Steps whose parameters were not kept are NaN. Raises ValueError for an estimator that the
    record has already, or that does not fit its task or networks.
    """
    _check_ours(run)
    known = [name for name in estimators if name in run.estimator.values]
    if known or len(set(estimators)) < len(estimators):
        raise ValueError(f"estimators {list(estimators)} repeat or are in the record: {known}")
    everyone = [from_name(name) for name in [*run.estimator.values, *estimators]]
    before = RunConfig.from_json(run.attrs["config"]).model_dump()
    config = RunConfig.model_validate(before | {"estimators": [each.name for each in everyone]})
    ensemble, chosen = ensemble_of(run), everyone[run.sizes["estimator"] :]
    steps = run.step.values.tolist()
    history = [_parameters(run, step) for step in steps]
    rows = [
        _information(ensemble, step, parameters, chosen)
        for step, parameters in zip(steps, history, strict=True)
    ]
    hindsight.fill(ensemble, steps, history, rows, chosen)
    merged = run.drop_dims("estimator").assign_coords(
        {
            name: ("estimator", values, schema.attributes(name))
            for name, values in estimator_coordinates(everyone).items()
        }
    )
    for name in rows[0]:
        further = np.stack([row[name] for row in rows], axis=schema.ESTIMATE.index("step"))
        merged[name] = _joined(run, name, further)
    merged["resolved"] = _joined(
        run, "resolved", resolved(merged.information_input.values[-len(chosen) :], len(ensemble.x))
    )
    merged.attrs["config"] = config.to_json()
    schema.validate(merged)
    return merged


def _joined(run: xr.Dataset, name: str, further: NDArray) -> xr.Variable:
    """A variable of the record with ``further`` estimators (estimator, member, step, layer)."""
    if name in run:
        before = run[name].transpose(*schema.ESTIMATE).values
    else:
        before = np.full((run.sizes["estimator"], *further.shape[1:]), np.nan)
    return xr.Variable(schema.ESTIMATE, np.concatenate([before, further]), schema.attributes(name))


def _information(
    ensemble: Ensemble, step: int, parameters: NDArray, estimators: Sequence[Estimator]
) -> probes.Arrays:
    parts = []
    for block in probes.blocks(len(parameters)):
        own = parameters[block]
        activations, _ = respond(ensemble, own, step, block)
        parts.append(probes.layer_information(ensemble, own, activations, estimators, block, step))
    return probes.joined(parts)
