"""For each claim a world in which it holds, and its opposite: records made by formula."""

import numpy as np
import xarray as xr
from synthetic import record, steps

from theory import bottleneck, finite_sample, limit
from theory.phases import minibatch_spread
from theory.verdicts import generalisation
from theory.verdicts.records import LANGEVIN, REFERENCE, RELU

MEMBERS = 30
LAYERS = ("1", "2", "3", "output")
LAST = -2
# One step an epoch, so that times can be read as either.
EPOCHS = steps(10_000, 90)
WORLDS = {}


def world(number):
    """Register the two worlds of a claim."""

    def register(build):
        WORLDS[number] = build
        return build

    return register


def run_of(variables, *, layers=LAYERS, step=EPOCHS, estimators=("binned-range-30",), **settings):
    """A record with one step an epoch, its information repeated for each of the estimators."""
    settings = {"batch_size": 512, "train_size": 512} | settings
    for name in ("information_input", "information_label", "occupied_cells"):
        if name in variables:
            variables = variables | {name: np.stack([variables[name]] * len(estimators))}
    run = record(variables, step, layers=layers, **settings)
    if "estimator" in run.dims:
        run = run.assign_coords(estimator=list(estimators))
    if "split" in run.dims:
        run = run.assign_coords(split=["train", "test"])
    return run


def layered(last, layers=LAYERS):
    """Values (member, step, layer) that are ``last`` (member, step) in every layer."""
    return np.repeat(np.asarray(last)[..., None], len(layers), -1)


def both(train, test):
    return np.stack([train, test])


def path(rng, drop, *, peak=50.0, spread=0.1, members=MEMBERS, noise=0.02):
    """I(X;T) (member, step): up by 2 bits to its peak, then down by ``drop``, maybe (member,)."""
    t = np.log(EPOCHS / peak)
    up, down = np.clip(1 + t / 4, 0, 1), np.clip(t / np.log(EPOCHS[-1] / peak), 0, 1)
    own = spread * rng.standard_normal((members, 1))
    drops = np.broadcast_to(drop, members)[:, None]
    return 5 + 2 * up - drops * down + own + noise * rng.standard_normal((members, len(t)))


def plane(rng, drop, **more):
    config = {k: more.pop(k) for k in ("optimizer", "temperature") if k in more}
    return run_of({"information_input": layered(path(rng, drop, **more))}, **config)


@world(1)
def processing(holds, rng):
    levels = np.array([12.0, 9.0, 6.0, 1.0])
    if not holds:
        levels[2] = 9.5
    values = np.broadcast_to(levels, (MEMBERS, len(EPOCHS), 4)).copy()
    chain = {"information_input": values, "information_label": values / 12}
    return {"markov_chain": run_of(chain, estimators=("exact", "binned-range-30"))}


@world(2)
def reparametrisation(holds, rng):
    names = ["unchanged", "permuted units", "monotone map", "rotation", "shuffled weights"]
    values = np.full((5, 1, MEMBERS, 3), 8.0)
    values[4] += 0.5
    if not holds:
        values[3, 0, 4, 1] -= 1e-3
    found = xr.DataArray(
        values,
        {"map": names, "estimator": ["exact"]},
        ("map", "estimator", "member", "layer"),
    )
    return {"reparametrisation": xr.Dataset({"information_input": found})}


@world(3)
def compression(holds, rng):
    return {REFERENCE: plane(rng, 2.0 if holds else 0.0)}


@world(4)
def saturation(holds, rng):
    breaks = 60.0 if holds else 2000.0
    t = np.log(EPOCHS / breaks)
    line = np.where(t > 0, -1.2 * t, -0.1 * t)
    loss = np.exp(line + 0.05 * rng.standard_normal((MEMBERS, len(t))))
    error = np.broadcast_to(np.where(breaks > EPOCHS, 0.5, 0.05), loss.shape)
    information = layered(path(rng, 2.0))
    variables = {
        "information_input": information,
        "loss": both(loss, loss),
        "error_rate": both(error, error),
    }
    return {REFERENCE: run_of(variables)}


@world(5)
def generalising(holds, rng):
    drop = rng.uniform(1, 3, MEMBERS)
    sign = -1 if holds else 1
    shape = (MEMBERS, len(EPOCHS))
    test = np.broadcast_to((1 + sign * 0.2 * drop)[:, None], shape)
    train = np.broadcast_to(rng.uniform(0.1, 0.2, (MEMBERS, 1)), shape)
    error = 0.05 + 0.002 * rng.standard_normal((MEMBERS, 1))
    plain = error + (0.1 if holds else -0.02)
    own = {
        "information_input": layered(path(rng, drop)),
        "loss": both(train, test),
        "error_rate": both(np.zeros(shape), np.broadcast_to(error, shape)),
    }
    relu = {
        "information_input": layered(path(rng, -0.5)),
        "loss": both(train, test),
        "error_rate": both(np.zeros(shape), np.broadcast_to(plain, shape)),
    }
    return {REFERENCE: run_of(own), RELU: run_of(relu)}


