"""How far the weights wander in the diffusion phase, against what their gradient noise predicts.

Stochastic gradient descent with batches of B is, in the time tau = learning rate x steps, a walk
with drift -grad L and diffusion D = rate C_B / 2, C_B being the covariance of the minibatch
gradients (Mandt et al. 2017; Li, Tai & E 2017). In an overdamped system D is the temperature. Where
nothing holds the weights back E |w - w_0|^2 grows by 2 tr D a unit of tau, with exponent 1 in time;
an exponent below 1, or a slower growth, tells of a confining loss, one near 2 of a drift that goes
on. The traces are over the weights of a layer.
"""

import json

import numpy as np
import xarray as xr

from .phases import minibatch_spread

LEAST_STEPS = 4


def predicted_temperature(run: xr.Dataset) -> xr.DataArray:
    """Trace of D = rate C_B / 2, in nats, at every recorded step (member, step, layer).

    The finite-population factor is in C_B: a full batch has temperature 0. ValueError unless the
    record's config is that of plain gradient descent: with momentum or adam D is another.
    """
    temperature = learning_rate(run) * minibatch_spread(run) ** 2 / 2
    return temperature.assign_attrs(
        units="nat", long_name="temperature predicted from the gradient noise, summed over weights"
    )


def weight_diffusion(run: xr.Dataset, since: xr.DataArray) -> xr.Dataset:
    """Exponent and temperature of the weights from step ``since`` (any of member, layer) on.

    Gives, for each member and layer:
    ``exponent``: slope of log |w - w_0|^2 against log step, 1 for free diffusion;
    ``temperature``: slope of |w - w_0|^2 against tau, divided by 2, in nats: the trace of D that
    free diffusion would need;
    ``predicted``: mean over the phase, in time, of `predicted_temperature`;
    ``ratio``: temperature / predicted, NaN where that is 0.
    The distance is from the start of the run, not of the phase, so that what was travelled before
    lowers the exponent; slopes are of least squares over the recorded steps. NaN where since is NaN
    or has fewer than `LEAST_STEPS` of them after it. ValueError as in `predicted_temperature`.
    """
    rate = learning_rate(run)
    step = run["step"].astype(float)
    phase = (step >= since) & (step > 0) & run["weight_displacement"].notnull()
    phase = phase & (phase.sum("step") >= LEAST_STEPS)
    square = run["weight_displacement"] ** 2
    exponent = _slope(_log(step), _log(square), phase)
    temperature = _slope(rate * step, square, phase) / 2
    # Records are log-spaced; a mean in time gives each the time around it.
    weight = xr.DataArray(np.gradient(step.values), dims="step").where(phase)
    predicted = (predicted_temperature(run) * weight).sum("step", min_count=1) / weight.sum("step")
    found = xr.Dataset(
        {
            "exponent": exponent,
            "temperature": temperature,
            "predicted": predicted,
            "ratio": temperature / predicted.where(predicted > 0),
        }
    )
    for name, units, text in (
        ("exponent", "1", "exponent of the squared displacement in time"),
        ("temperature", "nat", "temperature of free diffusion, summed over weights"),
        ("predicted", "nat", "temperature predicted from the gradient noise, summed over weights"),
        ("ratio", "1", "temperature over its prediction"),
    ):
        found[name].attrs = {"units": units, "long_name": text}
    return found


def learning_rate(run: xr.Dataset) -> float:
    """The learning rate of plain stochastic gradient descent; ValueError for another optimiser."""
    config = json.loads(run.attrs["config"])
    optimizer, momentum = config.get("optimizer"), config.get("momentum", 0)
    if optimizer != "sgd" or momentum:
        raise ValueError(
            f"the record's optimiser is {optimizer} with momentum {momentum}, expected sgd with 0"
        )
    return float(config["learning_rate"])


def _log(values: xr.DataArray) -> xr.DataArray:
    logarithm: xr.DataArray = xr.apply_ufunc(np.log, values.where(values > 0))
    return logarithm


def _slope(x: xr.DataArray, y: xr.DataArray, phase: xr.DataArray) -> xr.DataArray:
    x, y = x.where(phase), y.where(phase)
    a, b = x - x.mean("step"), y - y.mean("step")
    slope: xr.DataArray = (a * b).sum("step", min_count=1) / (a**2).sum("step")
    return slope
