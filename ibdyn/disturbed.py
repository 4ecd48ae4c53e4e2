"""Frozen networks that add noise to their activations, or quantise them, over all patterns.

Layer by layer, since a layer is quantised between its extremes over all patterns. Patterns lie
side by side and each goes through the same instructions, so that patterns which are equal in one
layer are equal to the bit in the next: in a quantised network a state decides all that follow.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from .architecture import Layer
from .elementary import FAST
from .ensemble import Ensemble
from .seeding import stream
from .sources import SOURCES
from .tile import (
    ACTIVATIONS,
    LINEAR,
    OUTPUTS,
    TILE,
    activate,
    log_probabilities,
    output,
    tile_buffer,
    weighted_sum,
)


@njit(**FAST)
def member_layer(w, b, below, activation, above):
    """Write f(W below + b) to above; both are (unit, pattern), W is flat."""
    fan_in, width, patterns = below.shape[0], above.shape[0], above.shape[1]
    rows, out = tile_buffer(1, fan_in, w)[0], tile_buffer(1, width, w)[0]
    for low in range(0, patterns, TILE):
        size = min(TILE, patterns - low)
        for i in range(fan_in):
            for s in range(size):
                rows[i, s] = below[i, low + s]
        for j in range(width):
            weighted_sum(out, j, rows, fan_in, w, j * fan_in, 1, b[j])
        activate(out, width, activation)
        for j in range(width):
            for s in range(size):
                above[j, low + s] = out[j, s]


@njit(parallel=True, cache=True, **FAST)
def all_layers(w, b, below, activation, above, sources=SOURCES):
    """`member_layer` of every member."""
    for k in prange(w.shape[0]):
        member_layer(w[k], b[k], below[k], activation, above[k])


@njit(**FAST)
def member_output(z, kind, log_p):
    """Replace the output's pre-activations by the output, and write log p(label) to log_p."""
    units, patterns = z.shape
    out, spare = tile_buffer(1, units, z)[0], tile_buffer(1, 2, z)[0]
    for low in range(0, patterns, TILE):
        high = min(low + TILE, patterns)
        for j in range(units):
            for s in range(high - low):
                out[j, s] = z[j, low + s]
        log_probabilities(out, units, low, high, log_p)
        output(out, units, kind, spare)
        for j in range(units):
            for s in range(high - low):
                z[j, low + s] = out[j, s]


@njit(parallel=True, cache=True, **FAST)
def all_outputs(z, kind, log_p, sources=SOURCES):
    """`member_output` of every member."""
    for k in prange(z.shape[0]):
        member_output(z[k], kind, log_p[k])


class Pass(NamedTuple):
    """One pass of all patterns through the networks, layer by layer (member, unit, pattern).

    ``plain`` are the activations before noise or rounding, ``passed`` what the next layer gets; at
    the output they are one. ``log_p`` (member, label, pattern) is in nats.
    """

    plain: list[NDArray]
    passed: list[NDArray]
    log_p: NDArray


def run(ensemble: Ensemble, parameters: NDArray, streams: Sequence[np.random.Generator]) -> Pass:
    """One pass at ``parameters`` (member, parameter), with noise from each member's stream.

    Noise is drawn layer after layer, (unit, pattern) each, in the run's dtype. Raises ValueError
    unless there is a stream for each member.
    """
    config, layers = ensemble.config, ensemble.architecture.layers
    members, patterns = len(parameters), len(ensemble.x)
    if config.noise and len(streams) != members:
        raise ValueError(f"{len(streams)} streams of noise for {members} members' parameters")
    below = np.repeat(ensemble.x.T[None], members, axis=0)
    plain, passed = [], []
    for layer in layers:
        a = np.empty((members, layer.width, patterns), ensemble.x.dtype)
        hidden = layer is not layers[-1]
        activation = ACTIVATIONS[layer.activation] if hidden else LINEAR
        b = np.ascontiguousarray(parameters[:, layer.biases])
        all_layers(passed_weights(ensemble, parameters, layer), b, below, activation, a)
        below = a
        if hidden and config.quantisation is not None:
            below = rounded(a, config.quantisation)
        elif hidden:
            z = [rng.standard_normal(a.shape[1:], a.dtype) for rng in streams]
            below = a + config.noise * np.stack(z)
        plain.append(a)
        passed.append(below)
    log_p = np.empty((members, ensemble.architecture.labels, patterns))
    all_outputs(below, OUTPUTS[ensemble.architecture.output], log_p)
    return Pass(plain, passed, log_p)


