"""Claims about paths on the information plane: processing, compression, and what it brings."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from scipy.stats import chi2, spearmanr

from .. import markov
from ..censoring import OBSERVED
from ..fitting import broken_line
from ..onset import LEAST_DROP, compression_onset, cross_fitted_drop
from .finding import Finding, InsufficientError, Region, exact, of_draws, of_members
from .ranks import partial_rank_correlation
from .records import (
    BATCHES,
    CONTROLS,
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

# Bits below which two sums over the same patterns are equal.
ROUNDING = 1e-9
SHUFFLES, RESAMPLES = 1999, 1999
# Error rate that makes one network's generalisation worse than another's.
WORSE = 0.01
# Times that differ by less than this factor coincide.
FACTOR = 2.0
SIMILAR = 0.5  # bits between networks of one trajectory

ALL_CONDITIONS = (REFERENCE, *CONTROLS, ESTIMATORS)


def processing(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Largest rise of I(X;T) or I(T;Y) from a layer to the next, any member and record."""
    found = []
    run = records["markov_chain"].sortby("depth")
    for estimator in run.estimator.values:
        one = run.sel(estimator=estimator)
        excess = max(
            float(markov.processing_violations(one[name].transpose("layer", ...)).max())
            for name in ("information_input", "information_label")
        )
        found.append(exact(estimator, excess, Region(high=ROUNDING), "bit", run.sizes["member"]))
    return [one if one.condition == "exact" else one.as_control() for one in found]


def reparametrisation(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Largest change of I(X;T) under each map, any member and layer."""
    information = records["reparametrisation"].information_input
    change = abs(information - information.sel(map="unchanged", drop=True))
    change = change.drop_sel(map="unchanged")
    found = []
    for estimator in change.estimator.values:
        for name in change.map.values:
            value = float(change.sel(estimator=estimator, map=name).max())
            one = exact(
                f"{estimator}, {name}",
                value,
                Region(high=ROUNDING),
                "bit",
                change.sizes["member"],
            )
            invertible = name != "shuffled weights"
            found.append(one if estimator == "exact" and invertible else one.as_control())
    return found


def drop_of(condition: str, run: xr.Dataset, rng: np.random.Generator) -> Finding:
    """Cross-fitted drop of the last hidden layer, at least 0.1 bit and beyond its null."""
    drop = dropping(condition, run, rng, SHUFFLES)
    found = of_members(condition, drop["drop"], Region(low=LEAST_DROP), "bit")
    return replace(found, p_support=max(found.p_support, float(drop.p)))


def dropping(
    condition: str, run: xr.Dataset, rng: np.random.Generator, shuffles: int = 1
) -> xr.Dataset:
    """`theory.onset.cross_fitted_drop` of the last hidden layer."""
    run = without_gaps(last_hidden(run), "information_input")
    check_size(condition, run)
    blocks = min(10, run.sizes["step"] // 2)
    return cross_fitted_drop(run.information_input, rng, blocks=blocks, repetitions=shuffles)


def compression(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Drop of I(X;T) of the last hidden layer from a peak that other members have chosen."""
    region = Region(low=LEAST_DROP)

    def drop(condition: str, run: xr.Dataset) -> Finding:
        return drop_of(condition, run, rng)

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
        drop = float(dropping(name, run, rng)["drop"].mean())
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
    drop = dropping(condition, run, rng)["drop"]
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
        drops.append(dropping(name, run, rng)["drop"].values)
        config = json.loads(run.attrs["config"])
        langevin = config["optimizer"] == "langevin"
        doses.append(config["temperature"] if langevin else 1 / run.attrs["batch_size"])
    if len(doses) < len(names):
        raise InsufficientError(f"{condition}: {len(doses)} of {len(names)} conditions are there")
    dose = np.repeat(doses, [len(each) for each in drops])

    def correlation(parts: list[np.ndarray]) -> float:
        values = np.concatenate(parts)
        return float(spearmanr(dose, values)[0]) if np.ptp(values) > 0 else 0.0

    draws = [correlation([rng.choice(each, len(each)) for each in drops]) for _ in range(RESAMPLES)]
    return of_draws(condition, correlation(drops), draws, region, "1", len(dose))


def one_trajectory(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Deviation between networks of I(X;T) of the last hidden layer at the end."""
    region = Region(high=SIMILAR)

    def spread(condition: str, run: xr.Dataset) -> Finding:
        run = without_gaps(last_hidden(run), "information_input")
        check_size(condition, run)
        x = run.information_input.isel(step=-1).values
        n, deviation = len(x), float(x.std(ddof=1))
        # (n - 1) s^2 / sigma^2 is chi-squared, of normal members.
        low, high = (deviation * np.sqrt((n - 1) / chi2.ppf(q, n - 1)) for q in (0.975, 0.025))
        statistic = (n - 1) * deviation**2 / SIMILAR**2
        support, refute = float(chi2.cdf(statistic, n - 1)), float(chi2.sf(statistic, n - 1))
        return Finding(
            condition, deviation, float(low), float(high), "bit", region, support, refute, n
        )

    return over(records, ALL_CONDITIONS, region, "bit", spread)


def clustering(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Rank correlation along each run of I(X;T) and the share of scatter within classes."""
    region = Region(low=0.1)

    def association(condition: str, run: xr.Dataset) -> Finding:
        run = last_hidden(run)
        share = run.within_scatter / (run.within_scatter + run.between_scatter)
        run = without_gaps(run.assign(share=share), "information_input")
        check_size(condition, run)
        pairs = zip(
            run.share.transpose("member", "step").values,
            run.information_input.transpose("member", "step").values,
            strict=True,
        )
        found = [
            float(spearmanr(x, y)[0]) if np.ptp(x) > 0 and np.ptp(y) > 0 else np.nan
            for x, y in pairs
        ]
        return of_members(condition, found, region, "1")

    return over(records, ALL_CONDITIONS, region, "1", association)
