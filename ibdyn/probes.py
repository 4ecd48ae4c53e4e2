"""Frozen parameters in, named arrays out: what a record holds of one step.

Information, scatter and saturation are over all patterns of the task; gradients are over each
member's training set, at the parameters as they stand. All sums are taken in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory import information

from . import networks
from .ensemble import Ensemble
from .estimators import Estimator

Arrays = dict[str, NDArray]
# Members evaluated together: bounds the memory of a measurement, whatever the ensemble's size.
BLOCK = 64
# "Within one cell of the limits" is this share of the activation's range.
SATURATION_CELL = 1 / 30
# Information above log2(N) minus this many bits says only that the estimator tells all N apart.
RESOLUTION_MARGIN = 0.1
INFORMATION = (
    "information_input",
    "information_label",
    "occupied_cells",
    "occupied_cells_train",
)
# Where the member axis lies, if not first.
MEMBER_AXIS = dict.fromkeys(("loss", "error_rate", *INFORMATION), 1)


@dataclass(frozen=True, eq=False)
class States:
    """Every layer's response of a block of members to all patterns.

    activations : of each layer, (member, pattern, unit), in the run's dtype.
    deltas : d loss / d pre-activation of each layer, the same shapes.
    loss : (member, pattern), in nats, under the labels trained on; true_loss under p(y|x).
    probabilities : (member, pattern, label) that the outputs give.
    """

    activations: list[NDArray]
    deltas: list[NDArray]
    loss: NDArray
    true_loss: NDArray
    probabilities: NDArray


def blocks(members: int) -> list[slice]:
    """The members in blocks that are evaluated together."""
    return [slice(k, k + BLOCK) for k in range(0, members, BLOCK)]


def activations_of(ensemble: Ensemble, parameters: Tensor) -> list[NDArray]:
    """Activations of each layer over all patterns, (member, pattern, unit), of one block."""
    with torch.no_grad():
        _, activations = networks.forward(
            ensemble.architecture, parameters, torch.tensor(ensemble.x)
        )
    return [a.numpy() for a in activations]


def evaluate(ensemble: Ensemble, parameters: Tensor, block: slice) -> States:
    """Forward pass over all patterns, and the gradient of each pattern's loss."""
    zs, activations = networks.forward(
        ensemble.architecture,
        parameters[block].requires_grad_(),
        torch.tensor(ensemble.x),
    )
    loss, true_loss = (
        networks.sample_loss(ensemble.architecture, zs[-1], torch.tensor(target))
        for target in (ensemble.target[block], ensemble.truth[None])
    )
    deltas = torch.autograd.grad(loss.sum(), zs)
    output = activations[-1].detach().numpy().astype(np.float64)
    return States(
        activations=[a.detach().numpy() for a in activations],
        deltas=[d.numpy() for d in deltas],
        loss=loss.detach().numpy().astype(np.float64),
        true_loss=true_loss.detach().numpy().astype(np.float64),
        probabilities=output
        if output.shape[-1] > 1
        else np.concatenate([1 - output, output], axis=-1),
    )


def measure(ensemble: Ensemble, parameters: Tensor, estimators: Sequence[Estimator]) -> Arrays:
    """All measured variables of the record at one step, but for the parameters themselves.

    ``parameters`` is (member, parameter). Axes are those of the schema without ``step``.
    """
    parts = []
    for block in blocks(len(parameters)):
        states = evaluate(ensemble, parameters, block)
        parts.append(
            losses(ensemble, states, block)
            | gradients(ensemble, states, block)
            | geometry(ensemble, states)
            | layer_information(ensemble, states.activations, estimators, block)
        )
    measured = {
        name: np.concatenate([part[name] for part in parts], MEMBER_AXIS.get(name, 0))
        for name in parts[0]
    }
    return measured | weights(ensemble, parameters.numpy())


def losses(ensemble: Ensemble, states: States, block: slice) -> Arrays:
    """Loss in nats and error rate, (split, member), each pattern of a split counting the same.

    On the training set under the labels trained on; on the test set in expectation under p(y|x).
    An empty test set gives NaN.
    """
    train = ensemble.in_train[block]
    truth = ensemble.task.p_y_given_x
    label = states.probabilities.argmax(-1)
    target = ensemble.target[block]
    trained_on = target if target.shape[-1] > 1 else np.concatenate([1 - target, target], -1)
    error = 1 - np.take_along_axis(trained_on.astype(np.float64), label[..., None], -1)[..., 0]
    true_error = 1 - np.take_along_axis(truth[None], label[..., None], -1)[..., 0]
    return {
        "loss": np.stack([_mean(states.loss, train), _mean(states.true_loss, ~train)]),
        "error_rate": np.stack([_mean(error, train), _mean(true_error, ~train)]),
    }


