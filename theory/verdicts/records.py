"""What the tests of claims read from records, and the least that a record has to hold for them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import xarray as xr

from .finding import Finding, InsufficientError, Region, lacking

Records = Mapping[str, xr.Dataset]

REFERENCE = "information_plane"
"""tanh, plain stochastic gradient descent, the hard spherical rule, all members."""
RELU = "controls/relu"
ACTIVATIONS = (RELU, "controls/linear")
OPTIMISERS = ("controls/full-batch", "hidden_layers/adam-5", "gradient_phases-stored")
BATCHES = ("controls/batch-64", "controls/batch-1024")
LANGEVIN = ("controls/langevin-0", "controls/langevin-1e-06", "controls/langevin-0.0001")
NOISES = ("controls/noisy", "controls/quantised")
RANDOM = "controls/random-labels"
ESTIMATORS = "estimators"
CONTROLS = (*ACTIVATIONS, *OPTIMISERS, *BATCHES, *LANGEVIN, *NOISES, RANDOM)
ALL_CONDITIONS = (REFERENCE, *CONTROLS, ESTIMATORS)

LEAST_MEMBERS, LEAST_RECORDS = 4, 4


def conditions(records: Records, names: tuple[str, ...]) -> Iterator[tuple[str, xr.Dataset, bool]]:
    """Condition, the record under it, and whether it is a control, of the records that are there.

    The first of ``names`` is the claim's own condition, under its first estimator. Of the record
    `ESTIMATORS` each estimator is a condition.
    """
    for place, name in enumerate(names):
        if name not in records:
            continue
        run = records[name].sortby("depth")
        several = name == ESTIMATORS
        for estimator in run["estimator"].values if several else run["estimator"].values[:1]:
            label = f"{name}, {estimator}" if several else name
            yield label, run.sel(estimator=estimator), place > 0


def over(
    records: Records,
    names: tuple[str, ...],
    region: Region,
    units: str,
    measure: Callable[[str, xr.Dataset], Finding],
) -> list[Finding]:
    """What ``measure`` finds under each of the `conditions`; all but the first are controls."""
    found = []
    for condition, run, control in conditions(records, names):
        one = attempt(partial(measure, condition, run), condition, region, units)
        found.append(one.as_control() if control else one)
    return found


def attempt(measure: Callable[[], Finding], condition: str, region: Region, units: str) -> Finding:
    """What ``measure`` finds, or that its records are too small for it."""
    try:
        return measure()
    except InsufficientError as error:
        return lacking(condition, region, units, str(error))


def last_hidden(run: xr.Dataset) -> xr.Dataset:
    """The last layer before the output, of layers sorted by depth."""
    return run.isel(layer=-2)


def check_size(
    condition: str,
    run: xr.Dataset,
    *,
    members: int = LEAST_MEMBERS,
    steps: int = LEAST_RECORDS,
) -> None:
    """`InsufficientError` for fewer members or recorded steps."""
    if run.sizes["member"] < members or run.sizes["step"] < steps:
        raise InsufficientError(
            f"{condition}: {run.sizes['member']} members and {run.sizes['step']} recorded steps, "
            f"expected {members} and {steps} or more"
        )


def without_gaps(run: xr.Dataset, name: str) -> xr.Dataset:
    """``run`` at the steps where ``name`` is recorded, of the members that have it at them all."""
    values = run[name]
    there = values.notnull().any([dim for dim in values.dims if dim != "step"])
    run = run.isel(step=np.flatnonzero(there.values))
    whole = run[name].notnull().all([dim for dim in run[name].dims if dim != "member"])
    return run.isel(member=np.flatnonzero(whole.values))
