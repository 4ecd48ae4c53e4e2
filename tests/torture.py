"""Kill a run again and again, go on with it, and compare with one that nobody disturbed.

``python -m tests.torture --kills 100`` takes about five minutes. A worker keeps what it has at
every stop, so that most of its time is spent where a kill could hurt: in writing.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ibdyn
from ibdyn import resumption, shards, stopping
from ibdyn.config import RunConfig

ROOT = Path(__file__).parent.parent
CONFIG = RunConfig(
    members=4,
    epochs=100,
    widths=(6, 4),
    optimizer="adam",
    learning_rate=1e-3,
    schedule={"count": 60, "extra": ()},
    estimators=("binned-range-30", "binned-run-30"),
)


def start(path):
    """A worker that begins or goes on with the run of ``path``, in a process of its own."""
    command = [sys.executable, "-m", "tests.torture", "--worker", str(path)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def work(path):
    """What a worker does; a signal ends it with the status that the command would have."""
    resumption.PATIENCE = 0
    try:
        begin_or_resume(path)
    except stopping.Stopped as stopped:
        sys.exit(stopped.status)


def begin_or_resume(path):
    if (shards.folder_of(path) / shards.MANIFEST).exists():
        resumption.resume(path, seconds=0, progress=False)
    else:
        resumption.simulate_to(CONFIG, path, seconds=0, progress=False)


def kept(path):
    """Step of the last checkpoint that the manifest names, -1 before there is one."""
    folder = shards.folder_of(path)
    if not (folder / shards.MANIFEST).exists():
        return -1
    entries = shards.read_manifest(folder)
    return max((e["step"] for e in shards.of_kind(entries, shards.CHECKPOINT)), default=-1)


def resumed_from(path):
    """Where the last worker went on, None if the last began anew or there is no run."""
    folder = shards.folder_of(path)
    if not (folder / shards.MANIFEST).exists():
        return None
    resumed = shards.of_kind(shards.read_manifest(folder), "resumed")
    return resumed[-1]["step"] if resumed else None


def different(found, expected):
    """Names of the variables that are not the same to the byte."""
    return [
        name
        for name in {*found.variables, *expected.variables}
        if found[name].values.tobytes() != expected[name].values.tobytes()
    ]


def kill(path, moment, number=signal.SIGKILL):
    """Start a worker and kill it ``moment`` seconds after its first checkpoint of its own.

    Returns its exit status, 0 where it was done before.
    """
    before, folder = kept(path), shards.folder_of(path)
    worker = start(path)
    while worker.poll() is None and (not folder.exists() or kept(path) <= before):
        time.sleep(0.005)
    try:
        _, error = worker.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        worker.send_signal(number)
        _, error = worker.communicate(timeout=120)
    if worker.returncode not in (0, -number, 128 + number):
        raise RuntimeError(f"a worker ended with {worker.returncode}: {error}")
    return worker.returncode


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker")
    options = parser.parse_args(argv)
    if options.worker:
        work(options.worker)
        return
    torture(options.kills, random.Random(options.seed))


def torture(kills, rng):
    expected = ibdyn.simulate(CONFIG, progress=False)
    recorded = expected.step.values
    killed = resumes = records = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nc"
        while killed < kills or not path.exists():
            path.unlink(missing_ok=True)
            before, last = kept(path), killed == kills
            number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            status = kill(path, 600 if last else rng.uniform(0, 0.7), number)
            begun = resumed_from(path)
            if before >= 0 and begun is not None:
                resumes += 1
                lost += int(((recorded > begun) & (recorded <= before)).sum())
            if status == 0:
                records += 1
                names = different(ibdyn.load(path), expected)
                if names:
                    raise RuntimeError(f"{names} are not those of a run without a kill")
            else:
                killed += 1
                print(f"kill {killed}: {number.name}, kept until step {kept(path)}", flush=True)
    print(
        f"{killed} kills, {resumes} resumes, {records} records equal to the byte, {lost} rows lost"
    )


if __name__ == "__main__":
    main()
