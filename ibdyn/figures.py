"""A record in, Axes out: the figures of the information plane and of the gradients.

Layers run through one palette that survives colour blindness and grey print, and have a marker
each; bands and bars are 95 % intervals of the mean over members.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, SymLogNorm

from theory import phases
from theory.fitting import mean_interval

from .estimators import Gaussian

MARKERS = "osD^vP*X<>"


def axis_label(variable: xr.DataArray) -> str:
    """Long name and units of a variable, as an axis says them."""
    units = variable.attrs.get("units", "1")
    name = variable.attrs.get("long_name", str(variable.name))
    return name if units == "1" else f"{name} [{units}]"


def layer_colours(run: xr.Dataset) -> list[tuple[float, float, float, float]]:
    """A colour for each layer, from dark next to the input to light at the output."""
    return [tuple(c) for c in mpl.colormaps["viridis"](np.linspace(0, 0.92, run.sizes["layer"]))]


def choose_estimator(run: xr.Dataset, estimator: str | None) -> xr.Dataset:
    """The record under one estimator, its first by default; ValueError if it has no such."""
    known = run.estimator.values.tolist()
    estimator = known[0] if estimator is None else estimator
    if estimator not in known:
        raise ValueError(f"estimator {estimator!r} is not in the record, expected one of {known}")
    return run.sel(estimator=estimator)


def _information_labels(run: xr.Dataset) -> dict[str, str]:
    symbol, _, kind = (str(run.symbol.item()) if "symbol" in run.coords else "I").partition("_")
    symbol = rf"${symbol}_\mathrm{{{kind}}}$" if kind else symbol
    return {
        "xlabel": f"encoder information {symbol}(X;T), {run.estimator.item()} [bit]",
        "ylabel": f"decoder information {symbol}(T;Y) [bit]",
    }


def _draw_limits(run: xr.Dataset, ax: Axes) -> None:
    limit = run.attrs["task_information"]
    ax.axhline(limit, color="0.6", linestyle=":", linewidth=1, zorder=0)
    ax.set(ylim=(-0.03 * limit, 1.06 * limit))
    # Of a population, not of the patterns, information has no ceiling.
    if not str(run.estimator.item()).startswith(Gaussian.family):
        ceiling = np.log2(run.sizes["pattern"])
        ax.axvline(ceiling, color="0.6", linestyle=":", linewidth=1, zorder=0)
        ax.set(xlim=(-0.03 * ceiling, 1.03 * ceiling))


def information_plane(
    run: xr.Dataset,
    *,
    epochs: Sequence[float] = (0, 400, 9000),
    estimator: str | None = None,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """All members at a few epochs, the nearest recorded ones: one Axes each, layers by colour.

    Dotted lines are the ceilings I(X;Y) and, of the information of patterns, log2(patterns).
    """
    run = choose_estimator(run, estimator)
    if axes is None:
        width = 1.2 + 3.6 * len(epochs)
        _, grid = plt.subplots(
            1, len(epochs), figsize=(width, 4), sharey=True, squeeze=False, layout="constrained"
        )
        axes = list(grid[0])
    labels = _information_labels(run)
    for ax, epoch in zip(axes, epochs, strict=True):
        frame = run.isel(step=int(np.abs(run.epoch.values - epoch).argmin()))
        _draw_limits(run, ax)
        for colour, marker, layer in zip(
            layer_colours(run), _markers(run), run.layer.values, strict=True
        ):
            one = frame.sel(layer=layer)
            ax.scatter(
                one.information_input,
                one.information_label,
                color=colour,
                marker=marker,
                s=26,
                alpha=0.8,
                linewidths=0.3,
                edgecolors="white",
                label=layer_label(run, layer),
            )
        ax.set(title=f"epoch {frame.epoch.item():g}", xlabel=labels["xlabel"])
    axes[0].set_ylabel(labels["ylabel"])
    axes[-1].legend(title=f"{run.sizes['member']} members", fontsize="small", loc="lower right")
    return axes


def layer_label(run: xr.Dataset, layer: str) -> str:
    """Name and width of a layer, for legends."""
    return f"{layer} ({run.width.sel(layer=layer).item()} units)"


def _markers(run: xr.Dataset) -> list[str]:
    return [MARKERS[i % len(MARKERS)] for i in range(run.sizes["layer"])]


def information_paths(
    run: xr.Dataset, *, estimator: str | None = None, ax: Axes | None = None
) -> Axes:
    """Each layer's mean path through the information plane, with the epoch as colour.

    Crosses along the paths are 95 % intervals of both means.
    """
    run = choose_estimator(run, estimator)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    _draw_limits(run, ax)
    x, y = mean_interval(run.information_input), mean_interval(run.information_label)
    norm = SymLogNorm(10, vmin=0, vmax=max(10.0, float(run.epoch[-1])))
    colours = ListedColormap(mpl.colormaps["plasma"](np.linspace(0, 0.9, 256)))
    bars = np.unique(np.linspace(0, run.sizes["step"] - 1, 7).astype(int))
    for marker, layer in zip(_markers(run), run.layer.values, strict=True):
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
        ax.errorbar(
            across["mean"][bars],
            up["mean"][bars],
            xerr=(across["high"] - across["mean"])[bars],
            yerr=(up["high"] - up["mean"])[bars],
            fmt="none",
            ecolor="0.35",
            elinewidth=0.8,
            zorder=3,
        )
        ax.annotate(
            str(layer),
            (float(across["mean"][-1]), float(up["mean"][-1])),
            xytext=(-7, 4),
            textcoords="offset points",
            ha="right",
            fontsize="small",
        )
    ax.set(**_information_labels(run))
    ax.figure.colorbar(points, ax=ax, label="epoch")
    return ax


def _geometric_band(
    ax: Axes, values: xr.DataArray, colour: object, style: str, label: str | None
) -> None:
    """Geometric mean over members against the epoch and its interval, where positive."""
    values = values.isel(step=np.flatnonzero(values.epoch.values > 0))
    if not (values > 0).any():
        return
    interval = np.exp(mean_interval(xr.ufuncs.log(values.where(values > 0))))
    ax.plot(values.epoch, interval["mean"], style, color=colour, linewidth=1.4, label=label)
    ax.fill_between(
        values.epoch, interval["low"], interval["high"], color=colour, alpha=0.2, linewidth=0
    )


def gradient_phases(run: xr.Dataset, *, formula: str = "paper", ax: Axes | None = None) -> Axes:
    """Mean (solid) and spread (dashed) of the minibatch gradients, log-log from epoch 1 on.

    Where a layer's dashed line is above its solid one, noise exceeds drift. A full batch has no
    spread, so no dashed line. ``formula`` is one of `theory.phases.FORMULAS`.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    curves = phases.gradient_curves(run, formula)
    for colour, layer in zip(layer_colours(run), curves.layer.values, strict=True):
        one = curves.sel(layer=layer)
        _geometric_band(ax, one["mean"], colour, "-", layer_label(run, layer))
        _geometric_band(ax, one["spread"], colour, "--", None)
    ax.plot([], [], "-", color="0.3", label="mean")
    ax.plot([], [], "--", color="0.3", label="spread of minibatches")
    normalised = ", over the norm of the weights" if formula == "paper" else f" ({formula})"
    ax.set(xscale="log", yscale="log", xlabel="epoch", ylabel=f"gradient [nat]{normalised}")
    ax.legend(fontsize="small", ncols=2, title="layer")
    return ax


