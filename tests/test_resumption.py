"""Runs to a file: stopped, killed or out of space, they end in the record of a run without it."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import xarray as xr
from torture import CONFIG, ROOT, different, kill

import ibdyn
from benchmarks.timing import peak_memory
from ibdyn import (
    kernel,
    probes,
    resources,
    resumption,
    schedule,
    shards,
    stopping,
    storage,
    training,
)
from ibdyn.config import RunConfig
from ibdyn.ensemble import prepare
from ibdyn.state import State


@pytest.fixture
def eager(monkeypatch):
    """Everything is kept at every stop."""
    monkeypatch.setattr(resumption, "PATIENCE", 0)


def small(**fields):
    given = {
        "members": 2,
        "epochs": 6,
        "widths": (4, 3),
        "schedule": {"count": 5, "extra": ()},
        "estimators": ("binned-range-30", "binned-run-10"),
    }
    return RunConfig(**given | fields)


def stop_at(row, monkeypatch, number=signal.SIGTERM):
    """Have the measurement of this row, counted from 1, come with a signal."""
    measure, calls = probes.measure, []

    def signalled(*arguments):
        calls.append(1)
        if len(calls) == row:
            os.kill(os.getpid(), number)
        return measure(*arguments)

    monkeypatch.setattr(probes, "measure", signalled)


def test_a_run_to_a_file_is_the_run_in_memory(eager, tmp_path):
    path = tmp_path / "new" / "run.nc"
    found = resumption.simulate_to(small(), path, seconds=0, progress=False)
    expected = ibdyn.simulate(small(), progress=False)
    assert not different(found, expected)
    assert not different(ibdyn.load(path), expected)
    assert found.attrs["complete"] == 1
    assert [p.name for p in path.parent.iterdir()] == ["run.nc"]


TORCH = {"engine": "torch", "task": {"name": "parity", "bits": 6}, "batch_size": 20}


@pytest.mark.parametrize(
    "fields",
    [
        {"momentum": 0.9, "batch_size": 1000},
        {"optimizer": "adam", "learning_rate": 0.01, "dtype": "float64"},
        {"batch_size": None, "task": {"name": "parity", "bits": 5}},
        {**TORCH, "momentum": 0.9},
        {**TORCH, "optimizer": "adam", "learning_rate": 0.01},
        {**TORCH, "noise": 0.1, "estimators": ("binned-range-30",)},
        {"task": {"name": "spherical_rule", "information": 0.9}},
    ],
    ids=str,
)
def test_a_run_that_was_stopped_ends_in_the_same_bytes(fields, tmp_path, monkeypatch):
    config, path = small(**fields), tmp_path / "run.nc"
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(stopping.Stopped, match=r"SIGTERM, kept until epoch 2; go on with"):
            resumption.simulate_to(config, path, progress=False)
    assert not path.exists()
    found = resumption.resume(path, progress=False)
    assert not different(found, ibdyn.simulate(config, progress=False))
    first, second = found.attrs["history"].splitlines()
    assert first.endswith("ibdyn.simulate_to")
    assert second.endswith(f"ibdyn.resume (from step {2 * found.attrs['steps_per_epoch']})")


NOISY = {"noise": 0.1, "estimators": ("binned-range-30",)}
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("engine", "fields"),
    [
        (kernel, {"momentum": 0.9}),
        (kernel, ADAM),
        (training, {"momentum": 0.9}),
        (training, ADAM),
        (training, NOISY),
    ],
)
def test_a_state_in_the_middle_of_an_epoch_goes_on_with_the_same_bits(engine, fields):
    ensemble = prepare(small(batch_size=1000, **fields))
    assert ensemble.steps_per_epoch == 4
    *_, straight = engine.trajectory(ensemble, [11])
    halfway = State.initial(ensemble.initial)
    list(engine.trajectory(ensemble, [6], halfway))
    again = State(halfway.parameters, halfway.first, halfway.second, halfway.step)
    (found,) = engine.trajectory(ensemble, [11], again)
    assert found.tobytes() == straight.tobytes()
    assert again.step == 11
    assert again.parameters.tobytes() == straight.tobytes()


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    path, rng = tmp_path / "run.nc", random.Random()
    for _ in range(2):
        kill(path, rng.uniform(0, 0.2))
    found = ibdyn.load(path) if path.exists() else resumption.resume(path, progress=False)
    assert not different(found, ibdyn.simulate(CONFIG, progress=False))


def test_a_diverged_member_is_marked_and_survives_a_stop(tmp_path, monkeypatch):
    config = small(activation="linear", learning_rate=1e30)
    path = tmp_path / "run.nc"
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(stopping.Stopped):
            resumption.simulate_to(config, path, progress=False)
    found = resumption.resume(path, progress=False)
    expected = ibdyn.simulate(config, progress=False)
    assert expected.diverged.any()
    assert not different(found, expected)


def test_a_second_signal_interrupts_at_once_and_what_was_kept_stays(eager, tmp_path, monkeypatch):
    path, measure, calls = tmp_path / "run.nc", probes.measure, []

    def twice(*arguments):
        calls.append(1)
        for _ in range(2 * (len(calls) == 4)):
            os.kill(os.getpid(), signal.SIGINT)
        return measure(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(probes, "measure", twice)
        with pytest.raises(stopping.Stopped, match=r"SIGINT, kept until epoch \d") as caught:
            resumption.simulate_to(small(), path, seconds=0, progress=False)
    assert caught.value.status == 130
    assert len(calls) == 4
    found = resumption.resume(path, progress=False)
    assert not different(found, ibdyn.simulate(small(), progress=False))


def test_runs_in_other_threads_leave_signals_alone(tmp_path):
    path, before = tmp_path / "run.nc", signal.getsignal(signal.SIGTERM)
    options = {"progress": False}
    thread = threading.Thread(target=resumption.simulate_to, args=(small(), path), kwargs=options)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert not different(ibdyn.load(path), ibdyn.simulate(small(), progress=False))


@pytest.mark.parametrize("after", [0, 3, 8, 14])
def test_a_disk_that_fills_loses_nothing(eager, tmp_path, monkeypatch, after):
    path, to_netcdf, files = tmp_path / "run.nc", xr.Dataset.to_netcdf, []

    def full(data, target, **options):
        files.append(target)
        to_netcdf(data, target, **options)
        if len(files) > after:
            os.truncate(target, 100)
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_netcdf", full)
        with pytest.raises(OSError, match=r"No space left .* go on with: ibdyn resume") as caught:
            resumption.simulate_to(small(epochs=4), path, seconds=0, progress=False)
    assert caught.value.errno == errno.ENOSPC
    assert not path.exists()
    kept = shards.of_kind(shards.read_manifest(shards.folder_of(path)), shards.SHARD)
    # A shard is on disk before its checkpoint, and both before the manifest names them.
    assert bool(kept) == (after >= 2)
    measured, measure = [], probes.measure

    def counted(*arguments):
        measured.append(1)
        return measure(*arguments)

    monkeypatch.setattr(probes, "measure", counted)
    found = resumption.resume(path, progress=False)
    assert len(measured) == 5 - len(kept)
    assert not different(found, ibdyn.simulate(small(epochs=4), progress=False))


def test_the_system_says_why_a_file_cannot_be_written(tmp_path):
    """A limit on the size of files is as real as a full disk, and needs no disk to fill."""
    code = f"""
        import resource, numpy as np, xarray as xr
        from pathlib import Path
        from ibdyn import storage
        path = Path({str(tmp_path / "run.nc")!r})
        storage.write(xr.Dataset({{"a": ("x", np.arange(9.0))}}), path)
        before = path.read_bytes()
        noise = xr.Dataset({{"a": ("x", np.random.default_rng(0).random(10**5))}})
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))
        try:
            storage.write(noise, path)
        except OSError as error:
            print(error.strerror)
        assert path.read_bytes() == before
        assert len(list(path.parent.iterdir())) == 1
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == os.strerror(errno.EFBIG) + "\n"


