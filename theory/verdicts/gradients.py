"""Claims about gradients and weights: drift and diffusion, their noise, and how weights grow."""

from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from .. import phases, transitions
from ..censoring import OBSERVED
from ..existence import sign_flip_test
from ..fitting import power_law
from .finding import Finding, InsufficientError, Region, of_members, of_share
from .records import (
    BATCHES,
    RANDOM,
    REFERENCE,
    RELU,
    Records,
    attempt,
    check_size,
    last_hidden,
    over,
)

EQUAL_WIDTHS = "controls/equal-widths"
FULL_BATCH = "controls/full-batch"
# Records with gradient noise: those of the full batch have no ratio.
NOISY_GRADIENTS = (
    REFERENCE,
    RELU,
    *BATCHES,
    "hidden_layers/adam-5",
    "controls/noisy",
    "controls/quantised",
    EQUAL_WIDTHS,
    RANDOM,
)
SHUFFLES = 1999
# "Three magnitudes larger" is refuted by less than two.
MAGNITUDES = 2.0
# Where in training layers are compared: after the fit, before the ratio reaches its floor.
MIDDLE = 50.0
# Exponent below which a power of time cannot be told from its logarithm.
SLOW = 0.1
# Decades of time, at the end of a run, over which weights grow slowly or not.
DECADES = 2.0


def transition(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Share of networks whose ratio goes below one for three records, if it also breaks."""
    region = Region(low=0.5)

    def crossing(layer: str, condition: str, run: xr.Dataset) -> Finding:
        check_size(condition, run)
        if int((run.epoch > 0).sum()) < 12:
            raise InsufficientError(f"{condition}: fewer than 12 records after the first")
        one = run.sel(layer=[layer])
        code = transitions.crossing(one, "epoch").censored.sel(layer=layer)
        found = of_share(condition, (code == OBSERVED).values, region)
        ratio = phases.signal_to_noise(one).sel(layer=layer).isel(step=one.epoch.values > 0)
        curves = ratio.dropna("step", how="all").dropna("member").transpose("member", "step")
        x, y = np.log(curves.epoch.values.astype(float)), np.log(curves.values)
        p = float(sign_flip_test(x, y, rng, SHUFFLES)[1])
        # Both a crossing and a break: the weaker of the two.
        weaker = replace(found, p_support=max(found.p_support, p))
        return weaker.with_note(f"p of a break common to all networks: {p:.2g}")

    def last(condition: str, run: xr.Dataset) -> Finding:
        return crossing(str(last_hidden(run).layer.item()), condition, run)

    found = []
    if REFERENCE in records:
        run = records[REFERENCE].sortby("depth")
        for layer in run.layer.values:
            condition = f"{REFERENCE}, layer {layer}"
            one = attempt(partial(crossing, layer, condition, run), condition, region, "1")
            found.append(one if layer != "output" else one.as_control())
    controls = tuple(name for name in NOISY_GRADIENTS if name != REFERENCE)
    return found + [one.as_control() for one in over(records, controls, region, "1", last)]


def magnitude(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Logarithm to base 10 of the largest ratio of mean and spread, any layer and record."""
    region = Region(low=MAGNITUDES)

    def largest(condition: str, run: xr.Dataset) -> Finding:
        check_size(condition, run)
        ratio = phases.signal_to_noise(run).max(("step", "layer"))
        return of_members(condition, np.log10(ratio), region, "1")

    return over(records, NOISY_GRADIENTS, region, "1", largest)


def noise_grows_backwards(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Rank correlation of ratio and depth, near epoch 50; at the last record as a control."""
    region = Region(low=0.0)
    middle = over(records, NOISY_GRADIENTS, region, "1", partial(_ordering, region, MIDDLE))
    last = over(records, (REFERENCE,), region, "1", partial(_ordering, region, np.inf))
    return middle + [one.as_control() for one in last]


def noise_at_equal_widths(records: Records, rng: np.random.Generator) -> list[Finding]:
    """The same in networks whose hidden layers have equal widths."""
    region = Region(low=0.0)
    names = (EQUAL_WIDTHS, REFERENCE)
    return over(records, names, region, "1", partial(_ordering, region, MIDDLE))


def _ordering(region: Region, epoch: float, condition: str, run: xr.Dataset) -> Finding:
    """Rank correlation, in each member, of the layers' ratio with their depth, hidden ones only."""
    check_size(condition, run)
    place = int(np.abs(run.epoch.values - min(epoch, float(run.epoch[-1]))).argmin())
    ratio = phases.signal_to_noise(run).isel(step=place, layer=slice(None, -1))
    values = ratio.transpose("member", "layer").values
    depth = np.arange(values.shape[1])
    found = [
        float(spearmanr(depth, row)[0]) if np.isfinite(row).all() and np.ptp(row) > 0 else np.nan
        for row in values
    ]
    note = f"epoch {float(run.epoch[place]):g}"
    return of_members(f"{condition}, {note}", found, region, "1")


def ultra_slow(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Exponent of the weights' displacement in time, with gradient noise and without it."""
    slow, fast = Region(high=SLOW), Region(low=SLOW)
    found = over(records, (REFERENCE,), slow, "1", partial(_growth, slow))
    found += over(records, (FULL_BATCH,), fast, "1", partial(_growth, fast))
    controls = (
        *BATCHES,
        "controls/langevin-0.0001",
        "hidden_layers/adam-5",
        RELU,
        "controls/quantised",
        "controls/noisy",
    )
    return found + [
        one.as_control() for one in over(records, controls, slow, "1", partial(_growth, slow))
    ]


def _growth(region: Region, condition: str, run: xr.Dataset) -> Finding:
    """Exponent of offset + amplitude t^H over the last two decades, last hidden layer."""
    check_size(condition, run)
    displacement = last_hidden(run).weight_displacement
    late = run.epoch > float(run.epoch[-1]) / 10**DECADES
    displacement = displacement.isel(step=np.flatnonzero(late.values))
    displacement = displacement.dropna("member", how="any")
    if displacement.sizes["step"] < 8:
        raise InsufficientError(f"{condition}: fewer than 8 records in the last two decades")
    law = power_law(displacement, "epoch")
    bounded = int(law.at_limit.sum())
    note = f"exponent only bounded in {bounded} networks" if bounded else ""
    return of_members(condition, law.exponent, region, "1").with_note(note)
