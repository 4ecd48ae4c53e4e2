"""Trained layers beside the information bottleneck: the limit, and what a finite sample leaves."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from theory.fitting import mean_interval

from .marks import layer_colours, layer_label, layer_markers
from .planes import choose_estimator, draw_curve, information_labels

RED = "#c1272d"


def bottleneck(
    run: xr.Dataset,
    curve: xr.Dataset,
    *,
    red: xr.Dataset | None = None,
    estimator: str | None = None,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """The last recorded layers on the plane with the bottleneck limit; the second Axes zooms in.

    ``curve`` is the limit (`theory.bottleneck.curve`), in black; ``red`` the worst case that a
    finite sample leaves of it (`theory.finite_sample.red_curve`), whose optimum is a diamond: the
    output's distance from it is Delta C along I(X;T) and Delta G along I(T;Y). Marks are means
    over members with their 95 % intervals.
    """
    run = choose_estimator(run, estimator).isel(step=-1)
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    ceiling, most = np.log2(run.sizes["pattern"]), run.attrs["task_information"]
    output = mean_interval(run.information_input).sel(layer="output")["mean"]
    widths = (1.03 * ceiling, 1.6 * max(float(output), float(curve.information_input.max())))
    for ax, width in zip(axes, widths, strict=True):
        ax.set(xlim=(-0.02 * width, width), ylim=(-0.03, 1.09 * most))
        ax.axhline(most, color="0.6", linestyle=":", linewidth=1, zorder=0)
        draw_curve(ax, curve, color="black", linewidth=1.6, label="bottleneck limit")
        if red is not None:
            what = f"finite sample, m = {red.attrs['samples']}, {red.attrs['mode']}"
            at = red.sortby("information_input")
            ax.plot(
                at.information_input, at.information_label, color=RED, linewidth=1.6, label=what
            )
        _draw_layers(run, ax, width)
        ax.set(**information_labels(run))
    if red is not None:
        _mark_gaps(run, red, axes[-1])
    axes[0].legend(fontsize="small", loc="lower right")
    axes[0].set_title(f"epoch {run.epoch.item():g}, {run.sizes['member']} members")
    axes[-1].set_title("near the limit")
    return axes


def _draw_layers(run: xr.Dataset, ax: Axes, width: float) -> None:
    x, y = mean_interval(run.information_input), mean_interval(run.information_label)
    for colour, marker, layer in zip(
        layer_colours(run), layer_markers(run), run.layer.values, strict=True
    ):
        across, up = x.sel(layer=layer), y.sel(layer=layer)
        if across["mean"] > width:
            continue
        ax.errorbar(
            across["mean"],
            up["mean"],
            xerr=across["high"] - across["mean"],
            yerr=up["high"] - up["mean"],
            fmt=marker,
            color=colour,
            ecolor="0.35",
            elinewidth=0.8,
            label=layer_label(run, layer),
            zorder=3,
        )


def _mark_gaps(run: xr.Dataset, red: xr.Dataset, ax: Axes) -> None:
    """Delta C and Delta G, from the optimum of the red curve to the network's output."""
    best_x, best_y = float(red.optimal_information_input), float(red.optimal_information_label)
    x, y = (
        float(mean_interval(run[name]).sel(layer="output")["mean"])
        for name in ("information_input", "information_label")
    )
    ax.plot(best_x, best_y, "D", color=RED, markersize=8, markeredgecolor="white", zorder=4)
    arrow = {"arrowstyle": "->", "color": RED, "shrinkA": 0, "shrinkB": 0}
    for name, tail, head, side in (
        (r"$\Delta C$", (best_x, best_y), (x, best_y), (0, 6)),
        (r"$\Delta G$", (x, best_y), (x, y), (16, 0)),
    ):
        ax.annotate("", xy=head, xytext=tail, arrowprops=arrow, zorder=4)
        middle = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
        ax.annotate(name, middle, xytext=side, textcoords="offset points", color=RED, ha="center")
