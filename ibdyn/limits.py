"""Trained layers beside the information bottleneck: the limit, and what a finite sample leaves."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from theory.fitting import mean_interval

from .marks import crosses, layer_colours, layer_label, layer_markers
from .planes import choose_estimator, draw_curve, information_labels

RED = "#c1272d"


def bottleneck(
    run: xr.Dataset,
    limit: xr.Dataset,
    *,
    red: xr.Dataset | None = None,
    estimator: str | None = None,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """The last recorded layers on the plane with the bottleneck limit; the second Axes zooms in.

    ``limit`` is a bottleneck curve of the task (`theory.bottleneck.curve`), in black; ``red`` the
    worst case that a finite sample leaves of it (`theory.finite_sample.red_curve`), whose optimum
    is a diamond: the output's distance from it is Delta C along I(X;T) and Delta G along I(T;Y).
    Marks are means over members with their 95 % intervals. ValueError for an unknown ``estimator``;
    it is the record's first unless given.
    """
    run = choose_estimator(run, estimator).isel(step=-1)
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    ceiling, most = np.log2(run.sizes["pattern"]), run.attrs["task_information"]
    axes[0].set(xlim=(-0.02 * ceiling, 1.03 * ceiling), ylim=(-0.03 * most, 1.09 * most))
    axes[1].set(**_near_the_limit(run, limit, red))
    for ax in axes:
        ax.axhline(most, color="0.6", linestyle=":", linewidth=1, zorder=0)
        draw_curve(ax, limit, color="black", linewidth=1.6, label="bottleneck limit")
        if red is not None:
            what = f"finite sample, m = {red.attrs['samples']}, {red.attrs['mode']}"
            x, y = (
                red.sortby("information_input")[f"information_{of}"] for of in ("input", "label")
            )
            ax.plot(x, y, color=RED, linewidth=1.6, label=what)
        _draw_layers(run, ax)
        ax.set(**information_labels(run))
    if red is not None:
        _mark_gaps(run, red, axes[-1])
    axes[0].legend(fontsize="small", loc="lower right")
    axes[0].set_title(f"epoch {run.epoch.item():g}, {run.sizes['member']} members")
    axes[-1].set_title("near the limit")
    return axes


def _near_the_limit(
    run: xr.Dataset, limit: xr.Dataset, red: xr.Dataset | None
) -> dict[str, tuple[float, float]]:
    """Limits of the axes around the corner of the curve and the network's output."""
    output = run.sel(layer="output")
    x = [output.information_input.mean().item(), limit.information_input.max().item()]
    y = [output.information_label.mean().item(), run.attrs["task_information"]]
    if red is not None:
        x.append(red.optimal_information_input.item())
        y.append(red.optimal_information_label.item())
    wide, high = max(x) - min(x), max(y) - min(y)
    return {
        "xlim": (min(x) - 0.6 * wide, max(x) + 0.3 * wide),
        "ylim": (min(y) - 0.6 * high, max(y) + 0.25 * high),
    }


def _draw_layers(run: xr.Dataset, ax: Axes) -> None:
    x, y = mean_interval(run.information_input), mean_interval(run.information_label)
    for colour, marker, layer in zip(
        layer_colours(run), layer_markers(run), run.layer.values, strict=True
    ):
        across, up = x.sel(layer=layer), y.sel(layer=layer)
        if not ax.get_xlim()[0] < across["mean"] < ax.get_xlim()[1]:
            continue
        crosses(
            ax,
            across,
            up,
            fmt=marker,
            color=colour,
            markeredgecolor="0.3",
            markeredgewidth=0.5,
            ecolor="0.35",
            label=layer_label(run, layer),
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
