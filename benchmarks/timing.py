"""Interleaved timing, and the peak memory of a fresh process."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np


def interleaved(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each job: all once to warm up, then in turn, ``repeats`` times."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begun)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}


def peak_memory(code: str) -> float:
    """Peak resident memory, in MiB, of ``code`` in a fresh process (Linux).

    VmHWM, since ``ru_maxrss`` of a new process begins at the peak of the one that started it.
    """
    tail = "\nprint(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1]) / 1024


def row(*cells: object) -> None:
    """Print one line of a table: the first cell to the left, numbers to the right."""
    print(f"{cells[0]!s:44}" + "".join(f"{cell!s:>13}" for cell in cells[1:]), flush=True)
