"""Claims about the bottleneck limit and generalisation: layers, samples, bounds and what orders."""

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import kendalltau, ttest_1samp

from .. import bottleneck, bounds, finite_sample, limit
from ..random_labels import counter_example
from ..ranks import rank_correlation, resampled_ranks
from .finding import Finding, InsufficientError, Region, exact, of_draws, of_members, of_share
from .records import REFERENCE, Records, attempt, check_size, conditions, without_gaps

PERCENTS = (3, 5, 10, 20, 30, 45, 65, 85)
WIDE_PERCENTS = (10, 45, 85)
SIZES = tuple(f"training_size/normal-{percent:02d}" for percent in PERCENTS)
WIDTHS = tuple(
    f"training_size/{width}-{percent:02d}"
    for percent in WIDE_PERCENTS
    for width in ("half", "normal", "double")
)
SOFT, SOFT_RANDOM = "bottleneck_limit", "bottleneck_limit-random"
# The largest record of the usual widths: where the bounds are at their best.
LARGEST = SIZES[-1]
RESAMPLES = 999
DELTA = 0.05
# Error rate of guessing one of two labels: a bound beyond it does not tell learning from chance.
GUESSING = 0.5
# Bits above the curve that still count as on it.
ON_THE_CURVE = 0.1
BETAS = np.geomspace(0.9, 2000, 100)
# The constant of the red curve is free.
CONSTANTS = (0.3, 3.0)


Correlations = Mapping[int, Mapping[str, NDArray]]


