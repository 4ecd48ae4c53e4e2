"""Frozen parameters in, named arrays out: what a record holds of one step.

Information, scatter and saturation are over all patterns of the task; gradients are over each
member's training set, at the parameters as they stand. All sums are taken in float64, and what is
measured of a member does not depend on the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from . import disturbed, schema
from .ensemble import Ensemble
from .estimators import Estimator, Gaussian, World
from .estimators.protocol import Limits, LinearMap
from .response import gradient_statistics, respond
from .seeding import stream
from .summaries import class_geometry, gaussian_losses, losses

Arrays = dict[str, NDArray]
# Members evaluated together: bounds the memory of a measurement, whatever the ensemble's size.
BLOCK = 64
# "Within one cell of the limits" is this share of the activation's range.
SATURATION_CELL = 1 / 30
INFORMATION = (
    "information_input",
    "information_label",
    "occupied_cells",
    "occupied_cells_train",
    "information_input_stderr",
    "information_label_stderr",
)


def measure(
    ensemble: Ensemble, parameters: NDArray, estimators: Sequence[Estimator], step: int
) -> Arrays:
    """All measured variables of the record at one step, but for the parameters themselves.

    ``parameters`` is (member, parameter), ``step`` addresses what is drawn for the measurement.
    Axes are those of the schema without ``step``. Estimators that need the whole run are NaN, for
    `hindsight` to fill in.
    """
    parts = []
    for block in blocks(len(parameters)):
        activations, log_p = respond(ensemble, parameters[block], step, block)
        parts.append(
            performance(ensemble, activations, log_p, block)
            | geometry(ensemble, activations)
            | layer_information(ensemble, parameters[block], activations, estimators, block, step)
        )
    measured = joined(parts)
    mean, spread = gradient_statistics(ensemble, parameters, step)
    gradients = {"gradient_mean": mean, "gradient_spread": spread}
    return measured | gradients | weights(ensemble, parameters)


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The arrays of blocks of members, one after the other, as those of all members."""
    return {
        name: np.concatenate([part[name] for part in parts], schema.row_dims(name).index("member"))
        for name in parts[0]
    }


def blocks(members: int) -> list[slice]:
    """The members in blocks that are evaluated together."""
    return [slice(k, k + BLOCK) for k in range(0, members, BLOCK)]


def performance(
    ensemble: Ensemble, activations: list[NDArray], log_p: NDArray, block: slice
) -> Arrays:
    """Loss and error rate of training and test set, (split, member): see `summaries.losses`.

    A real label is never hit or missed, so its error rate is NaN.
    """
    task, in_train = ensemble.task, ensemble.in_train[block]
    drawn = None if ensemble.drawn is None else ensemble.drawn[block]
    if task.gaussian is None:
        loss, error = losses(log_p, task.p_y_given_x, drawn, in_train)
    else:
        answers, variance = activations[-1][..., 0], task.gaussian.variance
        loss = gaussian_losses(answers, task.y_mean, drawn, variance, in_train)
        error = np.full_like(loss, np.nan)
    return {"loss": loss, "error_rate": error}


def geometry(ensemble: Ensemble, activations: list[NDArray]) -> Arrays:
    """Scatter within and between the classes, and saturation: (member, layer).

    within = sum_y p(y) tr Cov(t|y) and between = sum_y p(y) |E(t|y) - E(t)|^2 add up to tr Cov(t).
    Saturation is the share of units, over all patterns, within one cell of the activation's
    limits; NaN where it has none at one side or both. A real label has no classes: scatter is NaN.
    """
    p_x = ensemble.task.p_x
    p_xy = np.ascontiguousarray((p_x[:, None] * label_table(ensemble)).T)
    found = []
    for layer, t in zip(ensemble.architecture.layers, activations, strict=True):
        low, high = layer.limits
        edge = (high - low) * SATURATION_CELL
        one = class_geometry(t, p_x, p_xy, low + edge, high - edge)
        if not np.isfinite(edge):
            one[:, 2] = np.nan
        if ensemble.task.gaussian is not None:
            one[:, :2] = np.nan
        found.append(one)
    within, between, saturation = np.stack(found).transpose(2, 1, 0)
    return {"within_scatter": within, "between_scatter": between, "saturation": saturation}


