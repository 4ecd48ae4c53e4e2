"""Fused training of ensembles of small networks.

One member's step (gather, forward, backward, update) is one pass through buffers in the L1
cache; members are independent and run in parallel. A member's bits depend on its own
parameters, data and key only: not on the other members, the threads, or how the steps are
split into calls.
"""

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from .batches import permutation
from .elementary import FAST, like, wide
from .ensemble import Ensemble
from .normals import fill
from .sources import SOURCES
from .state import State
from .tile import (
    ACTIVATIONS,
    OUTPUTS,
    TILE,
    backward,
    forward,
    load,
    output,
    output_delta,
    tile_buffer,
)

SGD, ADAM, LANGEVIN = 0, 1, 2
RULES = {"sgd": SGD, "adam": ADAM, "langevin": LANGEVIN}
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@njit(**FAST)
def sgd(theta, gradient, velocity, rate, momentum, decay):
    """Heavy-ball step, as torch.optim.SGD."""
    wide()
    for p in range(theta.size):
        velocity[p] = momentum * velocity[p] + (gradient[p] + decay * theta[p])
        theta[p] -= rate * velocity[p]


@njit(**FAST)
def adam(theta, gradient, first, second, step, rate, decay):
    """Update number `step`, counted from 1."""
    wide()
    one = like(1.0, rate)
    beta_1, beta_2, epsilon = like(BETA_1, rate), like(BETA_2, rate), like(EPSILON, rate)
    pace = like(rate / (1.0 - BETA_1**step), rate)
    root = like(sqrt(1.0 - BETA_2**step), rate)
    for p in range(theta.size):
        g = gradient[p] + decay * theta[p]
        first[p] += (one - beta_1) * (g - first[p])
        second[p] = beta_2 * second[p] + (one - beta_2) * g * g
        theta[p] -= pace * first[p] / (np.sqrt(second[p]) / root + epsilon)


@njit(**FAST)
def langevin(theta, gradient, xi, rate, decay, spread):
    """Gradient step with standard normals ``xi``, times ``spread``."""
    wide()
    for p in range(theta.size):
        theta[p] -= rate * (gradient[p] + decay * theta[p]) - spread * xi[p]


@njit(**FAST)
def visit(order, key, epoch, shuffled):
    """Fill `order` with the order of the training set in this epoch."""
    if shuffled:
        permutation(key, epoch, order)
    else:
        for i in range(order.size):
            order[i] = i


@njit(**FAST)
def train_member(
    theta, first, second, x, train, target, key, noise_key,
    sizes, activation, kind, precision, batch, shuffled, rule, rate, momentum, decay, spread,
    start, steps,
):  # fmt: skip
    """Steps ``start`` to ``start + steps`` of one member, in place.

    ``kind`` is that of the output, ``precision`` what its loss is scaled with, ``spread`` the
    standard deviation of the noise in a Langevin step.
    """
    acts = tile_buffer(sizes.size, sizes.max(), theta)
    spare = tile_buffer(1, 2, theta)[0]
    gradient = np.empty_like(theta)
    order, patterns = np.empty(train.size, np.uint32), np.empty(train.size, np.uint32)
    per_epoch = (train.size + batch - 1) // batch
    rate, momentum, decay = like(rate, theta[0]), like(momentum, theta[0]), like(decay, theta[0])
    precision, spread = like(precision, theta[0]), like(spread, theta[0])
    xi = np.empty_like(theta)
    for step in range(start, start + steps):
        position = step % per_epoch
        if position == 0 or step == start:
            visit(order, key, step // per_epoch, shuffled)
            for i in range(train.size):
                patterns[i] = train[order[i]]
        begin = position * batch
        end = min(begin + batch, train.size)
        gradient[:] = like(0.0, theta[0])
        for low in range(begin, end, TILE):
            high = min(low + TILE, end)
            load(acts[0], x, patterns[low:high])
            forward(theta, sizes, activation, acts)
            output(acts[sizes.size - 1], sizes[-1], kind, spare)
            scale = precision / like(end - begin, theta[0])
            output_delta(acts[sizes.size - 1], target, order[low:high], scale)
            backward(theta, sizes, activation, acts, spare, gradient)
        if rule == ADAM:
            adam(theta, gradient, first, second, step + 1, rate, decay)
        elif rule == LANGEVIN:
            fill(noise_key, step, xi)
            langevin(theta, gradient, xi, rate, decay, spread)
        else:
            sgd(theta, gradient, first, rate, momentum, decay)


@njit(parallel=True, cache=True, **FAST)
def train_members(
    theta, first, second, x, train, target, keys, noise_keys,
    sizes, activation, kind, precision, batch, shuffled, rule, rate, momentum, decay, spread,
    start, steps, sources=SOURCES,
):  # fmt: skip
    """`train_member` for every member."""
    for k in prange(theta.shape[0]):
        train_member(
            theta[k], first[k], second[k], x, train[k], target[k], keys[k], noise_keys[k],
            sizes, activation, kind, precision, batch, shuffled, rule, rate, momentum, decay,
            spread, start, steps,
        )  # fmt: skip


def advance(state: State, ensemble: Ensemble, target: NDArray, steps: int) -> None:
    """Move every member ``steps`` optimiser steps on, in place.

    ``target`` is ``ensemble.targets``.
    """
    config = ensemble.config
    batch = ensemble.batch_size
    train_members(
        state.parameters, state.first, state.second,
        ensemble.x, ensemble.train, target, ensemble.batch_keys, ensemble.langevin_keys,
        ensemble.architecture.sizes, ACTIVATIONS[config.activation],
        OUTPUTS[config.output], 1 / ensemble.label_variance, batch,
        config.batch_order == "shuffled" and batch < ensemble.train.shape[1],
        RULES[config.optimizer], config.learning_rate, config.momentum, config.weight_decay,
        sqrt(2 * config.learning_rate * config.temperature), state.step, steps,
    )  # fmt: skip
    state.step += steps


def trajectory(
    ensemble: Ensemble, stops: Iterable[int], state: State | None = None
) -> Iterator[NDArray]:
    """Parameters (member, parameter) after each of ``stops`` optimiser steps, ascending.

    Begins at ``state``, the initial one by default, and moves it along. ValueError for stops that
    do not ascend.

    The same as `training.trajectory`, to rounding; a member's bits are the same alone or in any
    ensemble.
    """
    state = State.initial(ensemble.initial) if state is None else state
    target = ensemble.targets
    for stop in stops:
        if stop < state.step:
            raise ValueError(f"stop {stop} comes after step {state.step}, expected ascending stops")
        advance(state, ensemble, target, stop - state.step)
        yield state.parameters.copy()
