"""One row of arrays for each recorded step, put together as a labelled Dataset."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import schema
from .ensemble import Ensemble
from .estimators import Estimator
from .patterns import Task

# Information above log2(patterns) minus this many bits says only that all patterns are apart.
RESOLUTION_MARGIN = 0.1
# Parameters are kept at every recorded step while they take less than this many bytes.
PARAMETER_BYTES = 256 * 2**20


class Recorder:
    """Collects the measured arrays of an ensemble, step by step.

    ``steps`` are those that the run means to record. Parameters are kept at all of them while
    those of the whole configuration fit `PARAMETER_BYTES`, else at every n-th and the last: the
    same for some of its members as for all.
    """

    def __init__(
        self, ensemble: Ensemble, steps: Sequence[int], estimators: Sequence[Estimator]
    ) -> None:
        self.ensemble = ensemble
        self.estimators = list(estimators)
        size = len(steps) * ensemble.config.members * ensemble.initial[0].nbytes
        self.stride = max(1, -(-size // PARAMETER_BYTES))
        self.wanted = frozenset(steps)
        self.kept = {*steps[:: self.stride], steps[-1]}
        self.steps: list[int] = []
        self.rows: list[dict[str, NDArray]] = []

    def add(self, step: int, parameters: NDArray, measured: dict[str, NDArray]) -> None:
        """Record ``parameters`` (member, parameter) and what was ``measured`` of them."""
        if step not in self.kept:
            parameters = np.full_like(parameters, np.nan)
        self.steps.append(step)
        self.rows.append({**measured, "parameters": parameters})

    def dataset(self, attrs: dict[str, object]) -> xr.Dataset:
        """The record so far, with task, split and ``attrs``; ValueError as `schema.dataset`."""
        ensemble = self.ensemble
        arrays = {}
        for name in self.rows[0]:
            axis = schema.VARIABLES[name].dims.index("step")
            arrays[name] = np.stack([row[name] for row in self.rows], axis=axis)
        arrays["resolved"] = resolved(arrays["information_input"], len(ensemble.x))
        arrays["diverged"] = ~(
            np.isfinite(arrays["loss"][0]).all(-1)
            & np.isfinite(self.rows[-1]["weight_norm"]).all(-1)
        )
        arrays |= {
            "p_x": ensemble.task.p_x,
            "in_train": ensemble.in_train,
            "x": ensemble.task.x,
            **label_arrays(ensemble.task),
        }
        if ensemble.drawn is not None:
            name = "target" if ensemble.task.gaussian is None else "target_value"
            arrays[name] = ensemble.drawn
        layers = ensemble.architecture.layers
        kind = np.full(ensemble.architecture.parameters, "weight")
        for layer in layers:
            kind[layer.biases] = "bias"
        coordinates = {
            "member": np.array(ensemble.members),
            "step": np.array(self.steps),
            "epoch": np.array(self.steps) / ensemble.steps_per_epoch,
            "layer": np.array([layer.name for layer in layers]),
            "width": np.array([layer.width for layer in layers]),
            "depth": np.arange(1, len(layers) + 1),
            "split": np.array(["train", "test"]),
            **estimator_coordinates(self.estimators),
            "parameter_layer": np.repeat(
                [layer.name for layer in layers],
                [layer.biases.stop - layer.start for layer in layers],
            ),
            "parameter_kind": kind,
        }
        if self.stride > 1:
            attrs = {
                **attrs,
                "parameters_kept": f"one recorded step in {self.stride}, and the last",
            }
        return schema.dataset(arrays, coordinates, attrs)


def label_arrays(task: Task) -> dict[str, NDArray]:
    """How labels depend on x, by the schema: p(y|x), or mean and population of a real one."""
    if task.gaussian is None:
        return {"p_y_given_x": task.p_y_given_x}
    return {
        "y_mean": task.y_mean,
        "y_variance": np.array(task.gaussian.variance),
        "teacher": task.gaussian.teacher,
        "covariance": task.gaussian.covariance,
    }


def estimator_coordinates(estimators: Sequence[Estimator]) -> dict[str, NDArray]:
    """Names of estimators and what they mean, as coordinates along ``estimator``."""
    meanings = [estimator.meaning for estimator in estimators]
    return {
        "estimator": np.array([estimator.name for estimator in estimators]),
        "symbol": np.array([meaning.symbol for meaning in meanings]),
        "meaning": np.array([meaning.long_name for meaning in meanings]),
        "noise_model": np.array([meaning.noise_model for meaning in meanings]),
        "resolution": np.array([meaning.resolution for meaning in meanings]),
    }


def resolved(information_input: NDArray, patterns: int) -> NDArray:
    """1 where I(X;T), in bits, lies below log2(patterns) - 0.1, 0 where not, NaN where unmeasured.

    At the ceiling an estimator has only told all patterns apart, and says nothing of the layer.
    """
    below = information_input < np.log2(patterns) - RESOLUTION_MARGIN
    return np.where(np.isnan(information_input), np.nan, below)