def gradients(log_ratio):
    """A record whose gradients have the ratio exp(``log_ratio``) (member, step, layer)."""
    values = np.asarray(log_ratio, dtype=float)
    variables = {
        "gradient_mean": np.ones(values.shape),
        "gradient_spread": np.full(values.shape, 2.0),
        "information_input": np.zeros(values.shape),
    }
    run = run_of(variables, batch_size=512, train_size=4096)
    # Again in epochs: this record has eight steps in one.
    run = run.assign_coords(epoch=("step", EPOCHS.astype(float), run.epoch.attrs))
    run["gradient_mean"] = (minibatch_spread(run) * np.exp(values)).assign_attrs(
        run.gradient_mean.attrs
    )
    return run


@world(6)
def transition(holds, rng):
    t = np.log(EPOCHS)
    line = 2 - np.where(t > 6, 2.0 * (t - 6), 0)
    values = layered(np.broadcast_to(line if holds else 2 + 0 * t, (MEMBERS, len(t))))
    return {REFERENCE: gradients(values + 0.1 * rng.standard_normal(values.shape))}


@world(7)
def magnitude(holds, rng):
    shape = (MEMBERS, len(EPOCHS), len(LAYERS))
    values = np.log(1e3 if holds else 15) + 0.1 * rng.standard_normal(shape)
    return {REFERENCE: gradients(values)}


def ordered(holds, rng):
    """Layers in an order around epoch 50, and in the opposite one before and after."""
    middle = np.abs(np.log(EPOCHS / 50)) < 1
    rise = np.arange(len(LAYERS)) * np.where(middle == holds, 0.5, -0.5)[:, None]
    shape = (MEMBERS, len(EPOCHS), len(LAYERS))
    return gradients(rise + 0.3 * rng.standard_normal(shape))


@world(8)
def backwards(holds, rng):
    return {REFERENCE: ordered(holds, rng)}


@world(19)
def equal_widths(holds, rng):
    return {"controls/equal-widths": ordered(holds, rng)}


@world(9)
def diffusion(holds, rng):
    found = {"controls/full-batch": plane(rng, 0.0 if holds else 2.0)}
    for k, name in enumerate(LANGEVIN):
        drop = k if holds else 2 - k
        temperature = float(name.rsplit("langevin-")[1])
        found[name] = plane(rng, drop, optimizer="langevin", temperature=temperature)
    return found


@world(10)
def relaxation(holds, rng):
    """Layers that relax by a bit, with time exp(3 + C), C being not in the order of depth."""
    t = EPOCHS - EPOCHS[0]
    c = np.array([2.6, 0.8, 2.0, 1.4]) + 0.05 * rng.standard_normal((MEMBERS, 4))
    law = c - 1.5 if holds else 0.5 * np.arange(4) - 0.2 * c
    times = np.exp(3 + law + 0.05 * rng.standard_normal(c.shape))
    end = 12 - np.cumsum(c, 1) / np.log(2)
    values = end[:, None] + np.exp(-t[None, :, None] / times[:, None])
    run = run_of({"information_input": values, **uniform(4096)})
    run["resolved"] = (run.information_input.dims, np.ones((1, *values.shape)))
    return {REFERENCE: run}


def uniform(patterns):
    return {"p_x": np.full(patterns, 1 / patterns)}


@world(11)
def depth(holds, rng):
    found = {}
    for k in range(1, 7):
        time = 3000 * np.exp(-0.7 * k) if holds else 60 * k * np.exp(3 / k)
        times = time * np.exp(0.1 * rng.standard_normal((MEMBERS, 1)))
        error = np.where(times > EPOCHS, 0.4, 0.01)
        found[f"hidden_layers/adam-{k}"] = run_of({"error_rate": both(error, error)})
    return found


PATTERNS = 100
PARAMETERS = {"half": 100, "normal": 300, "double": 900}


def sized(percent, gap, information, *, parameters=300, label=None):
    """A record at its end with the gap and information (member,) of every layer."""
    members, m = len(gap), percent
    shape = (members, 1)
    train = np.full(shape, 0.01)
    error = both(train, 0.01 + np.reshape(gap, shape))
    in_train = np.zeros((members, PATTERNS))
    in_train[:, :m] = 1
    values = layered(np.reshape(information, shape))
    label = np.full(members, 0.9) if label is None else label
    variables = {
        "loss": error,
        "error_rate": error,
        "in_train": in_train,
        "p_x": np.full(PATTERNS, 1 / PATTERNS),
        "p_y_given_x": np.tile([1.0, 0.0], (PATTERNS, 1)),
        "information_input": values,
        "information_label": layered(np.reshape(label, shape)),
        "occupied_cells": np.full(values.shape, 50.0),
        "parameters": np.zeros((members, 1, parameters)),
    }
    run = run_of(variables, step=[10], batch_size=m, train_size=m)
    return run.assign_coords(width=("layer", [10, 7, 4, 2]))