def weights(ensemble: Ensemble, parameters: NDArray) -> Arrays:
    """Frobenius and spectral norm of each layer's weights, and the distance from their start.

    Biases apart; ``parameters`` is (member, parameter), the results (member, layer).
    """
    norms, spectral, displacements = [], [], []
    for layer in ensemble.architecture.layers:
        w = parameters[:, layer.weights].astype(np.float64)
        start = ensemble.initial[:, layer.weights].astype(np.float64)
        norms.append(np.linalg.norm(w, axis=-1))
        displacements.append(np.linalg.norm(w - start, axis=-1))
        finite = np.isfinite(w).all(-1)
        matrices = w[finite].reshape(-1, layer.width, layer.fan_in)
        largest = np.full(len(w), np.nan)
        largest[finite] = np.linalg.norm(matrices, ord=2, axis=(1, 2))
        spectral.append(largest)
    return {
        "weight_norm": np.stack(norms, -1),
        "weight_spectral_norm": np.stack(spectral, -1),
        "weight_displacement": np.stack(displacements, -1),
    }


def label_table(ensemble: Ensemble) -> NDArray:
    """p(y|x) (pattern, label); of a real label one column of ones, which says nothing of it."""
    task = ensemble.task
    return task.p_y_given_x if task.gaussian is None else np.ones((len(task.x), 1))


def layer_information(
    ensemble: Ensemble,
    parameters: NDArray,
    activations: list[NDArray],
    estimators: Sequence[Estimator],
    block: slice,
    step: int,
    extremes: Sequence[Limits] | None = None,
) -> Arrays:
    """I(X;T) and I(T;Y) in bits, occupied cells and standard errors, (estimator, member, layer).

    ``parameters`` (member, parameter) and the ``activations`` that they give belong to ``block``.
    ``extremes`` are each layer's over the run, for the estimators that need them; without, these
    are NaN, as is a member whose activations are no longer finite. Of a real label only `Gaussian`
    knows I(T;Y).
    """
    layers = ensemble.architecture.layers
    shape = (len(estimators), len(ensemble.members[block]), len(layers))
    found = {name: np.full(shape, np.nan) for name in INFORMATION}

    @cache
    def passes(count: int) -> list[NDArray]:
        return disturbed.centres(ensemble, parameters, step, block, count)

    for j, (layer, t) in enumerate(zip(layers, activations, strict=True)):
        world = world_around(ensemble, parameters, block, step, j, passes)
        for i, estimator in enumerate(estimators):
            if estimator.over_run and extremes is None:
                continue
            limits = extremes[j] if estimator.over_run and extremes else layer.limits
            unlabelled = ensemble.task.gaussian is not None and not isinstance(estimator, Gaussian)
            for name, values in estimator.information(t, limits, world).items():
                if not (unlabelled and name.startswith("information_label")):
                    found[name][i, :, j] = values
    return found


def world_around(
    ensemble: Ensemble,
    parameters: NDArray,
    block: slice,
    step: int,
    depth: int,
    passes: Callable[[int], list[NDArray]],
) -> World:
    """What estimators are told of the layer ``depth``, counted from 0, at ``step``.

    ``passes(count)`` gives each hidden layer's centres, see `disturbed.centres`.
    """

    def generators() -> list[np.random.Generator]:
        seed = ensemble.config.seed
        return [stream(seed, "measurement", k, step, depth) for k in ensemble.members[block]]

    def linear() -> LinearMap:
        return linear_map(ensemble, parameters, depth)

    p_x, table, in_train = ensemble.task.p_x, label_table(ensemble), ensemble.in_train[block]
    world = World(p_x, table, in_train, generators, linear=linear)
    if not ensemble.config.noise or depth == len(ensemble.config.widths):
        return world
    return replace(
        world,
        paths=lambda count: passes(count)[depth],
        noise_variance=ensemble.config.noise**2,
    )


def linear_map(ensemble: Ensemble, parameters: NDArray, depth: int) -> LinearMap:
    """The layer ``depth``, counted from 0, of a linear network as one map of its inputs.

    Its weights are the product W_depth ... W_0 in float64. Raises ValueError for networks that are
    not linear and for tasks whose inputs are not Gaussian.
    """
    population, activation = ensemble.task.gaussian, ensemble.config.activation
    if population is None or activation != "linear":
        raise ValueError(
            f"the task is {ensemble.task.name!r} and the activation {activation}, expected a "
            "linear-Gaussian task and linear networks"
        )
    weights = np.eye(ensemble.x.shape[1])
    # The weights of a diverged member may overflow; its estimates are NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in ensemble.architecture.layers[: depth + 1]:
            own = parameters[:, layer.weights].astype(np.float64)
            weights = own.reshape(-1, layer.width, layer.fan_in) @ weights
    return LinearMap(weights, population.covariance, population.teacher, population.variance)
