"""Gradient descent of an ensemble as an iterator of parameters: the readable reference."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import batches, networks
from .ensemble import Ensemble
from .normals import normals
from .seeding import stream

Update = Callable[[Tensor, Tensor], Tensor]


def trajectory(ensemble: Ensemble, stops: Iterable[int]) -> Iterator[NDArray]:
    """Parameters (member, parameter) after each of ``stops`` optimiser steps, ascending.

    Stop 0 is before the first update; ``itertools.count()`` makes it endless. The array that is
    yielded belongs to the caller. All members are in one batched product on the configuration's
    device, so on a CPU a member's last bits depend on its place (see `kernel` for those that
    do not).
    """
    device = ensemble.config.device
    parameters = torch.tensor(ensemble.initial, device=device)
    update = OPTIMIZERS[ensemble.config.optimizer](ensemble)
    x = torch.tensor(ensemble.x[ensemble.train], device=device)
    target = torch.tensor(ensemble.targets, device=device)
    rows = torch.arange(len(parameters), device=device)[:, None]
    step = 0
    batch, noise = minibatches(ensemble), noises(ensemble)
    for stop in stops:
        if stop < step:
            raise ValueError(f"stop {stop} comes after step {step}, expected ascending stops")
        while step < stop:
            own = next(batch).to(device)
            gradient = batch_gradient(
                ensemble, parameters, x[rows, own], target[rows, own], next(noise)
            )
            parameters = update(parameters, gradient)
            step += 1
        yield parameters.numpy(force=True).copy()


def batch_gradient(
    ensemble: Ensemble,
    parameters: Tensor,
    x: Tensor,
    target: Tensor,
    noise: Sequence[Tensor] = (),
) -> Tensor:
    """Gradient of the mean loss over a batch, of each member: (member, parameter).

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


def minibatches(ensemble: Ensemble) -> Iterator[Tensor]:
    """Positions in the training set of each member's batches, (member, pattern), without end."""
    members, size = ensemble.train.shape
    fixed = ensemble.config.batch_order == "fixed" or ensemble.batch_size == size
    order = torch.arange(size).expand(members, size)
    epoch = 0
    while True:
        if not fixed:
            order = torch.tensor(batches.orders(ensemble.batch_keys, epoch, size))
        yield from order.split(ensemble.batch_size, dim=1)
        epoch += 1


def noises(ensemble: Ensemble) -> Iterator[Sequence[Tensor]]:
    """Noise of each hidden layer in each batch, (member, pattern, unit), without end; or none.

    A member's stream begins anew in every epoch, at the epoch's place.
    """
    config, size = ensemble.config, ensemble.train.shape[1]
    if not config.noise:
        yield from itertools.repeat(())
    for epoch in itertools.count():
        streams = [stream(config.seed, "noise", k, epoch) for k in ensemble.members]
        for begin in range(0, size, ensemble.batch_size):
            shape = min(ensemble.batch_size, size - begin), sum(config.widths)
            z = np.stack([rng.standard_normal(shape, ensemble.x.dtype) for rng in streams])
            yield torch.tensor(config.noise * z, device=config.device).split(config.widths, -1)


def sgd(ensemble: Ensemble) -> Update:
    """V <- momentum v + g, theta <- theta - rate v, with g + decay theta for g."""
    config = ensemble.config
    velocity: Tensor | None = None

    def update(parameters: Tensor, gradient: Tensor) -> Tensor:
        nonlocal velocity
        g = gradient + config.weight_decay * parameters
        velocity = g if velocity is None else config.momentum * velocity + g
        return parameters - config.learning_rate * velocity

    return update


def adam(ensemble: Ensemble) -> Update:
    """Kingma & Ba 2015, algorithm 1, with g + decay theta for g."""
    config = ensemble.config
    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8
    m: Tensor | float = 0.0
    v: Tensor | float = 0.0
    step = 0

    def update(parameters: Tensor, gradient: Tensor) -> Tensor:
        nonlocal m, v, step
        step += 1
        g = gradient + config.weight_decay * parameters
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**step), v / (1 - beta_2**step)
        return parameters - config.learning_rate * m_hat / (v_hat**0.5 + epsilon)

    return update


def langevin(ensemble: Ensemble) -> Update:
    """Theta <- theta - rate (g + decay theta) + sqrt(2 rate temperature) xi."""
    config = ensemble.config
    spread = (2 * config.learning_rate * config.temperature) ** 0.5
    step = 0

    def update(parameters: Tensor, gradient: Tensor) -> Tensor:
        nonlocal step
        xi = normals(ensemble.langevin_keys, step, parameters.shape[1], config.dtype)
        step += 1
        g = gradient + config.weight_decay * parameters
        noise = spread * torch.tensor(xi, device=parameters.device)
        return parameters - config.learning_rate * g + noise

    return update


OPTIMIZERS: dict[str, Callable[[Ensemble], Update]] = {
    "sgd": sgd,
    "adam": adam,
    "langevin": langevin,
}
