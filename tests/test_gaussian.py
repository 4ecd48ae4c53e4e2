"""Linear-Gaussian layers: closed forms, the laws of information, simulated samples."""

import numpy as np
import pytest

from ibdyn.estimators.gaussian import input_information, label_information

COVARIANCE = np.array([[2, 0.3, 0], [0.3, 1, 0.2], [0, 0.2, 0.5]])
WEIGHTS = np.array([[1, 0.5, -0.2], [0, 1, 0.3]])
NOISE = 0.1
TEACHER = np.array([0.7, -0.4, 1.1])


def random_layers(rng, members=20, units=4, inputs=6, labels=2):
    factor = rng.normal(size=(members, inputs, inputs))
    return {
        "weights": rng.normal(size=(members, units, inputs)),
        "covariance": factor @ factor.mT,
        "noise_variance": rng.uniform(0.05, 2, members),
        "teacher": rng.normal(size=(members, labels, inputs)),
        "teacher_variance": rng.uniform(0.05, 2, members),
    }


def input_part(layers):
    return {name: layers[name] for name in ("weights", "covariance", "noise_variance")}


def test_three_inputs_and_two_units_have_the_known_information():
    # The number is printed with six decimals.
    assert input_information(WEIGHTS, COVARIANCE, NOISE) == pytest.approx(4.051473, abs=5e-7)


@pytest.mark.parametrize("w", [1e-8, 0.3, 2.0, 1e6])
def test_one_unit_of_one_input_is_the_gaussian_channel(w):
    expected = np.log1p(w**2 * 1.7 / 0.4) / (2 * np.log(2))
    assert input_information([[w]], [[1.7]], 0.4) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("rate", [1e-3, 0.5, 1.415037, 10.0])
@pytest.mark.parametrize("rho", [0.1, 0.8, 0.999])
def test_a_scalar_bottleneck_lies_on_the_gaussian_information_curve(rate, rho):
    """I(T;Y) = -1/2 log2(1 - rho^2 (1 - 2^(-2 I(X;T)))) (Chechik et al. 2005)."""
    w = [[np.sqrt(np.expm1(2 * rate * np.log(2)))]]
    assert input_information(w, [[1.0]], 1.0) == pytest.approx(rate, rel=1e-12)
    found = label_information(w, [[1.0]], 1.0, [rho], 1 - rho**2)
    expected = -np.log2(1 - rho**2 * (1 - 2 ** (-2 * rate))) / 2
    assert found == pytest.approx(expected, abs=1e-12)
    if (rate, rho) == (1.415037, 0.8):
        assert found == pytest.approx(0.576002, abs=1e-6)


def test_label_information_is_that_of_the_joint_covariance():
    layers = random_layers(np.random.default_rng(0))
    w, s, v = layers["weights"], layers["covariance"], layers["teacher"]
    both = np.concatenate([w, v], axis=1)
    units, labels = w.shape[1], v.shape[1]
    noises = [np.repeat(layers["noise_variance"][:, None], units, axis=1)]
    noises += [np.repeat(layers["teacher_variance"][:, None], labels, axis=1)]
    joint = both @ s @ both.mT + np.concatenate(noises, 1)[:, None] * np.eye(units + labels)
    blocks = (joint[:, :units, :units], joint[:, units:, units:], joint)
    t, y, ty = (np.linalg.slogdet(block)[1] for block in blocks)
    assert label_information(**layers) == pytest.approx((t + y - ty) / (2 * np.log(2)), abs=1e-11)


def test_label_information_is_symmetric_in_layer_and_label():
    layers = random_layers(np.random.default_rng(1))
    swapped = {
        "weights": layers["teacher"],
        "covariance": layers["covariance"],
        "noise_variance": layers["teacher_variance"],
        "teacher": layers["weights"],
        "teacher_variance": layers["noise_variance"],
    }
    assert label_information(**layers) == pytest.approx(label_information(**swapped), abs=1e-12)


def test_a_label_that_is_almost_the_input_tells_all_that_the_layer_knows():
    found = label_information(WEIGHTS, COVARIANCE, NOISE, np.eye(3), 1e-9)
    assert found == pytest.approx(input_information(WEIGHTS, COVARIANCE, NOISE), abs=1e-7)


def test_information_never_grows_along_a_chain():
    """x -> T_1 = W_1 x + e_1 -> T_2 = W_2 T_1 + e_2, whitened to be a layer of x."""
    rng = np.random.default_rng(2)
    layers = random_layers(rng)
    noise, units = layers["noise_variance"][:, None, None], layers["weights"].shape[1]
    second = rng.normal(size=(20, units, units))
    second_noise = rng.uniform(0.05, 2, 20)
    t_1 = layers["weights"] @ layers["covariance"] @ layers["weights"].mT + noise * np.eye(units)
    of_x = second_noise[:, None, None] * np.eye(units) + noise * second @ second.mT
    whitened = np.linalg.solve(np.linalg.cholesky(of_x), second @ layers["weights"])
    deeper = layers | {"weights": whitened, "noise_variance": 1.0}
    first, last = input_information(**input_part(layers)), input_information(**input_part(deeper))
    assert (last < first).all()
    assert (last < input_information(second, t_1, second_noise)).all()
    label = input_information(layers["teacher"], layers["covariance"], layers["teacher_variance"])
    y_first, y_last = label_information(**layers), label_information(**deeper)
    assert (y_last > 0).all()
    assert (y_last < y_first).all()
    assert (y_first < np.minimum(first, label)).all()


