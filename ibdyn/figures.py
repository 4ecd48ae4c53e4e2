"""A record in, Axes out: the figures of the information plane and of the gradients.

Layers run through one palette that survives colour blindness and grey print, and have a marker
each; bands and bars are 95 % intervals of the mean over members.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from theory import phases
from theory.fitting import mean_interval

from .limits import bottleneck
from .marks import axis_label, geometric_interval, layer_colours, layer_label, say_members
from .planes import choose_estimator, estimator_planes, information_paths, information_plane

__all__ = [
    "FIGURES",
    "bottleneck",
    "choose_estimator",
    "estimator_planes",
    "gradient_phases",
    "information_paths",
    "information_plane",
    "learning_curves",
    "signal_to_noise",
]


def _geometric_band(
    ax: Axes, values: xr.DataArray, colour: object, style: str, label: str | None
) -> None:
    """Geometric mean over members against the epoch and its interval, where positive."""
    values = values.isel(step=np.flatnonzero(values.epoch.values > 0))
    if not (values > 0).any():
        return
    interval = geometric_interval(values)
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
    about = ", over the norm of the weights" if formula == "paper" else f" ({formula})"
    units = [
        re.sub(r"nat([\d.]+)", r"nat$^{\1}$", curves[kind].units) for kind in ("mean", "spread")
    ]
    both = units[0] if units[0] == units[1] else f"mean {units[0]}, spread {units[1]}"
    label = f"gradient [{both}]{about}"
    ax.set(xscale="log", yscale="log", xlabel="epoch", ylabel=label)
    ax.legend(fontsize="small", ncols=2, title="layer")
    say_members(run, ax)
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
        say_members(run, ax)
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
        say_members(run, ax)
    return axes


FIGURES: Mapping[str, Callable[[xr.Dataset], object]] = {
    "information-plane": information_plane,
    "information-paths": information_paths,
    "gradient-phases": gradient_phases,
    "signal-to-noise": signal_to_noise,
    "learning-curves": learning_curves,
}
