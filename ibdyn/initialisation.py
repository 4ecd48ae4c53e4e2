"""Initial parameters of each member, from its own stream."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from .architecture import Architecture
from .config import InitConfig
from .seeding import stream


def initial_parameters(
    architecture: Architecture, init: InitConfig, seed: int, members: Sequence[int]
) -> NDArray[np.float64]:
    """Weights normal with sigma = 1/sqrt(fan), biases 0: shape (member, parameter).

    A normal redrawn until it lies within 2 sigma is the inverse of its distribution function at a
    uniform number between the two limits, so one draw a weight is enough.
    """
    parameters = np.zeros((len(members), architecture.parameters))
    for row, member in zip(parameters, members, strict=True):
        rng = stream(seed, "weights", member)
        for layer in architecture.layers:
            fan = layer.fan_in if init.scale == "fan_in" else layer.width
            size = layer.width * layer.fan_in
            if init.distribution == "truncated_normal":
                z = ndtri(rng.uniform(ndtr(-2), ndtr(2), size))
            else:
                z = rng.standard_normal(size)
            row[layer.weights] = z / np.sqrt(fan)
    return parameters
