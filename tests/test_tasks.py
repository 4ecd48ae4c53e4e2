"""Tasks: the published labels to the bit, the geometry behind them, exact information."""

import hashlib

import numpy as np
import pytest
import scipy.io

from ibdyn import icosahedron, tasks

HARD = tasks.spherical_rule()
PATTERNS = HARD.x.astype(int)


def test_hard_labels_are_the_published_ones_to_the_bit():
    y = HARD.p_y_given_x[:, 1].astype(np.uint8)
    digest = hashlib.sha256(np.packbits(y).tobytes()).hexdigest()
    assert digest == "371b2b46a5052b4f69f7991ca141fb5afa1ac364ef7beb81ec900eecac2f86d9"
    assert y.sum() == 2118


def test_rows_count_up_with_the_first_bit_most_significant():
    assert (PATTERNS @ (1 << np.arange(12)[::-1]) == np.arange(4096)).all()


def test_hard_information_is_the_label_entropy():
    assert abs(HARD.information - 0.9991571209) < 1e-10
    assert abs(HARD.label_entropy - 0.9991571209) < 1e-10


def test_the_threshold_lies_in_its_gap():
    values = icosahedron.counts(PATTERNS) @ tasks.HARD_WEIGHTS
    y = HARD.p_y_given_x[:, 1] == 1
    assert (values[~y].max(), values[y].min()) == (175, 177)


def test_the_symmetry_group_has_64_spectra_82_orbits_and_96_orbits_of_rotations():
    group = icosahedron.symmetries()
    vertices = icosahedron.VERTICES
    solutions = [np.linalg.lstsq(vertices, vertices[g], rcond=None)[0] for g in group]
    rotations = group[[np.linalg.det(m) > 0 for m in solutions]]
    assert (len(group), len(rotations)) == (120, 60)
    assert icosahedron.orbits(PATTERNS, group).max() + 1 == 82
    assert icosahedron.orbits(PATTERNS, rotations).max() + 1 == 96
    spectra = np.unique(HARD.power_spectrum.round(9), axis=0)
    assert len(spectra) == 64 == len(np.unique(HARD.spectral_class))


def test_spectral_classes_have_the_sizes_that_counting_gives():
    sizes = np.bincount(HARD.spectral_class)
    found = dict(zip(*np.unique(sizes, return_counts=True), strict=True))
    assert found == {1: 2, 6: 2, 12: 4, 15: 2, 20: 7, 30: 8, 60: 22, 72: 2, 120: 9, 180: 6}


def test_labels_and_spectrum_are_invariant_under_all_symmetries():
    place = 1 << np.arange(12)[::-1]
    for g in icosahedron.symmetries():
        image = PATTERNS[:, g] @ place
        assert (HARD.p_y_given_x[image] == HARD.p_y_given_x).all()
        assert np.allclose(HARD.power_spectrum[image], HARD.power_spectrum, atol=1e-12)


def test_power_spectrum_agrees_with_spherical_harmonics():
    from scipy.special import sph_harm_y

    x, y, z = icosahedron.VERTICES.T
    theta, phi = np.arccos(z), np.arctan2(y, x)
    for degree in range(4):
        orders = np.arange(-degree, degree + 1)
        harmonics = sph_harm_y(degree, orders[:, None], theta, phi)
        spectrum = (np.abs(PATTERNS @ harmonics.T) ** 2).sum(-1)
        assert np.allclose(spectrum, HARD.power_spectrum[:, degree], atol=1e-10)


def test_irreducible_energies_add_up_to_the_number_of_points():
    energies = icosahedron.irreducible_energies(icosahedron.counts(PATTERNS))
    assert np.allclose(energies.sum(-1), PATTERNS.sum(-1), atol=1e-12)


def test_soft_labels_have_the_information_asked_for_and_the_hard_labels_order():
    soft = tasks.spherical_rule(information=0.99)
    assert abs(soft.information - 0.99) < 1e-10
    assert ((soft.p_y_given_x[:, 1] > 0.5) == (HARD.p_y_given_x[:, 1] == 1)).all()
    assert len(np.unique(soft.p_y_given_x, axis=0)) == 64
    assert abs(soft.p_x @ soft.p_y_given_x[:, 1] - 0.516695) < 1e-6


def test_the_gain_is_the_one_that_was_solved_by_hand():
    energies = icosahedron.irreducible_energies(icosahedron.counts(PATTERNS))
    z = 60.252686825 * (energies @ tasks.SOFT_WEIGHTS - 11.903019151)
    expected = 1 / (1 + np.exp(-z.clip(-500, 500)))
    found = tasks.spherical_rule(information=0.99).p_y_given_x[:, 1]
    assert np.allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("information", [0, -1, 0.9992, 2, float("nan")])
