"""Lines with errors in both coordinates, against published numbers and simulation."""

import numpy as np
import pytest

from theory import lines


def drawn(repetitions, points, rng, slope=1.0):
    """x uniform on [0, 3], errors .3 in x and .4 in y."""
    x = rng.uniform(0, 3, (repetitions, points))
    return x + 0.3 * rng.normal(size=x.shape), slope * x + 0.4 * rng.normal(size=x.shape)


def test_ordinary_least_squares_are_attenuated_and_deming_is_not():
    x, y = drawn(4000, 40, np.random.default_rng(0))
    a, b = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    ordinary = (a * b).sum(-1) / (a**2).sum(-1)
    # Attenuation (9 / 12) / (9 / 12 + .3^2) = .8929, and 2 / points of it back in small samples.
    attenuation = 0.75 / 0.84
    assert attenuation == pytest.approx(0.8929, abs=5e-5)
    error = ordinary.std() / np.sqrt(4000)
    # Published for the same points: .8965.
    assert abs(ordinary.mean() - 0.8965) < 4 * error + 0.0094 / np.sqrt(100)
    slope = lines.deming(x, y, (0.4 / 0.3) ** 2).slope
    # Published: median 1.002, deviation .094; the median errs by 1.25 standard errors of a mean.
    assert abs(np.median(slope) - 1.002) < 4 * 1.2533 * slope.std() / np.sqrt(4000)
    assert slope.std() == pytest.approx(0.094, abs=0.004)


def test_deming_finds_an_exact_line():
    x = np.linspace(0, 1, 7)
    for slope in (-3.0, -0.2, 0.0, 0.5, 40.0):
        line = lines.deming(x, 2 + slope * x, 1.7)
        assert line.slope == pytest.approx(slope, rel=1e-12, abs=1e-15)
        assert line.intercept == pytest.approx(2, rel=1e-12)


def test_deming_of_exchanged_axes_is_the_inverse():
    x, y = drawn(1, 30, np.random.default_rng(1))
    assert lines.deming(y, x, 1 / 2.5).slope * lines.deming(x, y, 2.5).slope == pytest.approx(1)


def test_york_gives_the_published_line_of_pearsons_data():
    """York et al. 2004, table II: Pearson's points with York's weights."""
    x = [0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4]
    y = [5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5]
    weight_x = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1])
    weight_y = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500])
    found = lines.york(x, y, weight_x**-0.5, weight_y**-0.5)
    assert found.slope == pytest.approx(-0.480533407, abs=5e-10)
    assert found.intercept == pytest.approx(5.47991022, abs=5e-9)
    assert found.slope_stderr == pytest.approx(0.0579850, abs=5e-8)
    assert found.intercept_stderr == pytest.approx(0.294971, abs=5e-7)
    assert found.chi2 == pytest.approx(11.8663531941, abs=5e-9)


def test_york_with_equal_errors_is_deming():
    x, y = drawn(1, 30, np.random.default_rng(2))
    found = lines.york(x[0], y[0], np.full(30, 0.3), np.full(30, 0.4))
    assert found.slope == pytest.approx(lines.deming(x[0], y[0], (0.4 / 0.3) ** 2).slope, rel=1e-9)


def test_errors_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="ratio of error variances is 0, expected more than 0"):
        lines.deming([1, 2], [1, 2], 0)
    with pytest.raises(ValueError, match="have to be positive"):
        lines.york([1, 2], [1, 2], [1, 0], [1, 1])
