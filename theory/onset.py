"""The onset of compression, the peak of I(X;T), and whether it is the transition to diffusion.

A peak minus the end of its own noisy curve is never negative, so as evidence of a compression it
supports anything. The drop is therefore cross-fitted: the peak is looked for on half of the members
and the drop measured on the others. `information` below is I(X;T) of one estimator, with dims
member, step, and any others.
"""

import numpy as np
import xarray as xr

from .censoring import LEFT, OBSERVED, RIGHT, time_interval
from .fitting import mean_interval

LEAST_DROP = 0.1
"""Bits: a smaller drop is no compression."""


def compression_onset(
    information: xr.DataArray, along: str = "step", least: float = LEAST_DROP
) -> xr.Dataset:
    """``time``, ``censored``, ``peak`` and ``drop`` (member, ...) of each curve's greatest value.

    ``drop`` is from the peak to the last recorded step, in units of information. ``censored`` is 1
    where it is less than ``least``, compression having not begun, the time being that of the last
    recorded step; and -1 where the peak is the first, so that a rise before it was not seen. A
    peak at time 0, which has no logarithm, has the time of the step after. ValueError with fewer
    than 3 recorded steps.
    """
    curve = information.dropna("step", how="all").transpose("step", ...)
    if curve.sizes["step"] < 3:
        raise ValueError(
            f"information has {curve.sizes['step']} recorded steps, expected at least 3"
        )
    known = curve.notnull().all("step")
    place = curve.fillna(-np.inf).argmax("step")
    peak, drop = curve.max("step"), curve.max("step") - curve.isel(step=-1)
    t = curve[along].astype(float)
    positive = t.where(t > 0, t.isel(step=int((t.values > 0).argmax())))
    starts = drop >= least
    time = positive.isel(step=place).where(starts, t.isel(step=-1)).where(known)
    code = xr.where(starts, xr.where(place == 0, LEFT, OBSERVED), RIGHT)
    units = str(information.attrs.get("units", "bit"))
    found = xr.Dataset({"time": time, "censored": code, "peak": peak, "drop": drop})
    found = found.drop_vars(["step", "epoch"], errors="ignore").transpose("member", ...)
    for name, unit, text in (
        ("time", information[along].attrs.get("units", "1"), f"{along} of the onset"),
        ("censored", "1", "-1: at the time or before; 1: at the time or after"),
        ("peak", units, "greatest I(X;T)"),
        ("drop", units, "peak less the last recorded step"),
    ):
        found[name].attrs = {"units": unit, "long_name": text}
    return found


def cross_fitted_drop(
    information: xr.DataArray,
    rng: np.random.Generator,
    *,
    blocks: int = 10,
    repetitions: int = 199,
    least: float = LEAST_DROP,
) -> xr.Dataset:
    """Drop of I(X;T) from a peak that was found on other members, its interval and its null.

    Even and odd members choose a step by the peak of their mean curve, on which the odd and the
    even ones are measured: ``drop`` (member, ...) may be negative. ``mean``, ``low`` and ``high``
    are Student's over members. ``p`` is the share of shuffles with a mean drop as great, in which
    the ``blocks`` equal parts of the record change places in each member on its own: time then
    means nothing. ``compresses``: low above ``least`` and p at most 0.05. ValueError with fewer
    than 4 members, or recorded steps than 2 a block.
    """
    curve = information.dropna("step", how="all").transpose("member", "step", ...)
    if curve.sizes["member"] < 4 or curve.sizes["step"] < 2 * blocks:
        raise ValueError(
            f"information has dims {dict(curve.sizes)}, expected at least 4 of member and "
            f"{2 * blocks} of step"
        )
    values = curve.values
    observed = _drops(values)
    parts = np.array_split(np.arange(values.shape[1]), blocks)
    null = np.empty((repetitions, *observed.shape[1:]))
    for k in range(repetitions):
        shuffled = [
            own[np.concatenate([parts[i] for i in rng.permutation(blocks)])] for own in values
        ]
        null[k] = np.nanmean(_drops(np.stack(shuffled)), 0)
    p = (1 + (null >= np.nanmean(observed, 0)).sum(0)) / (1 + repetitions)
    template = curve.isel(step=0, drop=True)
    attrs = {"units": information.attrs.get("units", "bit"), "long_name": "cross-fitted drop"}
    drop = template.copy(data=observed).assign_attrs(attrs)
    found = mean_interval(drop).assign(drop=drop)
    found["p"] = drop.isel(member=0, drop=True).copy(data=p).assign_attrs(units="1")
    found["p"].attrs["long_name"] = "share of shuffles with as great a drop"
    compresses = (found["low"] > least) & (found["p"] <= 0.05)
    found["compresses"] = compresses.assign_attrs(units="1", long_name="compression")
    return found


