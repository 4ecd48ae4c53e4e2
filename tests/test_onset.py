"""The onset of compression, its cross-fitted drop, and coincidence with the transition."""

import numpy as np
import pytest
import xarray as xr
from synthetic import noisy, steps

from theory import onset

STEP = steps(1e4, 60)
X = np.log(STEP)


def information(values, step=STEP):
    values = np.asarray(values)
    coords = {
        "member": np.arange(len(values)),
        "step": step,
        "epoch": ("step", np.asarray(step) / 10),
        "layer": [str(i) for i in range(values.shape[2])],
    }
    return xr.DataArray(values, coords, ("member", "step", "layer"), attrs={"units": "bit"})


def times(values, censored):
    return xr.Dataset({"time": ("member", values), "censored": ("member", censored)})


def test_the_onset_is_the_peak_unless_nothing_falls():
    curve = np.array([[1.0, 3, 2, 2], [1, 2, 3, 2.95], [1, 2, 3, 4], [5, 4, 3, 2]])
    found = onset.compression_onset(information(curve[..., None], [0, 1, 5, 9]), "epoch")
    assert found["time"].values.ravel() == pytest.approx([0.1, 0.9, 0.9, 0.1])
    assert found["censored"].values.ravel().tolist() == [0, 1, 1, -1]
    assert found["drop"].values.ravel() == pytest.approx([1, 0.05, 0, 3])
    assert found["drop"].attrs["units"] == "bit"


def test_a_member_that_diverged_has_no_onset_and_an_unmeasured_record_does_not_count():
    curve = np.array([[1.0, 3, np.nan, 2, 1], [1, 3, np.nan, np.nan, np.nan]])
    found = onset.compression_onset(information(curve[..., None], np.arange(1, 6)))
    assert found["time"].values[0, 0] == 2
    assert np.isnan(found["time"].values[1, 0])


def test_the_drop_is_measured_on_members_that_did_not_choose_the_peak():
    curve = np.zeros((4, 4, 1))
    curve[::2, 1] = 1.0
    curve[1::2, 2] = 5.0
    curve[:, 3] = 0.25
    found = onset.cross_fitted_drop(
        information(curve, np.arange(4)), np.random.default_rng(0), blocks=2, repetitions=9
    )
    # Each half has 0 where the other has its peak, and ends at .25.
    assert (found["drop"] == -0.25).all()
    assert found["drop"].attrs["units"] == "bit"


def test_noise_alone_drops_if_unsplit_and_does_not_if_split():
    rng = np.random.default_rng(0)
    flat = information(noisy(5 + 0 * X, 20, 3, rng, noise=0.3))
    assert (onset.compression_onset(flat)["drop"] > 0.1).mean() > 0.9
    found = onset.cross_fitted_drop(flat, rng)
    assert not found["compresses"].any()
    assert (abs(found["mean"]) < 4 * (found["high"] - found["mean"]) / 2).all()


def test_a_peak_is_a_compression_and_a_rise_is_none():
    rng = np.random.default_rng(0)
    line = np.stack([7 - np.abs(X - 5), 2 + 0.5 * X], 1)
    values = line + 0.05 * rng.normal(size=(12, len(X), 2))
    found = onset.cross_fitted_drop(information(values), rng)
    assert found["compresses"].values.tolist() == [True, False]
    drop = X[-1] - 5
    error = 0.05 * np.sqrt(2 / 12)
    # The nearest record to the peak lies within half a distance of records.
    assert abs(found["mean"][0].item() - drop) < 4 * error + np.diff(X)[X[1:] > 5].max() / 2


def test_times_that_coincide_by_member_are_told_from_shuffled_ones():
    rng = np.random.default_rng(0)
    logs = 5 + rng.normal(size=20)
    first = times(np.exp(logs), np.zeros(20, dtype=int))
    near = times(np.exp(logs + 0.1 * rng.normal(size=20)), np.zeros(20, dtype=int))
    found = onset.coincidence(first, near, rng)
    assert found["coincide"]
    assert found["p"] == 0.001
    later = onset.coincidence(first, times(np.exp(logs + 2), np.zeros(20, dtype=int)), rng)
    assert not later["coincide"]
    assert later["ratio"].item() == pytest.approx(np.exp(-2), rel=1e-9)


def test_the_permutation_null_keeps_its_level():
    rng = np.random.default_rng(0)
    none = np.zeros(12, dtype=int)
    p = [
        onset.coincidence(
            times(np.exp(rng.normal(size=12)), none),
            times(np.exp(rng.normal(size=12)), none),
            rng,
            99,
        )["p"].item()
        for _ in range(200)
    ]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 200)


def test_bounds_on_one_time_bound_the_ratio():
    rng = np.random.default_rng(0)
    first = times([8.0, 4, 2, 100, 100], [0, 0, 0, 1, 1])
    second = times([4.0, 4, 4, 50, 100], [0, 0, 0, 0, 1])
    found = onset.coincidence(first, second, rng)
    # The fourth ratio is at least 2; of the fifth nothing is known.
    assert (found["observed"].item(), found["censored"].item()) == (3, 1)
    assert found["ratio"].item() > 1
    assert found["pairs"].item() == 3


def test_too_few_members_or_records_are_refused():
    with pytest.raises(ValueError, match="expected at least 4 of member and 20 of step"):
        onset.cross_fitted_drop(information(np.ones((3, len(STEP), 1))), np.random.default_rng(0))
    with pytest.raises(ValueError, match="information has 2 recorded steps, expected at least 3"):
        onset.compression_onset(information(np.ones((3, 2, 1)), [1, 2]))
    assert (onset.compression_onset(information(np.ones((3, 3, 1)), [1, 2, 3]))["drop"] == 0).all()
