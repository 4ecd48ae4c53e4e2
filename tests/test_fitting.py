"""Fits member by member and their intervals, against curves made by formula."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import curve_fit

from theory import autoregression, fitting, profiles

STEP = np.unique(np.round(np.geomspace(1, 1e4, 90)).astype(int))


def curves(values, step=STEP, units="bit"):
    """Member (and layer) first, step last, shuffled to the order of records."""
    values = np.asarray(values)
    dims = ("member", "step") if values.ndim == 2 else ("member", "layer", "step")
    coords = {"step": step, "epoch": ("step", step / 10)}
    return xr.DataArray(values, coords, dims, attrs={"units": units}).transpose("step", ...)


@pytest.mark.parametrize("along", ["step", "epoch"])
def test_an_exponential_relaxation_is_found_to_rounding(along):
    time = np.array([[40.0, 300.0], [900.0, 2000.0]])
    t = STEP if along == "step" else STEP / 10
    fit = fitting.exponential(curves(2 + 3 * np.exp(-t / time[..., None])), along)
    assert fit["time"].values == pytest.approx(time, rel=1e-9)
    assert fit["limit"].values == pytest.approx(2, rel=1e-9)
    assert fit["amplitude"].values == pytest.approx(3, rel=1e-9)
    assert not fit["at_limit"].any()
    assert fit["limit"].attrs["units"] == "bit"
    assert fit["time"].attrs["units"] == "1"


@pytest.mark.parametrize("exponent", [0.1, 0.5, 1.7])
def test_a_power_law_is_found_to_rounding(exponent):
    fit = fitting.power_law(curves(1 - 0.2 * STEP[None] ** exponent))
    assert fit["exponent"].values == pytest.approx(exponent, rel=1e-7)
    assert fit["amplitude"].values == pytest.approx(-0.2, rel=1e-6)
    assert fit["offset"].values == pytest.approx(1, rel=1e-5)


def test_a_falling_power_law_needs_negative_exponents():
    fit = fitting.power_law(curves(0.5 + 4 * STEP[None] ** -0.75), exponents=(-2, -0.02))
    assert fit["exponent"].item() == pytest.approx(-0.75, rel=1e-7)
    assert fit["offset"].item() == pytest.approx(0.5, rel=1e-6)
    with pytest.raises(ValueError, match=r"exponents are \(-1, 1\), expected two ascending ones"):
        fitting.power_law(curves(np.ones((1, len(STEP)))), exponents=(-1, 1))


def test_estimates_are_those_of_a_general_optimiser():
    rng = np.random.default_rng(0)
    noisy = 2 + 3 * np.exp(-STEP / 400) + 0.1 * rng.normal(size=(3, len(STEP)))
    fit = fitting.exponential(curves(noisy))
    for member in range(3):
        (limit, amplitude, time), _ = curve_fit(
            lambda t, a, b, c: a + b * np.exp(-t / c), STEP, noisy[member], (2, 3, 400)
        )
        # curve_fit stops at a relative change of 1.5e-8 in the squares, which are flat.
        assert fit["time"][member].item() == pytest.approx(time, rel=1e-4)
        assert fit["limit"][member].item() == pytest.approx(limit, rel=1e-4)
        assert fit["amplitude"][member].item() == pytest.approx(amplitude, rel=1e-4)


def test_what_no_record_constrains_is_said_to_be_at_its_limit():
    assert fitting.exponential(curves(STEP[None] * 1.0))["at_limit"].all()
    # log t is the power law of exponent 0.
    assert fitting.power_law(curves(np.log(STEP)[None]))["at_limit"].all()


def test_points_that_are_missing_do_not_count():
    values = 2 + 3 * np.exp(-STEP / np.array([[100.0], [400.0]]))
    values[1, ::3] = np.nan
    fit = fitting.exponential(curves(values))
    assert fit["time"].values == pytest.approx([100, 400], rel=1e-8)
    values[1] = np.nan
    fit = fitting.exponential(curves(values))
    assert np.isnan(fit["time"].values).tolist() == [False, True]


def test_a_broken_power_law_is_found_within_a_grid_step():
    x = np.log(STEP)
    values = np.exp(1 - 0.1 * x - 1.1 * np.maximum(x - 6, 0))[None]
    step = 0.84 * (x[-1] - x[0]) / 300
    fit = fitting.broken_line(curves(values, units="1"))
    assert np.log(fit["position"].item()) == pytest.approx(6, abs=step)
    # A break off by a step tilts the lines by less than the change of slope times step / reach.
    assert fit["slope_before"].item() == pytest.approx(-0.1, abs=1.1 * step)
    assert fit["slope_after"].item() == pytest.approx(-1.2, abs=1.1 * step)
    assert np.log(fit["value"].item()) == pytest.approx(0.4, abs=1.2 * step)
    assert fit["position"].attrs["units"] == "1"


def test_a_record_at_zero_is_left_out_where_its_logarithm_is_meant():
    step = np.append(0, STEP)
    values = np.append(1.0, 1 + 0.5 * np.log(STEP))[None]
    fit = fitting.logarithm(curves(values, step))
    assert fit["rate"].item() == pytest.approx(0.5, rel=1e-12)
    assert fit["offset"].item() == pytest.approx(1, rel=1e-12)
    assert fit.sizes["step"] == len(STEP)


def test_values_without_a_logarithm_are_refused():
    with pytest.raises(ValueError, match="'snr' holds values of 0 or less"):
        fitting.broken_line(curves(np.zeros((1, len(STEP)))).rename("snr"))
    with pytest.raises(ValueError, match="'time' is no coordinate along step"):
        fitting.exponential(curves(np.ones((1, len(STEP)))), "time")


def test_the_number_of_breaks_is_that_of_the_curve():
    rng = np.random.default_rng(3)
    x = np.log(STEP)
    line = np.stack([0 * x, -np.maximum(x - 5, 0), np.maximum(x - 3, 0) - 2 * np.maximum(x - 6, 0)])
    values = np.exp(line + 0.02 * rng.normal(size=line.shape))
    fit = fitting.broken_lines(curves(values))
    assert fit["count"].values.tolist() == [0, 1, 2]
    assert np.log(fit["position"].values[2, :2]) == pytest.approx([3, 6], abs=0.1)
    assert fit["slope"].values[2, :3] == pytest.approx([0, 1, -1], abs=0.05)
    assert np.isnan(fit["position"].values[0]).all()


@pytest.mark.parametrize("exponent", [0.25, 0.5])
@pytest.mark.parametrize("decades", [1, 2, 3])
def test_how_badly_a_logarithm_misses_a_power_law(exponent, decades):
    """Residual over deviation at evenly log-spaced times."""
    step = np.geomspace(1, 10**decades, 2001)
    y = step**exponent
    fit = fitting.logarithm(curves(y[None], step))
    misfit = np.sqrt(((fit["fitted"].values[0] - y) ** 2).mean()) / y.std()
    # Moments of e^(g u), u uniform on [0, 1]; the regression on u takes 12 cov^2 of its variance.
    g = exponent * decades * np.log(10)
    mean, square = np.expm1(g) / g, np.expm1(2 * g) / (2 * g)
    covariance = (np.exp(g) * (g - 1) + 1) / g**2 - mean / 2
    exact = np.sqrt(1 - 12 * covariance**2 / (square - mean**2))
    # The sums over 2001 points err by their two ends, 1 / 2001.
    assert misfit == pytest.approx(exact, rel=2e-3)
    printed = {0.5: (0.15, 0.28, 0.39), 0.25: (0.07, 0.15, 0.22)}[exponent][decades - 1]
    assert exact == pytest.approx(printed, abs=5e-3)


def test_validation_over_members_prefers_the_law_that_made_the_curves():
    rng = np.random.default_rng(0)
    models = {"power": fitting.power_law, "logarithm": fitting.logarithm}
    offset = rng.normal(size=(12, 1))
    # Half a power of 3 decades leaves .39 of its deviation to a logarithm.
    for name, law in (("power", STEP**0.5 / 30), ("logarithm", np.log(STEP) / 3)):
        noise = autoregression.autoregressive(0.6, (12, len(STEP)), rng)
        found = fitting.cross_validate(curves(law + 0.05 * noise + offset), models)
        assert found["error"].sizes == {"model": 2, "member": 12}
        if name == "power":
            assert found["excess"].sel(model="power") == 0
            assert found["excess_low"].sel(model="logarithm") > 0
        else:
            # The power law holds the logarithm as its limit, and so is no worse.
            assert abs(found["excess"]).max() < 1e-3 * found["error"].mean()


def test_validation_is_by_members_not_seen():
    values = np.array([[1.0, 1, 1, 1], [2, 2, 2, 2], [6, 6, 6, 6]])
    found = fitting.cross_validate(
        curves(values, np.arange(1, 5), units="1"),
        {"constant": lambda c, along: xr.Dataset({"fitted": c})},
    )
    # Each against the mean of the other two: 1 - 4, 2 - 3.5, 6 - 1.5.
    assert found["error"].values[0] == pytest.approx([9, 2.25, 20.25])
    assert found["excess"].attrs["units"] == "1"
    with pytest.raises(ValueError, match="expected at least 3 of member"):
        fitting.cross_validate(curves(values[:2], np.arange(1, 5)), {"l": fitting.logarithm})


def test_the_bootstrap_is_narrower_than_students_interval_of_few_members():
    rng = np.random.default_rng(0)
    values = xr.DataArray(rng.normal(size=(400, 10)), dims=("repetition_", "member"))
    values.attrs["units"] = "bit"
    found = fitting.bootstrap_interval(values, rng, repetitions=400)
    covered = float(((found["low"] < 0) & (found["high"] > 0)).mean())
    # Published for 10 to 20 members: 88 to 90 % instead of 95.
    assert abs(covered - 0.9) < 0.015 + 3 * np.sqrt(0.9 * 0.1 / 400)
    assert (found["mean"] == values.mean("member")).all()
    assert found["low"].attrs["units"] == "bit"


def test_a_profile_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"base has shape \(1, 3\), expected \(any, 4\)"):
        profiles.fit(np.ones((2, 4)), np.ones((1, 3)), np.exp, [1, 2, 3])
    with pytest.raises(ValueError, match="at least 3 ascending values"):
        profiles.fit(np.ones((2, 4)), np.ones((1, 4)), np.exp, [1, 3, 2])