def test_impossible_information_is_refused(information):
    with pytest.raises(ValueError, match=r"expected bits between 0 and 0\.999157"):
        tasks.spherical_rule(information=information)


def test_bit_rules_are_what_they_say():
    x = tasks.hypercube(3)
    assert tasks.bits("parity", 3).p_y_given_x[:, 1].tolist() == [0, 1, 1, 0, 1, 0, 0, 1]
    assert tasks.bits("majority", 3).p_y_given_x[:, 1].tolist() == [0, 0, 0, 1, 0, 1, 1, 1]
    nine = tasks.bits("committee", 9)
    votes = [[sum(row[i : i + 3]) >= 2 for i in (0, 3, 6)] for row in nine.x]
    assert nine.p_y_given_x[:, 1].tolist() == [float(sum(v) >= 2) for v in votes]
    assert x.shape == (8, 3)


def test_majority_of_twelve_bits_has_its_known_entropy():
    assert abs(tasks.bits("majority", 12).information - 0.9629734744) < 1e-10


def test_random_labels_keep_the_label_entropy_and_depend_on_the_seed_alone():
    first, again = tasks.random_labels(HARD, 1), tasks.random_labels(HARD, 1)
    other = tasks.random_labels(HARD, 2)
    assert (first.p_y_given_x == again.p_y_given_x).all()
    assert (first.p_y_given_x != other.p_y_given_x).any()
    assert first.information == pytest.approx(HARD.information, abs=1e-12)
    agreement = (first.p_y_given_x == HARD.p_y_given_x).all(-1).mean()
    assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(4096)


def test_the_original_file_is_read(tmp_path):
    path = tmp_path / "var_u.mat"
    y = HARD.p_y_given_x[:, 1].astype(np.uint8)
    scipy.io.savemat(path, {"F": PATTERNS.astype(np.uint8), "y": y[None]})
    task = tasks.from_mat(path)
    assert (task.x == HARD.x).all()
    assert (task.p_y_given_x == HARD.p_y_given_x).all()


def test_files_that_lack_something_are_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"F": np.eye(2)})
    with pytest.raises(ValueError, match=r"a.mat lacks \['y'\], found \['F'\]"):
        tasks.from_mat(tmp_path / "a.mat")
    np.savez(tmp_path / "a.npz", x=np.eye(2))
    with pytest.raises(ValueError, match=r"a.npz lacks \['y'\]"):
        tasks.from_npz(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match=r"gone\.mat"):
        tasks.from_mat(tmp_path / "gone.mat")


def test_a_numpy_file_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.array([[0.5, 0.5], [0, 1]]), p_x=[0.25, 0.75])
    task = tasks.from_npz(tmp_path / "a.npz")
    assert task.p_x.tolist() == [0.25, 0.75]
    assert task.p_y_given_x.tolist() == [[0.5, 0.5], [0, 1]]


@pytest.mark.parametrize(
    ("x", "y", "p_x", "message"),
    [
        ([[0], [1]], [0, 1, 1], None, "x has 2 patterns, expected 3"),
        ([0, 1], [0, 1], None, r"x has shape \(2,\), expected two axes"),
        ([[0], [1]], [[0.5, 0.6], [0, 1]], None, "p_y_given_x sums to 1.1 in row 0, expected 1"),
        ([[0], [1]], [[1.5, -0.5], [0, 1]], None, r"p_y_given_x at \(0, 0\) is 1.5"),
        ([[0], [1]], [[np.nan, 1], [0, 1]], None, r"p_y_given_x at \(0, 0\) is nan"),
        ([[0], [1]], [0, 1], [0.5, 0.6], "p_x sums to 1.1, expected 1"),
        ([[0], [np.inf]], [0, 1], None, "x holds values that are not finite"),
        ([[0], [1]], [0, -1], None, "expected integers 0..K-1"),
        ([[0], [1]], [0.0, 1.0], None, "expected integers 0..K-1"),
        ([[0], [1]], [[1.0], [1.0]], None, "p_y_given_x has 1 label"),
    ],
)
def test_arrays_that_make_no_task_are_refused(x, y, p_x, message):
    with pytest.raises(ValueError, match=message):
        tasks.from_arrays(x, y, p_x)


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="rule 'xor' is unknown"):
        tasks.bits("xor", 3)
    with pytest.raises(ValueError, match="committee has n = 4"):
        tasks.bits("committee", 4)
    with pytest.raises(ValueError, match="n = 0"):
        tasks.bits("parity", 0)
