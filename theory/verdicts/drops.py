"""Claims about compression: that I(X;T) drops, when it does, what it brings and what drives it."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from ..censoring import OBSERVED
from ..fitting import broken_line
from ..onset import LEAST_DROP, compression_onset, cross_fitted_drop
from ..ranks import partial_rank_correlation, resampled_ranks
from .finding import Finding, InsufficientError, Region, of_draws, of_members
from .records import (
    ALL_CONDITIONS,
    BATCHES,
    ESTIMATORS,
    LANGEVIN,
    OPTIMISERS,
    RANDOM,
    REFERENCE,
    RELU,
    Records,
    attempt,
    check_size,
    conditions,
    last_hidden,
    over,
    without_gaps,
)

SHUFFLES, RESAMPLES = 1999, 1999
# Error rate that makes one network's generalisation worse than another's.
WORSE = 0.01
# Times that differ by less than this factor coincide.
FACTOR = 2.0


def _drop(condition: str, run: xr.Dataset, rng: np.random.Generator) -> Finding:
    """Cross-fitted drop of the last hidden layer, at least 0.1 bit and beyond its null."""
    drop = _cross_fitted(condition, run, rng, SHUFFLES)
    found = of_members(condition, drop["drop"], Region(low=LEAST_DROP), "bit")
    return replace(found, p_support=max(found.p_support, float(drop.p)))


def _cross_fitted(
    condition: str, run: xr.Dataset, rng: np.random.Generator, shuffles: int = 1
) -> xr.Dataset:
    """`theory.onset.cross_fitted_drop` of the last hidden layer."""
    run = without_gaps(last_hidden(run), "information_input")
    check_size(condition, run)
    blocks = min(10, run.sizes["step"] // 2)
    return cross_fitted_drop(run.information_input, rng, blocks=blocks, repetitions=shuffles)


def compression(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Drop of I(X;T) of the last hidden layer from a peak that other members have chosen."""
    region, drop = Region(low=LEAST_DROP), partial(_drop, rng=rng)
    found = over(records, ALL_CONDITIONS, region, "bit", drop)
    # A ReLU's drop is another in every kind of cells.
    for estimator in records[RELU].estimator.values[1:] if RELU in records else ():
        label, run = f"{RELU}, {estimator}", records[RELU].sortby("depth").sel(estimator=estimator)
        found.append(attempt(partial(drop, label, run), label, region, "bit").as_control())
    return found


