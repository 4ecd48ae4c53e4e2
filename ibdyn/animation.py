"""The information plane in time: every recorded step of a record as one picture of a GIF."""

from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes

from . import output
from .marks import layer_colours
from .planes import choose_estimator, information_plane

DPI = 90
# A GIF counts hundredths of a second, and browsers slow down what is faster than this.
FASTEST = 50


def animate(
    run: xr.Dataset, path: str | Path, *, estimator: str | None = None, fps: int = 8
) -> int:
    """Write a GIF of all members in the plane with the paths of their means; returns its frames.

    One frame for each recorded step, ``fps`` of them in a second. ``estimator`` is the record's
    first unless given. Raises, before any work, ValueError for an unknown estimator, a rate that is
    not above 0 and at most `FASTEST` or another kind of file than GIF, and OSError where ``path``
    cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f"out: {path} is no .gif file")
    if not 0 < fps <= FASTEST:
        raise ValueError(f"fps is {fps}, expected more than 0 and at most {FASTEST}")
    run = run.sortby("depth")
    one = choose_estimator(run, estimator)
    output.check_writable(path)
    writer = PillowWriter(fps=fps)
    with plt.rc_context({"backend": "agg"}):
        figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
        try:
            with writer.saving(figure, str(path), DPI):
                for step in range(run.sizes["step"]):
                    ax.clear()
                    _draw(run, one, step, ax)
                    writer.grab_frame()
        finally:
            plt.close(figure)
    return run.sizes["step"]


def _draw(run: xr.Dataset, one: xr.Dataset, step: int, ax: Axes) -> None:
    """The plane at a step, paths up to it, in limits that hold for all steps."""
    epoch = float(one.epoch[step])
    information_plane(run, epochs=(epoch,), estimator=one.estimator.item(), axes=[ax])
    past = one.isel(step=slice(step + 1)).mean("member")
    for colour, layer in zip(layer_colours(one), one.layer.values, strict=True):
        path = past.sel(layer=layer)
        ax.plot(path.information_input, path.information_label, color=colour, linewidth=1.2)
    ax.set_title(f"epoch {epoch:g} (step {one.step[step].item()})")
    ax.set(
        xlim=_limits(one.information_input, ax.get_xlim()),
        ylim=_limits(one.information_label, ax.get_ylim()),
    )


def _limits(values: xr.DataArray, drawn: tuple[float, float]) -> tuple[float, float]:
    """Limits that hold everything: those of the ceilings, widened where estimates lie beyond."""
    low, high = float(values.min()), float(values.max())
    margin = 0.03 * (high - low)
    return min(low - margin, drawn[0]), max(high + margin, drawn[1])
