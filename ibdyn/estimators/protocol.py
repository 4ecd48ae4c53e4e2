"""What the probes ask of an estimator, and what they tell it."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class World(NamedTuple):
    """What is known of the patterns.

    ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label) are their exact distribution,
    ``in_train`` (member, pattern) says which a member trained on.
    """

    p_x: NDArray[np.float64]
    p_y_given_x: NDArray[np.float64]
    in_train: NDArray[np.bool_]


class Estimator(Protocol):
    """Activations in, bits out."""

    @property
    def name(self) -> str:
        """All parameters, as one word."""

    def information(
        self, activations: NDArray, limits: tuple[float, float], world: World
    ) -> NDArray[np.float64]:
        """I(X;T), I(T;Y) in bits, occupied cells, those with a training pattern: (member, 4).

        ``activations`` (member, pattern, unit) of one layer, ``limits`` those of its activation
        function. NaN for a member whose activations are not finite, and where there are no cells.
        """


@runtime_checkable
class CellEstimator(Estimator, Protocol):
    """An estimator that sorts the patterns into cells."""

    def cells(self, activations: NDArray, limits: tuple[float, float]) -> NDArray[np.int32]:
        """Cells (member, pattern) of activations (member, pattern, unit)."""
