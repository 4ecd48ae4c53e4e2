"""The figure of the known answers: estimates against the truth, case by case."""

import re
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Panel(NamedTuple):
    """What a case's panel says of its parameter."""

    title: str
    parameter: str
    scale: str


PANELS = {
    "two points": Panel("two points in noise", "distance [standard deviation of noise]", "linear"),
    "cube": Panel("corners of a cube in noise", "number of dimensions", "linear"),
    "Gaussian pair": Panel("Gaussian pair", "correlation", "linear"),
    "linear layer": Panel("linear layer of Gaussians", "variance of noise [1]", "log"),
    "tanh unit": Panel("cells of tanh(w x)", "weight w [1]", "log"),
    "ReLU unit": Panel("cells of max(w x, 0)", "weight w [1]", "log"),
}
# Bounds point to the side of the truth; estimates share the colours left, in order.
BOUNDS = {"lower bound": ("^", "#0072b2"), "upper bound": ("v", "#d55e00")}
ESTIMATES = (("o", "#009e73"), ("s", "#cc79a7"))


def draw(answers: xr.Dataset) -> Figure:
    """A panel for each case of a table of `known_answers`, the differences from the truth below.

    The truth is a line, error bars are standard errors, and triangles are bounds, which point to
    the side of the truth; differences of bounds are left out, being as large as the panel shows.
    """
    cases = list(dict.fromkeys(answers.case.values.tolist()))
    columns = min(3, len(cases))
    lines = -(-len(cases) // columns)
    figure, axes = plt.subplots(
        2 * lines,
        columns,
        figsize=(4.4 * columns, 5.2 * lines),
        height_ratios=[2.6, 1] * lines,
        sharex="none",
        layout="constrained",
        squeeze=False,
    )
    places = list(zip(axes[::2].flat, axes[1::2].flat, strict=True))
    for upper, lower in places[len(cases) :]:
        upper.remove()
        lower.remove()
    for case, (upper, lower) in zip(cases, places, strict=False):
        _draw_case(
            PANELS[case], answers.isel(row=np.flatnonzero(answers.case == case)), upper, lower
        )
    figure.align_ylabels()
    return figure


def _draw_case(panel: Panel, rows: xr.Dataset, upper: Axes, lower: Axes) -> None:
    at, first = np.unique(rows.parameter, return_index=True)
    upper.plot(at, rows.truth[first], color="black", linewidth=1.2, label="truth", zorder=1)
    lower.axhline(0, color="black", linewidth=1.2, zorder=1)
    estimates = iter(ESTIMATES)
    for name in dict.fromkeys(rows.estimator.values.tolist()):
        one = rows.isel(row=np.flatnonzero(rows.estimator == name))
        kind = str(one.kind.values[0])
        marker, colour = BOUNDS[kind] if kind in BOUNDS else next(estimates)
        style = {
            "yerr": one.standard_error.fillna(0),
            "fmt": marker,
            "color": colour,
            "markerfacecolor": "none",
            "capsize": 2.5,
            "linewidth": 1.2,
        }
        upper.errorbar(one.parameter, one.estimate, label=_label(name, kind), **style)
        if kind == "estimate":
            lower.errorbar(one.parameter, one.estimate - one.truth, **style)
    upper.set(title=panel.title, ylabel="information [bit]", xscale=panel.scale)
    upper.tick_params(labelbottom=False)
    upper.margins(y=0.08)
    # Room for the legend above the points.
    low, high = upper.get_ylim()
    upper.set_ylim(low, high + 0.4 * (high - low))
    upper.legend(fontsize="small", loc="upper left")
    lower.set(xlabel=panel.parameter, ylabel="difference [bit]", xscale=panel.scale)
    lower.set_xlim(upper.get_xlim())


def _label(name: str, kind: str) -> str:
    """The estimator's name with short numbers, and its kind where the name does not tell."""
    short = re.sub(r"\d\.\d{5,}", lambda found: f"{float(found[0]):.3g}", name)
    told = kind == "estimate" or kind.removesuffix(" bound") in short
    return short if told else f"{short}, {kind}"
