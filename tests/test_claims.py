"""Each verdict follows the data: a world in which the claim holds, and one in which it does not."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from claim_worlds import REFERENCE, WORLDS
from scipy import stats

from theory import claims
from theory.ranks import partial_rank_correlation, rank_correlation, resampled_ranks
from theory.verdicts.finding import (
    InsufficientError,
    Region,
    exact,
    holm,
    of_draws,
    of_interval,
    of_members,
    of_share,
    verdict,
)
from theory.verdicts.records import last_hidden

CLAIMS = {claim.number: claim for claim in claims.CLAIMS}


def test_there_is_a_world_for_each_claim():
    assert list(CLAIMS) == list(range(1, 23))
    assert set(WORLDS) == set(CLAIMS)


@pytest.mark.parametrize("number", sorted(CLAIMS))
def test_the_verdict_flips_with_the_data(number):
    for holds, expected in ((True, "supported"), (False, "refuted")):
        rng = np.random.default_rng(number)
        records = WORLDS[number](holds, rng)
        found = claims.judge_one(CLAIMS[number], records, rng)
        assert found.verdict == expected, found
        own = [one for one in found.findings if not one.control]
        assert own
        assert not any(one.effect < one.low or one.effect > one.high for one in found.findings)
        for one in own if holds else []:
            assert one.region.low <= one.effect <= one.region.high


def test_a_claim_without_its_records_is_open_and_says_what_it_needs():
    found = claims.judge({}, np.random.default_rng(0))
    assert [one.claim.number for one in found] == sorted(CLAIMS)
    assert {one.verdict for one in found} == {"open"}
    rows = claims.to_rows(found)
    assert "needs markov_chain" in rows[0]["note"]
    assert all(set(row) == set(claims.COLUMNS) for row in rows)
    assert "0 supported, 0 refuted, 22 open" in claims.summary(found)


def test_too_few_members_leave_a_claim_open():
    rng = np.random.default_rng(0)
    for number in (3, 4, 5, 6, 9, 17, 18, 22):
        records = {
            name: run.isel(member=slice(2)) for name, run in WORLDS[number](True, rng).items()
        }
        found = claims.judge_one(CLAIMS[number], records, rng)
        assert found.verdict == "open"
        assert any("2 members" in one.note for one in found.findings), number


def test_a_claim_that_cannot_be_asked_is_open_in_the_name_of_its_first_record():
    rng = np.random.default_rng(0)
    few = {name: run.isel(member=slice(2)) for name, run in WORLDS[12](True, rng).items()}
    (one,) = claims.judge_one(CLAIMS[12], few, rng).findings
    assert one.condition == CLAIMS[12].own[0]
    assert "2 members" in one.note


def test_networks_that_compress_as_the_reference_does_are_no_contrast():
    rng = np.random.default_rng(5)
    records = WORLDS[5](True, rng)
    for name, other in (("controls/relu", REFERENCE), (REFERENCE, "controls/relu")):
        alike = records | {name: records[name].assign(records[other][["information_input"]])}
        found = claims.judge_one(CLAIMS[5], alike, rng)
        (contrast,) = (one for one in found.findings if " - " in one.condition)
        assert contrast.note.startswith(f"{name} drops by ")
        assert claims.one_verdict(contrast) == "open"


def test_saturation_of_the_error_is_where_it_has_made_nine_tenths_of_its_fall():
    """A line in the number of the record: the fall of 0.4 begins at 0.5 and ends at 0.1."""
    rng = np.random.default_rng(4)
    (run,) = WORLDS[4](True, rng).values()
    error = 0.5 - 0.4 * np.linspace(0, 1, run.sizes["step"])
    run["error_rate"] = run.error_rate.copy(data=np.broadcast_to(error, run.error_rate.shape))
    (control,) = claims.judge_one(CLAIMS[4], {REFERENCE: run}, rng).findings[1:]
    onset = run.epoch.values[run.information_input.isel(layer=-2, estimator=0).argmax("step")]
    saturated = run.epoch.values[np.argmax(error <= 0.14 + 1e-12)]
    assert control.effect == pytest.approx(np.log(onset / saturated).mean())


def test_a_transition_needs_records_on_both_sides_of_it():
    rng = np.random.default_rng(6)
    (run,) = WORLDS[6](True, rng).values()
    found = claims.judge_one(CLAIMS[6], {REFERENCE: run.isel(step=slice(11))}, rng)
    assert found.verdict == "open"
    assert all(one.note.endswith("fewer than 12 records after the first") for one in found.findings)


def test_relaxation_is_seen_in_ten_layers_of_three_networks_or_more():
    rng = np.random.default_rng(10)
    (name, run), *_ = WORLDS[10](True, rng).items()
    for networks, layers, lack in ((2, 4, True), (3, 3, True), (3, 4, False)):
        told = (run.member < networks) & (run.depth <= layers)
        run["resolved"] = xr.ones_like(run.information_input).where(told, 0)
        found = claims.judge_one(CLAIMS[10], {name: run}, rng)
        assert {"in 3 networks or more" in one.note for one in found.findings} == {lack}


def test_resampled_ranks_leave_a_correlation_where_it_is():
    """Three groups that overlap: the mean of the draws is the sample's, but for their error."""
    rng = np.random.default_rng(0)
    m = np.repeat([10, 20, 40], 8)
    values = rng.normal(size=24) + 0.02 * m
    groups = np.split(values, 3)
    draws = np.array([stats.kendalltau(m, resampled_ranks(groups, rng))[0] for _ in range(2000)])
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - stats.kendalltau(m, values)[0]) < 4 * error
    assert sorted(resampled_ranks(groups, rng)) == list(range(24))