def onset_at_saturation(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Logarithm of the epoch of the peak of I(X;T) over that of the error's saturation.

    Saturation is the break of the training loss; as a control, the test error's having made 90 %
    of its fall.
    """
    region = Region(-np.log(FACTOR), np.log(FACTOR))
    found = over(records, ALL_CONDITIONS, region, "1", partial(_onset_over, _loss_break, region))
    by_error = over(records, (REFERENCE,), region, "1", partial(_onset_over, _error_falls, region))
    return found + [
        replace(one, condition=f"{one.condition}, 90 % of the test error's fall").as_control()
        for one in by_error
    ]


def _onset_over(
    saturation: Callable[[str, xr.Dataset], xr.DataArray],
    region: Region,
    condition: str,
    run: xr.Dataset,
) -> Finding:
    run = without_gaps(last_hidden(run), "information_input")
    check_size(condition, run)
    time = saturation(condition, run)
    onset = compression_onset(run.information_input, "epoch").sel(member=time.member)
    seen = onset.censored == OBSERVED
    found = of_members(condition, np.log(onset.time.where(seen) / time), region, "1")
    unseen = int((~seen).sum())
    return found.with_note(f"no onset seen in {unseen} members" if unseen else "")


def _loss_break(condition: str, run: xr.Dataset) -> xr.DataArray:
    """Epoch of the break of the training loss in log-log (member,), where it is positive."""
    loss = run.loss.sel(split="train")
    loss = loss.isel(member=np.flatnonzero((loss > 0).all("step").values))
    if loss.sizes["step"] < 12:
        raise InsufficientError(
            f"{condition}: {loss.sizes['step']} records, expected 12 or more for a break"
        )
    return broken_line(loss, "epoch").position


def _error_falls(condition: str, run: xr.Dataset) -> xr.DataArray:
    """First epoch at which the test error has made 90 % of its fall (member,)."""
    error = run.error_rate.sel(split="test")
    first, least = error.isel(step=0), error.min("step")
    return run.epoch.isel(step=(error <= first - 0.9 * (first - least)).argmax("step"))


def generalisation(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Do networks that compress more generalise better, and those that do not compress, worse?"""
    negative, worse = Region(high=-0.1), Region(low=WORSE)
    names = (REFERENCE, *OPTIMISERS, *BATCHES, *LANGEVIN, "controls/quantised", RANDOM, ESTIMATORS)
    found = over(
        records,
        names,
        negative,
        "1",
        lambda condition, run: _association(condition, run, rng, negative),
    )
    contrast = f"{RELU} - {REFERENCE}"
    found.append(
        attempt(lambda: _without_compression(contrast, records, rng, worse), contrast, worse, "1")
    )
    return found


def _association(
    condition: str, run: xr.Dataset, rng: np.random.Generator, region: Region
) -> Finding:
    """Rank correlation of drop and test loss over members, at equal rank of the training loss."""
    run = without_gaps(last_hidden(run), "information_input")
    check_size(condition, run, members=8)
    drop = run.information_input.max("step") - run.information_input.isel(step=-1)
    last = run.loss.isel(step=-1)
    columns = np.stack([drop.values, last.sel(split="test").values, last.sel(split="train").values])
    drawn = rng.integers(columns.shape[1], size=(RESAMPLES, columns.shape[1]))
    draws = [partial_rank_correlation(*columns[:, rows]) for rows in drawn]
    effect = partial_rank_correlation(*columns)
    return of_draws(condition, effect, draws, region, "1", columns.shape[1]).with_note(
        "partial rank correlation of drop and test loss"
    )


def _without_compression(
    condition: str, records: Records, rng: np.random.Generator, region: Region
) -> Finding:
    """Test error of networks that do not compress, less that of the reference."""
    ((_, plain, _),) = conditions(records, (RELU,))
    ((_, own, _),) = conditions(records, (REFERENCE,))
    for name, run, wanted in (
        (REFERENCE, own, Region(low=LEAST_DROP)),
        (RELU, plain, Region(high=LEAST_DROP)),
    ):
        drop = float(_cross_fitted(name, run, rng)["drop"].mean())
        if not wanted.low <= drop <= wanted.high:
            raise InsufficientError(f"{name} drops by {drop:.2f} bit, so that it is no contrast")
    epoch = min(float(plain.epoch[-1]), float(own.epoch[-1]))
    errors = [
        run.error_rate.sel(split="test")
        .isel(step=int(np.abs(run.epoch.values - epoch).argmin()))
        .values
        for run in (plain, own)
    ]
    pairs = min(len(each) for each in errors)
    difference = errors[0][:pairs] - errors[1][:pairs]
    note = (
        f"test error at epoch {epoch:g} of networks that do not compress in "
        f"{plain.estimator.item()}, less the reference's"
    )
    return of_members(condition, difference, region, "1").with_note(note)


def diffusion_compresses(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Drop without gradient noise, where there should be none, and its growth with the noise."""
    none, grows = Region(high=LEAST_DROP), Region(low=0.1)
    without = ("controls/full-batch", "controls/langevin-0", "gradient_phases-stored")
    found = over(
        records, without, none, "bit", lambda condition, run: _no_drop(condition, run, rng, none)
    )
    for label, names, control in (
        ("Langevin, drop against temperature", LANGEVIN, False),
        ("batches, drop against 1 / size", ("controls/batch-1024", REFERENCE, BATCHES[0]), True),
    ):
        dose = partial(_dose, label, records, names, rng, grows)
        one = attempt(dose, label, grows, "1")
        found.append(one.as_control() if control else one)
    return found


def _no_drop(condition: str, run: xr.Dataset, rng: np.random.Generator, region: Region) -> Finding:
    drop = _cross_fitted(condition, run, rng)["drop"]
    return of_members(condition, drop, region, "bit").with_note("no gradient noise")


def _dose(
    condition: str,
    records: Records,
    names: tuple[str, ...],
    rng: np.random.Generator,
    region: Region,
) -> Finding:
    """Rank correlation over members of the drop with the noise of their condition."""
    doses: list[float] = []
    drops: list[np.ndarray] = []
    for name, run, _ in conditions(records, names):
        drops.append(_cross_fitted(name, run, rng)["drop"].values)
        config = json.loads(run.attrs["config"])
        langevin = config["optimizer"] == "langevin"
        doses.append(config["temperature"] if langevin else 1 / run.attrs["batch_size"])
    if len(doses) < len(names):
        raise InsufficientError(f"{condition}: {len(doses)} of {len(names)} conditions are there")
    dose = np.repeat(doses, [len(each) for each in drops])
    values = np.concatenate(drops)
    effect = float(spearmanr(dose, values)[0]) if np.ptp(values) > 0 else 0.0
    draws = [float(spearmanr(dose, resampled_ranks(drops, rng))[0]) for _ in range(RESAMPLES)]
    return of_draws(condition, effect, draws, region, "1", len(dose))
