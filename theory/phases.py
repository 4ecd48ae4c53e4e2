"""Drift and diffusion: the mean and the spread of the gradients, and their ratio.

A record holds two primitives for each layer, at frozen weights over the training set: the norm of
the mean per-sample gradient, ``gradient_mean`` = |mu|, and the root trace of the per-sample
covariance C (normalised by the number of samples N), ``gradient_spread`` = sqrt(tr C). All that
has been plotted under the name of gradient phases is arithmetic on these.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr


def minibatch_spread(run: xr.Dataset) -> xr.DataArray:
    """Root trace of the covariance of minibatch gradients, in nats.

    A batch of B of N samples drawn without replacement has E tr C_B = (tr C / B)(N - B)/(N - 1):
    0 for the full batch. B and N are the record's attributes ``batch_size`` and ``train_size``.
    """
    batch, size = float(run.attrs["batch_size"]), float(run.attrs["train_size"])
    factor = (size - batch) / (batch * (size - 1)) if size > 1 else 0.0
    spread = run.gradient_spread * np.sqrt(factor)
    spread.attrs = {"units": "nat", "long_name": "spread of the minibatch gradients"}
    return spread


def signal_to_noise(run: xr.Dataset) -> xr.DataArray:
    """Norm of the mean gradient over the `minibatch_spread`; NaN where there is no spread.

    Above one the drift of a step exceeds its noise, below one the noise exceeds the drift.
    """
    spread = minibatch_spread(run)
    ratio = run.gradient_mean / spread.where(spread > 0)
    ratio.attrs = {"units": "1", "long_name": "signal-to-noise ratio of the minibatch gradients"}
    return ratio


def gradient_curves(run: xr.Dataset, formula: str) -> xr.Dataset:
    """The curves ``mean`` and ``spread`` of the gradient figure, by one of `FORMULAS`.

    paper: |mu| and the standard deviation of the minibatch gradients, both over the Frobenius
    norm of the weights (Shwartz-Ziv & Tishby 2017, caption of figure 4).
    publication: |mu| and the *trace* of the minibatch covariance, a variance, both over the
    spectral norm, each averaged over the layer and all below it (the code at publication).
    released: the sum of |mu| over the layers up to this one, and the root of the sum of root
    traces; not normalised (the code released later).
    saxe2018: |mu| and the root trace, not normalised (Saxe et al. 2018, equations 26 and 27).

    Raises ValueError for another formula.
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