def test_training_sizes_are_compared_from_two_on_of_three_networks_each():
    rng = np.random.default_rng(14)
    records = WORLDS[14](True, rng)
    first, *_ = records
    few = {name: run.isel(member=slice(3)) for name, run in records.items()}
    alike = {
        name: run.assign(information_label=0 * run.information_label) for name, run in few.items()
    }
    for given, told in (
        (few | {first: records[first].isel(member=slice(2))}, "4 sizes of 2 members or more"),
        ({first: records[first]}, "1 sizes of 30 members or more"),
        (alike, "I(T;Y) is the same in all networks"),
        (few, "bit at m = "),
    ):
        found = claims.judge_one(CLAIMS[14], given, rng).findings
        assert all(told in one.note for one in found), (told, found)


def test_the_law_of_depth_has_the_p_of_the_resamples_in_which_it_is_not_the_best():
    """Times in which each network scatters by much: now this law is the best, now another."""
    rng = np.random.default_rng(11)
    records = WORLDS[11](True, rng)
    for depth, run in enumerate(records.values()):
        times = 800 * np.exp(0.6 * rng.standard_normal((run.sizes["member"], 1)) - 0.2 * depth)
        error = np.where(times > run.epoch.values, 0.4, 0.01)
        run["error_rate"] = run.error_rate.copy(data=np.stack([error, error]))
    one = CLAIMS[11].test(records, rng)[0]
    share = float(one.note.split("exponential best in ")[1].split("%")[0]) / 100
    assert 0.05 < share < 0.95
    assert one.p_refute == pytest.approx(share, abs=0.005)
    assert one.p_support == pytest.approx(1 - share, abs=0.005)


@pytest.mark.parametrize("layers", [("1", "output"), ("1", "2", "3", "4", "5", "output")])
def test_the_last_hidden_layer_is_the_one_before_the_output(layers):
    run = xr.Dataset(coords={"layer": list(layers)})
    assert last_hidden(run).layer == layers[-2]


def test_controls_are_judged_but_do_not_decide():
    rng = np.random.default_rng(3)
    records = WORLDS[3](True, rng)
    (opposite,) = WORLDS[3](False, rng).values()
    found = claims.judge_one(CLAIMS[3], records | {"controls/relu": opposite}, rng)
    assert found.verdict == "supported"
    own, control = found.findings
    assert control.control
    assert claims.one_verdict(own) == "supported"
    assert claims.one_verdict(control) == "refuted"
    text = claims.to_markdown([found])
    assert "| controls/relu |" in text.split("## Controls")[1]
    assert "controls/relu" not in text.split("## Controls")[0]


def test_every_estimator_of_a_record_is_a_condition():
    rng = np.random.default_rng(3)
    records = WORLDS[3](True, rng)
    (run,) = records.values()
    two = run.isel(estimator=[0, 0]).assign_coords(estimator=["exact", "binned-range-30"])
    found = claims.judge_one(CLAIMS[3], records | {"estimators": two}, rng)
    assert [one.condition for one in found.findings[1:]] == [
        "estimators, exact",
        "estimators, binned-range-30",
    ]


def test_every_layer_of_the_reference_and_the_last_one_of_others_has_its_transition():
    rng = np.random.default_rng(6)
    (run,) = WORLDS[6](True, rng).values()
    found = claims.judge_one(CLAIMS[6], {REFERENCE: run, "controls/relu": run}, rng).findings
    layers = [f"{REFERENCE}, layer {layer}" for layer in run.layer.values]
    assert [one.condition for one in found] == [*layers, "controls/relu"]
    assert [one.control for one in found] == [False] * (len(layers) - 1) + [True, True]


