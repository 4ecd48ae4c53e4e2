"""Relaxation times of layers against their compression: is Delta t_k ~ exp(Delta S_k)?

The compression of a layer is C_k = I(X;T_{k-1}) - I(X;T_k) with T_0 = X, not negative by the data
processing inequality; the Delta S_k = I(X;T_k) - I(X;T_{k-1}) of the literature is -C_k, with which
the law would be reversed. It is read in two ways that are not equivalent: (A) as that drop over
depth at the end of training, ``compression``; (B) as the drop of one layer in time from its peak,
``drop``, which is what relaxes. Both are in nats, as exp(C) has them.
"""

import numpy as np
import xarray as xr
from scipy.optimize import isotonic_regression

from . import profiles
from .censoring import LEFT, OBSERVED, RIGHT
from .checks import at_least
from .fitting import checked_clock, log_times, mean_interval
from .onset import LEAST_DROP, compression_onset

RELAXED = 0.9
"""Share of the drop that a run has to show: else its limit is unknown and its time censored."""


def compression(run: xr.Dataset) -> xr.DataArray:
    """C_k = I(X;T_{k-1}) - I(X;T_k) in nats, at every record, along ``layer`` by depth.

    ``run`` is a record with one estimator chosen; I(X;T_0) = H(X) is that of ``p_x``. Binned
    estimates may break the inequality, and a C_k be negative. ValueError for a record of several
    estimators.
    """
    information = _information(run)
    p = run["p_x"].where(run["p_x"] > 0)
    source = -(p * xr.apply_ufunc(np.log, p)).sum("pattern")
    own = information * np.log(2)
    before = own.shift(layer=1).fillna(source).where(own.notnull())
    found = before - own
    # What is missing above a layer is missing in its compression, not the source.
    missing = own.isnull().shift(layer=1, fill_value=False)
    return found.where(~missing).assign_attrs(
        units="nat", long_name="compression I(X;T_{k-1}) - I(X;T_k)"
    )


def relaxation_times(run: xr.Dataset, along: str = "step") -> xr.Dataset:
    """Relaxation after the onset of compression, for each member and layer of one estimator.

    ``compression``: reading A, at the last record; ``drop``: reading B, peak less limit (nats).
    ``time``: of the fit I = limit + amplitude exp(-(t - t_peak) / time) to the records from the
    peak on. ``passage``: from the peak until the decreasing curve nearest to the record (isotonic
    regression) has lost all but 1 / e of its drop by the last record.
    ``censored``: 1 where the run ends before 90 % of the fitted drop. The limit is then unknown;
    ``time`` becomes the least that it can be, (end - t_peak) / log 10, ``passage`` with it, and
    ``drop`` is that to the last record, a lower bound.
    ``included``: False, by rule, where the drop to the last record is less than 0.1 bit or the last
    record is not ``resolved``; all but ``compression`` are NaN there. Nothing else is left out.

    ValueError for a record of several estimators, or with fewer than 4 records of I(X;T).
    """
    information = _information(run)
    curve = information.dropna("step", how="all").transpose("member", "layer", "step")
    if curve.sizes["step"] < 4:
        raise ValueError(f"{curve.sizes['step']} records hold I(X;T), expected at least 4")
    onset = compression_onset(curve, along)
    t = curve[along].values.astype(float)
    y = curve.values
    place = np.where(np.isnan(y), -np.inf, y).argmax(-1)
    start = t[place]
    resolved = run["resolved"].sel(step=curve["step"][-1]).sortby("depth")
    resolved = resolved.transpose("member", "layer").values == 1
    known = np.isfinite(y).all(-1)
    included = known & resolved & (onset["drop"].values >= LEAST_DROP)

    time, limit, bounded = _decay(t, y, t >= start[..., None])
    left = t[-1] - start
    least = left / -np.log(1 - RELAXED)
    late = bounded | ~(time <= least)
    passage = np.full(time.shape, np.nan)
    for index in zip(*np.nonzero(included), strict=True):
        passage[index] = _passage(t[place[index] :], y[index][place[index] :])
    end = np.where(late, y[..., -1], limit)
    arrays = {
        "time": (np.where(late, least, time), "relaxation time by an exponential"),
        "passage": (np.where(late, least, passage), "time to 1 / e of the drop"),
        "drop": ((y.max(-1) - end) * np.log(2), "drop of I(X;T) from its peak"),
        "censored": (np.where(late, RIGHT, OBSERVED), "1: relaxation not seen to its end"),
    }
    units = {"drop": "nat", "censored": "1"}
    template = curve.isel(step=0, drop=True)
    clock = run[along].attrs.get("units", "1")
    found = xr.Dataset(
        {
            name: template.copy(data=np.where(included, values, np.nan)).assign_attrs(
                units=units.get(name, clock), long_name=text
            )
            for name, (values, text) in arrays.items()
        }
    )
    found["compression"] = compression(run).sel(step=curve["step"][-1], drop=True)
    found["included"] = template.copy(data=included).assign_attrs(
        units="1", long_name="drop of 0.1 bit or more, and resolved"
    )
    return found.drop_vars(["step", "epoch"], errors="ignore").transpose("member", "layer")


