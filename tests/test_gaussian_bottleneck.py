"""The Gaussian bottleneck: its formulas, its projection as a layer, and that none is better."""

import numpy as np
import pytest
from scipy.optimize import brentq

from theory.gaussian_bottleneck import gaussian_curve


def random_covariances(rng, x=3, y=2):
    """Of a condition number of some 40, so that determinants keep their digits."""
    factor = rng.normal(size=(x + y, x + y))
    s = factor @ factor.T / (x + y) + 0.1 * np.eye(x + y)
    return s[:x, :x], s[:x, x:], s[x:, x:]


def information(a, s_x, s_xy, s_y):
    """I(X;T) and I(T;Y) of T = A X + N(0, I), from log-determinants of the joint covariances."""
    t = a @ s_x @ a.T + np.eye(len(a))
    t_given_y = t - a @ s_xy @ np.linalg.solve(s_y, s_xy.T) @ a.T
    h_t, h_t_given_y = (np.linalg.slogdet(s)[1] for s in (t, t_given_y))
    return h_t / (2 * np.log(2)), (h_t - h_t_given_y) / (2 * np.log(2))


@pytest.mark.parametrize(("x", "y"), [(3, 2), (2, 4), (1, 1), (5, 5)])
def test_the_formula_is_the_log_determinant_of_the_projection(x, y):
    rng = np.random.default_rng(x)
    for _ in range(10):
        s = random_covariances(rng, x, y)
        found = gaussian_curve(*s, [1.01, 1.5, 3, 20, 500])
        for k in range(5):
            i_x, i_y = information(found.projection.values[k], *s)
            assert found.information_input[k] == pytest.approx(i_x, abs=1e-12)
            assert found.information_label[k] == pytest.approx(i_y, abs=1e-12)


def test_the_scalar_case_lies_on_the_gaussian_information_curve():
    """I(T;Y) = -1/2 log2(1 - rho^2 (1 - 2^(-2 I(X;T)))), and beta_c = 1/rho^2."""
    found = gaussian_curve([[1]], [[0.8]], [[1]], [1.5625 - 1e-9, 5, 100])
    assert found.critical_beta.item() == pytest.approx(1.5625, rel=1e-12)
    assert found.information_input[0] == found.information_label[0] == 0
    assert found.information_input[1] == pytest.approx(1.415037, abs=5e-7)
    assert found.information_label[1] == pytest.approx(0.576002, abs=5e-7)
    curve = -np.log2(1 - 0.64 * (1 - 2 ** (-2 * found.information_input))) / 2
    assert found.information_label.values == pytest.approx(curve.values, abs=1e-12)


def test_eigenvalues_and_directions_are_those_of_the_published_matrix():
    """Left eigenvectors v of cov(x|y) cov(x)^-1, and alpha of the paper with its r."""
    s_x, s_xy, s_y = random_covariances(np.random.default_rng(0))
    m = (s_x - s_xy @ np.linalg.solve(s_y, s_xy.T)) @ np.linalg.inv(s_x)
    values, vectors = np.linalg.eig(m.T)
    order = values.argsort()
    values, vectors = values[order].real, vectors[:, order].real
    beta = 50.0
    found = gaussian_curve(s_x, s_xy, s_y, [beta]).isel(beta=0)
    assert found.eigenvalue.values == pytest.approx(values, abs=1e-12)
    # Three inputs and two labels: the third mode is independent of Y.
    assert found.critical_beta.values == pytest.approx([*1 / (1 - values[:2]), np.inf], rel=1e-10)
    for value, v, row in zip(values[:2], vectors.T, found.projection.values, strict=False):
        alpha = np.sqrt((beta * (1 - value) - 1) / (value * (v @ s_x @ v)))
        sign = np.sign(v @ row)
        assert row == pytest.approx(sign * alpha * v, rel=1e-9)
    assert (found.projection[2] == 0).all()


def test_no_projection_is_better():
    rng = np.random.default_rng(1)
    s = random_covariances(rng)
    for beta in (1.2, 2.0, 8.0):
        found = gaussian_curve(*s, [beta]).isel(beta=0)
        least = float(found.information_input - beta * found.information_label)
        for size in (1e-4, 1e-2, 1, 10):
            for _ in range(50):
                a = found.projection.values + size * rng.normal(size=(3, 3))
                i_x, i_y = information(a, *s)
                assert i_x - beta * i_y > least - 1e-12