def test_a_logarithm_has_no_exponent_but_a_bound_of_it_and_a_power_has_one():
    rng = np.random.default_rng(17)
    slow, fast = claims.judge_one(CLAIMS[17], WORLDS[17](True, rng), rng).findings
    assert slow.note == f"exponent only bounded in {slow.members} networks"
    assert fast.note == ""


def test_the_table_says_what_was_found():
    rng = np.random.default_rng(18)
    found = [claims.judge_one(CLAIMS[18], WORLDS[18](True, rng), rng)]
    (one,) = found[0].findings
    (row,) = claims.to_rows(found)
    assert row["effect"] == one.effect
    assert (row["claim_verdict"], row["verdict"]) == ("supported", "supported")
    assert f"{one.effect:.3g} [{one.low:.3g}, {one.high:.3g}] bit" in claims.to_markdown(found)
    certain = replace(found[0], findings=(exact("all", 3.25, Region(high=4), "bit", 9),))
    assert ": 3.25 bit, <= 4: supported" in claims.to_markdown([certain])


def test_holm_multiplies_by_those_not_yet_rejected_and_never_falls():
    p = [0.01, 0.02, 0.03, 0.04]
    assert holm(p) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm(p[::-1]) == pytest.approx([0.06, 0.06, 0.06, 0.04])


def test_at_the_border_of_the_region_verdicts_err_as_often_as_they_say():
    rng, n = np.random.default_rng(0), 1500
    for region in (Region(low=0.0), Region(high=0.0)):
        drawn = rng.standard_normal((n, 8))
        found = [of_members("", x, region, "1") for x in drawn]
        for p in ("p_support", "p_refute"):
            wrong = np.mean([getattr(one, p) <= 0.05 for one in found])
            assert abs(wrong - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)
        covered = np.mean([one.low <= 0 <= one.high for one in found])
        assert abs(covered - 0.95) < 4 * np.sqrt(0.05 * 0.95 / n)


def test_an_equivalence_is_supported_inside_and_refuted_outside():
    region = Region(-1.0, 1.0)
    inside = of_interval("", 0.0, -0.5, 0.5, region, "1", 9)
    outside = of_interval("", 2.0, 1.5, 2.5, region, "1", 9)
    wide = of_interval("", 0.0, -3.0, 3.0, region, "1", 9)
    assert [verdict(one.p_support, one.p_refute) for one in (inside, outside, wide)] == [
        "supported",
        "refuted",
        "open",
    ]


def test_shares_have_exact_intervals():
    # Clopper & Pearson for 0 of 10 is 1 - (alpha/2)^(1/10).
    none = of_share("", np.zeros(10, bool), Region(high=0.5))
    assert none.high == pytest.approx(1 - 0.025**0.1)
    assert none.p_support == pytest.approx(0.5**10)
    assert none.p_refute == 1
    every = of_share("", np.ones(10, bool), Region(high=0.5))
    assert (every.low, every.high) == (pytest.approx(0.025**0.1), 1)
    assert every.p_refute == pytest.approx(0.5**10)


def test_draws_give_percentiles_and_shares():
    draws = np.linspace(-1, 3, 401)
    found = of_draws("", 1.0, draws, Region(low=0.0), "1", 20)
    assert (found.low, found.high) == (pytest.approx(-0.9), pytest.approx(2.9))
    assert found.p_support == pytest.approx((1 + 101) / 402)
    assert found.p_refute == pytest.approx((1 + 301) / 402)
    with pytest.raises(InsufficientError, match="3 finite draws"):
        of_draws("", 1.0, [1, 2, 3], Region(low=0.0), "1", 20)


def test_exact_numbers_are_inside_or_outside():
    assert exact("", 0.0, Region(high=1e-9), "bit", 3).p_support == 0
    assert exact("", 1e-3, Region(high=1e-9), "bit", 3).p_refute == 0


def test_members_that_are_alike_decide_and_few_do_not():
    found = of_members("", [2.0, 2.0, np.nan, 2.0], Region(low=1.0), "1")
    assert (found.p_support, found.p_refute, found.members) == (0, 1, 3)
    with pytest.raises(InsufficientError, match="2 members"):
        of_members("", [1.0, 2.0], Region(low=1.0), "1")


def test_partial_correlation_is_that_of_three_rank_correlations():
    rng = np.random.default_rng(1)
    z = rng.standard_normal(40)
    x, y = z + rng.standard_normal(40), z - 0.3 * rng.standard_normal(40)
    xy, xz, yz = (rank_correlation(*pair) for pair in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_rank_correlation(x, y, z) == pytest.approx(expected, rel=1e-12)
    assert partial_rank_correlation(x, y, np.ones(40)) == pytest.approx(xy, rel=1e-12)
    assert np.isnan(partial_rank_correlation(z, y, z))