def first_passage(curve: xr.DataArray, target: float, along: str = "step") -> xr.Dataset:
    """``time`` and ``censored`` of the first record after 0 where ``curve`` is at most ``target``.

    For error rates, along the other dims of ``curve``. ``censored`` is 1, and the time that of the
    last finite record, where the target is not reached; and -1 where it is so at the first record.
    ValueError if ``along`` is no coordinate along step.
    """
    curve = curve.isel(step=checked_clock(curve, along).values > 0)
    reached = curve <= target
    ever, first = reached.any("step"), reached.argmax("step")
    t = curve[along].astype(float)
    last = t.where(curve.notnull()).max("step")
    code = xr.where(ever, xr.where(first == 0, LEFT, OBSERVED), RIGHT)
    time = t.isel(step=first).where(ever, last).drop_vars(["step", "epoch"], errors="ignore")
    units = curve[along].attrs.get("units", "1")
    found = xr.Dataset({"time": time, "censored": code})
    found["time"].attrs = {"units": units, "long_name": f"{along} of reaching {target:g}"}
    found["censored"].attrs = {"units": "1", "long_name": "1: not reached; -1: from the first on"}
    return found


def sum_condition(compressions: xr.DataArray) -> xr.Dataset:
    """Whether exp(sum C) >= sum exp(C) for compressions (member, layer) in nats.

    It is so if and only if ``margin`` = 1 - sum_k exp(C_k - sum C) >= 0; for K equal C this is
    C >= log K / (K - 1), the ``equal_threshold``. Gives ``margin`` (member), its mean with
    Student's interval (``mean``, ``low``, ``high``), and the share of members ``holding``. Members
    with a NaN are left out; ValueError for units other than nats.
    """
    if compressions.attrs.get("units") != "nat":
        raise ValueError(f"units are {compressions.attrs.get('units')!r}, expected 'nat'")
    total = compressions.sum("layer", skipna=False)
    margin = 1 - xr.apply_ufunc(np.exp, compressions - total).sum("layer", skipna=False)
    margin.attrs = {"units": "1", "long_name": "1 - sum exp(C - sum C)"}
    found = mean_interval(margin).assign(margin=margin)
    holding = (margin >= 0).where(margin.notnull()).mean("member")
    found["holding"] = holding.assign_attrs(units="1", long_name="share of members that hold")
    found["equal_threshold"] = xr.DataArray(
        equal_threshold(compressions.sizes["layer"]),
        attrs={"units": "nat", "long_name": "least C of equal layers"},
    )
    return found


def equal_threshold(layers: int) -> float:
    """Least C, in nats, with exp(K C) >= K exp(C), K being ``layers``: log K / (K - 1).

    ValueError unless there are two layers or more.

    >>> equal_threshold(2) == float(np.log(2))
    True
    """
    k = at_least("layers", layers, 2)
    return float(np.log(k) / (k - 1))


def _information(run: xr.Dataset) -> xr.DataArray:
    information = run["information_input"]
    if "estimator" in information.dims:
        raise ValueError("the record has a dim 'estimator', expected one to be chosen by .sel")
    return information.sortby("depth")


def _decay(
    t: np.ndarray, y: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time and limit of an exponential fitted to the points ``after``; whether not a decay."""
    base = np.ones((1, len(t)))
    fit = profiles.fit(y, base, lambda p: np.exp(-(t - t[0]) / np.exp(p)), log_times(t), after)
    decays = fit.amplitude > 0
    return np.exp(fit.parameter), fit.base[..., 0], ~decays | fit.at_limit


def _passage(t: np.ndarray, y: np.ndarray) -> float:
    smooth = isotonic_regression(y, increasing=False).x
    remaining = (smooth - smooth[-1]) / (smooth[0] - smooth[-1])
    return float(t[(remaining <= 1 / np.e).argmax()] - t[0])