def test_modes_appear_one_at_a_time_at_the_critical_betas():
    s = random_covariances(np.random.default_rng(2), 4, 4)
    critical = gaussian_curve(*s, [2.0]).critical_beta.values
    assert (np.diff(critical) > 0).all()
    betas = np.sort(np.concatenate([critical * (1 - 1e-6), critical * (1 + 1e-6)]))
    found = gaussian_curve(*s, betas)
    active = (np.abs(found.projection) > 0).any("x").sum("mode")
    assert active.values.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]
    # Nothing jumps: a mode starts with 1/2 log2(1 + 1e-6/lambda) bits.
    for k, eigenvalue in enumerate(found.eigenvalue.values):
        step = float(found.information_input[2 * k + 1] - found.information_input[2 * k])
        others = sum(
            np.log2((b - 1) / (a - 1)) / 2 for a, b in [betas[2 * k : 2 * k + 2]] for _ in range(k)
        )
        assert step - others == pytest.approx(np.log2(1 + 1e-6 / eigenvalue) / 2, rel=1e-6)


def test_the_slope_of_the_curve_is_one_over_beta():
    s = random_covariances(np.random.default_rng(3))
    beta, step = 4.0, 1e-4
    found = gaussian_curve(*s, [beta - step, beta + step])
    slope = np.diff(found.information_label)[0] / np.diff(found.information_input)[0]
    # The next order of a central difference is some step^2.
    assert slope == pytest.approx(1 / beta, abs=10 * step**2)


def test_a_given_rate_is_reached_at_the_beta_of_the_formula():
    """The curve inverted at R of the scalar case: beta = 1 + 2^(2R) lambda/(1 - lambda)."""

    def rate(beta):
        return float(gaussian_curve([[2.0]], [[0.5]], [[1.0]], [beta]).information_input[0]) - 1

    lam = 1 - 0.25 / 2
    assert brentq(rate, 2, 1e3, xtol=1e-12) == pytest.approx(1 + 4 * lam / (1 - lam), rel=1e-10)


def test_units_of_x_and_y_do_not_matter():
    rng = np.random.default_rng(4)
    s_x, s_xy, s_y = random_covariances(rng)
    u, v = rng.normal(size=(3, 3)), rng.normal(size=(2, 2))
    one = gaussian_curve(s_x, s_xy, s_y, [3.0, 9.0])
    other = gaussian_curve(u @ s_x @ u.T, u @ s_xy @ v.T, v @ s_y @ v.T, [3.0, 9.0])
    for name in ("information_input", "information_label"):
        assert other[name].values == pytest.approx(one[name].values, abs=1e-10)


def test_independent_x_is_never_told_of():
    found = gaussian_curve(np.eye(2), np.zeros((2, 1)), [[1]], [1e6])
    assert (found.critical_beta == np.inf).all()
    assert (found.information_input == 0).all()
    assert (found.projection == 0).all()


def test_every_variable_has_units_and_a_long_name():
    found = gaussian_curve([[1]], [[0.8]], [[1]], [2.0])
    for variable in found.variables.values():
        assert set(variable.attrs) >= {"units", "long_name"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance_x": [1.0]}, r"covariance_x has shape \(1,\), expected a square"),
        ({"covariance_x": [[1, 0.5], [0, 1]]}, "covariance_x differs from its transpose by 0.5"),
        ({"covariance_x": np.diag([1, 0])}, "covariance_x has the eigenvalue 0, expected a pos"),
        ({"covariance_y": [[-1]]}, "covariance_y has the eigenvalue -1"),
        ({"covariance_y": [[np.nan]]}, "covariance_y is nan, expected finite"),
        ({"covariance_xy": [[0.5, 0.5]]}, r"shape \(1, 2\), expected finite .* \(2, 1\)"),
        ({"covariance_xy": [[np.nan], [0]]}, "covariance_xy has shape"),
        ({"covariance_xy": [[1], [0]]}, "canonical correlation of 1, expected less than 1"),
        ({"betas": [0.0]}, "betas at 0 is 0.0"),
    ],
)
def test_what_are_no_covariances_is_refused(change, message):
    arguments = {
        "covariance_x": np.eye(2),
        "covariance_xy": [[0.5], [0]],
        "covariance_y": [[1]],
        "betas": [2.0],
    }
    with pytest.raises(ValueError, match=message):
        gaussian_curve(**arguments | change)
