"""What a record holds of a watched model at one step: as `probes`, for any torch module."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import modules
from .estimators import Estimator, Gaussian, Mixture, World
from .gradients import Loss, Method, choose_method
from .probe_sets import ProbeSet
from .probes import INFORMATION, SATURATION_CELL, Arrays
from .seeding import stream

# A watched model has no configuration, so its measurements are addressed under this root.
SEED = 0


@dataclass(frozen=True, eq=False)
class Watched:
    """A model, its layers by name in the order in which they run, and how they are measured.

    ``widths`` are the units of each layer, ``weights`` the names of its weights, ``start`` their
    values when the watch began; ``method`` takes the gradients of ``loss``.
    """

    model: nn.Module
    layers: Mapping[str, nn.Module]
    widths: Sequence[int]
    weights: Mapping[str, Sequence[str]]
    start: Mapping[str, Tensor]
    probes: ProbeSet
    loss: Loss
    method: Method
    estimators: Sequence[Estimator]
    member: int


def prepare(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    widths: Sequence[int],
    probes: ProbeSet,
    loss: Loss,
    estimators: Sequence[Estimator],
    batch_size: int | None,
    member: int,
) -> Watched:
    """A model as it is to be watched from now on; ValueError for a loss or estimators unfit."""
    _check_estimators(estimators)
    weights = modules.weight_names(model, layers)
    x, y = probes.x[probes.train], probes.y[probes.train]
    with modules.untouched(model):
        few = torch.stack([probes.y.argmin(), probes.y.argmax()])
        _check_loss(model, loss, probes.x[few], probes.y[few])
        method = choose_method(model, weights, loss, x, y, batch_size)
    start = _matrices(model, weights)
    return Watched(model, layers, widths, weights, start, probes, loss, method, estimators, member)


def _check_loss(model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> None:
    with torch.no_grad():
        try:
            value = loss(model(x), y)
        except (RuntimeError, IndexError, TypeError, AssertionError) as error:
            raise ValueError(f"loss of the model's outputs and labels fails: {error}") from error
    if not isinstance(value, Tensor) or value.numel() not in (1, len(x)):
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"loss returns {found} for {len(x)} examples, expected a tensor: their mean, or one "
            "number for each"
        )


def _check_estimators(estimators: Sequence[Estimator]) -> None:
    names = [estimator.name for estimator in estimators]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"estimators {names} are none or repeat, expected different names")
    for estimator in estimators:
        if estimator.over_run:
            raise ValueError(
                f"estimator {estimator.name} looks again at the whole run, which a watched model "
                "does not keep; expected one that is measured step by step"
            )
        if isinstance(estimator, Gaussian) or (
            isinstance(estimator, Mixture) and estimator.noise == "propagated"
        ):
            raise ValueError(
                f"estimator {estimator.name} needs networks that ibdyn trains itself, expected "
                "another for a watched model"
            )


def measure(watched: Watched, step: int) -> Arrays:
    """All measured variables at one ``step``, with axes of the schema without it."""
    data = watched.probes
    with modules.untouched(watched.model):
        activations, performance = respond(watched)
        mean, spread = watched.method.statistics(
            watched.model, watched.weights, watched.loss, data.x[data.train], data.y[data.train]
        )
    return {
        **performance,
        "gradient_mean": mean[None],
        "gradient_spread": spread[None],
        **norms(watched),
        **geometry(watched, activations),
        **alone(partial(information, watched, activations, step)),
    }


def alone(measurement: Callable[[], Arrays]) -> Arrays:
    """A measurement on one of numba's threads, which leaves torch as many as it had.

    The others would share out members, of which there is one, and afterwards spin on the cores
    that training needs. numba starts them all at its first call, and OpenMP, which torch shares,
    is then set to their number: sums would come out in another order.
    """
    torchs = torch.get_num_threads()
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        return measurement()
    finally:
        numba.set_num_threads(before)
        if torch.get_num_threads() != torchs:
            torch.set_num_threads(torchs)


def respond(watched: Watched) -> tuple[list[NDArray], Arrays]:
    """Activations (example, unit) of each layer; loss, in nats, and error rate (split, member)."""
    data = watched.probes
    parts: dict[str, list[NDArray]] = {name: [] for name in watched.layers}
    loss, error = np.full((2, 2, 1), np.nan)
    keep = modules.captured(watched.layers, lambda _, out: modules.activations_of(out))
    with torch.no_grad(), keep as seen:
        for split, rows in enumerate((data.train, data.test)):
            sums = np.zeros(2)
            for part in rows.split(modules.CHUNK) if len(rows) else ():
                outputs = watched.model(data.x[part])
                sums += len(part) * _performance(watched, outputs, data.y[part])
                for name, t in seen.items():
                    parts[name].append(t)
            loss[split], error[split] = sums / len(rows) if len(rows) else (np.nan, np.nan)
    activations = [np.concatenate(each, axis=1) for each in parts.values()]
    if not data.in_train.all():
        # They come with the training examples first.
        places = np.argsort(np.argsort(~data.in_train, kind="stable"))
        activations = [t[:, places] for t in activations]
    return [t.T for t in activations], {"loss": loss, "error_rate": error}


def _performance(watched: Watched, outputs: Any, labels: Tensor) -> NDArray[np.float64]:
    """Mean loss and error rate of a chunk."""
    loss = float(watched.loss(outputs, labels).cpu().double().mean())
    first, classes = modules.first_tensor(outputs), watched.probes.task.p_y_given_x.shape[1]
    if first is None or first.ndim != 2 or first.shape[1] < classes:
        return np.array([loss, np.nan])
    return np.array([loss, float((first.argmax(1) != labels).cpu().double().mean())])


def _matrices(model: nn.Module, weights: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters())
    return {
        name: modules.weight_matrix(parameters[name]) for own in weights.values() for name in own
    }


def norms(watched: Watched) -> Arrays:
    """Norms of each layer's weights and their distance from the start, (member, layer)."""
    now = _matrices(watched.model, watched.weights)
    squares = {name: float((w**2).sum()) for name, w in now.items()}
    moved = {name: float(((w - watched.start[name]) ** 2).sum()) for name, w in now.items()}
    largest = {name: modules.spectral_norm(w) for name, w in now.items()}
    found = np.full((3, 1, len(watched.layers)), np.nan)
    for j, own in enumerate(watched.weights.values()):
        if own:
            found[0, 0, j] = np.sqrt(sum(squares[name] for name in own))
            found[1, 0, j] = max(largest[name] for name in own)
            found[2, 0, j] = np.sqrt(sum(moved[name] for name in own))
    names = ("weight_norm", "weight_spectral_norm", "weight_displacement")
    return dict(zip(names, found, strict=True))


