"""Time to learn against depth: closed forms, the published fits, and selection among laws."""

import numpy as np
import pytest

from theory import depth


def test_sequential_time_is_least_where_layers_equal_nats():
    for total in (1.0, 3.0, 5.0):
        layers = np.arange(1, 12)
        time = depth.learning_time(layers, total)
        assert layers[time.argmin()] == total
        assert time.min() == pytest.approx(np.e * total, rel=1e-12)
        assert (np.diff(time)[layers[:-1] >= total] > 0).all()
        assert (np.diff(depth.learning_time(layers, total, "parallel")) < 0).all()


@pytest.mark.parametrize("law", depth.LAWS)
def test_laws_are_found_to_rounding(law):
    layers = np.arange(1, 7)
    times = 20 * depth.learning_time(layers, 1.7, law)
    fit = depth.fit_depth(layers, times, np.zeros(6, dtype=bool), law)
    expected = [np.log(20)] if law == "constant" else [np.log(20), 1.7]
    assert fit.coefficients == pytest.approx(expected, rel=1e-9)


def test_the_total_of_five_nats_is_found_with_the_published_error():
    """S = 5, sigma = .25, K = 1..6: 5.005 with deviation .352, in theory .357."""
    rng = np.random.default_rng(0)
    layers, none = np.arange(1, 7), np.zeros(6, dtype=bool)
    clean = depth.learning_time(layers, 5.0)
    found = np.array(
        [
            depth.fit_depth(layers, clean * np.exp(0.25 * noise), none, "sequential").coefficients[
                1
            ]
            for noise in rng.normal(size=(1500, 6))
        ]
    )
    theory = 0.25 / np.sqrt(((1 / layers - (1 / layers).mean()) ** 2).sum())
    assert theory == pytest.approx(0.357, abs=5e-4)
    assert abs(found.mean() - 5) < 4 * theory / np.sqrt(1500)
    assert found.std() == pytest.approx(theory, abs=4 * theory / np.sqrt(2 * 1500))


def test_the_published_pilot():
    """Median epochs to 5 % test error of 1 to 5 hidden layers, and their least-squares fits."""
    layers, times = np.arange(1, 6), np.array([1435, 795, 615, 535, 820.0])
    for law, coefficient, squares in (
        ("parallel", 1.01, 0.140),
        ("sequential", 2.93, 0.087),
        ("exponential", 0.15, 0.343),
    ):
        fit = depth.fit_depth(layers, times, np.zeros(5, dtype=bool), law)
        assert fit.coefficients[1] == pytest.approx(coefficient, abs=5e-3)
        assert 5 * fit.deviation**2 == pytest.approx(squares, abs=5e-4)


def test_a_censored_network_is_not_taken_at_its_bound():
    rng = np.random.default_rng(0)
    layers = np.repeat(np.arange(1, 7), 40)
    times = depth.learning_time(layers, 5.0) * np.exp(0.25 * rng.normal(size=240))
    hidden = times > 60
    assert hidden[:40].all()
    fit = depth.fit_depth(layers, np.minimum(times, 60), hidden, "sequential")
    naive = depth.fit_depth(layers, np.minimum(times, 60), 0 * hidden, "sequential")
    assert fit.coefficients[1] == pytest.approx(5, abs=0.5)
    assert naive.coefficients[1] < 4


def test_selection_among_laws_and_the_interval():
    rng = np.random.default_rng(0)
    layers = np.repeat(np.arange(1, 7), 20)
    times = depth.learning_time(layers, 3.0) * np.exp(0.25 * rng.normal(size=120))
    found = depth.depth_scaling(layers, times, times < 0, rng, repetitions=100)
    own = found.sel(law="sequential")
    assert own["best"] > 0.9
    assert own["aic"] == found["aic"].min()
    # Without censored times this is least squares, with the deviation one parameter more.
    design = np.stack([np.ones(120), 1 / layers], 1)
    log = np.log(times / layers)
    variance = np.mean((log - design @ np.linalg.lstsq(design, log)[0]) ** 2)
    expected = 120 * (np.log(2 * np.pi * variance) + 1) + 2 * 3
    assert float(own["aic"]) == pytest.approx(expected, rel=1e-9)
    assert own["low"] < 3 < own["high"]
    assert np.isnan(found["coefficient"].sel(law="constant"))
    assert found["best"].sum().item() == pytest.approx(1)


def test_what_has_no_logarithm_or_name_is_refused():
    with pytest.raises(ValueError, match="times have to be positive, and layers 1 or more"):
        depth.fit_depth([1, 2, 3], [1, 0, 1], [False] * 3, "power")
    with pytest.raises(ValueError, match="law 'cubic' is unknown, expected one of sequential"):
        depth.learning_time([1], 1.0, "cubic")
