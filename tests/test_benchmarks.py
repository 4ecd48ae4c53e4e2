"""The two sides of a benchmark compute the same, and times are medians taken in turn."""

import time

import numpy as np
import pytest
import torch

from benchmarks import plain, timing
from benchmarks.training import ours, study, theirs
from ibdyn.estimators import Binned
from ibdyn.estimators.counting import cell_information
from ibdyn.response import respond


def test_both_sides_measure_the_same_information():
    ensemble = study(members=2)
    activations, _ = respond(ensemble, ensemble.initial)
    labels = ensemble.task.p_y_given_x.argmax(-1)
    for layer, t in zip(ensemble.architecture.layers, activations, strict=True):
        edges = np.linspace(*layer.limits, 31)
        cells = Binned("range", 30).cells(t, layer.limits)
        task = ensemble.task
        found = cell_information(cells, task.p_x, task.p_y_given_x, ensemble.in_train)
        for by_bytes in (False, True):
            expected = plain.information(t[0], edges, labels, by_bytes)
            assert found[0, 0] + found[0, 1] == pytest.approx(expected, abs=1e-10)


def test_both_sides_make_the_same_number_of_steps_and_learn():
    torch.set_num_threads(1)
    ensemble = study(members=3)
    (job, steps), (plain_job, plain_steps) = ours(ensemble, 1), theirs(ensemble, "sgd")
    assert steps == plain_steps == 3 * 13
    job()
    plain_job()


def test_jobs_are_timed_in_turn():
    order = []

    def slow() -> None:
        order.append("slow")
        time.sleep(0.01)

    seconds = timing.interleaved({"slow": slow, "quick": lambda: order.append("quick")}, 3)
    assert order == ["slow", "quick"] * 4
    assert seconds["slow"] > 0.01 > seconds["quick"]


def test_peak_memory_is_that_of_the_new_process():
    small = timing.peak_memory("x = 1")
    large = timing.peak_memory("x = b'1' * 200 * 2**20")
    assert 180 < large - small < 260