def test_a_folder_that_takes_no_files_is_refused_before_work(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(shards.Path, "mkdir", refuse)
    monkeypatch.setattr(probes, "measure", None)
    with pytest.raises(OSError, match="Read-only file system"):
        resumption.simulate_to(small(), tmp_path / "run.nc", progress=False)


def test_a_folder_that_one_may_not_write_is_refused_before_work(monkeypatch):
    """As somebody else, if one is root, who may write everywhere."""
    import tempfile

    monkeypatch.setattr(probes, "measure", None)
    oneself = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        os.seteuid(oneself or 65534)
        try:
            with pytest.raises(PermissionError):
                resumption.simulate_to(small(), f"{folder}/run.nc", progress=False)
        finally:
            os.seteuid(oneself)
        assert not os.listdir(folder)


def stopped(path, monkeypatch, config):
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(stopping.Stopped):
            resumption.simulate_to(config, path, progress=False)


def test_a_task_that_changed_under_the_run_is_refused(tmp_path, monkeypatch):
    x = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
    y = x.astype(int)
    np.savez(tmp_path / "task.npz", x=x, y=y[:, 0])
    task = {"name": "file", "path": str(tmp_path / "task.npz")}
    path = tmp_path / "run.nc"
    stopped(path, monkeypatch, small(task=task, batch_size=None))
    np.savez(tmp_path / "task.npz", x=x, y=y[:, 1])
    with pytest.raises(ValueError, match="its task, split or initial weights are not those"):
        resumption.resume(path, progress=False)
    np.savez(tmp_path / "task.npz", x=x, y=y[:, 0])
    assert resumption.resume(path, progress=False).attrs["complete"] == 1


def test_other_versions_are_said_and_recorded(tmp_path, monkeypatch, capsys):
    path, provenance = tmp_path / "run.nc", storage.provenance
    stopped(path, monkeypatch, small())
    capsys.readouterr()
    monkeypatch.setattr(
        storage, "provenance", lambda command: {**provenance(command), "versions": "python 4"}
    )
    found = resumption.resume(path)
    assert "now python 4: the last bits may differ" in capsys.readouterr().err
    assert found.attrs["versions"].endswith("; then python 4")


def test_damage_is_named_and_the_run_goes_on_from_what_is_whole(tmp_path, monkeypatch, capsys):
    path = tmp_path / "run.nc"
    stopped(path, monkeypatch, small())
    (shard,) = shards.folder_of(path).glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:-100])
    found = resumption.resume(path)
    error = capsys.readouterr().err
    assert "shard-000001.nc was changed or damaged" in error
    assert "going on from epoch 0" in error
    assert not different(found, ibdyn.simulate(small(), progress=False))


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_budget_that_is_no_time_is_refused(tmp_path, seconds):
    with pytest.raises(ValueError, match="seconds between checkpoints are"):
        resumption.simulate_to(small(), tmp_path / "run.nc", seconds=seconds)
    with pytest.raises(ValueError, match="seconds between checkpoints are"):
        resumption.resume(tmp_path / "run.nc", seconds=seconds)


