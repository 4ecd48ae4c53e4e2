"""Streams: addressed, independent, the same everywhere."""

import numpy as np
import pytest
from scipy import stats

from ibdyn import batches
from ibdyn.schedule import log_spaced, recorded_epochs
from ibdyn.seeding import STREAMS, key, stream


def test_a_stream_depends_on_its_address_alone():
    lone = stream(7, "weights", 3).random(4)
    for name in STREAMS:
        stream(7, name, 3).random(100)
    assert (stream(7, "weights", 3).random(4) == lone).all()


def test_streams_keep_their_numbers_between_versions():
    assert stream(0, "weights", 0).integers(0, 1000, 5).tolist() == [574, 947, 339, 711, 487]


def test_all_streams_differ_and_are_uncorrelated():
    draws = [
        stream(seed, name, member).standard_normal(2000)
        for seed in (0, 1)
        for name in STREAMS
        for member in (0, 1, 2)
    ]
    correlation = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    # 1431 pairs, each with standard error 1/sqrt(2000).
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_unknown_streams_and_members_are_refused():
    with pytest.raises(ValueError, match="stream 'wieghts' is unknown"):
        stream(0, "wieghts", 0)
    with pytest.raises(ValueError, match="member of stream 'weights' is -1"):
        stream(0, "weights", -1)


def test_orders_are_permutations_and_differ_by_key_and_epoch():
    keys = np.array([key(0, "batches", k) for k in (0, 1)], dtype=np.uint64)
    orders = [row for epoch in (0, 1) for row in batches.orders(keys, epoch, 101)]
    for order in orders:
        assert sorted(order) == list(range(101))
    assert len({tuple(order) for order in orders}) == 4


def test_every_permutation_is_equally_likely():
    keys = np.array([key(0, "batches", k) for k in range(24)], dtype=np.uint64)
    seen = np.concatenate([batches.orders(keys, epoch, 4) for epoch in range(1000)])
    _, counts = np.unique(seen, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("last", "count"), [(10_000, 300), (1000, 10), (5, 3), (299, 300), (7, 9)])
def test_log_spaced_has_its_ends_its_count_and_no_gap_wider_than_the_spacing(last, count):
    times = log_spaced(last, count)
    assert (times[0], times[-1]) == (0, last)
    assert len(times) == min(count, last + 1)
    assert (np.diff(times) > 0).all()


def test_late_times_are_evenly_spaced_in_the_logarithm():
    times = log_spaced(10_000, 300)
    ratios = times[1:] / np.maximum(times[:-1], 1)
    late = ratios[times[1:] > 1000]
    assert np.allclose(late, late.mean(), atol=1 / 1000)


def test_extra_epochs_are_recorded_where_the_run_reaches_them():
    assert recorded_epochs(100, 3, (0, 50, 400)).tolist() == [0, 1, 50, 100]


def test_a_schedule_needs_three_times():
    with pytest.raises(ValueError, match="count >= 3, found last=10, count=2"):
        log_spaced(10, 2)
