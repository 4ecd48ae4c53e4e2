"""The information plane of a record: members at an epoch, paths in time, estimators side by side.

Dotted lines are the ceilings I(X;Y) and, of the information of patterns, log2(patterns); bars are
95 % intervals of the mean over members. Marks are hollow where an estimate is at log2(patterns):
there it only tells all patterns apart.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, SymLogNorm

from theory.fitting import mean_interval
from theory.limit import whole_curve

from .estimators import Gaussian
from .marks import (
    crosses,
    faces,
    hollow_entry,
    layer_colours,
    layer_label,
    layer_markers,
    say_members,
    tells_more,
)


def choose_estimator(run: xr.Dataset, estimator: str | None) -> xr.Dataset:
    """The record under one estimator, its first by default; ValueError if it has no such."""
    known = run.estimator.values.tolist()
    estimator = known[0] if estimator is None else estimator
    if estimator not in known:
        raise ValueError(f"estimator {estimator!r} is not in the record, expected one of {known}")
    return run.sel(estimator=estimator)


def _symbol(run: xr.Dataset) -> str:
    """What the chosen estimator calls information, set as mathematics."""
    symbol, _, kind = (str(run.symbol.item()) if "symbol" in run.coords else "I").partition("_")
    return rf"${symbol}_\mathrm{{{kind}}}$" if kind else symbol


def information_labels(run: xr.Dataset) -> dict[str, str]:
    """Labels of both axes, under the one estimator of ``run``."""
    return {
        "xlabel": f"encoder information {_symbol(run)}(X;T), {run.estimator.item()} [bit]",
        "ylabel": f"decoder information {_symbol(run)}(T;Y) [bit]",
    }


def _draw_limits(run: xr.Dataset, ax: Axes, limit: xr.Dataset | None) -> None:
    most = run.attrs["task_information"]
    ax.axhline(most, color="0.6", linestyle=":", linewidth=1, zorder=0)
    ax.set(ylim=(-0.03 * most, 1.06 * most))
    # Of a population, not of the patterns, information has no ceiling.
    if not str(run.estimator.item()).startswith(Gaussian.family):
        ceiling = np.log2(run.sizes["pattern"])
        ax.axvline(ceiling, color="0.6", linestyle=":", linewidth=1, zorder=0)
        ax.set(xlim=(-0.03 * ceiling, 1.03 * ceiling))
    if limit is not None:
        draw_curve(ax, limit, color="black", linewidth=1.2, label="bottleneck limit", zorder=1)


def draw_curve(ax: Axes, curve: xr.Dataset, **style: Any) -> None:
    """A bottleneck curve from the origin on, flat beyond its last point."""
    rates, relevance = whole_curve(curve)
    right = max(ax.get_xlim()[1], float(rates[-1]))
    ax.plot([*rates, right], [*relevance, relevance[-1]], **style)


def information_plane(
    run: xr.Dataset,
    *,
    epochs: Sequence[float] = (0, 400, 9000),
    estimator: str | None = None,
    limit: xr.Dataset | None = None,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """All members at a few epochs, the nearest recorded ones: one Axes each, layers by colour.

    ``limit`` is a bottleneck curve of the task, drawn below them. ValueError for an unknown
    ``estimator``; it is the record's first unless given.
    """
    run = choose_estimator(run, estimator)
    if axes is None:
        width = 1.2 + 3.6 * len(epochs)
        _, grid = plt.subplots(
            1, len(epochs), figsize=(width, 4), sharey=True, squeeze=False, layout="constrained"
        )
        axes = list(grid[0])
    labels = information_labels(run)
    shown = [int(np.abs(run.epoch.values - epoch).argmin()) for epoch in epochs]
    for ax, at in zip(axes, shown, strict=True):
        frame = run.isel(step=at)
        _draw_limits(run, ax, limit)
        for colour, marker, layer in zip(
            layer_colours(run), layer_markers(run), run.layer.values, strict=True
        ):
            one = frame.sel(layer=layer)
            told = (one.resolved != 0).values
            ax.scatter(
                one.information_input,
                one.information_label,
                facecolors=faces(colour, told),
                edgecolors=["white" if each else colour for each in told],
                marker=marker,
                s=26,
                alpha=0.8,
                linewidths=[0.3 if each else 0.8 for each in told],
                label=layer_label(run, layer),
            )
        ax.set(title=f"epoch {frame.epoch.item():g}", xlabel=labels["xlabel"])
    axes[0].set_ylabel(labels["ylabel"])
    count = run.sizes["member"]
    axes[-1].legend(
        handles=[
            *axes[-1].get_legend_handles_labels()[0],
            *hollow_entry(run.resolved.isel(step=shown) != 0),
        ],
        title="1 member" if count == 1 else f"{count} members",
        fontsize="small",
        loc="lower right",
    )
    return axes


def information_paths(
    run: xr.Dataset,
    *,
    estimator: str | None = None,
    limit: xr.Dataset | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Each layer's mean path through the information plane, with the epoch as colour.

    Crosses along the paths are 95 % intervals of both means; marks are hollow where no member lies
    below the ceiling log2(patterns). ``limit`` and ``estimator`` are those of `information_plane`.
    """
    run = choose_estimator(run, estimator)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    _draw_limits(run, ax, limit)
    x, y = mean_interval(run.information_input), mean_interval(run.information_label)
    told = tells_more(run)
    norm = SymLogNorm(10, vmin=0, vmax=max(10.0, float(run.epoch[-1])))
    colours = ListedColormap(mpl.colormaps["plasma"](np.linspace(0, 0.9, 256)))
    bars = np.unique(np.linspace(0, run.sizes["step"] - 1, 7).astype(int))
    for marker, layer in zip(layer_markers(run), run.layer.values, strict=True):
        across, up = x.sel(layer=layer), y.sel(layer=layer)
        ax.plot(across["mean"], up["mean"], color="0.75", linewidth=1, zorder=1)
        points = ax.scatter(
            across["mean"],
            up["mean"],
            c=run.epoch,
            norm=norm,
            cmap=colours,
            marker=marker,
            s=18,
            zorder=2,
        )
        lost = ~told.sel(layer=layer).values
        # A mark within the mark: its own face says the epoch.
        ax.scatter(
            across["mean"][lost], up["mean"][lost], color="white", marker=marker, s=5, zorder=2.5
        )
        crosses(ax, across.isel(step=bars), up.isel(step=bars), fmt="none", ecolor="0.35")
        end = float(across["mean"][-1]), float(up["mean"][-1])
        # Names are on the left of where paths end, and below of it at the left border.
        left = ax.transAxes.inverted().transform(ax.transData.transform(end))[0] > 0.17
        ax.annotate(
            str(layer),
            end,
            xytext=(-7, 4) if left else (0, -15),
            textcoords="offset points",
            ha="right" if left else "center",
            fontsize="small",
        )
    ax.set(**information_labels(run))
    if entry := hollow_entry(told):
        ax.legend(handles=entry, fontsize="small", loc="lower right")
    say_members(run, ax)
    ax.figure.colorbar(points, ax=ax, label="epoch")
    return ax