def test_turning_the_layer_changes_nothing():
    rng = np.random.default_rng(3)
    layers = random_layers(rng)
    turn = np.linalg.qr(rng.normal(size=(20, 4, 4)))[0]
    turned = layers | {"weights": turn @ layers["weights"]}
    for measure, part in ((input_information, input_part), (label_information, dict)):
        assert measure(**part(turned)) == pytest.approx(measure(**part(layers)), abs=1e-12)


def test_layer_and_noise_scaled_together_tell_the_same():
    layers = random_layers(np.random.default_rng(4))
    scaled = layers | {
        "weights": 1e-9 * layers["weights"],
        "noise_variance": 1e-18 * layers["noise_variance"],
    }
    assert label_information(**scaled) == pytest.approx(label_information(**layers), abs=1e-12)


def test_members_are_measured_as_if_each_were_alone():
    layers = random_layers(np.random.default_rng(5))
    together = input_information(**input_part(layers)), label_information(**layers)
    for k in range(20):
        one = {name: values[k] for name, values in layers.items()}
        assert input_information(**input_part(one)) == pytest.approx(together[0][k], abs=1e-13)
        assert label_information(**one) == pytest.approx(together[1][k], abs=1e-13)
    shared = label_information(layers["weights"], np.eye(6), [[0.1], [1.0]], np.ones(6), 1.0)
    assert shared.shape == (2, 20)


def test_a_direction_without_variance_tells_nothing():
    """A singular covariance u u^T makes the layer one Gaussian channel of power |W u|^2."""
    u = np.array([1.0, -2.0, 0.5])
    expected = np.log2(1 + ((WEIGHTS @ u) ** 2).sum() / NOISE) / 2
    assert input_information(WEIGHTS, np.outer(u, u), NOISE) == pytest.approx(expected, rel=1e-12)
    assert input_information(WEIGHTS, np.zeros((3, 3)), NOISE) == 0


def test_wide_layers_do_not_overflow():
    """100 orthogonal units: the determinant, (1 + 1e6)^100, is far beyond floating point."""
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(100, 100)))[0]
    found = input_information(1e3 * turn, np.eye(100), 1.0)
    assert found == pytest.approx(50 * np.log2(1 + 1e6), rel=1e-12)


def log_determinant(samples):
    return np.linalg.slogdet(np.atleast_2d(np.cov(samples.T)))[1]


def test_simulated_layers_agree_within_the_standard_error():
    """The Gaussian plug-in of n samples: 1/2 log2 of the ratio of sample determinants.

    With canonical correlations r_i it has the variance sum r_i^2 / n (each is normal with variance
    (1 - r^2)^2 / n) and the bias d_x d_t / 2n, both in nats (Anderson 2003).
    """
    n, rng = 100_000, np.random.default_rng(7)
    x = rng.normal(size=(n, 3)) @ np.linalg.cholesky(COVARIANCE).T
    t = x @ WEIGHTS.T + np.sqrt(NOISE) * rng.normal(size=(n, 2))
    y = x @ TEACHER[:, None] + 0.5 * rng.normal(size=(n, 1))
    cases = (
        (x, input_information(WEIGHTS, COVARIANCE, NOISE)),
        (y, label_information(WEIGHTS, COVARIANCE, NOISE, TEACHER, 0.25)),
    )
    for other, expected in cases:
        both = np.concatenate([t, other], 1)
        t_det, other_det, det = (log_determinant(v) for v in (t, other, both))
        found = (t_det + other_det - det) / (2 * np.log(2))
        joint = np.cov(both.T)
        c_t, c_other, cross = joint[:2, :2], joint[2:, 2:], joint[:2, 2:]
        squares = np.trace(np.linalg.solve(c_t, cross) @ np.linalg.solve(c_other, cross.T))
        bias = 2 * other.shape[1] / (2 * n) / np.log(2)
        assert abs(found - bias - expected) < 4 * np.sqrt(squares / n) / np.log(2)


def test_asymmetry_by_rounding_is_none_even_beside_zeros():
    rounded = COVARIANCE.copy()
    rounded[0, 2] = 1e-16
    found = input_information(WEIGHTS, rounded, NOISE)
    assert found == pytest.approx(input_information(WEIGHTS, COVARIANCE, NOISE), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(3)}, r"weights has shape \(3,\), expected \(..., unit, input\)"),
        ({"weights": np.full((2, 3), np.nan)}, "weights has values that are not finite"),
        ({"covariance": np.eye(2)}, r"shape \(2, 2\), expected \(..., 3, 3\) for weights of 3"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "differs from its transpose by 1, expected"),
        ({"covariance": np.diag([1, 1, -0.5])}, "has the eigenvalue -0.5, expected a positive"),
        ({"noise_variance": 0.0}, "noise_variance is 0.0, expected finite and more than 0"),
        ({"noise_variance": [1.0, -2.0]}, "noise_variance is -2.0, expected finite"),
        ({"teacher_variance": np.inf}, "teacher_variance is inf, expected finite"),
        ({"teacher": np.ones(4)}, "teacher has 4 inputs, expected the 3 of the weights"),
        ({"teacher": 1.0}, r"teacher has shape \(\), expected \(input,\) or"),
        (
            {"weights": np.ones((5, 2, 3)), "noise_variance": np.ones(4)},
            r"do not broadcast: weights \(5,\), covariance \(\), noise_variance \(4,\)",
        ),
    ],
)
def test_what_is_no_gaussian_layer_is_refused(change, message):
    layer = {
        "weights": WEIGHTS,
        "covariance": COVARIANCE,
        "noise_variance": NOISE,
        "teacher": TEACHER,
        "teacher_variance": 0.25,
    }
    with pytest.raises(ValueError, match=message):
        label_information(**layer | change)
    if "teacher" not in message:
        with pytest.raises(ValueError, match=message):
            input_information(**input_part(layer | change))