def coincidence(
    first: xr.Dataset, second: xr.Dataset, rng: np.random.Generator, repetitions: int = 999
) -> xr.Dataset:
    """Whether two times of the same members coincide, from their ``time`` and ``censored``.

    ``ratio`` is the geometric mean of first / second over members with its interval, ``low`` and
    ``high``; a bound on one of the times bounds a member's ratio, bounds on both to the same side
    say nothing of it. ``coincide`` is whether 1 is between. ``distance`` is the mean |log ratio| of
    the ``pairs`` with both observed, and ``p`` the share of shuffles of members against each other
    with a distance as small: whether they coincide member by member, and not only on average. It is
    NaN with fewer than 3 pairs. ValueError if the two have not the same members.
    """
    a, b = xr.align(first, second, join="exact")
    side = (a["censored"] > b["censored"]) * 1 - (a["censored"] < b["censored"])
    told = (a["censored"] == OBSERVED) | (a["censored"] != b["censored"])
    ratio = (a["time"] / b["time"]).where(told).assign_attrs(units="1", long_name="ratio of times")
    interval = time_interval(ratio, side)

    def pairing(x: np.ndarray, y: np.ndarray) -> tuple[float, float, int]:
        both = np.isfinite(x) & np.isfinite(y)
        x, y = x[both], y[both]
        if len(x) < 3:
            return np.nan, np.nan, len(x)
        distance = np.abs(x - y).mean()
        shuffled = rng.permuted(np.tile(y, (repetitions, 1)), axis=1)
        null = np.abs(x - shuffled).mean(-1)
        reached = (null <= distance * (1 + 1e-9)).sum()
        return distance, (1 + reached) / (1 + repetitions), len(x)

    logs = [np.log(each["time"].where(each["censored"] == OBSERVED)) for each in (a, b)]
    distance, p, pairs = xr.apply_ufunc(
        pairing,
        *logs,
        input_core_dims=[["member"], ["member"]],
        output_core_dims=[[], [], []],
        vectorize=True,
    )
    found = interval.rename(mean="ratio")
    found["coincide"] = ((found["low"] <= 1) & (found["high"] >= 1)).assign_attrs(
        units="1", long_name="times coincide on average"
    )
    for name, values, text in (
        ("distance", distance, "mean absolute logarithm of the ratio"),
        ("p", p, "share of shuffled pairings as near"),
        ("pairs", pairs, "members with both times observed"),
    ):
        found[name] = values.assign_attrs(units="1", long_name=text)
    return found


def _drops(values: np.ndarray) -> np.ndarray:
    """Drops (member, ...) of curves (member, step, ...), the peak being that of the other half."""
    drops = np.full((values.shape[0], *values.shape[2:]), np.nan)
    for half in (0, 1):
        chosen, measured = values[half::2], values[1 - half :: 2]
        place = np.nanmean(chosen, 0).argmax(0)
        peak = np.take_along_axis(measured, place[None, None], 1)[:, 0]
        drops[1 - half :: 2] = peak - measured[:, -1]
    return drops