def test_memory_and_disk_are_held_against_what_is_free(tmp_path, monkeypatch, capsys):
    path = tmp_path / "run.nc"
    assert 0 < resources.memory_free() < 2**50
    monkeypatch.setattr(resources, "memory_free", lambda: 10 * 2**20)
    with pytest.raises(resources.NotEnoughError, match=r"needs about \d+ MiB, 10 MiB are free"):
        resumption.simulate_to(small(), path)
    assert "MiB of memory (10 free)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    resumption.simulate_to(small(), path, force=True, progress=False)
    monkeypatch.setattr(resources, "memory_free", lambda: None)
    monkeypatch.setattr(resources, "disk_needed", lambda *_: 2**60)
    with pytest.raises(resources.NotEnoughError, match="disk: the run needs about"):
        resumption.simulate_to(small(), path)


def test_the_memory_that_was_estimated_is_what_a_run_takes(tmp_path):
    """Twice over an interpreter with everything loaded, so that the arrays count."""
    config = small(
        members=64,
        epochs=1,
        widths=(90, 90),
        train_fraction=0.05,
        estimators=("binned-range-30",),
    )
    need = resources.memory_needed(prepare(config, [0]), config.members)
    assert need > 2 * resources.BASE["kernel"]
    code = f"""
        from ibdyn import resumption
        from ibdyn.config import RunConfig
        config = RunConfig.from_json({config.to_json()!r})
        resumption.simulate_to(config, {str(tmp_path / "run.nc")!r}, progress=False)
    """
    peak = peak_memory(textwrap.dedent(code)) * resources.MIB
    assert peak < need < 2 * peak


def test_stops_between_records_do_not_change_what_is_recorded():
    assert list(schedule.paced([0, 1, 10, 40], -1)) == [0, 1, 2, 4, 8, 10, 18, 34, 40]
    assert list(schedule.paced([0, 1, 10, 40], 9)) == [10, 11, 13, 17, 25, 40]
    assert list(schedule.paced([0, 1, 10], 10)) == []


def test_once_is_whatever_is_left_to_do(tmp_path, monkeypatch, capsys):
    path = tmp_path / "new" / "run.nc"
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(stopping.Stopped):
            resumption.simulate_once(small(), path, command="once")
    with pytest.raises(FileExistsError, match="holds an unfinished run"):
        resumption.simulate_once(small(seed=1), path, command="once")
    found = resumption.simulate_once(small(), path, command="once")
    assert "(from step" in found.attrs["history"]
    written = path.read_bytes()
    again = resumption.simulate_once(small(), path, command="once")
    assert "run.nc is there already" in capsys.readouterr().err
    assert not different(again, ibdyn.simulate(small(), progress=False))
    assert path.read_bytes() == written
    other = resumption.simulate_once(small(seed=1), path, command="once")
    assert different(other, found)
    assert not different(ibdyn.load(path), other)


def test_a_field_that_a_record_is_too_old_to_know_is_at_its_default(tmp_path, capsys):
    path = tmp_path / "run.nc"
    run = ibdyn.simulate(small(), progress=False)
    known = json.loads(run.attrs["config"])
    del known["temperature"]
    ibdyn.save(run.assign_attrs(config=json.dumps(known)), path)
    resumption.simulate_once(small(), path, command="once")
    assert "is there already" in capsys.readouterr().err
