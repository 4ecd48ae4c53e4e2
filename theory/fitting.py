"""Estimates with intervals, always from the spread over members.

Members are independent networks and the only sample there is: points along a curve are not.
"""

import numpy as np
import xarray as xr
from scipy.stats import t as student


def mean_interval(values: xr.DataArray, *, level: float = 0.95) -> xr.Dataset:
    """Mean over ``member`` and its Student-t interval: ``mean``, ``low``, ``high``.

    Members that are NaN are left out; the interval is NaN where fewer than two are left.
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
