"""Sweeps: what a block, a record and a file cost, and a sweep of many configurations on a cluster.

    python -m benchmarks.scaling

CPU seconds of one thread, so that what else the machine does matters little; wall seconds where it
says so. `docs/scaling.md` has the numbers and what follows from them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

import ibdyn
from benchmarks.timing import row
from ibdyn import blocks, storage, workers
from ibdyn.config import RunConfig
from ibdyn.grids import Sweep

# The network of the paper, and one as small as a sweep over many worlds may have.
PAPER: Mapping[str, object] = {"epochs": 200, "schedule": {"count": 30, "extra": ()}}
SMALL: Mapping[str, object] = {
    "task": {"name": "parity", "bits": 6},
    "widths": (4, 3),
    "batch_size": 16,
    "members": 2,
    "epochs": 20,
    "schedule": {"count": 10, "extra": ()},
}
REPEATS = 5


def cpu(job: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median CPU seconds of a job of this process, after one to warm up."""
    job()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        job()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def fitted(design: Sequence[Sequence[float]], values: Sequence[float]) -> NDArray:
    """Coefficients of least relative error: of ``values`` as sums of the columns of ``design``."""
    scale = 1 / np.asarray(values)
    return np.linalg.lstsq(np.asarray(design) * scale[:, None], np.ones(len(scale)), rcond=None)[0]


def cost_of_blocks(name: str, fields: Mapping[str, object]) -> None:
    """Seconds and bytes of a block: for itself, for each member-step and each member-record."""
    design, seconds, sizes = [], [], []
    for members, longer, count in ((1, 1, 10), (8, 1, 10), (8, 1, 40), (8, 4, 10), (32, 1, 10)):
        schedule = {"count": count, "extra": ()}
        epochs = longer * int(str(fields["epochs"]))
        config = RunConfig.model_validate(
            {**fields, "members": members, "epochs": epochs, "schedule": schedule}
        )
        text, who = config.to_json(), list(range(members))
        content = blocks.train(text, who, "benchmark")
        record = ibdyn.simulate(config, progress=False)
        steps, records = int(record.step[-1]), record.sizes["step"]
        design.append((1.0, members * steps, members * records))
        seconds.append(cpu(lambda text=text, who=who: blocks.train(text, who, "benchmark")))  # type: ignore[misc]
        sizes.append(len(content))
    block, step, record_s = fitted(design, seconds)
    file, _, per_record = fitted([(1.0, 0.0, d[2]) for d in design], sizes)
    row(
        name,
        f"{block * 1e3:.1f}",
        f"{step * 1e6:.1f}",
        f"{record_s * 1e6:.0f}",
        f"{file / 1024:.0f}",
        f"{per_record:.0f}",
    )


def cost_of_joins(fields: Mapping[str, object], members: int, parts: int) -> None:
    """Seconds of keeping and of joining the blocks of one record, and bytes in memory a second."""
    config = RunConfig.model_validate({**fields, "members": members})
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "run.nc"
        found = blocks.split(target, config, set(), members // parts)
        contents = [blocks.train(config.to_json(), list(b.members), "benchmark") for b in found]
        keeping: list[tuple[float, float]] = []
        joining: list[tuple[float, float]] = []
        for _ in range(REPEATS):
            for times, job in ((keeping, keep_all), (joining, join_one)):
                begun = time.process_time(), time.perf_counter()
                job(found, contents)
                times.append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
        size = storage.load(target).nbytes
    (_, keep_wall), (join_cpu, _) = (np.median(times, axis=0) for times in (keeping, joining))
    row(
        f"{members} members in {parts} blocks, {size / 2**20:.1f} MiB",
        f"{keep_wall / parts * 1e3:.1f}",
        f"{join_cpu * 1e3:.0f}",
        f"{join_cpu / parts * 1e3:.0f}",
        f"{size / join_cpu / 2**20:.0f}",
    )


def keep_all(found: Sequence[blocks.Block], contents: Sequence[bytes]) -> None:
    """Write all blocks of a record."""
    for block, content in zip(found, contents, strict=True):
        blocks.keep(block, content)


def join_one(found: Sequence[blocks.Block], _: object) -> None:
    """Join the blocks of a record."""
    blocks.join(found[0].target)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def whole_sweep(configs: int, processes: int) -> None:
    """A sweep of small configurations on a local cluster: who spent how much, and what it left."""
    rates = np.geomspace(0.01, 1, 10).round(4).tolist()
    sweep = Sweep(SMALL, {"learning_rate": rates, "seed": list(range(-(-configs // 10)))})
    with tempfile.TemporaryDirectory() as folder, workers.local(processes) as client:
        warm = Sweep(SMALL, {"seed": list(range(4 * processes))})
        ibdyn.run_sweep(warm, Path(folder) / "warm", client=client, progress=False)
        before = sum(client.run(time.process_time).values())
        begun = time.process_time(), time.perf_counter()
        ibdyn.run_sweep(sweep, Path(folder) / "sweep", client=client)
        here, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
        there = sum(client.run(time.process_time).values()) - before
        size = sum(file.stat().st_size for file in (Path(folder) / "sweep").glob("*.nc"))
        opening, opened, before_opening = {}, [], resident()
        for verify in (True, False):
            start = time.process_time()
            opened.append(ibdyn.open_sweep(Path(folder) / "sweep", verify=verify))
            opening[verify] = time.process_time() - start
        memory = (resident() - before_opening) / len(opened)
    many = len(sweep.configs)
    row(f"a sweep of {many} configurations, {processes} workers", "all", "each")
    row("wall, s; ms", f"{wall:.0f}", f"{wall / many * 1e3:.1f}")
    row("CPU of the workers, s; ms", f"{there:.0f}", f"{there / many * 1e3:.1f}")
    row("CPU of the client, s; ms", f"{here:.0f}", f"{here / many * 1e3:.1f}")
    row("files, MiB; KiB", f"{size / 2**20:.0f}", f"{size / many / 1024:.0f}")
    row("opened and verified, CPU s; ms", *(f"{opening[True] / n:.1f}" for n in (1, many / 1e3)))
    row("opened, CPU s; ms", *(f"{opening[False] / n:.1f}" for n in (1, many / 1e3)))
    row("memory of open records, MiB; KiB", *(f"{memory / n:.0f}" for n in (2**20, 1024 * many)))
    print(f"workers a client can feed: {there / here:.1f}")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--configs", type=int, default=2000, help="configurations of the sweep")
    parser.add_argument("--workers", type=int, default=2, help="processes of the cluster")
    options = parser.parse_args(argv)
    numba.set_num_threads(1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    row("a block", "ms", "us/step", "us/record", "file KiB", "bytes/record")
    cost_of_blocks("12-10-7-5-4-3-2, 4096 patterns", PAPER)
    cost_of_blocks("6-4-3-2, 64 patterns", SMALL)
    row("keeping and joining blocks", "keep ms", "join ms", "ms/block", "MiB/s")
    cost_of_joins(PAPER, 32, 4)
    cost_of_joins(PAPER, 32, 16)
    cost_of_joins(SMALL, 32, 16)
    cost_of_joins({**PAPER, "schedule": {"count": 100, "extra": ()}}, 100, 4)
    whole_sweep(options.configs, options.workers)


if __name__ == "__main__":
    main()
