"""Forks: replicas share a start, a split and labels, and nothing of the noise."""

import numpy as np
import pytest

import ibdyn
from ibdyn import kernel, storage
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.ensemble import prepare
from ibdyn.replay import ensemble_of
from theory.langevin import ornstein_uhlenbeck_moments

SOURCE = RunConfig(
    task={"information": 0.5},
    widths=(4, 3),
    members=3,
    epochs=8,
    batch_size=700,
    schedule=ScheduleConfig(count=3, extra=(4,)),
)
STEP = 4 * 5


@pytest.fixture(scope="module")
def source():
    return ibdyn.simulate(SOURCE, progress=False)


@pytest.fixture(scope="module")
def forked(source):
    return ibdyn.fork(source, 1, STEP, 4, epochs=6, progress=False)


def test_replicas_start_as_their_source_and_part(source, forked):
    start = source.parameters.sel(member=1, step=STEP)
    assert (forked.parameters.sel(step=0) == start).all()
    assert forked.member.values.tolist() == [0, 1, 2, 3]
    for name in ("in_train", "target"):
        assert (forked[name] == source[name].sel(member=1)).all()
    for name in ("loss", "information_input"):
        assert (forked[name].sel(step=0) == source[name].sel(member=1, step=STEP)).all()
    last = forked.parameters.isel(step=-1).values
    assert len(np.unique(last, axis=0)) == 4
    assert not (last == source.parameters.sel(member=1).isel(step=-1).values).all(-1).any()


def test_a_fork_is_a_record_that_says_what_was_forked(source, forked, tmp_path):
    storage.save(forked, tmp_path / "fork.nc")
    attrs = storage.load(tmp_path / "fork.nc").attrs
    assert attrs["fork_title"] == source.attrs["title"]
    assert (attrs["fork_member"], attrs["fork_step"]) == (1, STEP)
    assert attrs["fork_sha256"] == storage.content_hash(source)
    assert attrs["title"].endswith("4 networks 12-4-3-2, tanh, fork of member 1 at step 20")
    again = ensemble_of(forked)
    assert (again.batch_keys == prepare(again.config).batch_keys).all()
    binned = ibdyn.measure(forked, ["binned-range-10"])
    assert binned.sizes["estimator"] == 2


def test_a_replica_has_the_same_bits_among_few_or_many(source, forked):
    few = ibdyn.fork(source, 1, STEP, 2, epochs=6, progress=False)
    assert few.parameters.values.tobytes() == forked.parameters[:2].values.tobytes()
    assert few.attrs["seed"] == forked.attrs["seed"]


def test_another_seed_member_or_step_gives_other_noise(source, forked):
    seeds = {forked.attrs["seed"], source.attrs["seed"]}
    for member, step, changes in ((2, STEP, {}), (1, 0, {}), (1, STEP, {"seed": 1})):
        one = ibdyn.fork(source, member, step, 1, epochs=1, progress=False, **changes)
        seeds.add(one.attrs["seed"])
    assert len(seeds) == 5


def test_a_full_batch_fork_continues_its_source(source):
    """Without noise replicas stay together, and go where the source's own engine goes."""
    run = ibdyn.fork(source, 1, STEP, 2, epochs=7, batch_size=None, progress=False)
    ensemble = ensemble_of(run)
    (expected,) = kernel.trajectory(ensemble, [7])
    assert (run.parameters.isel(step=-1).values == expected).all()
    assert (run.parameters[0] == run.parameters[1]).all()
    assert float(run.loss.isel(split=0, member=0, step=-1)) < float(run.loss[0, 0, 0])


def test_a_langevin_fork_of_a_linear_network_spreads_as_ornstein_uhlenbeck():
    config = RunConfig.model_validate(
        {
            "task": {"name": "linear_teacher", "inputs": 1, "samples": 20},
            "widths": (),
            "activation": "linear",
            "output": "linear",
            "split": "first",
            "train_fraction": 1.0,
            "labels": "expected",
            "members": 1,
            "batch_size": None,
            "learning_rate": 0.01,
            "epochs": 3,
            "estimators": ("gaussian-1",),
            "dtype": "float64",
        }
    )
    source, replicas = ibdyn.simulate(config, progress=False), 2000
    run = ibdyn.fork(
        source,
        0,
        3,
        replicas,
        epochs=200,
        optimizer="langevin",
        temperature=0.3,
        schedule=ScheduleConfig(count=5, extra=()),
        progress=False,
    )
    x = np.column_stack([run.x.values[:, 0], np.ones(20)])
    curvatures, basis = np.linalg.eigh(x.T @ x / 20)
    along = run.parameters.values @ basis
    for i, a in enumerate(curvatures):
        _, expected = ornstein_uhlenbeck_moments(
            0.01 * run.epoch.values, start=0.0, stiffness=a, diffusion=0.3
        )
        found = along[..., i].var(0, ddof=1)
        assert (found[0], expected[0]) == (pytest.approx(0, abs=1e-25), 0)
        # The steps are not the SDE's but to first order in rate times curvature.
        allowed = 5 * np.sqrt(2 / replicas) + 0.01 * a
        assert (np.abs(found[1:] / expected[1:] - 1) < allowed).all()


@pytest.mark.parametrize(
    ("member", "step", "replicas", "changes", "message"),
    [
        (7, 0, 2, {}, r"member 7 is not in the record, expected one of \[0, 1, 2\]"),
        (0, 1, 2, {}, "step 1 is not recorded; the nearest is 0"),
        (0, 0, 0, {}, "replicas is 0, expected 1 or more"),
        (0, 0, 2, {"widths": (3,)}, "widths cannot change in a fork, expected one of optimizer"),
        (0, 0, 2, {"optimizer": "adam"}, "no moments for optimizer adam with momentum 0"),
        (0, 0, 2, {"momentum": 0.9}, "no moments for optimizer sgd with momentum 0.9"),
        (0, 0, 2, {"temperature": 0.1}, "temperature 0.1 needs optimizer langevin"),
        (0, 0, 2, {"optimizer": "langevin"}, "langevin has no noise of batches"),
    ],
)
def test_what_cannot_be_forked_is_refused(source, member, step, replicas, changes, message):
    with pytest.raises(ValueError, match=message):
        ibdyn.fork(source, member, step, replicas, epochs=2, **changes)


def test_parameters_that_were_not_kept_cannot_be_forked(source):
    thin = source.copy(deep=True)
    thin.parameters.loc[{"step": STEP}] = np.nan
    with pytest.raises(ValueError, match="member 1 at step 20 were not kept or are not finite"):
        ibdyn.fork(thin, 1, STEP, 2, epochs=2)
