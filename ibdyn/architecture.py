"""The shape of a fully connected network, and where each weight lies in its parameter vector.

The parameters of one network are one vector: for each layer in turn the weights, (width, fan_in)
row by row, then the biases, (width,).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Activation = Literal["tanh", "relu", "linear", "sigmoid", "softplus", "softsign"]
Output = Literal["softmax", "sigmoid", "linear"]

LIMITS: dict[str, tuple[float, float]] = {
    "tanh": (-1, 1),
    "relu": (0, np.inf),
    "linear": (-np.inf, np.inf),
    "sigmoid": (0, 1),
    "softplus": (0, np.inf),
    "softsign": (-1, 1),
    "softmax": (0, 1),
}


@dataclass(frozen=True)
class Layer:
    """One layer: units, inputs, and the first position of its weights in the vector.

    ``activation`` is the function that its units apply: the hidden one, or that of the output.
    """

    name: str
    width: int
    fan_in: int
    start: int
    activation: str

    @property
    def weights(self) -> slice:
        """Where the weights lie, (width, fan_in) row by row."""
        return slice(self.start, self.start + self.width * self.fan_in)

    @property
    def biases(self) -> slice:
        """Where the biases lie."""
        return slice(self.weights.stop, self.weights.stop + self.width)

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that a unit can take."""
        return LIMITS[self.activation]


@dataclass(frozen=True)
class Architecture:
    """Inputs, hidden widths and outputs; hidden activation and output function.

    A softmax output has one unit a label; a sigmoid output has one unit, p(y=1|t), and needs a
    task of two labels; a linear output has one unit, the mean of a real label, which counts as 0
    ``labels``. ValueError for an output that does not fit the labels.

    >>> [(layer.name, layer.width) for layer in Architecture(12, (10, 7), 2).layers]
    [('1', 10), ('2', 7), ('output', 2)]
    """

    inputs: int
    widths: tuple[int, ...]
    labels: int
    activation: Activation = "tanh"
    output: Output = "softmax"

    def __post_init__(self) -> None:
        if self.output == "linear" and self.labels:
            raise ValueError(
                f"output: linear is for a real label, the task has {self.labels} labels; "
                "use softmax"
            )
        if self.output != "linear" and not self.labels:
            raise ValueError(
                f"output: a {self.output} tells labels apart, the task has a real one; use linear"
            )
        if self.output == "sigmoid" and self.labels != 2:
            raise ValueError(
                f"output: a sigmoid tells 2 labels apart, the task has {self.labels}; use softmax"
            )

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """From the first hidden layer to the output."""
        outputs = self.labels if self.output == "softmax" else 1
        sizes = (self.inputs, *self.widths, outputs)
        layers: list[Layer] = []
        start = 0
        for depth, (fan_in, width) in enumerate(pairwise(sizes), 1):
            last = depth == len(sizes) - 1
            name, activation = ("output", self.output) if last else (str(depth), self.activation)
            layers.append(Layer(name, width, fan_in, start, activation))
            start += width * (fan_in + 1)
        return tuple(layers)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.layers[-1].biases.stop

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Inputs, hidden widths and output units, (layer + 1,): the ends of every weight matrix."""
        return np.array([self.inputs, *(layer.width for layer in self.layers)], dtype=np.int64)
