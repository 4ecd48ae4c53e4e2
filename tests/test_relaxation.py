"""Relaxation times, compressions and their law, on records made by formula."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from synthetic import labelled, record

from theory import relaxation, relaxation_law
from theory.relaxation import compression, first_passage, relaxation_times, sum_condition

STEP = np.arange(0, 2001, 10)
ONSET = 100.0


def relaxing(peak, limit, time, rng=None, noise=0.0):
    """I(X;T) rises to ``peak`` at step 100, then relaxes; arrays (member, layer) in bits."""
    t = STEP[:, None]
    peak, limit, time = (np.asarray(v, dtype=float)[:, None] for v in (peak, limit, time))
    after = limit + (peak - limit) * np.exp(-(t - ONSET) / time)
    values = np.where(t < ONSET, peak - 1 + t / ONSET, after)
    if rng is not None:
        values = values + noise * rng.normal(size=values.shape)
    run = record({"weight_norm": np.ones(values.shape)}, STEP)
    run["information_input"] = labelled("weight_norm", values).copy(data=values)
    run["information_input"].attrs = {"units": "bit"}
    run["resolved"] = xr.ones_like(run["information_input"])
    run["p_x"] = labelled("p_x", np.full(4096, 1 / 4096))
    return run


ROWS = {"peak": [[11.0, 9, 6]] * 2, "limit": [[10.0, 6, 2]] * 2, "time": [[50.0, 200, 400]] * 2}


def test_compression_is_the_drop_over_depth_in_nats_from_the_source_on():
    found = compression(relaxing(**ROWS))
    assert found.isel(step=10).values[0] == pytest.approx(np.array([1, 2, 3]) * np.log(2))
    assert found.attrs["units"] == "nat"
    total = found.sum("layer") / np.log(2)
    assert total.isel(step=10).values == pytest.approx(12 - 6)


def test_compression_goes_by_depth_whatever_the_order_of_layers_and_keeps_gaps():
    run = relaxing(**ROWS)
    xr.testing.assert_allclose(compression(run.isel(layer=[2, 0, 1])), compression(run))
    run["information_input"][:, 3, 0] = np.nan
    missing = compression(run).isel(member=0, step=3).isnull().values
    assert missing.tolist() == [True, True, False]


def test_exponential_relaxation_is_found_to_rounding():
    found = relaxation_times(relaxing(**ROWS))
    assert found["time"].values[0] == pytest.approx([50, 200, 400], rel=1e-7)
    assert found["drop"].values[0] == pytest.approx(np.array([1, 3, 4]) * np.log(2), rel=1e-7)
    assert (found["censored"] == 0).all()
    assert found["included"].all()
    # 1 / e of the drop by the last record, which is a little less than all: within a record.
    assert found["passage"].values[0] == pytest.approx([50, 200, 400], abs=10)
    last = compression(relaxing(**ROWS)).isel(step=-1)
    assert found["compression"].values == pytest.approx(last.values)


def test_a_relaxation_that_the_run_does_not_see_to_its_end_is_censored():
    rows = {**ROWS, "time": [[50.0, 800, 1e6]] * 2}
    found = relaxation_times(relaxing(**rows))
    # The run is 1900 after the onset; 90 % of the drop need log(10) times: 825 is the greatest.
    assert found["censored"].values[0, :2].tolist() == [0, 0]
    assert not found["included"].values[0, 2]
    found = relaxation_times(relaxing(**{**ROWS, "time": [[50.0, 850, 4000]] * 2}))
    assert found["censored"].values[0].tolist() == [0, 1, 1]
    for name in ("time", "passage"):
        assert found[name].values[0, 1:] == pytest.approx(1900 / np.log(10), rel=1e-9)
    seen = 4 * np.log(2) * (1 - np.exp(-1900 / 4000))
    assert found["drop"].values[0, 2] == pytest.approx(seen, rel=1e-12)


def test_small_drops_and_unresolved_layers_are_left_out_by_rule():
    run = relaxing([[11.0, 9, 6]], [[10.95, 6, 2]], [[50.0, 200, 400]])
    run["resolved"][0, -1, 2] = 0
    found = relaxation_times(run)
    assert found["included"].values[0].tolist() == [False, True, False]
    for name in ("time", "passage", "drop", "censored"):
        assert np.isnan(found[name].values[0]).tolist() == [True, False, True]
    assert np.isfinite(found["compression"].values).all()


def test_a_curve_with_a_gap_has_no_time_and_takes_none_from_the_others():
    run, whole = relaxing(**ROWS), relaxation_times(relaxing(**ROWS))
    run["information_input"][0, 50, 1] = np.nan
    found = relaxation_times(run)
    assert found["included"].values.tolist() == [[True, False, True], [True, True, True]]
    assert found["time"].equals(whole["time"].where(found["included"]))


def test_noise_does_not_bias_the_times():
    rng = np.random.default_rng(0)
    many = {name: np.repeat(rows[:1], 60, 0) for name, rows in ROWS.items()}
    found = relaxation_times(relaxing(**many, rng=rng, noise=0.02))
    logs = np.log(found["time"].values / np.array([50, 200, 400]))
    error = logs.std(0, ddof=1) / np.sqrt(60)
    # The peak of a noisy curve begins the fit, which shifts no time of an exponential.
    assert (abs(logs.mean(0)) < 4 * error + 0.01).all()


def test_an_estimator_has_to_be_chosen():
    run = relaxing(**ROWS)
    run["information_input"] = run["information_input"].expand_dims("estimator")
    with pytest.raises(ValueError, match="dim 'estimator', expected one to be chosen"):
        compression(run)


def test_first_passages_are_censored_where_the_target_is_not_reached():
    error = xr.DataArray(
        [[0.5, 0.4, 0.2, 0.3], [0.5, 0.5, 0.4, np.nan], [0.0, 0.1, 0.1, 0.1]],
        {"step": [0, 1, 5, 9]},
        ("member", "step"),
    )
    found = first_passage(error, 0.25)
    assert found["time"].values.tolist() == [5, 5, 1]
    assert found["censored"].values.tolist() == [0, 1, -1]


def nats(values):
    return xr.DataArray(values, dims=("member", "layer"), attrs={"units": "nat"})


def test_the_sum_of_exponentials_against_the_exponential_of_the_sum():
    for layers, threshold in ((2, 0.6931), (3, 0.5493), (5, 0.4024), (10, 0.2558)):
        assert relaxation.equal_threshold(layers) == pytest.approx(threshold, abs=5e-5)
        c = relaxation.equal_threshold(layers)
        equal = np.full((1, layers), c)
        assert sum_condition(nats(equal))["margin"].item() == pytest.approx(0, abs=1e-12)
        assert sum_condition(nats(equal + 1e-6))["holding"] == 1
        assert sum_condition(nats(equal - 1e-6))["holding"] == 0
    # At C = 0 it says 1 >= K.
    assert sum_condition(nats(np.zeros((2, 4))))["margin"].values.tolist() == [-3, -3]
    # With the literal signs, exp(-2.2) = .111 < 1.471, it is reversed.
    c = -np.array([[0.5, 0.7, 1.0]])
    assert np.exp(c.sum()) == pytest.approx(0.111, abs=5e-4)
    assert np.exp(c).sum() == pytest.approx(1.471, abs=5e-4)
    margin = sum_condition(nats(c))["margin"].item()
    assert margin == pytest.approx(1 - np.exp(c).sum() / np.exp(c.sum()), rel=1e-12)
    assert sum_condition(nats(c))["holding"] == 0
    with pytest.raises(ValueError, match="units are 'bit', expected 'nat'"):
        sum_condition(nats(np.ones((2, 2))).assign_attrs(units="bit"))


def points(members, rng, slope=1.0, layers=5):
    """Layers of C up to 3 nats, errors .3 in C and .4 in log time."""
    true = np.linspace(0.3, 3, layers)
    x = true + 0.3 * rng.normal(size=(members, layers))
    y = 2 + slope * true + 0.4 * rng.normal(size=x.shape)
    time = nats(np.exp(y)).assign_attrs(units="1")
    return time, nats(x), xr.zeros_like(time)


def test_the_slope_of_the_law_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(0)
    found = [
        relaxation_law.fit_law(*points(20, rng), rng, repetitions=200, ratio=(0.4 / 0.3) ** 2)
        for _ in range(80)
    ]
    slopes = np.array([fit["slope"].item() for fit in found])
    assert abs(slopes.mean() - 1) < 4 * slopes.std() / np.sqrt(80)
    covered = [fit["slope_low"].item() <= 1 <= fit["slope_high"].item() for fit in found]
    # A percentile bootstrap over 20: 93.5 % published.
    assert np.mean(covered) > 0.935 - 4 * np.sqrt(0.935 * 0.065 / 80)
    assert found[0]["diffusion"].item() == pytest.approx(1 / slopes[0])
    assert (found[0]["slope"].units, found[0]["diffusion"].units) == ("nat-1", "nat")
    assert found[0]["points"].item() == 100


@pytest.mark.parametrize("slope", [1.0, -1.0, 0.0])
def test_the_interval_of_a_diffusion_is_the_inverse_of_the_slopes_and_open_around_none(slope):
    rng = np.random.default_rng(0)
    fit = relaxation_law.fit_law(*points(20, rng, slope=slope), rng, repetitions=200, ratio=1.0)
    low, high = fit["slope_low"].item(), fit["slope_high"].item()
    assert np.sign([low, high]).tolist() == ([-1, 1] if slope == 0 else [slope, slope])
    assert fit["diffusion_low"].item() == pytest.approx(1 / high)
    assert fit["diffusion_high"].item() == pytest.approx(1 / low if slope else np.inf)


def test_the_ratio_of_errors_comes_from_the_members():
    rng = np.random.default_rng(0)
    found = relaxation_law.fit_law(*points(400, rng), rng, repetitions=10)
    # Two independent variances of 5 x 399 degrees each.
    error = np.sqrt(4 / (5 * 399))
    assert np.log(found["ratio"].item() / (0.4 / 0.3) ** 2) == pytest.approx(0, abs=4 * error)


def test_censored_times_do_not_flatten_the_law():
    rng = np.random.default_rng(0)
    time, x, _ = points(300, rng)
    bound = np.exp(4.0)
    hidden = (time > bound).astype(int)
    assert 0.1 < hidden.mean() < 0.5
    ratio = (0.4 / 0.3) ** 2
    fit = relaxation_law.fit_law(time.clip(max=bound), x, hidden, rng, ratio=ratio, repetitions=100)
    naive = relaxation_law.fit_law(
        time.clip(max=bound), x, 0 * hidden, rng, ratio=ratio, repetitions=100
    )
    half = (fit["slope_high"] - fit["slope_low"]).item() / 2
    assert naive["slope"].item() < 0.8
    # The true C of layers is not normal, so that a bias of some hundredths is left.
    assert abs(fit["slope"].item() - 1) < 2 * half + 0.05
    assert fit["censored"].item() == hidden.sum()


def test_points_that_are_missing_do_not_count():
    rng = np.random.default_rng(0)
    time, x, none = points(6, rng)
    whole = relaxation_law.fit_law(time, x, none, rng, ratio=1.0, repetitions=10)
    wider = [xr.concat([each, np.nan * each.isel(layer=[0])], "layer") for each in (time, x, none)]
    wider[1].attrs = x.attrs
    found = relaxation_law.fit_law(*wider, rng, ratio=1.0, repetitions=10)
    assert found["slope"].item() == pytest.approx(whole["slope"].item(), rel=1e-12)
    assert found["points"].item() == 30
    longer = [xr.concat([each, np.nan * each, np.nan * each], "member") for each in (time, x, none)]
    longer[1].attrs = x.attrs
    alone, among = (
        relaxation_law.fit_law(*each, np.random.default_rng(1), ratio=1.0, repetitions=99)
        for each in ((time, x, none), longer)
    )
    assert among.identical(alone)


def test_the_law_that_made_the_times_foretells_them_best():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.3, 4, (20, 5))
    makers = {
        "exponential": x,
        "linear": np.log(x + 0.1),
        "power": 2 * np.log(x),
        "depth": 0.8 * np.arange(5) + 0 * x,
        "constant": 0 * x,
    }
    assert list(makers) == list(relaxation_law.LAWS)
    for name, y in makers.items():
        time = nats(np.exp(y + 0.2 * rng.normal(size=x.shape))).assign_attrs(units="1")
        bound = float(time.quantile(0.9))
        hidden = (time > bound).astype(int)
        found = relaxation_law.compare_laws(time.clip(max=bound), nats(x), hidden)
        mean = found["score"].mean("member")
        others = mean.drop_sel(law=[name])
        # Laws that hold another as a special case lose little by it.
        assert (mean.sel(law=name) > others - 0.05).all(), name
        if name != "exponential":
            assert found["advantage"].sel(law=name) < 0.05, name
        else:
            assert (found["advantage_low"].drop_sel(law=["exponential"]) > 0).all()


def test_the_score_of_a_law_is_the_mean_log_density_of_the_member_left_out():
    rng = np.random.default_rng(0)
    time, x, none = points(4, rng)
    time[1, 2] = np.nan
    score = relaxation_law.compare_laws(time, x, none)["score"].sel(law="constant")
    y = np.log(time.values)
    for member, own in enumerate(y):
        others = np.delete(y, member, 0)
        normal = stats.norm(np.nanmean(others), np.nanstd(others))
        assert score.values[member] == pytest.approx(np.nanmean(normal.logpdf(own)), abs=1e-6)


def test_what_no_power_is_defined_of_is_counted():
    rng = np.random.default_rng(0)
    time, x, none = points(4, rng)
    x[0, 0] = -0.1
    x = x.where(x > -0.11, 0.2)
    found = relaxation_law.compare_laws(time, x.assign_attrs(units="nat"), none)
    assert found["left_out"].item() == (x <= 0).sum()


def test_bits_and_few_members_are_refused():
    time, x, none = points(2, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="compression is in 'bit', expected 'nat'"):
        relaxation_law.fit_law(time, x.assign_attrs(units="bit"), none, rng)
    with pytest.raises(ValueError, match="time has 2 members with a point, expected at least 3"):
        relaxation_law.fit_law(time, x, none, rng)
