"""What networks answer at frozen parameters, and the statistics of that over the patterns.

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
def member_losses(log_p, truth, drawn, in_train, out):
    """Sums over the patterns of the loss and the error, on the training and the test set."""
    labels, patterns = log_p.shape
    out[:] = 0.0
    for s in range(patterns):
        guess, expected = 0, 0.0
        for y in range(labels):
            guess = y if log_p[y, s] > log_p[guess, s] else guess
            expected -= truth[s, y] * log_p[y, s]
        if not in_train[s]:
            out[1] += expected
            out[3] += 1.0 - truth[s, guess]
        elif drawn.size > 0:
            out[0] -= log_p[drawn[s], s]
            out[2] += drawn[s] != guess
        else:
            out[0] += expected
            out[2] += 1.0 - truth[s, guess]


@njit(parallel=True, cache=True, **FAST)
def all_losses(log_p, truth, drawn, in_train, out, sources=SOURCES):
    """`member_losses` of every member."""
    for k in prange(log_p.shape[0]):
        member_losses(log_p[k], truth, drawn[k], in_train[k], out[k])


def losses(
    log_p: NDArray, truth: NDArray, drawn: NDArray[np.int64] | None, in_train: NDArray[np.bool_]
) -> NDArray:
    """Mean loss in nats, and error rate, of training and test set: (2, split, member).

    ``log_p`` (member, label, pattern), ``truth`` p(y|x) (pattern, label), ``drawn`` (member,
    pattern) the labels trained on where they were drawn, ``in_train`` (member, pattern). Every
    pattern of a split counts the same. The training set is judged by the labels trained on, the
    test set in expectation under p(y|x); a split without patterns gives NaN.
    """
    sums = np.empty((len(log_p), 4))
    drawn = np.empty((len(log_p), 0), np.int64) if drawn is None else drawn
    all_losses(log_p, truth, drawn, in_train, sums)
    size = np.stack([in_train.sum(-1), (~in_train).sum(-1)]).astype(float)
    size[size == 0] = np.nan
    return sums.T.reshape(2, 2, -1) / size


def gaussian_losses(
    mean: NDArray, truth: NDArray, drawn: NDArray | None, variance: float, in_train: NDArray
) -> NDArray:
    """Mean of -ln N(y; mean, variance), in nats, of training and test set: (split, member).

    ``mean`` (member, pattern) is what the networks answer, ``truth`` (pattern,) the mean of the
    real label y, ``variance`` that of y; ``drawn`` (member, pattern) and ``in_train`` as for
    `losses`: the training set is judged by the labels trained on where they were drawn, the rest
    in expectation, (truth - mean)^2 / 2 variance + 1/2 + 1/2 ln(2 pi variance).
    """
    mean = mean.astype(np.float64)
    constant = np.log(2 * np.pi * variance) / 2
    expected = (truth - mean) ** 2 / (2 * variance) + 0.5 + constant
    trained = expected if drawn is None else (drawn - mean) ** 2 / (2 * variance) + constant
    size = np.stack([in_train.sum(-1), (~in_train).sum(-1)]).astype(float)
    size[size == 0] = np.nan
    sums = [np.where(in_train, trained, 0).sum(-1), np.where(in_train, 0, expected).sum(-1)]
    return np.stack(sums) / size


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


@njit(**FAST)
def member_geometry(t, p_x, p_xy, low, high, out):
    """Sums over the patterns of one layer, unit by unit, into out: within, between, saturation."""
    wide()
    units, patterns = t.shape
    labels = p_xy.shape[0]
    p_y = np.zeros(labels)
    for y in range(labels):
        p_y[y] = p_xy[y].sum()
    centred = np.empty(patterns)
    within = between = 0.0
    near = np.int32(0)
    for j in range(units):
        row = t[j]
        mean = 0.0
        for s in range(patterns):
            mean += p_x[s] * np.float64(row[s])
        for s in range(patterns):
            near += np.int32((row[s] < low) | (row[s] > high))
        square = 0.0
        for s in range(patterns):
            centred[s] = np.float64(row[s]) - mean
            square += p_x[s] * centred[s] * centred[s]
        # The moments of the labels add up to zero, so the last is known.
        around = rest = 0.0
        for y in range(labels):
            moment = 0.0
            if y < labels - 1:
                for s in range(patterns):
                    moment += p_xy[y, s] * centred[s]
                rest -= moment
            else:
                moment = rest
            if p_y[y] > 0.0:
                around += moment * moment / p_y[y]
        within += square - around
        between += around
    out[0], out[1], out[2] = within, between, near / (units * patterns)


@njit(parallel=True, cache=True, **FAST)
def all_geometry(t, p_x, p_xy, low, high, out, sources=SOURCES):
    """`member_geometry` of every member."""
    for k in prange(t.shape[0]):
        member_geometry(t[k], p_x, p_xy, low, high, out[k])


def class_geometry(
    activations: NDArray, p_x: NDArray, p_xy: NDArray, low: float, high: float
) -> NDArray:
    """Scatter within and between the classes, and the share of units outside low..high.

    ``activations`` (member, pattern, unit), ``p_x`` (pattern,), ``p_xy`` (label, pattern); the
    result is (member, 3). Scatter is in units of the activations squared, see `probes.geometry`.
    """
    t = np.ascontiguousarray(activations.transpose(0, 2, 1))
    out = np.empty((len(t), 3))
    all_geometry(t, p_x, p_xy, low, high, out)
    return out
