"""Which changes of a layer each estimator does not see, and which it does: the failures included.

The post's reparametrisation invariance belongs to the information of the exact state alone.
"""

import numpy as np
import pytest

from ibdyn.estimators import World, from_name

RNG = np.random.default_rng(0)
PATTERNS = 400
# Eleven levels, so that states collide; none is near the edge of a cell.
LEVELS = np.array([-0.96, -0.81, -0.43, -0.28, -0.11, 0.017, 0.15, 0.31, 0.52, 0.77, 0.93])
LAYER = LEVELS[RNG.integers(0, 11, (1, PATTERNS, 3))]
LABELS = np.eye(2)[(LAYER[0].sum(-1) > RNG.normal(0, 0.3, PATTERNS)).astype(int)]
ORDER = RNG.permutation(PATTERNS)
TURN = 0.7

CHANGES = {
    "units permuted": lambda t: t[..., [2, 0, 1]],
    "patterns permuted": lambda t: t[:, ORDER],
    "signs flipped": lambda t: t * [1, -1, -1],
    "rotated": lambda t: np.stack(
        [
            np.cos(TURN) * t[..., 0] - np.sin(TURN) * t[..., 1],
            np.sin(TURN) * t[..., 0] + np.cos(TURN) * t[..., 1],
            t[..., 2],
        ],
        axis=-1,
    ),
    "scaled": lambda t: t * 0.375,
    "one monotone map": lambda t: np.sinh(3 * t) / 12,
    "monotone map of each unit": lambda t: np.sign(t) * np.abs(t) ** [3, 0.5, 2],
    "unit duplicated": lambda t: np.concatenate([t, t[..., :1]], axis=-1),
}
MONOTONE = ("one monotone map", "monotone map of each unit")
SEES = {
    "exact": set(),
    "quantised-3": {"rotated", "scaled", *MONOTONE},
    "binned-range-9": {"rotated", "scaled", *MONOTONE},
    "binned-width-0.22": {"rotated", "scaled", *MONOTONE},
    "binned-extremes-9": {"signs flipped", "rotated", *MONOTONE},
    "binned-unit-9": {"rotated", *MONOTONE},
    # Its edges are those of the layer, so it sees maps that differ from unit to unit.
    "binned-quantiles-11": {"rotated", "monotone map of each unit"},
    "pairwise-upper-0.02": {"scaled", *MONOTONE, "unit duplicated"},
    "pairwise-lower-0.02": {"scaled", *MONOTONE, "unit duplicated"},
}


def measured(name, t, labels=LABELS):
    patterns = len(labels)
    world = World(np.full(patterns, 1 / patterns), labels, np.ones((1, patterns), bool))
    found = from_name(name).information(t, (-1, 1), world)
    return np.array([found["information_input"][0], found["information_label"][0]])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", SEES)
def test_an_estimator_sees_these_changes_and_no_others(name, change):
    before = measured(name, LAYER)
    labels = LABELS[ORDER] if change == "patterns permuted" else LABELS
    after = measured(name, CHANGES[change](LAYER), labels)
    if change in SEES[name]:
        assert abs(after[0] - before[0]) > 0.01
    else:
        assert after == pytest.approx(before, abs=1e-12)


def test_a_flip_of_signs_is_seen_by_cells_with_a_value_on_their_edge():
    t = np.array([-0.1, 0.0, 0.1])[None, :, None]
    labels = np.eye(2)[[0, 1, 1]]
    assert measured("binned-range-2", t, labels)[1] == pytest.approx(
        measured("exact", t, labels)[1]
    )
    assert measured("binned-range-2", -t, labels)[1] < 0.3


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_scaling_a_layer_is_scaling_the_noise_the_other_way(bound):
    scaled = measured(f"pairwise-{bound}-0.02", 0.5 * LAYER)
    assert scaled == pytest.approx(measured(f"pairwise-{bound}-0.08", LAYER), abs=1e-12)


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_duplicating_all_units_is_halving_the_noise_variance(bound):
    twice = np.concatenate([LAYER, LAYER], axis=-1)
    doubled = measured(f"pairwise-{bound}-0.02", twice)
    assert doubled == pytest.approx(measured(f"pairwise-{bound}-0.01", LAYER), abs=1e-12)
    assert doubled[0] > measured(f"pairwise-{bound}-0.02", LAYER)[0] + 0.01
