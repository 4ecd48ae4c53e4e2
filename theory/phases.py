"""Drift and diffusion: the mean and the spread of the gradients, and their ratio.

A record holds two primitives for each layer, at frozen weights over the training set: the norm of
the mean per-sample gradient, ``gradient_mean`` = |mu|, and the root trace of the per-sample
covariance C (normalised by the number of samples N), ``gradient_spread`` = sqrt(tr C). All that
has been plotted under the name of gradient phases is arithmetic on these.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from .checks import at_least


def minibatch_spread(run: xr.Dataset) -> xr.DataArray:
    """Root trace of the covariance of minibatch gradients, in nats (member, step, layer).

    A batch of B of N samples drawn without replacement has E tr C_B = (tr C / B)(N - B)/(N - 1):
    0 for the full batch. B and N are the record's attributes ``batch_size`` and ``train_size``.
    """
    batch, size = float(run.attrs["batch_size"]), float(run.attrs["train_size"])
    factor = (size - batch) / (batch * (size - 1)) if size > 1 else 0.0
    spread = run.gradient_spread * np.sqrt(factor)
    spread.attrs = {"units": "nat", "long_name": "spread of the minibatch gradients"}
    return spread


def signal_to_noise(run: xr.Dataset) -> xr.DataArray:
    """Norm of the mean gradient over the `minibatch_spread`, of its dims; NaN without a spread.

    Above one the drift of a step exceeds its noise, below one the noise exceeds the drift.
    """
    spread = minibatch_spread(run)
    ratio = run.gradient_mean / spread.where(spread > 0)
    ratio.attrs = {"units": "1", "long_name": "signal-to-noise ratio of the minibatch gradients"}
    return ratio


def noise_floor(batches: int) -> float:
    """The signal-to-noise ratio that ``batches`` independent batches show of pure noise.

    The mean of M gradients of covariance C has E |g|^2 = tr C / M, and their spread about it, with
    divisor M, E tr C_M = (M - 1) tr C / M: the ratio goes to 1 / sqrt(M - 1). ValueError for less
    than two.

    >>> noise_floor(101)
    0.1
    """
    at_least("batches", batches, 2)
    return float(1 / np.sqrt(batches - 1))


def observed_signal_to_noise(run: xr.Dataset, batches: int) -> xr.DataArray:
    """The ratio that somebody sees who draws ``batches`` independent batches at frozen weights.

    With s the record's exact ratio, s_M^2 = (M s^2 + 1) / (M - 1), of expected squares and the
    divisor M: never below the `noise_floor`. (The batches of one epoch are no independent batches
    but a partition, whose mean is exact.) ValueError for less than two.
    """
    at_least("batches", batches, 2)
    exact = signal_to_noise(run)
    observed = ((batches * exact**2 + 1) / (batches - 1)) ** 0.5
    return observed.assign_attrs(
        units="1", long_name=f"signal-to-noise ratio seen by {batches} independent batches"
    )


def debiased_square(observed: xr.DataArray, batches: int) -> xr.DataArray:
    """The square of the exact ratio, from one ``observed`` with ``batches`` independent batches.

    It is (|g|^2 - tr C / M) / tr C with tr C of divisor M - 1, of which both parts are unbiased:
    ((M - 1) s_M^2 - 1) / M. It is negative as often as not where there is only noise, and stays so;
    its root is for means over members. ValueError for less than two.
    """
    at_least("batches", batches, 2)
    square = ((batches - 1) * observed**2 - 1) / batches
    return square.assign_attrs(units="1", long_name="squared signal-to-noise ratio, debiased")


def gradient_curves(run: xr.Dataset, formula: str) -> xr.Dataset:
    """The curves ``mean`` and ``spread`` of the gradient figure, by one of `FORMULAS`.

    paper: |mu| and the standard deviation of the minibatch gradients, both over the Frobenius
    norm of the weights (Shwartz-Ziv & Tishby 2017, caption of figure 4).
    publication: |mu| and the *trace* of the minibatch covariance, a variance, both over the
    spectral norm, each averaged over the layer and all below it (the code at publication).
    released: the sum of |mu| over the layers up to this one, and the root of the sum of root
    traces; not normalised (the code released later).
    saxe2018: |mu| and the root trace, not normalised (Saxe et al. 2018, equations 26 and 27).

    Both have dims member, step and layer, and the units that the formula gives. ValueError for
    another formula.
    """
    if formula not in FORMULAS:
        raise ValueError(f"formula {formula!r} is unknown, expected one of {', '.join(FORMULAS)}")
    run = run.sortby("depth")
    curves = FORMULAS[formula](run, run.gradient_mean, minibatch_spread(run))
    for kind, curve in curves.items():
        curve.attrs = {
            "units": _UNITS.get((formula, str(kind)), "nat"),
            "long_name": f"gradient {kind} ({formula})",
        }
    return curves


def _paper(run: xr.Dataset, mean: xr.DataArray, spread: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"mean": mean / run.weight_norm, "spread": spread / run.weight_norm})


def _publication(run: xr.Dataset, mean: xr.DataArray, spread: xr.DataArray) -> xr.Dataset:
    norm = run.weight_spectral_norm
    curves = xr.Dataset({"mean": mean / norm, "spread": spread**2 / norm})
    return curves.cumsum("layer") / xr.DataArray(np.arange(1, run.sizes["layer"] + 1), dims="layer")


def _released(run: xr.Dataset, mean: xr.DataArray, spread: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"mean": mean.cumsum("layer"), "spread": np.sqrt(spread.cumsum("layer"))})


def _saxe2018(run: xr.Dataset, mean: xr.DataArray, spread: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"mean": mean, "spread": spread})


FORMULAS: Mapping[str, Callable[[xr.Dataset, xr.DataArray, xr.DataArray], xr.Dataset]] = {
    "paper": _paper,
    "publication": _publication,
    "released": _released,
    "saxe2018": _saxe2018,
}
_UNITS = {("publication", "spread"): "nat2", ("released", "spread"): "nat0.5"}