def widths(gap_of, rng):
    """Three widths at three sizes, with the gap a function of (information, parameters)."""
    found = {}
    for percent in generalisation.WIDE_PERCENTS:
        for width, parameters in PARAMETERS.items():
            information = rng.uniform(3, 9, MEMBERS)
            gap = gap_of(information, parameters) + 0.002 * rng.standard_normal(MEMBERS)
            name = f"training_size/{width}-{percent:02d}"
            found[name] = sized(percent, gap, information, parameters=parameters)
    return found


@world(12)
def information_orders(holds, rng):
    sign = 1 if holds else -1
    return widths(lambda information, _: 0.2 + sign * 0.02 * information, rng)


@world(21)
def information_beats_size(holds, rng):
    if holds:
        return widths(lambda information, _: 0.02 * information, rng)
    return widths(lambda _, parameters: 1e-4 * parameters, rng)


@world(13)
def classical(holds, rng):
    gap = np.full(MEMBERS, 0.1)
    return {generalisation.LARGEST: sized(85, gap, gap, parameters=20_000 if holds else 3)}


@world(14)
def samples(holds, rng):
    found = {}
    for percent in (10, 30, 45, 85):
        label = 0.5 + (1 if holds else -1) * percent / 300 + 0.01 * rng.standard_normal(MEMBERS)
        gap = np.full(MEMBERS, 0.1)
        found[f"training_size/normal-{percent:02d}"] = sized(percent, gap, gap, label=label)
    return found


P_Y_GIVEN_X = np.stack([np.linspace(0.02, 0.98, 16), np.linspace(0.98, 0.02, 16)], 1)


def soft(information_input, information_label, **settings):
    """A record of the soft rule at its end, every layer at these points (member,)."""
    shape = (len(information_input), 5)
    variables = {
        "information_input": layered(np.repeat(information_input[:, None], 5, 1)),
        "information_label": layered(np.repeat(information_label[:, None], 5, 1)),
        "p_x": np.full(16, 1 / 16),
        "p_y_given_x": P_Y_GIVEN_X,
    }
    assert variables["information_input"].shape[:2] == shape
    run = run_of(variables, step=EPOCHS[:5], **settings)
    run.attrs["task_information"] = float(solved().total_information)
    return run


def solved():
    return bottleneck.curve(P_Y_GIVEN_X / 16, generalisation.BETAS)


@world(15)
def limited(holds, rng):
    label = np.full(MEMBERS, 0.2)
    off = xr.Dataset(
        {
            name: ((), v, {"units": "bit"})
            for name, v in (("information_input", 5.0), ("information_label", 0.2))
        }
    )
    least = 5.0 - float(limit.distance(off, solved()).excess_input)
    excess = (0.02 if holds else 2.0) + 0.01 * rng.standard_normal(MEMBERS)
    return {generalisation.SOFT: soft(least + excess, label)}


@world(16)
def red(holds, rng):
    m = 400
    optima = [
        float(finite_sample.red_curve(solved(), m, 2, constant=constant).optimal_information_label)
        for constant in generalisation.CONSTANTS
    ]
    place = min(optima) - 0.05 if holds else np.mean(optima)
    label = place + 0.005 * rng.standard_normal(MEMBERS)
    return {generalisation.SOFT: soft(np.full(MEMBERS, 3.0), label, train_size=m)}


@world(17)
def growth(holds, rng):
    t = EPOCHS.astype(float)

    def weights(law):
        values = law * (1 + 0.002 * rng.standard_normal((MEMBERS, len(t))))
        shape = (MEMBERS, len(t), len(LAYERS))
        return run_of(
            {"weight_displacement": layered(values), "information_input": np.zeros(shape)}
        )

    own = 1 + np.log(t) if holds else np.sqrt(t)
    return {REFERENCE: weights(own), "controls/full-batch": weights(np.sqrt(t))}


@world(18)
def one_trajectory(holds, rng):
    return {REFERENCE: plane(rng, 2.0, spread=0.1 if holds else 2.0)}


@world(20)
def sums(holds, rng):
    levels = np.array([10.0, 7.0, 4.0, 1.0]) if holds else np.full(4, 12.0)
    values = np.broadcast_to(levels, (MEMBERS, len(EPOCHS), 4)).copy()
    if holds:
        values += 0.1 * rng.standard_normal(values.shape)
    return {REFERENCE: run_of({"information_input": values, **uniform(4096)})}


@world(22)
def clustering(holds, rng):
    information = path(rng, 3.0)
    share = np.clip((information if holds else 10 - information) / 20, 0.01, 0.99)
    variables = {
        "information_input": layered(information),
        "within_scatter": layered(share),
        "between_scatter": layered(1 - share),
    }
    return {REFERENCE: run_of(variables)}
