"""Where the training of an ensemble stands: all that the next step depends on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class State:
    """Parameters and optimiser of an ensemble after ``step`` steps; engines move it on in place.

    All three arrays are (member, parameter). Batches and noise are addressed by their place, so
    the step is also the position of every random stream.
    """

    parameters: Any  # NDArray, or a Tensor inside the torch engine
    first: Any  # velocity of SGD, first moment of Adam
    second: Any  # second moment of Adam
    step: int = 0

    @classmethod
    def initial(cls, parameters: NDArray) -> "State":
        """Step 0 at a copy of ``parameters``."""
        theta = np.array(parameters, order="C")
        return cls(theta, np.zeros_like(theta), np.zeros_like(theta))
