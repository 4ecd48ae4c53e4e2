"""The transition from drift to diffusion on synthetic records; the slow test writes its table."""

import csv
from pathlib import Path

import numpy as np
import pytest
from synthetic import gradients, noisy, steps

from theory import breaks, transitions
from theory.censoring import time_interval
from theory.fitting import bootstrap_interval

STEP = steps(1e5, 90)
X = np.log(STEP)
BREAK = 6.0


def broken(members, rng, spread=0.3, **noise):
    """log SNR with slopes -.1 and -1.2 whose break, exp(6) in the mean, differs by member."""
    own = BREAK + spread * rng.normal(size=(members, 1, 1))
    return noisy(1.0 - 0.1 * X - 1.1 * np.maximum(X - own, 0), members, 2, rng, **noise)


def test_the_crossing_begins_the_first_lasting_stay_below_one():
    log = np.array([1.0, -1, -1, 1, -1, -1, -1, 1, -1, -1, -1])
    run = gradients(log[None, :, None], np.arange(1, 12))
    found = transitions.crossing(run)
    assert (found["time"].item(), found["censored"].item()) == (5, 0)
    found = transitions.crossing(run, consecutive=2)
    assert (found["time"].item(), found["censored"].item()) == (2, 0)
    found = transitions.crossing(run, "epoch")
    assert found["time"].item() == pytest.approx(0.05)


def test_members_that_never_cross_are_censored_and_not_dropped():
    log = np.ones((4, 10, 1))
    log[1] = -1
    log[2, 5:] = -1
    log[3, 8:] = np.nan
    found = transitions.crossing(gradients(log, np.arange(10, 20)))
    assert found["censored"].values.ravel().tolist() == [1, -1, 0, 1]
    # The last record; at or before the first; observed; the last one before it diverged.
    assert found["time"].values.ravel().tolist() == [19, 10, 15, 17]


def test_the_record_at_zero_has_no_time():
    log = np.full((1, 5, 1), -1.0)
    found = transitions.crossing(gradients(log, np.arange(5)))
    assert (found["time"].item(), found["censored"].item()) == (1, -1)


def test_a_full_batch_has_no_transition():
    run = gradients(np.ones((3, 20, 2)), np.arange(1, 21), batch_size=64)
    run.attrs["batch_size"] = run.attrs["train_size"]
    assert transitions.crossing(run)["time"].isnull().all()


def test_change_points_are_the_members_breaks():
    rng = np.random.default_rng(0)
    own = np.linspace(5, 7, 5)[:, None, None]
    line = 1 - 0.1 * X - 1.1 * np.maximum(X - own, 0)
    found = transitions.change_point(gradients(noisy(line, 5, 2, rng, noise=1e-6), STEP))
    # A grid step, .84 / 300 of the range.
    step = 0.84 * (X[-1] - X[0]) / 300
    assert np.log(found["time"]).values == pytest.approx(np.repeat(own[:, 0], 2, 1), abs=step)
    assert (found["censored"] == 0).all()


def test_a_change_at_the_end_of_the_candidates_is_censored():
    late = 1 - 0.1 * X - 3 * np.maximum(X - X[-4], 0)
    early = 1 - 3 * np.minimum(X - X[1], 0)
    run = gradients(np.stack([late, early])[..., None], STEP)
    assert transitions.change_point(run)["censored"].values.ravel().tolist() == [1, -1]


def test_a_change_at_the_candidates_beside_the_ends_is_seen():
    bends = breaks.grid(X)[[1, -2]][:, None]
    run = gradients((1 - 0.1 * X - 3 * np.maximum(X - bends, 0))[..., None], STEP)
    assert (transitions.change_point(run)["censored"] == 0).all()


@pytest.mark.parametrize("members", [20])
def test_the_interval_over_members_covers_the_break(members):
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(40):
        found = transitions.change_point(gradients(broken(members, rng), STEP))
        interval = np.log(time_interval(found["time"], found["censored"])[["low", "high"]])
        hits.append(((interval["low"] <= BREAK) & (interval["high"] >= BREAK)).values)
    # The two layers of a member share its break, so 40 are the repetitions.
    share = np.mean(hits)
    assert share >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 40)


