"""Curves along training fitted member by member, and intervals from the spread over members.

Members are independent networks and the only sample there is: points along a curve are not, so no
error bar here comes from residuals. A fit takes a DataArray with dim ``step`` and returns a Dataset
of estimates for each curve, with their units, and the ``fitted`` curves. Times are those of the
coordinate ``along``, "step" or "epoch"; where its logarithm is meant what was recorded at 0
is left out.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import t as student

from . import breaks, profiles

GRID = 301
"""Values of the nonlinear parameter in the first search."""


def mean_interval(values: xr.DataArray, *, level: float = 0.95) -> xr.Dataset:
    """Mean over ``member`` and its Student-t interval: ``mean``, ``low``, ``high``.

    In the units of ``values`` and along its other dims. Members that are NaN are left out; the
    interval is NaN where fewer than two are left.
    """
    count = values.count("member")
    mean = values.mean("member")
    error = values.std("member", ddof=1) / np.sqrt(count)
    quantile = xr.apply_ufunc(student.ppf, (1 + level) / 2, (count - 1).where(count > 1))
    interval = xr.Dataset({"mean": mean, "low": mean - quantile * error})
    interval["high"] = mean + quantile * error
    for estimate in interval.values():
        estimate.attrs = dict(values.attrs)
    return interval


def bootstrap_interval(
    values: xr.DataArray, rng: np.random.Generator, *, level: float = 0.95, repetitions: int = 2000
) -> xr.Dataset:
    """Mean over ``member`` and its percentile bootstrap interval: ``mean``, ``low``, ``high``.

    For comparison: with 10 to 20 members it covers less than `mean_interval`, which is exact for
    normal estimates. Members are drawn together for all other dims; those that are NaN count for
    nothing where they are drawn.
    """
    drawn = rng.integers(values.sizes["member"], size=(repetitions, values.sizes["member"]))
    chosen = values.isel(member=xr.DataArray(drawn, dims=("repetition", "draw")))
    means = chosen.mean("draw")
    interval = xr.Dataset({"mean": values.mean("member")})
    for name, share in (("low", (1 - level) / 2), ("high", (1 + level) / 2)):
        interval[name] = means.quantile(share, "repetition").drop_vars("quantile")
    for estimate in interval.values():
        estimate.attrs = dict(values.attrs)
    return interval


def exponential(curves: xr.DataArray, along: str = "step") -> xr.Dataset:
    """Fit limit + amplitude exp(-t / time): ``limit``, ``amplitude``, ``time``, ``at_limit``.

    Times are looked for from the least distance of two recorded steps to ten times the whole range;
    ``at_limit`` is True where the best lies at an end, so that it is no estimate but a bound.
    ValueError unless ``along`` is a coordinate along step with at least 3 ascending values.
    """
    t = _times(curves, along)
    y, label = _unlabelled(curves)
    found = profiles.fit(y, np.ones((1, len(t))), lambda p: np.exp(-t / np.exp(p)), log_times(t))
    time = np.exp(found.parameter)
    fitted = found.base + found.amplitude[..., None] * np.exp(-t / time[..., None])
    return xr.Dataset(
        {
            "limit": label(found.base[..., 0], "limit at late times"),
            "amplitude": label(found.amplitude, "distance from the limit at time 0"),
            "time": label(time, "relaxation time", _units(curves[along])),
            "at_limit": label(found.at_limit, "time is only bounded", "1"),
            "fitted": label(fitted, "exponential relaxation"),
        }
    )


def checked_clock(data: xr.Dataset | xr.DataArray, along: str) -> xr.DataArray:
    """The coordinate ``along`` (step,) of ``data``: "step" or "epoch"; ValueError if it has none.

    >>> checked_clock(xr.DataArray([1.0, 2.0], {"step": [0, 10]}, "step"), "step").values.tolist()
    [0, 10]
    """
    if along not in data.coords or data[along].dims != ("step",):
        raise ValueError(f"{along!r} is no coordinate along step, expected 'step' or 'epoch'")
    return data[along]


def log_times(t: NDArray) -> NDArray:
    """Logarithms of the relaxation times that are tried for ascending times ``t`` (step,)."""
    return np.linspace(np.log(np.diff(t).min()), np.log(10 * (t[-1] - t[0])), GRID)


def power_law(
    curves: xr.DataArray, along: str = "step", exponents: tuple[float, float] = (0.02, 3.0)
) -> xr.Dataset:
    """Fit offset + amplitude t^exponent: ``offset``, ``amplitude``, ``exponent``, ``at_limit``.

    Exponents are looked for between the two given, of one sign: towards 0 the law becomes
    offset + amplitude log t, and neither of its coefficients is told any more. ``at_limit`` is True
    where the best lies at an end. ValueError if the exponents do not ascend or have 0 between them,
    or as in `exponential`.
    """
    low, high = exponents
    if not low < high or low * high <= 0:
        raise ValueError(f"exponents are {exponents}, expected two ascending ones of one sign")
    curves = _positive(curves, along)
    t = _times(curves, along)
    y, label = _unlabelled(curves)
    grid = np.linspace(low, high, GRID)
    # In units of the geometric mean time, so that no power is out of range.
    scale = np.exp(np.log(t).mean())
    found = profiles.fit(y, np.ones((1, len(t))), lambda p: (t / scale) ** p, grid)
    fitted = found.base + found.amplitude[..., None] * (t / scale) ** found.parameter[..., None]
    return xr.Dataset(
        {
            "offset": label(found.base[..., 0], "offset"),
            "amplitude": label(found.amplitude * scale**-found.parameter, "amplitude at time 1"),
            "exponent": label(found.parameter, "exponent", "1"),
            "at_limit": label(found.at_limit, "exponent is only bounded", "1"),
            "fitted": label(fitted, "power law"),
        }
    )


def logarithm(curves: xr.DataArray, along: str = "step") -> xr.Dataset:
    """Fit offset + rate ln t by least squares: ``offset``, ``rate``; NaN where a curve has one.

    ValueError as in `exponential`.
    """
    curves = _positive(curves, along)
    y, label = _unlabelled(curves)
    x = np.log(_times(curves, along))
    middle = x.mean()
    rate = ((x - middle) * y).sum(-1) / ((x - middle) ** 2).sum()
    offset = y.mean(-1) - rate * middle
    return xr.Dataset(
        {
            "offset": label(offset, "value at time 1"),
            "rate": label(rate, "growth by a factor e in time"),
            "fitted": label(offset[..., None] + rate[..., None] * x, "logarithmic law"),
        }
    )


def broken_line(curves: xr.DataArray, along: str = "step") -> xr.Dataset:
    """Fit ln y as a line in ln t with one free break (see `theory.breaks.fit_break`).

    Gives ``position`` with ``position_low`` and ``position_high``, an interval for this one curve
    that knows nothing of other members, ``value`` at the break, ``slope_before`` and
    ``slope_after``, ``autocorrelation`` of the errors, and ``sup_f``. Records at which no curve is
    finite are left out; a curve with a gap elsewhere is NaN. ValueError if a value is not positive,
    fewer than 8 recorded steps are left, or as in `exponential`.
    """
    x, y, label, units = _logarithms(curves, along)
    found = breaks.fit_break(x, y.reshape(-1, len(x)))
    fitted = breaks.line(x, found.position[:, None], found.coefficients)
    fitted[np.isnan(found.position)] = np.nan
    before, change = found.coefficients[:, 1], found.coefficients[:, 2]
    value = np.exp(found.coefficients[:, 0] + before * found.position)
    position, low, high = (np.exp(c) for c in (found.position, found.low, found.high))
    return xr.Dataset(
        {
            "position": label(position, "break", units),
            "position_low": label(low, "lower end of the break's interval", units),
            "position_high": label(high, "upper end of the break's interval", units),
            "value": label(value, "value at the break"),
            "slope_before": label(before, "logarithmic slope before the break", "1"),
            "slope_after": label(before + change, "logarithmic slope after the break", "1"),
            "autocorrelation": label(found.autocorrelation, "autocorrelation of the errors", "1"),
            "sup_f": label(found.sup_f, "sup-F of a break", "1"),
            "fitted": label(np.exp(fitted), "broken power law"),
        }
    )


def broken_lines(curves: xr.DataArray, along: str = "step", most: int = 3) -> xr.Dataset:
    """Fit ln y as a line in ln t with up to ``most`` breaks (see `theory.breaks.fit_breaks`).

    Gives the ``count`` of breaks by the Bayesian information criterion, ``position`` along a dim
    ``break`` and ``slope`` along a dim ``segment``, NaN beyond the count. Curves and ValueError as
    in `broken_line`, and if ``most`` is negative.
    """
    x, y, label, units = _logarithms(curves, along)
    found = breaks.fit_breaks(x, y.reshape(-1, len(x)), most)
    fitted = breaks.line(x, found.position, found.coefficients)
    slopes = found.coefficients[:, 1:].cumsum(-1)
    count = np.where(np.isfinite(found.criterion[:, 0]), found.chosen, np.nan)
    return xr.Dataset(
        {
            "count": label(count, "breaks", "1"),
            "position": label(np.exp(found.position), "break", units, "break"),
            "slope": label(slopes, "logarithmic slope", "1", "segment"),
            "fitted": label(np.exp(fitted), "broken power law"),
        }
    )


Model = Callable[[xr.DataArray, str], xr.Dataset]


def cross_validate(
    curves: xr.DataArray, models: Mapping[str, Model], along: str = "step"
) -> xr.Dataset:
    """Which of the ``models`` foretells the curve of a member that it has not seen.

    Each is fitted to the mean curve of all other members, for every member in turn. Gives the
    ``error`` (model, member, ...), a mean of squared differences over the steps, from which how
    members differ among themselves is the same for all models; and ``excess`` over the model with
    the least mean error, ``excess_low`` and ``excess_high`` being the Student-t interval over
    members. The fits share members, which the interval neglects. ValueError with fewer than 3, or
    of the models.
    """
    if curves.sizes.get("member", 0) < 3:
        raise ValueError(f"curves have dims {dict(curves.sizes)}, expected at least 3 of member")
    others = (curves.sum("member") - curves.fillna(0)) / (
        curves.count("member") - curves.notnull()
    ).where(lambda count: count > 0)
    errors = [
        ((curves - model(others, along)["fitted"]) ** 2).mean("step") for model in models.values()
    ]
    error = xr.concat(errors, xr.DataArray(list(models), dims="model", name="model"))
    units = _units(curves)
    error.attrs = {
        "units": "1" if units == "1" else f"{units}2",
        "long_name": "error on members not seen",
    }
    mean = error.mean("member")
    best = error.isel(model=mean.argmin("model"))
    interval = mean_interval((error - best.drop_vars("model")).assign_attrs(error.attrs))
    return xr.Dataset(
        {
            "error": error,
            "excess": interval["mean"],
            "excess_low": interval["low"],
            "excess_high": interval["high"],
        }
    )


def _units(values: xr.DataArray) -> str:
    return str(values.attrs.get("units", "1"))


def _times(curves: xr.DataArray, along: str) -> NDArray:
    if "step" not in curves.dims:
        raise ValueError(f"curves have dims {curves.dims}, expected 'step' among them")
    t = checked_clock(curves, along).values.astype(float)
    if len(t) < 3 or not (np.diff(t) > 0).all():
        raise ValueError(f"{along!r} has {len(t)} recorded steps, expected at least 3 that ascend")
    return t


def _positive(curves: xr.DataArray, along: str) -> xr.DataArray:
    return curves.isel(step=_times(curves, along) > 0)


def _unlabelled(curves: xr.DataArray) -> tuple[NDArray, Callable[..., xr.DataArray]]:
    """Values (..., step), and what labels arrays of the same leading dims."""
    ordered = curves.transpose(..., "step")
    template = ordered.isel(step=0, drop=True)

    def label(
        values: NDArray, long_name: str, units: str | None = None, last: str = "step"
    ) -> xr.DataArray:
        attrs = {"units": _units(curves) if units is None else units, "long_name": long_name}
        values = values.reshape(*template.shape, -1)
        if values.shape[-1] == 1 and last == "step":
            return template.copy(data=values[..., 0]).assign_attrs(attrs).rename(None)
        if last == "step":
            return ordered.copy(data=values).assign_attrs(attrs).rename(None)
        return xr.DataArray(values, template.coords, (*template.dims, last), attrs=attrs)

    return ordered.values.astype(float), label


def _logarithms(
    curves: xr.DataArray, along: str
) -> tuple[NDArray, NDArray, Callable[..., xr.DataArray], str]:
    """The ln t, ln y, `_unlabelled`'s label, units of time; steps without a curve left out."""
    curves = _positive(curves, along)
    curves = curves.dropna("step", how="all")
    if bool((curves <= 0).any()):
        raise ValueError(f"{curves.name!r} holds values of 0 or less, which have no logarithm")
    y, label = _unlabelled(curves)
    return np.log(_times(curves, along)), np.log(y), label, _units(curves[along])
