"""The forward pass of an ensemble of networks to the loss of each pattern, member axis first."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional

from .architecture import Architecture

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda z: z,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "softmax": lambda z: torch.softmax(z, -1),
}


def forward(
    architecture: Architecture,
    parameters: Tensor,
    x: Tensor,
    *,
    noise: Sequence[Tensor] = (),
    bits: int | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Pre-activations z_l = a_{l-1} W_l^T + b_l and activations a_l = f(z_l) of every layer.

    ``parameters`` (member, parameter), ``x`` (pattern, input) or (member, pattern, input); each
    result is (member, pattern, unit), from the first hidden layer to the output. Of each hidden
    layer, ``noise`` (member, pattern, unit) is added to a_l. With ``bits``, weights and hidden a_l
    are `quantised`.
    """
    members = len(parameters)
    a = x.expand(members, *x.shape[-2:])
    zs, activations = [], []
    for layer, added in zip_longest(architecture.layers, noise):
        w = parameters[:, layer.weights].view(members, layer.width, layer.fan_in)
        if bits is not None:
            w = quantised(w, bits)
        b = parameters[:, layer.biases]
        z = torch.baddbmm(b[:, None, :], a, w.transpose(1, 2))
        a = ACTIVATIONS[layer.activation](z)
        if bits is not None and layer is not architecture.layers[-1]:
            a = quantised(a, bits)
        if added is not None:
            a = a + added
        zs.append(z)
        activations.append(a)
    return zs, activations


def quantised(t: Tensor, bits: int) -> Tensor:
    """``t`` (member, row, column) at the nearest of 2^bits levels between a member's extremes.

    The gradient passes straight through, as if nothing had been rounded (Lorenzen, Igel & Nielsen
    2022). The precision of ``t`` bounds what is rounded: float32 tells 24 bits apart.
    """
    plain = t.detach()
    low, high = plain.amin((1, 2), keepdim=True), plain.amax((1, 2), keepdim=True)
    step = (high - low) / (2**bits - 1)
    step = torch.where(step > 0, step, 1)
    return t + (low + torch.round((plain - low) / step) * step - plain)


def sample_loss(
    architecture: Architecture, z: Tensor, target: Tensor, variance: float = 1.0
) -> Tensor:
    """Cross-entropy of each pattern, in nats, from the output's pre-activations.

    ``z`` and ``target`` are (member, pattern, output unit); the result is (member, pattern).
    Its gradient with respect to z is output minus target, for softmax and sigmoid alike. For a
    linear output it is -ln N(target; z, variance), with the gradient (z - target) / variance.
    """
    if architecture.output == "linear":
        return ((target - z) ** 2 / (2 * variance) + log(2 * pi * variance) / 2).sum(-1)
    if architecture.output == "softmax":
        return -(target * torch.log_softmax(z, -1)).sum(-1)
    return functional.binary_cross_entropy_with_logits(z, target, reduction="none").sum(-1)