def test_the_detector_finds_the_transition_and_only_that():
    rng = np.random.default_rng(1)
    line = 1.0 - 0.1 * X
    found = transitions.detect(gradients(broken(10, rng), STEP), rng, repetitions=99)
    assert found["detected"].all()
    # Ten members can flip to the same pattern, or its negative, once in 2^9: a p of 2 % or so.
    assert (found["p"] <= 0.03).all()
    assert (found["p_member"] <= 0.05).mean() > 0.95
    for control in (line + 1, line - 3):
        run = gradients(noisy(control, 10, 2, rng), STEP)
        assert not transitions.detect(run, rng, repetitions=99)["detected"].any()


def test_a_coordinate_that_is_not_along_step_is_refused():
    run = gradients(np.ones((1, 5, 1)), np.arange(5))
    with pytest.raises(ValueError, match="'depth' is no coordinate along step"):
        transitions.crossing(run, "depth")


def coverage(members, phi, repetitions, rng):
    """Shares of intervals that hold the mean break: Student's, the bootstrap's, one curve's own."""
    student, bootstrap, own = [], [], []
    for _ in range(repetitions):
        run = gradients(broken(members, rng, phi=phi)[..., :1], STEP)
        found = transitions.change_point(run)
        over = np.log(time_interval(found["time"], found["censored"])[["low", "high"]])
        logs = np.log(found["time"])
        drawn = bootstrap_interval(logs, rng, repetitions=400)
        student.append(over["low"].item() <= BREAK <= over["high"].item())
        bootstrap.append(drawn["low"].item() <= BREAK <= drawn["high"].item())
        inside = (np.log(found["position_low"]) <= BREAK) & (
            np.log(found["position_high"]) >= BREAK
        )
        own.append(inside.mean().item())
    return np.mean(student), np.mean(bootstrap), np.mean(own)


def alarms(line, members, phi, repetitions, rng):
    """Shares of records with p <= 0.05, of single curves so, and of records with a detection."""
    common, curves, detected = [], [], []
    for _ in range(repetitions):
        run = gradients(noisy(line, members, 1, rng, phi=phi), STEP)
        found = transitions.detect(run, rng, repetitions=99)
        common.append((found["p"] <= 0.05).item())
        curves.append((found["p_member"] <= 0.05).mean().item())
        detected.append(found["detected"].item())
    return np.mean(common), np.mean(curves), np.mean(detected)


CONTROLS = {"drift only": 2.0 - 0.1 * X, "diffusion only": -1.0 + 0 * X}


@pytest.mark.slow
def test_coverage_and_false_alarms_of_300_records():
    rng = np.random.default_rng(0)
    rows = []
    for members in (10, 20, 50):
        for phi in (0.0, 0.6, 0.9):
            student, bootstrap, own = coverage(members, phi, 300, rng)
            assert 0.91 <= student <= 0.99, (members, phi)
            rows += [
                ("coverage of a 95 % interval", "student over members", members, phi, student),
                ("coverage of a 95 % interval", "bootstrap over members", members, phi, bootstrap),
                ("coverage of a 95 % interval", "one curve, whitened", members, phi, own),
            ]
    for name, line in CONTROLS.items():
        for phi in (0.0, 0.6, 0.9):
            common, curves, detected = alarms(line, 10, phi, 300, rng)
            assert max(common, curves, detected) <= 0.08, (name, phi)
            rows += [
                (f"false alarms, {name}", "sign flips over members", 10, phi, common),
                (f"false alarms, {name}", "sup-F of one curve", 10, phi, curves),
                (f"false alarms, {name}", "transition detected", 10, phi, detected),
            ]
    table = Path(__file__).parent.parent / "data" / "phase_detection.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("quantity", "method", "members", "autocorrelation", "share"))
        writer.writerows((*row[:4], f"{row[4]:.3f}") for row in rows)