def signal_to_noise(run: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Each layer's signal-to-noise ratio of minibatch gradients, log-log from epoch 1 on.

    A full batch has no noise; the figure then says so.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    ratio = phases.signal_to_noise(run)
    ax.axhline(1, color="0.5", linewidth=1, linestyle=":")
    for colour, layer in zip(layer_colours(run), run.layer.values, strict=True):
        _geometric_band(ax, ratio.sel(layer=layer), colour, "-", layer_label(run, layer))
    ax.set(xscale="log", yscale="log", xlabel="epoch", ylabel=axis_label(ratio))
    if ratio.isnull().all():
        ax.text(0.5, 0.6, "full batch: no minibatch noise", ha="center", transform=ax.transAxes)
    else:
        ax.legend(fontsize="small", title="layer")
    return ax


def learning_curves(run: xr.Dataset, *, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Loss and error rate on the training and the test set, from epoch 1 on: two Axes.

    One where the label is real, since it has no error rate.
    """
    variables = ("loss", "error_rate") if "p_y_given_x" in run else ("loss",)
    if axes is None:
        width = 4.5 * len(variables)
        _, grid = plt.subplots(
            1, len(variables), figsize=(width, 3.8), squeeze=False, layout="constrained"
        )
        axes = list(grid[0])
    later = run.isel(step=np.flatnonzero(run.epoch.values > 0))
    for ax, variable in zip(axes, variables, strict=True):
        for split, style, colour in (("train", "-", "#0072b2"), ("test", "--", "#d55e00")):
            values = later[variable].sel(split=split)
            if values.isnull().all():
                continue
            interval = mean_interval(values)
            ax.plot(later.epoch, interval["mean"], style, color=colour, label=split)
            ax.fill_between(
                later.epoch,
                interval["low"],
                interval["high"],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        ax.set(xscale="log", xlabel="epoch", ylabel=axis_label(run[variable]))
        if not (later[variable] < 0).any():
            ax.set_ylim(bottom=0)
        ax.legend()
    return axes


FIGURES: Mapping[str, Callable[[xr.Dataset], object]] = {
    "information-plane": information_plane,
    "information-paths": information_paths,
    "gradient-phases": gradient_phases,
    "signal-to-noise": signal_to_noise,
    "learning-curves": learning_curves,
}
