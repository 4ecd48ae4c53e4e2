"""Splits: disjoint, of the size asked for, stratified or by whole class."""

import numpy as np
import pytest

from ibdyn import patterns, splits, tasks
from ibdyn.seeding import stream

TASK = tasks.spherical_rule()
LABEL = TASK.p_y_given_x.argmax(-1)


@pytest.mark.parametrize("split", ["stratified", "random", "by_class", "first"])
@pytest.mark.parametrize("fraction", [0.03, 0.45, 0.85, 4095 / 4096, 1.0])
def test_every_split_has_the_size_asked_for(split, fraction):
    mask = splits.train_mask(TASK, fraction, split, stream(0, "split", 0))
    assert mask.sum() == round(fraction * 4096)


def test_stratified_splits_keep_the_label_frequencies():
    mask = splits.train_mask(TASK, 0.45, "stratified", stream(0, "split", 0))
    for label in (0, 1):
        assert abs((LABEL[mask] == label).sum() - 0.45 * (label == LABEL).sum()) <= 1


def test_splits_of_two_members_differ_and_are_independent():
    a, b = (splits.train_mask(TASK, 0.5, "random", stream(0, "split", k)) for k in (0, 1))
    # The overlap of two random halves is hypergeometric: mean 1024, variance 1024 / 4.
    assert abs((a & b).sum() - 1024) < 5 * 16


def test_by_class_never_cuts_a_spectral_class():
    for member in range(5):
        mask = splits.train_mask(TASK, 0.6, "by_class", stream(0, "split", member))
        shares = np.bincount(TASK.spectral_class, weights=mask) / np.bincount(TASK.spectral_class)
        assert set(shares) <= {0.0, 1.0}
        assert 0 < shares.mean() < 1


def test_the_published_split_is_shifted():
    mask = splits.train_mask(TASK, 0.8, "first", stream(0, "split", 0))
    assert (abs(LABEL[mask].mean() - 0.437) < 1e-3) & (abs(LABEL[~mask].mean() - 0.836) < 1e-3)


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="leaves 0, expected >= 1"):
        splits.train_mask(TASK, 1e-5, "random", stream(0, "split", 0))


def test_by_class_needs_classes():
    with pytest.raises(ValueError, match="needs a task with spectral classes, found 'parity'"):
        splits.train_mask(tasks.bits("parity", 4), 0.5, "by_class", stream(0, "split", 0))
    one = patterns.Task(
        "pairs",
        np.eye(4),
        np.full(4, 0.25),
        np.eye(2)[[0, 1, 0, 1]],
        spectral_class=np.array([0, 0, 1, 1]),
    )
    with pytest.raises(ValueError, match="no union of whole spectral classes holds exactly 3"):
        splits.train_mask(one, 0.75, "by_class", stream(0, "split", 0))
