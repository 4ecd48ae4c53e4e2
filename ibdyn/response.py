"""What networks answer at frozen parameters: activations, probabilities, gradient statistics.

Kernels like those of training, one member a thread, with the same tiles; a member's bits do not
depend on the others.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from . import disturbed
from .elementary import FAST, like, wide
from .ensemble import Ensemble
from .sources import SOURCES
from .tile import (
    ACTIVATIONS,
    LINEAR,
    OUTPUTS,
    TILE,
    backward,
    forward,
    load,
    log_probabilities,
    output,
    output_delta,
    tile_buffer,
)


@njit(**FAST)
def member_response(theta, sizes, activation, kind, x, k, members, activations, log_p):
    """Activations and log-probabilities of one member, over all patterns."""
    acts, spare = tile_buffer(sizes.size, sizes.max(), theta), tile_buffer(1, 2, theta)[0]
    count = x.shape[0]
    patterns = np.arange(count).astype(np.uint32)
    last = sizes.size - 1
    for low in range(0, count, TILE):
        high = min(low + TILE, count)
        load(acts[0], x, patterns[low:high])
        forward(theta, sizes, activation, acts)
        if kind != LINEAR:
            log_probabilities(acts[last], sizes[last], low, high, log_p)
        output(acts[last], sizes[last], kind, spare)
        begin = 0
        for layer in range(1, sizes.size):
            width = sizes[layer]
            for j in range(width):
                row = begin + (k * width + j) * count
                for s in range(high - low):
                    activations[row + low + s] = acts[layer, j, s]
            begin += members * width * count


@njit(parallel=True, cache=True, **FAST)
def all_responses(theta, sizes, activation, kind, x, activations, log_p, sources=SOURCES):
    """`member_response` of every member."""
    for k in prange(theta.shape[0]):
        member_response(
            theta[k], sizes, activation, kind, x, k, theta.shape[0], activations, log_p[k]
        )


def respond(
    ensemble: Ensemble,
    parameters: NDArray,
    step: int | None = None,
    block: slice = slice(None),
) -> tuple[list[NDArray], NDArray]:
    """Activations of each layer over all patterns, and the log-probabilities of the labels.

    ``parameters`` is (member, parameter), of the members in ``block``. Activations are (member,
    pattern, unit) in the run's dtype, stored with the patterns of a unit side by side;
    log-probabilities are (member, label, pattern), in nats and float64, and empty where the label
    is real.

    Of networks that add noise or quantise, these are activations as they are passed on: of one
    pass with the noise of ``step``, without which there is a ValueError; or rounded.
    """
    if ensemble.config.disturbed:
        return disturbed.respond(ensemble, parameters, step, block)
    members, patterns = len(parameters), len(ensemble.x)
    widths = [layer.width for layer in ensemble.architecture.layers]
    flat = np.empty(members * patterns * sum(widths), dtype=ensemble.x.dtype)
    log_p = np.empty((members, ensemble.architecture.labels, patterns))
    all_responses(
        parameters,
        ensemble.architecture.sizes,
        ACTIVATIONS[ensemble.config.activation],
        OUTPUTS[ensemble.config.output],
        ensemble.x,
        flat,
        log_p,
    )
    ends = members * patterns * np.cumsum(widths)
    return [
        part.reshape(members, width, patterns).transpose(0, 2, 1)
        for part, width in zip(np.split(flat, ends[:-1]), widths, strict=True)
    ], log_p


@njit(**FAST)
def square_norms(norms, layer, rows, count):
    """norms[layer, s] = sum_c rows[c, s]**2."""
    wide()
    for s in range(TILE):
        norms[layer, s] = like(0.0, rows[0, 0])
    for c in range(count):
        for s in range(TILE):
            norms[layer, s] += rows[c, s] * rows[c, s]


@njit(**FAST)
def member_gradients(
    theta, sizes, activation, kind, precision, x, train, target, mean_norm, spread
):  # fmt: skip
    """`gradient_statistics` of one member, (layer,) each.

    The gradient of W for one sample is delta a^T, so its square norm is |delta|^2 |a|^2.
    """
    layers = sizes.size - 1
    acts, spare = tile_buffer(sizes.size, sizes.max(), theta), tile_buffer(1, 2, theta)[0]
    inputs, deltas = tile_buffer(1, layers, theta)[0], tile_buffer(1, layers, theta)[0]
    gradient = np.empty_like(theta)
    mean = np.zeros(theta.size)
    square = np.zeros(layers)
    rows, patterns = np.arange(train.size).astype(np.uint32), train.astype(np.uint32)
    for low in range(0, train.size, TILE):
        high = min(low + TILE, train.size)
        load(acts[0], x, patterns[low:high])
        forward(theta, sizes, activation, acts)
        output(acts[layers], sizes[layers], kind, spare)
        for layer in range(layers):
            square_norms(inputs, layer, acts[layer], sizes[layer])
        output_delta(acts[layers], target, rows[low:high], like(precision, theta[0]))
        gradient[:] = like(0.0, theta[0])
        backward(theta, sizes, activation, acts, spare, gradient)
        for p in range(theta.size):
            mean[p] += np.float64(gradient[p]) / train.size
        for layer in range(layers):
            square_norms(deltas, layer, acts[layer + 1], sizes[layer + 1])
            for s in range(TILE):
                product = np.float64(inputs[layer, s]) * np.float64(deltas[layer, s])
                square[layer] += product / train.size
    start = 0
    for layer in range(layers):
        end = start + sizes[layer] * sizes[layer + 1]
        power = np.sum(mean[start:end] ** 2)
        mean_norm[layer] = np.sqrt(power)
        # Not below zero but for rounding: the trace is a mean of squares.
        spread[layer] = np.sqrt(max(square[layer] - power, 0.0))
        start = end + sizes[layer + 1]


@njit(parallel=True, cache=True, **FAST)
def all_gradients(
    theta, sizes, activation, kind, precision, x, train, target, mean_norm, spread,
    sources=SOURCES,
):  # fmt: skip
    """`member_gradients` of every member."""
    for k in prange(theta.shape[0]):
        member_gradients(
            theta[k], sizes, activation, kind, precision, x, train[k], target[k],
            mean_norm[k], spread[k],
        )  # fmt: skip


def gradient_statistics(
    ensemble: Ensemble, parameters: NDArray, step: int | None = None
) -> tuple[NDArray, NDArray]:
    """Norm of the mean per-sample gradient and root trace of the per-sample covariance.

    Of each layer's weights, biases apart, over each member's training set, in nats: both are
    (member, layer). A sample's gradient is the outer product of its delta and the layer's input,
    so no per-sample matrix is formed: tr C = mean |delta|^2 |a|^2 - |mean delta a^T|^2.

    Of networks that add noise or quantise, in the pass of `respond` at ``step``, with its errors.
    """
    if ensemble.config.disturbed:
        return disturbed.gradient_statistics(ensemble, parameters, step)
    shape = (len(parameters), len(ensemble.architecture.layers))
    mean_norm, spread = np.empty(shape), np.empty(shape)
    all_gradients(
        parameters,
        ensemble.architecture.sizes,
        ACTIVATIONS[ensemble.config.activation],
        OUTPUTS[ensemble.config.output],
        1 / ensemble.label_variance,
        ensemble.x,
        ensemble.train,
        ensemble.targets,
        mean_norm,
        spread,
    )
    return mean_norm, spread
