"""What all figures share: labels, a palette and markers of layers, intervals, hollow marks."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from theory.fitting import mean_interval

MARKERS = "osD^vP*X<>"


def axis_label(variable: xr.DataArray) -> str:
    """Long name and units of a variable, as an axis says them."""
    units = variable.attrs.get("units", "1")
    name = variable.attrs.get("long_name", str(variable.name))
    return name if units == "1" else f"{name} [{units}]"


def layer_colours(run: xr.Dataset) -> list[tuple[float, float, float, float]]:
    """A colour for each layer, from dark next to the input to light at the output."""
    return [tuple(c) for c in mpl.colormaps["viridis"](np.linspace(0, 0.92, run.sizes["layer"]))]


def layer_label(run: xr.Dataset, layer: str) -> str:
    """Name and width of a layer, for legends."""
    return f"{layer} ({run.width.sel(layer=layer).item()} units)"


def layer_markers(run: xr.Dataset) -> list[str]:
    """A marker for each layer."""
    return [MARKERS[i % len(MARKERS)] for i in range(run.sizes["layer"])]


def geometric_interval(values: xr.DataArray) -> xr.Dataset:
    """Geometric mean over ``member`` of what is positive, as `theory.fitting.mean_interval`."""
    return xr.ufuncs.exp(mean_interval(xr.ufuncs.log(values.where(values > 0))))


def crosses(ax: Axes, across: xr.Dataset, up: xr.Dataset, **style: Any) -> None:
    """Draw the intervals of both coordinates, each from `mean_interval`, through their means."""
    ax.errorbar(
        across["mean"],
        up["mean"],
        xerr=across["high"] - across["mean"],
        yerr=up["high"] - up["mean"],
        elinewidth=0.8,
        zorder=3,
        **style,
    )


def say_members(run: xr.Dataset, ax: Axes) -> None:
    """Write into the Axes that a single member has no intervals."""
    if run.sizes["member"] < 2:
        ax.text(
            0.01,
            0.99,
            "one member: no intervals",
            fontsize="x-small",
            color="0.4",
            ha="left",
            va="top",
            transform=ax.transAxes,
        )


def tells_more(run: xr.Dataset) -> xr.DataArray:
    """False where no member's estimate lies below the ceiling, but some were measured."""
    return (run.resolved == 1).any("member") | run.resolved.isnull().all("member")


def hollow_entry(told: xr.DataArray) -> list[Artist]:
    """The legend's line for hollow marks, if there are any: ``told`` is False where marks are."""
    if bool(told.all()):
        return []
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=5,
            markerfacecolor="white",
            markeredgecolor="0.3",
            label="hollow: all patterns apart",
        )
    ]


def faces(colour: object, told: NDArray[np.bool_]) -> list[object]:
    """Face colours of marks: hollow where an estimate only tells all patterns apart."""
    return [colour if one else "white" for one in told]
