"""The functions of phases and relaxation on a record that was trained, not made by formula."""

import numpy as np
import pytest

from theory import diffusion, onset, phases, relaxation, transitions


@pytest.fixture(scope="module")
def binned(run):
    return run.isel(estimator=0, drop=True)


def test_compressions_add_up_to_what_the_output_has_lost(run, binned):
    found = relaxation.compression(binned)
    assert found.dims == ("member", "step", "layer")
    lost = np.log2(run.sizes["pattern"]) - binned.information_input.isel(layer=-1)
    assert found.sum("layer").values == pytest.approx(lost.values * np.log(2), abs=1e-9)


def test_every_member_and_layer_has_a_time_or_a_bound(run, binned):
    last = run.step.values[-1]
    for found in (
        transitions.crossing(run),
        onset.compression_onset(binned.information_input),
        relaxation.first_passage(run.error_rate.sel(split="test"), 0.1),
    ):
        assert set(np.unique(found.censored)) <= {-1, 0, 1}
        assert ((found.time > 0) & (found.time <= last)).all()
        assert (found.time.where(found.censored == 1, last) == last).all()
        assert set(found.time.dims) <= {"member", "layer"}


def test_relaxation_times_follow_the_rule_of_inclusion(binned):
    found = relaxation.relaxation_times(binned, "epoch")
    drop = binned.information_input.max("step") - binned.information_input.isel(step=-1)
    rule = (drop >= 0.1) & (binned.resolved.isel(step=-1) == 1)
    assert (found.included == rule).all()
    assert (found.time.notnull() == rule).all()


def test_the_temperature_is_that_of_the_minibatch_spread(run, config):
    found = diffusion.predicted_temperature(run)
    expected = config.learning_rate / 2 * phases.minibatch_spread(run) ** 2
    assert found.values == pytest.approx(expected.values, rel=1e-12)
    assert (found > 0).all()
