"""The transition from drift to diffusion of each layer and member, by two definitions; its test.

They differ. A crossing is where noise overtakes the mean gradient: the first of at least three
recorded steps in a row with a signal-to-noise ratio below one. A change point is where the law of
the ratio changes: the free break of its broken line in log-log. Times are those of the coordinate
``along``, after 0, and members whose transition the run did not see are censored (see
`theory.censoring`).
"""

import numpy as np
import xarray as xr

from .breaks import grid
from .censoring import LEFT, OBSERVED, RIGHT
from .existence import sign_flip_test, sup_f_test
from .fitting import broken_line, checked_clock
from .phases import signal_to_noise


def crossing(run: xr.Dataset, along: str = "step", consecutive: int = 3) -> xr.Dataset:
    """``time`` and ``censored`` (member, layer) of the first lasting ratio below one.

    ``censored`` is 1 where the ratio never stays below one, time being the last recorded one that
    has a ratio; and -1 where it does so from the first after 0 on, which is then the time. Without
    any ratio (full batch) the time is NaN. ValueError if ``along`` is no coordinate along step.
    """
    ratio = _ratio(run, along)
    below = (ratio < 1).astype(int).rolling(step=consecutive).sum() == consecutive
    # Rolling sums end at their step; the transition is where the steps below one begin.
    below = below.shift(step=1 - consecutive, fill_value=False)
    time = ratio[along].astype(float)
    crosses = below.any("step")
    first = below.argmax("step")
    last = time.where(ratio.notnull()).max("step")
    return _times(
        time.isel(step=first).where(crosses, last).drop_vars(["step", "epoch"], errors="ignore"),
        xr.where(crosses, xr.where(first == 0, LEFT, OBSERVED), RIGHT),
        run[along],
    )


def change_point(run: xr.Dataset, along: str = "step") -> xr.Dataset:
    """The broken line of the ratio, and ``time`` and ``censored`` (member, layer) of its break.

    All of `theory.fitting.broken_line`, ``position`` being here ``time``. A break at the first or
    the last of the candidates is only bounded: ``censored`` is -1 or 1 there. ValueError as by
    `theory.fitting.broken_line`.
    """
    ratio = _ratio(run, along)
    fit = broken_line(ratio, along)
    ends = np.exp(grid(np.log(fit[along].values.astype(float)))[[0, -1]])
    early = fit["position"] <= ends[0] * (1 + 1e-9)
    late = fit["position"] >= ends[1] * (1 - 1e-9)
    code = xr.where(early, LEFT, xr.where(late, RIGHT, OBSERVED))
    return _times(fit["position"], code, run[along]).assign(fit.drop_vars("position"))


def detect(
    run: xr.Dataset,
    rng: np.random.Generator,
    *,
    along: str = "step",
    alpha: float = 0.05,
    repetitions: int = 999,
) -> xr.Dataset:
    """Whether each layer goes from drift to diffusion, over all members.

    Three things are asked: that the members' log ratio against log time has a common break, with
    ``p`` of `theory.existence.sign_flip_test` at most ``alpha``; that more than half of the members
    cross one within the run (``crossed`` is their share); all this is ``detected`` (layer).
    ``p_member`` (member, layer) is that of the sup-F of each curve alone. ValueError where no
    member has a ratio without gaps, or as in `change_point`.
    """
    ratio = _ratio(run, along).dropna("step", how="all").transpose("layer", "member", "step")
    x, y = np.log(ratio[along].values.astype(float)), np.log(ratio.values)
    common = [sign_flip_test(x, curves, rng, repetitions)[1] for curves in y]
    own = sup_f_test(x, y.reshape(-1, len(x)), rng, repetitions)[1].reshape(y.shape[:2])
    code = crossing(run, along)["censored"]
    found = xr.Dataset(
        {
            "p": ("layer", common, {"units": "1", "long_name": "p of a common break"}),
            "p_member": (
                ("layer", "member"),
                own,
                {"units": "1", "long_name": "p of a break in one member"},
            ),
            "crossed": (code == OBSERVED)
            .mean("member")
            .assign_attrs(units="1", long_name="share of members that cross"),
        },
        {"layer": run["layer"]},
    )
    found["detected"] = ((found["p"] <= alpha) & (found["crossed"] > 0.5)).assign_attrs(
        units="1", long_name="transition from drift to diffusion"
    )
    return found.transpose("member", ...)


def _ratio(run: xr.Dataset, along: str) -> xr.DataArray:
    return signal_to_noise(run).isel(step=checked_clock(run, along).values > 0)


def _times(time: xr.DataArray, censored: xr.DataArray, along: xr.DataArray) -> xr.Dataset:
    units = along.attrs.get("units", "1")
    return xr.Dataset(
        {
            "time": time.assign_attrs(units=units, long_name=f"{along.name} of the transition"),
            "censored": censored.assign_attrs(
                units="1", long_name="-1: at the time or before; 1: at the time or after"
            ),
        }
    )
