"""The two sides of a benchmark compute the same, and times are medians taken in turn."""

import time

import numpy as np
import pytest
import torch

from benchmarks import estimators, plain, plain_estimators, theory, timing, watch
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
            both = found["information_input"][0] + found["information_label"][0]
            assert both == pytest.approx(expected, abs=1e-10)


@pytest.fixture(scope="module")
def layers():
    """The benchmark's network on 512 patterns, and its layers at the start."""
    ensemble = study(members=1, task={"name": "majority", "bits": 9})
    return ensemble, respond(ensemble, ensemble.initial)[0]


def test_both_sides_of_every_estimator_answer_the_same(layers):
    torch.set_num_threads(1)
    cases = estimators.of_layers(*layers) | estimators.of_samples(300, 5)
    assert len(cases) == 9
    for name, case in cases.items():
        assert case.ours() == pytest.approx(case.plain(), abs=case.tolerance), name


def test_the_bounds_are_those_of_float64_within_a_millionth_of_a_bit(layers):
    found = estimators.errors(*layers)
    assert found["ours"] < 1e-6
    # Products of 10 units err by 2^-24 of up to 10, in units of the noise by 3e-4.
    assert found["ours"] < found["plain"] < 3e-4


def test_the_reference_knows_two_points():
    t = np.array([[0.0], [2.0]], np.float32)
    found = plain_estimators.pairwise_reference(t, 1)
    closed = [1 - np.log2(1 + np.exp(-4 / q)) for q in (8, 2)]
    assert found == pytest.approx(closed, abs=1e-12)


def test_the_table_has_both_sides_and_their_ratio(capsys, layers):
    case = estimators.Case(lambda: np.ones(2), lambda: np.array([1.0, 1.5]), 1.0)
    ratio = estimators.compare("one", case, 1)
    name, *numbers = capsys.readouterr().out.split()
    assert name == "one"
    assert float(numbers[2]) == pytest.approx(ratio, rel=0.01)
    assert float(numbers[3]) == 0.5


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


def test_both_sides_of_the_fits_find_the_same():
    for name, case in theory.cases(*theory.study(members=1, steps=80), 4).items():
        assert case.ours()[:4] == pytest.approx(case.plain(), rel=case.tolerance), name


def test_the_watched_networks_train_and_are_measured():
    torch.set_num_threads(1)
    # 0, eight steps up to 10, and ten in each further decade.
    assert watch.recorded(1000) == 29
    for build in watch.NETWORKS.values():
        train, look = watch.jobs(build, steps=2)
        train()
        assert np.isfinite(look()["gradient_spread"]).all()
