"""What the probes ask of an estimator, and what they tell it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Found = TypeVar("Found")
Estimates = Mapping[str, Floats]
# Least and greatest value of a layer, one for all members or one for each.
Limits = tuple[float, float] | tuple[Floats, Floats]


class Meaning(NamedTuple):
    """What an estimator's number means, for axes, legends and tables.

    ``symbol`` stands where a reader would see I ("I_binned"), ``long_name`` says what is measured,
    ``noise_model`` which noise T carries in it, ``resolution`` which differences count.
    """

    symbol: str
    long_name: str
    noise_model: str
    resolution: str


class LinearMap(NamedTuple):
    """A layer T = weights x, up to a constant, of the population x ~ N(0, covariance).

    ``weights`` (member, unit, input), ``covariance`` (input, input); the label of the population
    is y = teacher . x + noise of variance ``teacher_variance``, ``teacher`` (input,).
    """

    weights: Floats
    covariance: Floats
    teacher: Floats
    teacher_variance: float


def _unknown(*_: object) -> NoReturn:
    raise ValueError("these activations come without networks, so there is nothing to run again")


@dataclass(frozen=True)
class World:
    """What is known of the patterns and of the networks around one layer.

    ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label) are the exact distribution,
    ``in_train`` (member, pattern) says which a member trained on. ``generators()`` gives a fresh
    generator for each member, the same at each call; ``paths(count)`` the layer's centres before
    its own noise in ``count`` noisy passes, (member, path, pattern, unit), and ``noise_variance``
    that noise. ``linear()`` is the layer as a linear map of a Gaussian population; ValueError
    where it is none. ``found`` holds what `once` has computed.
    """

    p_x: Floats
    p_y_given_x: Floats
    in_train: NDArray[np.bool_]
    generators: Callable[[], Sequence[np.random.Generator]] = _unknown
    paths: Callable[[int], NDArray] = _unknown
    noise_variance: float = 0.0
    linear: Callable[[], LinearMap] = _unknown
    found: dict[object, Any] = field(default_factory=dict)

    def once(self, key: object, compute: Callable[[], Found]) -> Found:
        """What ``compute`` gives, computed once for all estimators of the layer."""
        if key not in self.found:
            self.found[key] = compute()
        return self.found[key]


class Estimator(Protocol):
    """Activations in, bits out."""

    @property
    def name(self) -> str:
        """All parameters, as one word."""

    @property
    def meaning(self) -> Meaning:
        """What the number means."""

    @property
    def over_run(self) -> bool:
        """Whether it is measured when the run is over, with the layer's extremes over the run."""

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """Estimates by name, each of shape (member,).

        "information_input" I(X;T) and "information_label" I(T;Y), in bits; of one that sorts into
        cells "occupied_cells" and "occupied_cells_train"; of one that draws
        "information_input_stderr" and "information_label_stderr".

        ``activations`` (member, pattern, unit) of one layer, ``limits`` those of its activation
        function, or (member,) those of the run. NaN for a member whose activations are not finite.
        """


@runtime_checkable
class CellEstimator(Estimator, Protocol):
    """An estimator that sorts the patterns into cells."""

    def cells(self, activations: NDArray, limits: Limits) -> NDArray[np.int32]:
        """Cells (member, pattern) of activations (member, pattern, unit)."""


# What `number` writes of one that is not below 0, as a regular expression.
UNSIGNED = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"


def number(value: float) -> str:
    """Shortest text that reads back as the same number: 0.07, -1, 1e-05."""
    return repr(float(value)).removesuffix(".0")
