"""Claims about times: relaxation against compression, and depth against the time to learn."""

from functools import partial

import numpy as np
import xarray as xr

from ..censoring import OBSERVED, RIGHT, NotConvergedError
from ..depth import LAWS, depth_scaling
from ..relaxation import compression, first_passage, relaxation_times, sum_condition
from ..relaxation_law import compare_laws, fit_law
from .finding import Finding, InsufficientError, Region, of_interval, of_members
from .records import (
    BATCHES,
    OPTIMISERS,
    REFERENCE,
    RELU,
    Records,
    attempt,
    check_size,
    over,
)

RELAXATION = (REFERENCE, RELU, *OPTIMISERS, *BATCHES)
SUMS = (*RELAXATION, "hidden_layers/adam-2", "hidden_layers/adam-1")
DEPTHS = range(1, 7)
FAMILIES = ("adam", "sgd", "adam-equal")
DEPTH_RECORDS = tuple(f"hidden_layers/{family}-{k}" for family in FAMILIES for k in DEPTHS)
# Test error at which a network has learned.
TARGET = 0.08
RESAMPLES = 500
# Relaxations seen to their end that a slope needs, layers of networks.
LEAST_POINTS = 10
# Slopes that are those of the law.
NEAR_ONE = (0.5, 2.0)


def relaxation_law(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Slope b of ln Delta t = a + b C, and whether C foretells times better than depth does.

    C is the compression over depth at the end (as the literature writes the law), and as a control
    the drop in time of the layer that relaxes; both in nats.
    """
    region, better = Region(*NEAR_ONE), Region(low=0.0)
    found = over(records, RELAXATION, region, "nat-1", partial(_slope, "compression", region, rng))
    found += over(records, RELAXATION, better, "nat", partial(_above_depth, better))
    drops = over(records, RELAXATION, region, "nat-1", partial(_slope, "drop", region, rng))
    return found + [one.as_control() for one in drops]


def _relaxation(
    condition: str, run: xr.Dataset, reading: str
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Times, compressions by a ``reading`` and censoring codes of the layers that relax."""
    check_size(condition, run)
    found = relaxation_times(run, "epoch")
    seen = found.included & (found.censored == OBSERVED)
    if int(seen.sum()) < LEAST_POINTS or int(seen.any("layer").sum()) < 3:
        raise InsufficientError(
            f"{condition}: relaxation is seen to its end in {int(seen.sum())} layers of "
            f"networks, expected {LEAST_POINTS} or more in 3 networks or more"
        )
    return found.time, found[reading].where(found.included), found.censored


def _slope(
    reading: str, region: Region, rng: np.random.Generator, condition: str, run: xr.Dataset
) -> Finding:
    try:
        law = fit_law(*_relaxation(condition, run, reading), rng, repetitions=RESAMPLES)
    except NotConvergedError as error:
        raise InsufficientError(f"{condition}: {error}") from error
    named = {"compression": "C over depth", "drop": "C, drop in time"}[reading]
    one = of_interval(
        f"{condition}, {named}",
        float(law.slope),
        float(law.slope_low),
        float(law.slope_high),
        region,
        "nat-1",
        run.sizes["member"],
    )
    return one.with_note(f"{int(law.points)} points, {int(law.censored)} of them lower bounds")


def _above_depth(region: Region, condition: str, run: xr.Dataset) -> Finding:
    """Log density of an unseen network's times by exp(b C), less that by the layers' places."""
    score = compare_laws(*_relaxation(condition, run, "compression")).score
    gain = score.sel(law="exponential") - score.sel(law="depth")
    return of_members(f"{condition}, exp(b C) above exp(b depth)", gain, region, "nat").with_note(
        "log density of times of a network not seen"
    )


def depth_law(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Akaike's criterion of the best other law less that of T = T_0 exp(-c K)."""
    region, found = Region(low=0.0), []
    for family in FAMILIES:
        condition = f"hidden_layers/{family}-1..6, test error {TARGET:.0%}"
        measure = partial(_against_exponential, condition, family, records, rng, region)
        one = attempt(measure, condition, region, "1")
        found.append(one if family == FAMILIES[0] else one.as_control())
    return found


def _against_exponential(
    condition: str, family: str, records: Records, rng: np.random.Generator, region: Region
) -> Finding:
    layers, times, hidden = [], [], []
    for k in DEPTHS:
        name = f"hidden_layers/{family}-{k}"
        if name not in records:
            raise InsufficientError(f"{name} is not there")
        passage = first_passage(records[name].error_rate.sel(split="test"), TARGET, "epoch")
        times.append(passage.time.values)
        hidden.append(passage.censored.values == RIGHT)
        layers.append(np.full(len(times[-1]), k))
    depths, t, late = (np.concatenate(parts) for parts in (layers, times, hidden))
    if len(np.unique(depths[~late])) < 4:
        raise InsufficientError(f"{condition}: networks of fewer than 4 depths get there")
    law = depth_scaling(depths, t, late, rng, repetitions=RESAMPLES)
    rivals = [name for name in LAWS if name != "exponential"]
    criterion = law.aic.sel(law=rivals)
    best = str(criterion.law.values[int(criterion.argmin("law"))])
    effect = float(criterion.min() - law.aic.sel(law="exponential"))
    share = float(law.best.sel(law="exponential"))
    # The law says that time falls with depth; one that rises is another.
    falls = float(law.coefficient.sel(law="exponential")) > 0
    smallest = 1 / (1 + RESAMPLES)
    support = max(1 - share, smallest) if falls else 1.0
    refute = max(share, smallest)
    note = f"best other law: {best}; exponential best in {share:.0%} of the resamples"
    nan = float("nan")
    return Finding(condition, effect, nan, nan, "1", region, support, refute, len(t), note)


def sum_of_exponentials(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Margin 1 - sum exp(C_k - sum C) of measured compressions, at the last record."""
    region = Region(low=0.0)

    def margin(condition: str, run: xr.Dataset) -> Finding:
        check_size(condition, run)
        found = sum_condition(compression(run).isel(step=-1))
        note = f"holds in {float(found.holding):.0%} of the networks"
        return of_members(condition, found.margin, region, "1").with_note(note)

    return over(records, SUMS, region, "1", margin)
