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

from .protocol import UNSIGNED, Estimates, Limits, Meaning, World, number

POLICIES = ("range", "fixed", "width", "extremes", "unit", "run", "quantiles", "published")

_SIGNED = rf"([-+]?{UNSIGNED})"


@dataclass(frozen=True, repr=False)
class Binned:
    """Cells of one policy, for every unit of a layer.

    range: ``count`` equal cells between the limits of the activation (-1 and 1 for tanh), or,
        where it has none, between the layer's extremes at each epoch.
    fixed: ``count`` equal cells from ``low`` to ``high``, and an overflow cell at either side.
    width: cells [k width, (k + 1) width), without end (Saxe et al. 2018).
    extremes: ``count`` equal cells between the layer's least and greatest value at each epoch.
    unit: the same, between the extremes of each unit for itself.
    run: the same, between the layer's extremes over all recorded epochs of the run (Saxe et al.
        2018 for ReLU), so it is measured when the run is over, where parameters were kept.
    quantiles: cells with equal counts of the layer's distinct values at each epoch, edges midway
        between neighbours (Chelombiev, Houghton & O'Donnell 2019); equal values share a cell.
    published: the code released with Shwartz-Ziv & Tishby 2017, to be compared with its results:
        ``count`` float32 edges linspace(-1, 1, count), so one cell less; an activation of exactly
        1 has a cell to itself, which one below -1 shares.

    The value at the upper end of range, fixed, extremes, unit and run belongs to the last cell.

    ValueError for an unknown policy, a parameter that it does not take, or one without meaning.
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
        "binned-unit-COUNT",
        "binned-run-COUNT",
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
            return f"binned-fixed-{self.count}:{number(self.low)}:{number(self.high)}"
        return f"binned-{self.policy}-{self.count or number(self.width)}"

    @classmethod
    def from_name(cls, name: str) -> "Binned":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(rf"binned-fixed-(\d+):{_SIGNED}:{_SIGNED}", name):
            count, low, high = found.groups()
            return cls("fixed", count=int(count), low=float(low), high=float(high))
        if found := re.fullmatch(rf"binned-width-{_SIGNED}", name):
            return cls("width", width=float(found[1]))
        if found := re.fullmatch(
            r"binned-(range|extremes|unit|run|quantiles|published)-(\d+)", name
        ):
            return cls(found[1], count=int(found[2]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def over_run(self) -> bool:
        """Whether the limits that it takes are the layer's extremes over the whole run."""
        return self.policy == "run"

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        cells = {
            "range": f"{self.count} equal cells between the limits of the activation, or between "
            "the extremes of layer and epoch where it has none",
            "fixed": f"{self.count} equal cells from {number(self.low)} to {number(self.high)}",
            "width": f"cells of width {number(self.width)}",
            "extremes": f"{self.count} equal cells between the extremes of layer and epoch",
            "unit": f"{self.count} equal cells between the extremes of unit and epoch",
            "run": f"{self.count} equal cells between the extremes of the layer over the run",
            "quantiles": f"{self.count} cells of equally many distinct values",
            "published": f"{self.count - 1} equal cells from -1 to 1, as published",
        }[self.policy]
        return Meaning(
            "I_binned",
            "information of the cell of T, not of T itself",
            "none",
            f"{cells}, each unit",
        )

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """Exact information of the cells, and how many hold a pattern: see `Estimator`."""
        from .counting import cell_information

        cells = self.cells(activations, limits)
        return cell_information(cells, world.p_x, world.p_y_given_x, world.in_train)

    def cells(self, activations: NDArray, limits: Limits) -> NDArray[np.int32]:
        """Cell of each pattern: (member, pattern, unit) -> (member, pattern).

        ``limits`` are the least and greatest value of the activation function, or of the layer
        over the run. Cells are numbered by first appearance; a member whose activations are not
        finite is -1 throughout.
        """
        # Compiled code is imported where it runs, so that naming an estimator stays quick.
        from .digits import EDGES, EQUAL, PER_UNIT, QUANTILES, WIDTH, layer_cells

        if self.policy == "width":
            return layer_cells(activations, WIDTH, width=self.width)
        if self.policy == "unit":
            return layer_cells(activations, PER_UNIT, count=self.count)
        if self.policy == "quantiles":
            return layer_cells(activations, QUANTILES, count=self.count)
        if self.policy == "published":
            edges = np.linspace(-1, 1, self.count, dtype=np.float32).astype(np.float64)
            wrapped = np.where(activations < edges[0], edges[-1], activations)
            return layer_cells(wrapped, EDGES, edges=edges)
        low, high = (self.low, self.high) if self.policy == "fixed" else limits
        bounded = self.policy != "extremes" and (self.over_run or np.isfinite(high - low))
        low, high = (low, high) if bounded else (np.nan, np.nan)
        return layer_cells(activations, EQUAL, count=self.count, low=low, high=high)
