"""What all figures share: labels from the data, one palette and one marker for each layer."""

import matplotlib as mpl
import numpy as np
import xarray as xr

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