def estimator_planes(
    run: xr.Dataset, *, limit: xr.Dataset | None = None, axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """One plane for each estimator of the record: the mean path of every layer, by colour.

    A path ends in a large mark with its 95 % intervals. Marks are hollow where no member lies
    below the ceiling log2(patterns). ``limit`` is that of `information_plane`.
    """
    names = run.estimator.values.tolist()
    if axes is None:
        columns = min(len(names), 3)
        rows = -(-len(names) // columns)
        _, grid = plt.subplots(
            rows,
            columns,
            figsize=(1.6 + 3.3 * columns, 0.6 + 2.7 * rows),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for spare in grid.flat[len(names) :]:
            spare.set_visible(False)
        axes = list(grid.flat[: len(names)])
    for ax, name in zip(axes, names, strict=True):
        one = run.sel(estimator=name)
        _draw_limits(one, ax, limit)
        _draw_paths(one, ax)
        ax.set_title(f"{_symbol(one)}: {name}", fontsize="medium")
        ax.set_xlabel(f"{_symbol(one)}(X;T) [bit]")
        ax.set_ylabel(f"{_symbol(one)}(T;Y) [bit]")
    axes[0].legend(
        handles=[
            *axes[0].get_legend_handles_labels()[0],
            *hollow_entry(tells_more(run)),
        ],
        fontsize="x-small",
        loc="lower right",
        title="layer",
        title_fontsize="x-small",
    )
    say_members(run, axes[0])
    return axes


def _draw_paths(run: xr.Dataset, ax: Axes) -> None:
    """The mean path of every layer under the one estimator of ``run``, in limits that hold it."""
    x, y = mean_interval(run.information_input), mean_interval(run.information_label)
    told = tells_more(run)
    sizes = np.where(np.arange(run.sizes["step"]) < run.sizes["step"] - 1, 10, 50)
    for colour, marker, layer in zip(
        layer_colours(run), layer_markers(run), run.layer.values, strict=True
    ):
        across, up = x.sel(layer=layer), y.sel(layer=layer)
        ax.plot(across["mean"], up["mean"], color=colour, linewidth=1, alpha=0.7)
        ax.scatter(
            across["mean"],
            up["mean"],
            s=sizes,
            marker=marker,
            edgecolors=[colour],
            linewidths=0.8,
            facecolors=faces(colour, told.sel(layer=layer).values),
            label=layer_label(run, layer),
            zorder=2,
        )
        crosses(ax, across.isel(step=-1), up.isel(step=-1), fmt="none", ecolor="0.3")
    # Bounds on I(T;Y) may lie far outside of 0 and I(X;Y).
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, float(y["mean"].min()) - 0.1), max(high, float(y["mean"].max()) + 0.1))
