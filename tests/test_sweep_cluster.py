"""Sweeps on a cluster of two worker processes: one is killed, and nothing changes."""

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import distributed  # noqa: F401  (it adds its defaults to Dask's configuration)
import numba
import pytest

import ibdyn
from ibdyn import sweep, workers
from ibdyn.blocks import Block
from ibdyn.cli import main
from ibdyn.config import RunConfig
from ibdyn.grids import Sweep

FIELDS = {
    "task": {"name": "parity", "bits": 6},
    "widths": [4, 3],
    "batch_size": 16,
    "members": 4,
    "epochs": 100,
    "schedule": {"count": 5, "extra": []},
}


@pytest.fixture(scope="module")
def client():
    with workers.local(2) as client:
        # Two deaths instead of four convict a block, to save the time of new processes.
        client.run_on_scheduler(
            lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1)
        )
        yield client


def processes(client):
    """Process ids of the workers."""
    return set(client.run(os.getpid).values())


def records(folder):
    """Names of the records that are done."""
    return sorted(path.name for path in folder.glob("*.nc"))


def test_a_sweep_whose_worker_is_killed_is_that_of_this_process(client, tmp_path):
    definition = Sweep(FIELDS, {"seed": [0, 1, 2]}, block=1)
    before, done_at_the_kill = processes(client), []
    assert len(before) == 2
    victim = min(before)

    def kill():
        while not records(tmp_path / "there"):
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        done_at_the_kill.extend(records(tmp_path / "there"))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    ibdyn.run_sweep(definition, tmp_path / "there", client=client, progress=False)
    killer.join()
    assert 0 < len(done_at_the_kill) < 3
    assert victim not in processes(client)
    ibdyn.run_sweep(definition, tmp_path / "here", progress=False)
    assert records(tmp_path / "there") == records(tmp_path / "here")
    for name in definition.configs:
        found, expected = (ibdyn.load(tmp_path / at / f"{name}.nc") for at in ("there", "here"))
        for variable in {*found.variables, *expected.variables}:
            assert found[variable].values.tobytes() == expected[variable].values.tobytes(), variable
        assert found.attrs["title"] == expected.attrs["title"]


def blocks_of(count):
    return [Block(f"{k}.nc", RunConfig(seed=k, members=3), range(3)) for k in range(count)]


def test_a_block_that_always_kills_its_worker_fails_alone(client):
    def deadly(config, members, command):
        import os
        import signal

        if '"seed":3' in config:
            os.kill(os.getpid(), signal.SIGKILL)
        if '"seed":5' in config:
            raise ValueError("five")
        return f"{command} {members}".encode()

    found = {
        block.config.seed: result
        for block, result in workers.there(client, deadly, blocks_of(8), "said")
    }
    assert sorted(found) == list(range(8))
    failed = {seed: result for seed, result in found.items() if isinstance(result, Exception)}
    assert {seed: type(error).__name__ for seed, error in failed.items()} == {
        3: "KilledWorker",
        5: "ValueError",
    }
    assert {found[seed] for seed in found.keys() - failed.keys()} == {b"said [0, 1, 2]"}


def test_few_blocks_are_handed_out_at_once(client, monkeypatch):
    monkeypatch.setattr(workers, "AHEAD", 3)
    handed = []

    def watched():
        for block in blocks_of(12):
            handed.append(block)
            yield block

    def quick(*_):
        return b""

    outcomes = workers.there(client, quick, watched(), "")
    for taken, _ in enumerate(outcomes, start=1):
        # Four for two workers of a thread each, beside what was taken.
        assert len(handed) <= 4 + taken
    assert len(handed) == 12


def test_workers_are_processes_of_one_thread_and_connections_are_encrypted(client):
    assert set(client.run(numba.get_num_threads).values()) == {1}
    assert set(client.nthreads().values()) == {1}
    assert os.getpid() not in processes(client)
    assert client.scheduler.address.startswith("tls://127.0.0.1:")
    found = sweep._workers_of(client)
    assert found.here == 2
    assert found.memory > 2**28


PROGRAM = """
import numba

from ibdyn import workers

if __name__ == "__main__":
    with workers.local(1) as client:
        print(*client.run(numba.get_num_threads).values())
"""


def test_workers_have_one_thread_also_where_the_program_imports_numba(tmp_path):
    """A new process imports the program before Dask sets any variable in it."""
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {k: v for k, v in os.environ.items() if "NUM_THREADS" not in k}
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env=environment | {"NUMBA_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"


def test_the_command_starts_its_own_workers_and_leaves_the_environment_as_it_was(tmp_path, capsys):
    before = dict(os.environ)
    definition = Sweep({**FIELDS, "epochs": 3}, {"seed": [0, 1]})
    (tmp_path / "sweep.toml").write_text(definition.to_toml())
    out = str(tmp_path / "out")
    arguments = ["sweep", str(tmp_path / "sweep.toml"), "--out", out]
    assert main([*arguments, "--local-workers", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"wrote 2 records to {out}\n"
    assert "MiB of memory of a worker" in printed.err
    assert len(ibdyn.open_sweep(out).children) == 2
    assert dict(os.environ) == before


def test_a_scheduler_that_does_not_answer_is_an_error(tmp_path, capsys):
    (tmp_path / "sweep.toml").write_text("[grid]\nseed = [0]\n")
    arguments = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]
    with dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}):
        assert main([*arguments, "--scheduler", "tcp://127.0.0.1:9"]) == 2
        assert "tcp://127.0.0.1:9" in capsys.readouterr().err
        assert main([*arguments, "--scheduler", "tls://127.0.0.1:9"]) == 2
        assert "tls://127.0.0.1:9: TLS expects" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9", "nowhere://9"])
def test_a_connection_that_failed_leaves_nothing(address):
    """Neither a scheduler for what is written later, nor a client that closes itself some day."""
    scheduler = dask.config.get("scheduler", None)
    threads = {*threading.enumerate()}
    # The error keeps what failed in its frames: no collection of garbage undoes what it set.
    told = pytest.raises((OSError, ValueError), match=address)
    quick = dask.config.set({"distributed.comm.timeouts.connect": "0.5s"})
    with quick, told, workers.connected(address, None):
        pass
    assert dask.config.get("scheduler", None) == scheduler
    assert {*threading.enumerate()} <= threads


def test_an_unencrypted_scheduler_is_refused_where_encryption_is_required():
    told = pytest.raises(ValueError, match=r"scheduler tcp://127.0.0.1:9: encryption required")
    with dask.config.set({"distributed.comm.require-encryption": True}), told:
        workers.connected("tcp://127.0.0.1:9", None).__enter__()


def test_without_dask_the_error_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    (tmp_path / "sweep.toml").write_text("[grid]\nseed = [0]\n")
    arguments = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--local-workers", "2"]) == 2
    assert 'pip install "ibdyn[cluster]"' in capsys.readouterr().err