def information_orders(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Rank correlation of the gap with I(X;T) at equal size; the bound's violations beside it."""
    region = Region(low=0.1)
    drawn, members = _correlations(records, rng)
    found = _by_size(drawn, members, itemgetter("information_input"), region, "I(X;T)")
    others = _by_size(
        drawn, members, lambda rho: rho["conditional_information"], region, "I(X;T|Y)"
    )
    found += [one.as_control() for one in others]
    few = Region(high=DELTA)
    found.append(
        attempt(partial(_violations, records, few), "bound of 2^I(X;T)", few, "1").as_control()
    )
    example = counter_example(0.7, 10_000, 1000, delta=DELTA)
    excess = float(example.gap - example.input_compression.sel(reading="one-sided"))
    found.append(
        exact("counter-example: fair labels", excess, Region(high=0.0), "1", 0)
        .with_note("gap above the bound of 2^I(X;T), known exactly, no record")
        .as_control()
    )
    return found


def information_beats_size(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Rank correlation of the gap with I(X;T) less that with the number of parameters."""
    region, found = Region(low=0.0), []
    drawn, members = _correlations(records, rng)
    for rival in ("information_input", "occupied_cells", "conditional_information"):
        differences = _by_size(
            drawn, members, partial(_advantage, rival), region, f"{rival} - parameters"
        )
        headline = rival == "information_input"
        found += differences if headline else [one.as_control() for one in differences]
    return found


def _advantage(rival: str, correlations: Mapping[str, NDArray]) -> NDArray:
    return np.asarray(correlations[rival] - correlations["parameters"])


def _correlations(records: Records, rng: np.random.Generator) -> tuple[Correlations, int]:
    """Rank correlations of the gap by size and predictor, (1 + draw,), and the number of members.

    The first is that of all members, the others of members drawn anew, the same at each size.
    """
    pools = {percent: _pool(records, percent) for percent in WIDE_PERCENTS}
    members = min(pool["gap"].shape[1] for pool in pools.values())
    rows = np.vstack([np.arange(members), rng.integers(members, size=(RESAMPLES, members))])
    return {percent: _ranked(pool, rows) for percent, pool in pools.items()}, members


def _by_size(
    drawn: Correlations,
    members: int,
    statistic: Callable[[Mapping[str, NDArray]], NDArray],
    region: Region,
    label: str,
) -> list[Finding]:
    """Mean of a ``statistic`` of the correlations over sizes, and at each size as a control."""
    values = {percent: statistic(rho) for percent, rho in drawn.items()}
    conditions = {
        f"{label}, mean over {len(values)} sizes": np.mean(list(values.values()), 0),
        **{f"{label}, {percent} % of the patterns": one for percent, one in values.items()},
    }
    found = [
        attempt(
            partial(of_draws, name, float(one[0]), one[1:], region, "1", members), name, region, "1"
        )
        for name, one in conditions.items()
    ]
    return [found[0], *(one.as_control() for one in found[1:])]


def _pool(records: Records, percent: int) -> Mapping[str, NDArray]:
    """Gap and predictors (width, member) of the last hidden layer, at one training size."""
    names = [name for name in WIDTHS if name.endswith(f"-{percent:02d}")]
    missing = [name for name in names if name not in records]
    if missing:
        raise InsufficientError(f"{', '.join(missing)} not there")
    rows = []
    for name in names:
        one = _compared(records[name])
        check_size(name, records[name], steps=1)
        rows.append({key: np.ravel(one[key].values) for key in ("gap", *bounds.PREDICTORS)})
    members = min(len(row["gap"]) for row in rows)
    for row in rows:
        row["parameters"] = np.full(members, row["parameters"][0])
    return {key: np.stack([row[key][:members] for row in rows]) for key in rows[0]}


def _compared(run: xr.Dataset) -> xr.Dataset:
    """`theory.bounds.compare` of the last record, last hidden layer and first estimator."""
    layer = str(run.sortby("depth").layer.values[-2])
    last = bounds.compare([run.isel(step=[-1])], delta=DELTA)
    return last.isel(run=0, epoch=0, estimator=0).sel(layer=layer)


def _ranked(pool: Mapping[str, NDArray], rows: NDArray) -> dict[str, NDArray]:
    """Rank correlation of the gap with each predictor, for members ``rows`` (draw, member)."""
    drawn = {
        name: np.moveaxis(values[:, rows], 0, -1).reshape(len(rows), -1)
        for name, values in pool.items()
    }
    return {name: rank_correlation(drawn[name], drawn["gap"]) for name in bounds.PREDICTORS}


def _violations(records: Records, region: Region) -> Finding:
    """Share of networks with a gap above the bound, over all sizes."""
    hits, vacuous = [], []
    for name in SIZES:
        if name in records:
            one = _compared(records[name]).sel(reading="two-sided")
            hits.append((one.population_gap > one.input_compression).values)
            vacuous.append((one.input_compression >= 1).values)
    if not hits:
        raise InsufficientError("no record of a training size is there")
    found = of_share("bound of 2^I(X;T)", np.concatenate(hits), region)
    share = float(np.concatenate(vacuous).mean())
    return found.with_note(f"gap above the bound; the bound is vacuous in {share:.0%}")


def classical_is_useless(records: Records, rng: np.random.Generator) -> list[Finding]:
    """The classical bound of the number of parameters, against the error of guessing."""
    region, found = Region(low=GUESSING), []
    for name in (LARGEST, *SIZES[:-1]):
        if name in records:
            run = records[name]
            value = float(
                bounds.classical(run.sizes["parameter"], run.attrs["train_size"], delta=DELTA)
            )
            one = exact(name, value, region, "1", run.sizes["member"]).with_note(
                f"{run.sizes['parameter']} parameters, m = {run.attrs['train_size']}"
            )
            found.append(one if name == LARGEST else one.as_control())
    return found


def more_samples(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Kendall's correlation of the training size and the final I(T;Y)."""
    region, found = Region(low=0.0), []
    there = [records[name] for name in SIZES if name in records]
    for place, label, control in ((-2, "last hidden layer", False), (-1, "output", True)):

        def trend(place: int = place, label: str = label) -> Finding:
            fewest = min((run.sizes["member"] for run in there), default=0)
            if len(there) < 2 or fewest < 3:
                raise InsufficientError(
                    f"{label}: {len(there)} sizes of {fewest} members or more, expected 2 of 3"
                )
            groups = [
                run.sortby("depth").information_label.isel(step=-1, estimator=0, layer=place).values
                for run in there
            ]
            sizes = np.array([run.attrs["train_size"] for run in there])
            m, values = np.repeat(sizes, [len(g) for g in groups]), np.concatenate(groups)
            if np.ptp(values) == 0:
                raise InsufficientError(f"{label}: I(T;Y) is the same in all networks")
            up, down = (float(kendalltau(m, values, alternative=a)[1]) for a in ("greater", "less"))
            draws = [kendalltau(m, resampled_ranks(groups, rng))[0] for _ in range(RESAMPLES)]
            low, high = np.quantile(draws, [0.025, 0.975])
            effect = float(kendalltau(m, values)[0])
            note = (
                f"{groups[0].mean():.3f} bit at m = {sizes[0]}, "
                f"{groups[-1].mean():.3f} at m = {sizes[-1]}"
            )
            return Finding(
                label, effect, float(low), float(high), "1", region, up, down, len(m), note
            )

        one = attempt(trend, label, region, "1")
        found.append(one.as_control() if control else one)
    return found


def on_the_curve(records: Records, rng: np.random.Generator) -> list[Finding]:
    """I(X;T) above the least that the layer's I(T;Y) takes, at the end of training."""
    region, found = Region(high=ON_THE_CURVE), []
    for condition, run, _ in conditions(records, (SOFT, SOFT_RANDOM)):
        joint = (run.p_x * run.p_y_given_x).transpose("pattern", "label").values
        curve = bottleneck.curve(joint, BETAS)
        excess = limit.distance(run.isel(step=-1), curve).excess_input
        for place, layer in enumerate(run.layer.values):
            label = f"{condition}, layer {layer}"
            measure = partial(of_members, label, excess.sel(layer=layer), region, "bit")
            one = attempt(measure, label, region, "bit")
            own = condition == SOFT and place >= run.sizes["layer"] - 2
            found.append(one if own else one.as_control())
    for condition, run, _ in conditions(records, (REFERENCE,)):
        # Of a rule with hard labels the curve is I(X;T) = I(T;Y).
        last = run.isel(step=-1)
        for layer in run.layer.values[-2:]:
            label = f"{condition}, layer {layer}"
            excess = (last.information_input - last.information_label).sel(layer=layer)
            measure = partial(of_members, label, excess, region, "bit")
            found.append(attempt(measure, label, region, "bit").as_control())
    return found


def red_curve(records: Records, rng: np.random.Generator) -> list[Finding]:
    """Whether Delta G of the output has one sign, whatever the free constant of the red curve."""
    region = Region(low=0.0)

    def consistent() -> Finding:
        ((condition, run, _),) = conditions(records, (SOFT,))
        run = without_gaps(run, "information_input")
        check_size(condition, run)
        joint = (run.p_x * run.p_y_given_x).transpose("pattern", "label").values
        curve = bottleneck.curve(joint, BETAS)
        last = run.isel(step=-1, layer=-1)
        gaps = []
        for constant in CONSTANTS:
            red = finite_sample.red_curve(
                curve, run.attrs["train_size"], run.sizes["label"], constant=constant
            )
            gaps.append(
                finite_sample.gaps(
                    last.information_input,
                    last.information_label,
                    run.attrs["task_information"],
                    red,
                ).generalisation_gap.values
            )
        means = [float(gap.mean()) for gap in gaps]
        above = [_p_above(gap) for gap in gaps]
        below = [1 - p for p in above]
        same = min(max(above), max(below))
        other = min(max(above[0], below[1]), max(below[0], above[1]))
        effect = float(np.sign(means[0] * means[1]) * min(map(abs, means)))
        note = "Delta G = " + ", ".join(
            f"{mean:.3f} bit at constant {constant:g}"
            for mean, constant in zip(means, CONSTANTS, strict=True)
        )
        nan = float("nan")
        return Finding(
            f"{condition}, output", effect, nan, nan, "bit", region, same, other, len(gaps[0]), note
        )

    return [attempt(consistent, f"{SOFT}, output", region, "bit")]


def _p_above(values: NDArray) -> float:
    """P of a mean of 0 or less, by Student's t."""
    if np.ptp(values) == 0:
        return float(values.mean() <= 0)
    return float(ttest_1samp(values, 0, alternative="greater").pvalue)
