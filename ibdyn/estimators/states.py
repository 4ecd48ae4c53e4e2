"""Exact information of states that are equal or not: floating-point numbers, or rounded ones.

A deterministic network on a finite X makes T a function of X, so I(X;T) = H(T) over the distinct
states of T. Of plain floating-point states that is log2(patterns) nearly always; it moves where
states collide, and in networks that quantise their own activations, where it is the exact
information of Lorenzen, Igel & Nielsen 2022. Noise model: none.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .protocol import Estimates, Limits, Meaning, World


@dataclass(frozen=True)
class Exact:
    """The distinct states of a layer, as the floating-point numbers that they are.

    The data processing inequality holds from layer to layer, since each state decides the next.
    """

    over_run: ClassVar[bool] = False
    family: ClassVar[str] = "exact"
    forms: ClassVar[tuple[str, ...]] = ("exact",)
    name: ClassVar[str] = "exact"

    @classmethod
    def from_name(cls, name: str) -> "Exact":
        """Read a name back; ValueError with the forms there are if it is none."""
        if name != "exact":
            raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")
        return cls()

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        return Meaning("I_exact", "information of the state of T", "none", "equal or not")

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """Exact information of the states, and how many hold a pattern: see `Estimator`."""
        from .counting import cell_information

        cells = self.cells(activations, limits)
        return cell_information(cells, world.p_x, world.p_y_given_x, world.in_train)

    def cells(self, activations: NDArray, limits: Limits) -> NDArray[np.int32]:
        """State of each pattern, numbered by first appearance: see `CellEstimator`."""
        from .digits import STATES, layer_cells

        return layer_cells(activations, STATES)


@dataclass(frozen=True)
class Quantised:
    """Every unit rounded to the nearest of 2^bits levels between the activation's limits.

    The outer levels are the limits themselves, or the layer's extremes at each epoch where the
    activation has none. In a network that runs on unrounded activations these are cells like any
    other: a rounded state does not decide the next one. ValueError unless there are 1 to 24 bits.
    """

    bits: int

    over_run: ClassVar[bool] = False
    family: ClassVar[str] = "quantised"
    forms: ClassVar[tuple[str, ...]] = ("quantised-BITS",)

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 24:
            raise ValueError(
                f"quantised has {self.bits} bits, expected 1 to 24 (beyond, exact tells as much "
                "of float32)"
            )

    @property
    def name(self) -> str:
        """The estimator's name."""
        return f"quantised-{self.bits}"

    @classmethod
    def from_name(cls, name: str) -> "Quantised":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(r"quantised-(\d+)", name):
            return cls(int(found[1]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        return Meaning(
            "I_quantised",
            "information of T rounded",
            "none",
            f"{2**self.bits} levels between the limits of the activation, or between the extremes "
            "of layer and epoch where it has none, each unit",
        )

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """Exact information of the rounded states, and how many hold a pattern: see `Estimator`."""
        from .counting import cell_information

        cells = self.cells(activations, limits)
        return cell_information(cells, world.p_x, world.p_y_given_x, world.in_train)

    def cells(self, activations: NDArray, limits: Limits) -> NDArray[np.int32]:
        """Rounded state of each pattern, numbered by first appearance: see `CellEstimator`."""
        from .digits import LEVELS, layer_cells

        low, high = limits
        bounded = np.isfinite(np.subtract(high, low)).all()
        low, high = (low, high) if bounded else (np.nan, np.nan)
        return layer_cells(activations, LEVELS, count=2**self.bits, low=low, high=high)
