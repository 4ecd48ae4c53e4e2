"""Gradient descent of an ensemble as an iterator of parameters: the readable reference."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import batches, networks
from .ensemble import Ensemble
from .normals import standard_normals
from .seeding import stream
from .state import State

Update = Callable[[Ensemble, State, Tensor], None]


def trajectory(
    ensemble: Ensemble, stops: Iterable[int], state: State | None = None
) -> Iterator[NDArray]:
    """Parameters (member, parameter) after each of ``stops`` optimiser steps, ascending.

    Stop 0 is before the first update; ``itertools.count()`` makes it endless. The array that is
    yielded belongs to the caller. Begins at ``state``, the initial one by default, and moves it
    along: at each stop it is where the training stands. ValueError for stops that do not ascend.

    All members are in one batched product on the configuration's device, so on a CPU a member's
    last bits depend on its place (see `kernel` for those that do not).
    """
    state = State.initial(ensemble.initial) if state is None else state
    device = ensemble.config.device
    start = (state.parameters, state.first, state.second)
    theta, first, second = (torch.tensor(array, device=device) for array in start)
    here = State(theta, first, second, state.step)
    update = OPTIMIZERS[ensemble.config.optimizer]
    x = torch.tensor(ensemble.x[ensemble.train], device=device)
    target = torch.tensor(ensemble.targets, device=device)
    rows = torch.arange(len(x), device=device)[:, None]
    epoch, position = divmod(state.step, ensemble.steps_per_epoch)
    batch = itertools.islice(minibatches(ensemble, epoch), position, None)
    noise = itertools.islice(noises(ensemble, epoch), position, None)
    for stop in stops:
        if stop < here.step:
            raise ValueError(f"stop {stop} comes after step {here.step}, expected ascending stops")
        while here.step < stop:
            own = next(batch).to(device)
            gradient = batch_gradient(
                ensemble, here.parameters, x[rows, own], target[rows, own], next(noise)
            )
            here.step += 1
            update(ensemble, here, gradient)
        state.step = stop
        for name in ("parameters", "first", "second"):
            setattr(state, name, getattr(here, name).numpy(force=True).copy())
        yield state.parameters.copy()


def batch_gradient(
    ensemble: Ensemble,
    parameters: Tensor,
    x: Tensor,
    target: Tensor,
    noise: Sequence[Tensor] = (),
) -> Tensor:
    """Gradient of the mean loss over a batch, in nats, of each member: (member, parameter).

    ``x`` (member, pattern, input), ``target`` (member, pattern, output unit), ``noise`` what is
    added to each hidden layer. Members share no parameter, so the gradient of the sum of their
    losses is the gradient of each.
    """
    parameters = parameters.requires_grad_()
    bits = ensemble.config.quantisation
    zs, _ = networks.forward(ensemble.architecture, parameters, x, noise=noise, bits=bits)
    variance = ensemble.label_variance
    loss = networks.sample_loss(ensemble.architecture, zs[-1], target, variance).mean(-1).sum()
    (gradient,) = torch.autograd.grad(loss, parameters)
    parameters.requires_grad_(False)
    return gradient


def minibatches(ensemble: Ensemble, epoch: int = 0) -> Iterator[Tensor]:
    """Positions in the training set of each member's batches, (member, pattern), without end.

    They begin at the first batch of ``epoch``.
    """
    members, size = ensemble.train.shape
    fixed = ensemble.config.batch_order == "fixed" or ensemble.batch_size == size
    order = torch.arange(size).expand(members, size)
    while True:
        if not fixed:
            order = torch.tensor(batches.orders(ensemble.batch_keys, epoch, size))
        yield from order.split(ensemble.batch_size, dim=1)
        epoch += 1


def noises(ensemble: Ensemble, epoch: int = 0) -> Iterator[Sequence[Tensor]]:
    """Noise of each hidden layer in each batch, (member, pattern, unit), without end; or none.

    They begin at the first batch of ``epoch``. A member's stream begins anew in every epoch, at the
    epoch's place.
    """
    config, size = ensemble.config, ensemble.train.shape[1]
    if not config.noise:
        yield from itertools.repeat(())
    for place in itertools.count(epoch):
        streams = [stream(config.seed, "noise", k, place) for k in ensemble.members]
        for begin in range(0, size, ensemble.batch_size):
            shape = min(ensemble.batch_size, size - begin), sum(config.widths)
            z = np.stack([rng.standard_normal(shape, ensemble.x.dtype) for rng in streams])
            yield torch.tensor(config.noise * z, device=config.device).split(config.widths, -1)


def sgd(ensemble: Ensemble, state: State, gradient: Tensor) -> None:
    """V <- momentum v + g, theta <- theta - rate v, with g + decay theta for g."""
    config = ensemble.config
    g = gradient + config.weight_decay * state.parameters
    state.first = config.momentum * state.first + g
    state.parameters = state.parameters - config.learning_rate * state.first


def adam(ensemble: Ensemble, state: State, gradient: Tensor) -> None:
    """Kingma & Ba 2015, algorithm 1, with g + decay theta for g; ``state.step`` is its t."""
    config = ensemble.config
    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8
    g = gradient + config.weight_decay * state.parameters
    state.first = beta_1 * state.first + (1 - beta_1) * g
    state.second = beta_2 * state.second + (1 - beta_2) * g**2
    m_hat = state.first / (1 - beta_1**state.step)
    v_hat = state.second / (1 - beta_2**state.step)
    state.parameters = state.parameters - config.learning_rate * m_hat / (v_hat**0.5 + epsilon)


def langevin(ensemble: Ensemble, state: State, gradient: Tensor) -> None:
    """Theta <- theta - rate (g + decay theta) + sqrt(2 rate temperature) xi."""
    config = ensemble.config
    spread = (2 * config.learning_rate * config.temperature) ** 0.5
    size = state.parameters.shape[1]
    xi = standard_normals(ensemble.langevin_keys, state.step - 1, size, config.dtype)
    g = gradient + config.weight_decay * state.parameters
    noise = spread * torch.tensor(xi, device=state.parameters.device)
    state.parameters = state.parameters - config.learning_rate * g + noise


OPTIMIZERS: dict[str, Update] = {"sgd": sgd, "adam": adam, "langevin": langevin}