def geometry(watched: Watched, activations: Sequence[NDArray]) -> Arrays:
    """Scatter and saturation of each layer, (member, layer), as `probes.geometry` has them."""
    task = watched.probes.task
    p_x = torch.tensor(task.p_x)
    p_xy = p_x[:, None] * torch.tensor(task.p_y_given_x)
    p_y = p_xy.sum(0)
    found = []
    for module, t in zip(watched.layers.values(), activations, strict=True):
        low, high = modules.limits_of(module)
        edge = (high - low) * SATURATION_CELL
        # By torch, as the training: another library's threads would be in its way.
        centred = torch.tensor(t.T, dtype=torch.float64)
        centred -= (centred @ p_x)[:, None]
        moments = (centred @ p_xy)[:, p_y > 0]
        between = float((moments**2 / p_y[p_y > 0]).sum())
        total = float((centred.square_() @ p_x).sum())
        near = ((t < low + edge) | (t > high - edge)).mean() if np.isfinite(edge) else np.nan
        found.append([total - between, between, near])
    names = ("within_scatter", "between_scatter", "saturation")
    return dict(zip(names, np.array(found).T[:, None], strict=True))


def information(watched: Watched, activations: Sequence[NDArray], step: int) -> Arrays:
    """What `probes.layer_information` has of each layer, (estimator, member, layer)."""
    data, member = watched.probes, watched.member
    found = {
        name: np.full((len(watched.estimators), 1, len(watched.layers)), np.nan)
        for name in INFORMATION
    }
    for j, (module, t) in enumerate(zip(watched.layers.values(), activations, strict=True)):

        def generators(depth: int = j) -> list[np.random.Generator]:
            return [stream(SEED, "measurement", member, step, depth)]

        world = World(data.task.p_x, data.task.p_y_given_x, data.in_train[None], generators)
        limits = modules.limits_of(module)
        for i, estimator in enumerate(watched.estimators):
            for name, values in estimator.information(t[None], limits, world).items():
                found[name][i, :, j] = values
    return found
