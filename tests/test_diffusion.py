"""How far weights wander, on walks whose diffusion is known."""

import numpy as np
import pytest
import xarray as xr
from synthetic import record, steps

from theory import diffusion
from theory.fitting import mean_interval

STEP = steps(1e4, 60)


def walk(members, weights, rng, *, rate=0.1, spread=3.0, pull=0.0):
    """Walks under gradient noise of root trace ``spread`` a sample, alike in all weights."""
    run = record(
        {
            "gradient_spread": np.full((members, len(STEP), 1), spread),
            "gradient_mean": np.zeros((members, len(STEP), 1)),
        },
        STEP,
        layers=["1"],
        learning_rate=rate,
    )
    batch, size = run.attrs["batch_size"], run.attrs["train_size"]
    deviation = rate * spread * np.sqrt((size - batch) / (batch * (size - 1)) / weights)
    w, at, squares = np.zeros((members, weights)), 0, []
    for step in STEP:
        # Between records the contraction (1 - rate pull) a step is exact.
        c = 1 - rate * pull
        ahead = step - at
        gathered = ahead if pull == 0 else (1 - c ** (2 * ahead)) / (1 - c**2)
        w = c**ahead * w + deviation * np.sqrt(gathered) * rng.normal(size=w.shape)
        at = step
        squares.append((w**2).sum(-1))
    displacement = np.sqrt(np.array(squares)).T[..., None]
    return run.assign(weight_displacement=(("member", "step", "layer"), displacement))


def since(run, step):
    return xr.full_like(run["weight_displacement"].isel(step=0, drop=True), float(step))


def test_free_diffusion_has_exponent_one_and_the_predicted_temperature():
    rng = np.random.default_rng(0)
    run = walk(40, 50, rng)
    found = diffusion.weight_diffusion(run, since(run, 10))
    for name in ("exponent", "ratio"):
        interval = mean_interval(found[name], level=0.9999)
        assert (interval["low"] < 1).all(), name
        assert (interval["high"] > 1).all(), name
        assert (interval["high"] - interval["low"] < 0.5).all(), name
    # rate C / 2 of the batch of 64 of 6400, (3^2 / 64) (6336 / 6399).
    expected = 0.1 / 2 * 9 / 64 * 6336 / 6399
    assert found["predicted"].values == pytest.approx(expected, rel=1e-12)
    assert found["temperature"].attrs["units"] == "nat"


def test_a_confined_walk_is_told_by_its_exponent():
    run = walk(40, 50, np.random.default_rng(0), pull=0.02)
    found = diffusion.weight_diffusion(run, since(run, 1000))
    assert mean_interval(found["exponent"])["high"] < 0.5
    assert mean_interval(found["ratio"])["high"] < 0.5


def test_the_prediction_is_a_mean_in_time():
    run = walk(2, 5, np.random.default_rng(0))
    ramp = np.sqrt(STEP / 1e4)[None, :, None] * np.ones((2, 1, 1))
    run = run.assign(gradient_spread=(("member", "step", "layer"), ramp))
    found = diffusion.weight_diffusion(run, since(run, 1))
    peak = diffusion.predicted_temperature(run).isel(step=-1)
    # The mean of t / 10^4 is one half; the last record's interval, a tenth or so, is one-sided.
    assert (found["predicted"] / peak).values == pytest.approx(0.5, abs=0.1)


def test_members_without_a_phase_have_no_estimate():
    run = walk(3, 5, np.random.default_rng(0))
    start = since(run, 10)
    start[0], start[1] = np.nan, STEP[-3]
    found = diffusion.weight_diffusion(run, start)
    for name in ("exponent", "temperature", "predicted", "ratio"):
        assert np.isnan(found[name].values[:, 0]).tolist() == [True, True, False], name


def test_a_full_batch_is_cold():
    run = walk(2, 5, np.random.default_rng(0))
    run.attrs["batch_size"] = run.attrs["train_size"]
    assert (diffusion.predicted_temperature(run) == 0).all()
    assert diffusion.weight_diffusion(run, since(run, 10))["ratio"].isnull().all()


def test_another_optimiser_is_refused():
    run = record({"gradient_spread": np.ones((1, 3, 1))}, [1, 2, 3], layers=["1"], optimizer="adam")
    with pytest.raises(ValueError, match=r"optimiser is adam with momentum 0\.0, expected sgd"):
        diffusion.predicted_temperature(run)
