"""Claims about paths on the information plane: the chain of layers, and what paths have alike."""

import numpy as np
import xarray as xr
from scipy.stats import chi2, spearmanr

from .. import markov
from .finding import Finding, Region, exact, of_members
from .records import (
    ALL_CONDITIONS,
    Records,
    check_size,
    last_hidden,
    over,
    without_gaps,
)

# Bits below which two sums over the same patterns are equal.
ROUNDING = 1e-9
# Bits between networks of one trajectory.
SIMILAR = 0.5


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
