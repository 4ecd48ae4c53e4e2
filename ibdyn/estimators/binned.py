"""Binned information: activations sorted into cells, and the exact information of the cells.

What this measures, I_binned = H(cell of T), is how far the patterns cluster at the resolution of
the cells. It is no estimate of the information of the real-valued T, which keeps every pattern
apart. Noise model: none; the resolution is the cell.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .protocol import World

POLICIES = ("range", "fixed", "width", "extremes", "quantiles", "published")


_NUMBER = r"([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)"


@dataclass(frozen=True, repr=False)
class Binned:
    """Cells of one policy, applied to every unit of a layer alike.

    range: ``count`` equal cells between the limits of the activation (-1 and 1 for tanh), or,
        where it has none, between the layer's extremes at each epoch.
    fixed: ``count`` equal cells from ``low`` to ``high``, and an overflow cell at either side.
    width: cells [k width, (k + 1) width), without end (Saxe et al. 2018).
    extremes: ``count`` equal cells between the layer's least and greatest value at each epoch.
    quantiles: cells with equal counts of the layer's distinct values at each epoch, edges midway
        between neighbours (Chelombiev, Houghton & O'Donnell 2019); equal values share a cell.
    published: the code released with Shwartz-Ziv & Tishby 2017, to be compared with its results:
        ``count`` float32 edges linspace(-1, 1, count), so one cell less; an activation of exactly
        1 has a cell to itself, which one below -1 shares.

    The value at the upper end of range, fixed and extremes belongs to the last cell.
    """

    policy: str
    count: int = 0
    width: float = 0.0
    low: float = 0.0
    high: float = 0.0

    family: ClassVar[str] = "binned"
    forms: ClassVar[tuple[str, ...]] = (
        "binned-range-COUNT",
        "binned-fixed-COUNT:LOW:HIGH",
        "binned-width-WIDTH",
        "binned-extremes-COUNT",
        "binned-quantiles-COUNT",
        "binned-published-EDGES",
    )

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"binned policy {self.policy!r} is unknown, expected {POLICIES}")
        takes = {"fixed": ("count", "low", "high"), "width": ("width",)}.get(
            self.policy, ("count",)
        )
        foreign = [name for name, value in self._given() if name not in takes]
        if foreign:
            raise ValueError(f"binned {self.policy} takes {', '.join(takes)}, not {foreign}")
        if "count" in takes and self.count < 2:
            raise ValueError(f"binned {self.policy} has count {self.count}, expected at least 2")
        if "width" in takes and not self.width > 0:
            raise ValueError(f"binned width is {self.width}, expected more than 0")
        if "low" in takes and not self.low < self.high:
            raise ValueError(
                f"binned fixed has low {self.low}, expected less than high {self.high}"
            )

    def _given(self) -> list[tuple[str, float]]:
        names = ("count", "width", "low", "high")
        return [(name, getattr(self, name)) for name in names if getattr(self, name)]

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self._given())
        return f"Binned({self.policy!r}{given})"

    @property
    def name(self) -> str:
        """The estimator's name, with all its parameters."""
        if self.policy == "fixed":
            return f"binned-fixed-{self.count}:{_exact(self.low)}:{_exact(self.high)}"
        return f"binned-{self.policy}-{self.count or _exact(self.width)}"

    @classmethod
    def from_name(cls, name: str) -> "Binned":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(rf"binned-fixed-(\d+):{_NUMBER}:{_NUMBER}", name):
            count, low, high = found.groups()
            return cls("fixed", count=int(count), low=float(low), high=float(high))
        if found := re.fullmatch(rf"binned-width-{_NUMBER}", name):
            return cls("width", width=float(found[1]))
        if found := re.fullmatch(r"binned-(range|extremes|quantiles|published)-(\d+)", name):
            return cls(found[1], count=int(found[2]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def meaning(self) -> str:
        """What the number means, for axes and legends."""
        return f"I_binned ({self.name.removeprefix('binned-')})"

    def information(
        self, activations: NDArray, limits: tuple[float, float], world: World
    ) -> NDArray[np.float64]:
        """I(X;T), I(T;Y) in bits, occupied cells, those with a training pattern: (member, 4)."""
        from .counting import cell_information

        cells = self.cells(activations, limits)
        return cell_information(cells, world.p_x, world.p_y_given_x, world.in_train)

    def cells(self, activations: NDArray, limits: tuple[float, float]) -> NDArray[np.int32]:
        """Cell of each pattern: (member, pattern, unit) -> (member, pattern).

        ``limits`` are the least and greatest value of the activation function. Cells are numbered
        by first appearance; a member whose activations are not finite is -1 throughout.
        """
        # Compiled code is imported where it runs, so that naming an estimator stays quick.
        from .digits import EDGES, EQUAL, QUANTILES, WIDTH, layer_cells

        if self.policy == "width":
            return layer_cells(activations, WIDTH, width=self.width)
        if self.policy == "quantiles":
            return layer_cells(activations, QUANTILES, count=self.count)
        if self.policy == "published":
            edges = np.linspace(-1, 1, self.count, dtype=np.float32).astype(np.float64)
            wrapped = np.where(activations < edges[0], edges[-1], activations)
            return layer_cells(wrapped, EDGES, edges=edges)
        low, high = (self.low, self.high) if self.policy == "fixed" else limits
        if self.policy == "extremes" or not np.isfinite(high - low):
            low = high = np.nan
        return layer_cells(activations, EQUAL, count=self.count, low=low, high=high)


def _exact(number: float) -> str:
    """Shortest text that reads back as the same number: 0.07, -1, 1e-05."""
    return repr(float(number)).removesuffix(".0")
