"""Records made by formula, with what theory reads of the schema: tests whose answer is known."""

import json

import numpy as np
import xarray as xr

from ibdyn import schema
from theory.autoregression import autoregressive

LAYERS = ("1", "2", "output")


def labelled(name, values):
    variable = schema.VARIABLES.get(name) or schema.COORDINATES[name]
    return xr.Variable(variable.dims, values, schema.attributes(name))


def record(variables, step, *, layers=LAYERS, batch_size=64, train_size=6400, **config):
    """A Dataset of the given variables, their dims those of the schema, along ``step``."""
    settings = {"learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.0, **config}
    run = xr.Dataset({name: labelled(name, values) for name, values in variables.items()})
    steps_per_epoch = -(-train_size // batch_size)
    own = {
        "step": step,
        "epoch": np.asarray(step) / steps_per_epoch,
        "layer": np.array(layers),
        "depth": np.arange(1, len(layers) + 1),
        "member": np.arange(run.sizes["member"]),
    }
    run = run.assign_coords({name: labelled(name, values) for name, values in own.items()})
    run.attrs = {
        "batch_size": batch_size,
        "train_size": train_size,
        "config": json.dumps(settings),
    }
    return run


def steps(last, count):
    """Distinct log-spaced integers from 1 to ``last``."""
    return np.unique(np.round(np.geomspace(1, last, count)).astype(int))


def gradients(log_ratio, step, **settings):
    """A record whose signal-to-noise ratio is exp(``log_ratio``) (member, step, layer)."""
    log_ratio = np.asarray(log_ratio, dtype=float)
    run = record(
        {"gradient_spread": np.full(log_ratio.shape, 2.0)},
        step,
        layers=[str(i) for i in range(log_ratio.shape[2])],
        **settings,
    )
    batch, size = run.attrs["batch_size"], run.attrs["train_size"]
    spread = 2 * np.sqrt((size - batch) / (batch * (size - 1)))
    run["gradient_mean"] = labelled("gradient_mean", spread * np.exp(log_ratio))
    return run


def noisy(line, members, layers, rng, phi=0.6, noise=0.15):
    """``line`` (step,) or (member, 1, step) with AR(1) errors, as (member, step, layer)."""
    shape = (members, layers, np.shape(line)[-1])
    errors = autoregressive(phi, (members * layers, shape[-1]), rng).reshape(shape)
    return (np.asarray(line) + noise * errors).swapaxes(1, 2)