def passed_weights(ensemble: Ensemble, parameters: NDArray, layer: Layer) -> NDArray:
    """The weights that a layer multiplies with, (member, weight), quantised where they are."""
    w = np.ascontiguousarray(parameters[:, layer.weights])
    bits = ensemble.config.quantisation
    return w if bits is None else rounded(w, bits)


def rounded(t: NDArray, bits: int) -> NDArray:
    """``t`` (member, ...) at the nearest of 2^bits levels between a member's extremes.

    The arithmetic of `networks.quantised`. A member that is not finite becomes NaN.
    """
    axes = tuple(range(1, t.ndim))
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = t.min(axes, keepdims=True), t.max(axes, keepdims=True)
        step = (high - low) / (2**bits - 1)
        step[~(step > 0)] = 1
        return np.asarray(low + np.rint((t - low) / step) * step)


def respond(
    ensemble: Ensemble, parameters: NDArray, step: int | None, block: slice
) -> tuple[list[NDArray], NDArray]:
    """`response.respond`: activations as they are passed on, and log-probabilities, of one pass.

    Raises ValueError for noisy networks without a step.
    """
    found = run(ensemble, parameters, measurement(ensemble, block, step))
    return [t.transpose(0, 2, 1) for t in found.passed], found.log_p


def measurement(
    ensemble: Ensemble, block: slice, step: int | None, *place: int
) -> list[np.random.Generator]:
    """Streams for what is measured at ``step``, of each member in ``block``; none without noise.

    Raises ValueError for noisy networks without a step.
    """
    if not ensemble.config.noise:
        return []
    if step is None:
        raise ValueError("step is missing, noisy networks need one to draw their noise from")
    seed = ensemble.config.seed
    return [stream(seed, "measurement", k, step, *place) for k in ensemble.members[block]]


def centres(
    ensemble: Ensemble, parameters: NDArray, step: int, block: slice, count: int
) -> list[NDArray]:
    """Each hidden layer before its own noise in ``count`` passes: (member, path, pattern, unit).

    The passes are independent of each other, of that of `respond`, and of what is drawn elsewhere
    at this step.
    """
    layers = ensemble.architecture.layers[:-1]
    # Estimators draw at the places of the layers, counted from 0 to the output's.
    streams = measurement(ensemble, block, step, len(layers) + 1)
    shape = len(parameters), count, len(ensemble.x)
    found = [np.empty((*shape, layer.width), ensemble.x.dtype) for layer in layers]
    for path in range(count):
        plain = run(ensemble, parameters, streams).plain
        for own, t in zip(found, plain, strict=False):
            own[:, path] = t.transpose(0, 2, 1)
    return found


# In terms of the activation.
SLOPES: dict[str, Callable[[NDArray], NDArray]] = {
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0).astype(float),
    "linear": np.ones_like,
    "sigmoid": lambda a: a * (1 - a),
    "softplus": lambda a: -np.expm1(-a),
    "softsign": lambda a: (1 - abs(a)) ** 2,
}


def gradient_statistics(
    ensemble: Ensemble, parameters: NDArray, step: int | None
) -> tuple[NDArray, NDArray]:
    """`response.gradient_statistics` of the pass of `respond`.

    Noise and rounding have no slope of their own: slopes are those of the non-linearity before
    them, inputs and weights those that were passed on. Raises as `respond`.
    """
    layers = ensemble.architecture.layers
    mean_norm, spread = np.empty((2, len(parameters), len(layers)))
    for k, train in enumerate(ensemble.train):
        one = slice(k, k + 1)
        theta = parameters[one]
        found = run(ensemble, theta, measurement(ensemble, one, step))
        plain, passed = (
            [t[0].T[train].astype(float) for t in states] for states in (found.plain, found.passed)
        )
        inputs = [ensemble.x[train].astype(float), *passed[:-1]]
        delta = passed[-1] - ensemble.targets[k]
        # A diverged member is not finite here either.
        with np.errstate(invalid="ignore", over="ignore"):
            for i in reversed(range(len(layers))):
                power = np.sum((delta.T @ inputs[i] / len(train)) ** 2)
                square = np.mean((delta**2).sum(-1) * (inputs[i] ** 2).sum(-1))
                mean_norm[k, i] = np.sqrt(power)
                # Not below zero but for rounding: the trace is a mean of squares.
                spread[k, i] = np.sqrt(max(square - power, 0.0))
                if i > 0:
                    w = passed_weights(ensemble, theta, layers[i])[0].astype(float)
                    slope = SLOPES[ensemble.config.activation](plain[i - 1])
                    delta = (delta @ w.reshape(layers[i].width, -1)) * slope
    return mean_norm, spread