def _mean(values: NDArray, mask: NDArray) -> NDArray:
    """Mean over the patterns in the mask, NaN where there are none."""
    count = mask.sum(-1)
    total = np.where(mask, values, 0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def gradients(ensemble: Ensemble, states: States, block: slice) -> Arrays:
    """Norm of the mean per-sample gradient and root trace of the per-sample covariance, in nats.

    Of each layer's weights, biases apart: (member, layer). A sample's gradient is the outer
    product of its delta and the layer's input a, so its squared norm is |delta|^2 |a|^2 and no
    per-sample matrix is formed: tr C = mean |delta|^2 |a|^2 - |mean delta a^T|^2.
    """
    share = ensemble.in_train[block] / ensemble.train.shape[1]
    means, spreads = [], []
    inputs = [np.broadcast_to(ensemble.x, (len(share), *ensemble.x.shape)), *states.activations]
    for delta, a in zip(states.deltas, inputs, strict=False):
        delta, a = delta.astype(np.float64), a.astype(np.float64)
        mean = (delta * share[..., None]).transpose(0, 2, 1) @ a
        mean_square = (share * (delta**2).sum(-1) * (a**2).sum(-1)).sum(-1)
        square_mean = (mean**2).sum((1, 2))
        means.append(np.sqrt(square_mean))
        # Cauchy-Schwarz keeps the trace from below zero; rounding need not, by one part in 1e16.
        spreads.append(np.sqrt(np.maximum(mean_square - square_mean, 0)))
    return {
        "gradient_mean": np.stack(means, axis=-1),
        "gradient_spread": np.stack(spreads, axis=-1),
    }


def geometry(ensemble: Ensemble, states: States) -> Arrays:
    """Scatter within and between the classes, and saturation: (member, layer).

    within = sum_y p(y) tr Cov(t|y) and between = sum_y p(y) |E(t|y) - E(t)|^2 add up to tr Cov(t).
    Saturation is the share of units, over all patterns, within one cell of the activation's
    limits; NaN where it has none at one side or both.
    """
    p_xy = ensemble.task.p_x[:, None] * ensemble.task.p_y_given_x
    p_y = p_xy.sum(0)
    seen = p_y > 0
    within, between, saturation = [], [], []
    for layer, activations in zip(ensemble.architecture.layers, states.activations, strict=True):
        t = activations.astype(np.float64)
        t -= (ensemble.task.p_x @ t)[:, None, :]
        means = p_xy.T[seen] @ t / p_y[seen, None]
        spread = (t**2).sum(-1) @ ensemble.task.p_x
        between.append((means**2).sum(-1) @ p_y[seen])
        within.append(spread - between[-1])
        low, high = layer.limits
        if np.isfinite(high - low):
            edge = (high - low) * SATURATION_CELL
            near = (activations < low + edge) | (activations > high - edge)
            saturation.append(near.mean((1, 2)))
        else:
            saturation.append(np.full(len(activations), np.nan))
    return {
        "within_scatter": np.stack(within, -1),
        "between_scatter": np.stack(between, -1),
        "saturation": np.stack(saturation, -1),
    }


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


def layer_cells(
    ensemble: Ensemble, activations: list[NDArray], estimator: Estimator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cell of each pattern, (member, layer, pattern), and which (member, layer) are finite."""
    cells, finite = [], []
    for layer, t in zip(ensemble.architecture.layers, activations, strict=True):
        good = np.isfinite(t).all((1, 2))
        found = np.zeros(t.shape[:2], dtype=np.int64)
        if good.any():
            found[good] = estimator.cells(t[good], layer.limits)
        cells.append(found)
        finite.append(good)
    return np.stack(cells, 1), np.stack(finite, 1)


def layer_information(
    ensemble: Ensemble,
    activations: list[NDArray],
    estimators: Sequence[Estimator],
    block: slice,
) -> Arrays:
    """I(X;T) and I(T;Y) in bits and the occupied cells, (estimator, member, layer).

    NaN for a member whose activations are no longer finite.
    """
    task, in_train = ensemble.task, ensemble.in_train[block]
    rows: dict[str, list[NDArray]] = {name: [] for name in INFORMATION}
    for estimator in estimators:
        cells, finite = layer_cells(ensemble, activations, estimator)
        i_x, i_y = information.of_cells(cells, task.p_x, task.p_y_given_x)
        among = np.broadcast_to(in_train[:, None, :], cells.shape)
        values = (i_x, i_y, information.occupied(cells), information.occupied(cells, among))
        for row, value in zip(rows.values(), values, strict=True):
            row.append(np.where(finite, value, np.nan))
    return {name: np.stack(row) for name, row in rows.items()}
