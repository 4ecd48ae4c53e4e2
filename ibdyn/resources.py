"""What a run will need of memory and disk, held against what is free before it begins."""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import probes
from .config import InitConfig, RunConfig
from .ensemble import Ensemble, prepare
from .simulation import engine_of, recorded_steps

MIB = 2**20
# What is loaded before any array: measured, with the compiled functions.
BASE = {"kernel": 300 * MIB, "torch": 550 * MIB}


# What the libraries add to a file, however small its arrays: measured.
FILE = 160 * 1024
# Numbers that no array's size depends on, at any values.
SIZELESS = {
    "seed": 0,
    "learning_rate": 1.0,
    "momentum": 0.0,
    "temperature": 0.0,
    "weight_decay": 0.0,
    "init": InitConfig(),
}


class Workers(NamedTuple):
    """Workers of a cluster: bytes that each may take, None if unknown, and how many run here."""

    memory: int | None
    here: int


class NotEnoughError(ValueError):
    """A run that would not fit into memory or on the disk."""


def check(config: RunConfig, path: Path, *, force: bool, shown: bool) -> None:
    """Say on stderr what a run needs; raise `NotEnoughError` where it is not free.

    With ``force`` the run may try. Members are alike, so one is drawn to know all.
    """
    one, members = prepare(config, [0]), config.members
    needs = {"memory": memory_needed(one, members), "disk": disk_needed(one, members)}
    free = {"memory": memory_free(), "disk": shutil.disk_usage(path.parent).free}
    hold("run", needs, free, force=force, shown=shown)


def check_sweep(
    configs: Sequence[RunConfig],
    block: int | None,
    folder: Path,
    *,
    workers: Workers | None,
    force: bool,
    shown: bool,
) -> None:
    """As `check`, for a sweep of ``configs`` in blocks of members on ``workers``, or here.

    Memory is that of the largest block and of the largest join, disk that of all records.
    Configurations that differ in the numbers of `SIZELESS` alone are measured once.
    """
    sizes: dict[str, tuple[int, int, int]] = {}
    training = joining = disk = 0
    for config in configs:
        key = config.model_copy(update=SIZELESS).to_json()
        if key not in sizes:
            one, members = prepare(config, [0]), config.members
            together = min(block or members, members)
            record = record_size(one, members)
            joined = BASE["kernel"] + 3 * record * (together < members)
            sizes[key] = memory_needed(one, together), joined, record + FILE
        for_block, joined, record = sizes[key]
        training, joining = max(training, for_block), max(joining, joined)
        disk += record
    if workers is None:
        needs, free = {"memory": max(training, joining)}, {"memory": memory_free()}
    else:
        needs = {"memory of a worker": training, "memory": joining + workers.here * training}
        free = {"memory of a worker": workers.memory, "memory": memory_free()}
    free["disk"] = shutil.disk_usage(folder).free
    hold("sweep", {**needs, "disk": disk}, free, force=force, shown=shown)


def hold(
    what: str, needs: dict[str, int], free: dict[str, int | None], *, force: bool, shown: bool
) -> None:
    """Say what ``what`` needs and what is free; `NotEnoughError` for too little without force."""
    if shown:
        print("ibdyn: needs about", _table(needs, free), file=sys.stderr)
    for name, need in needs.items():
        available = free[name]
        if available is not None and need > available and not force:
            raise NotEnoughError(
                f"{name}: the {what} needs about {need / MIB:.0f} MiB, {available / MIB:.0f} MiB "
                "are free; --force tries all the same"
            )


def _table(needs: dict[str, int], free: dict[str, int | None]) -> str:
    parts = []
    for name, need in needs.items():
        available = free[name]
        known = "" if available is None else f" ({available / MIB:.0f} free)"
        parts.append(f"{need / MIB:.0f} MiB of {name}{known}")
    return ", ".join(parts)


def memory_needed(one: Ensemble, members: int) -> int:
    """Bytes at the peak of a run of ``members`` networks like that of the ensemble ``one``.

    The arrays that live at once: the ensemble, the training, a block of members being measured,
    and the record twice, in rows and put together. Meant to lie above the true peak, by less than
    a factor of two. Not counted are what compilation takes at the first run on a machine, the
    memory of a GPU, and estimators that make larger arrays than three of the activations.
    """
    item = one.x.itemsize
    patterns, inputs = one.x.shape
    size, units = one.train.shape[1], int(one.architecture.sizes[1:].sum())
    outputs = int(one.architecture.sizes[-1])
    parameters = one.architecture.parameters
    ensemble = members * (parameters * item + 9 * patterns + 8 * size + size * outputs * item)
    training = members * 4 * parameters * item
    if engine_of(one) == "torch":
        passes = one.batch_size * (inputs + 6 * units)
        training += members * item * (size * (inputs + outputs) + passes + 4 * parameters)
    block = min(members, probes.BLOCK)
    measured = block * patterns * (3 * units * item + 8 * 2 * max(one.architecture.labels, 1))
    return BASE[engine_of(one)] + ensemble + training + measured + 2 * record_size(one, members)


def disk_needed(one: Ensemble, members: int) -> int:
    """Bytes of shards, checkpoints and record together, before compression."""
    checkpoint = 3 * members * one.initial[0].nbytes
    return 2 * record_size(one, members) + 3 * checkpoint


def record_size(one: Ensemble, members: int) -> int:
    """Bytes of a record of ``members`` networks in memory."""
    steps, layers = len(recorded_steps(one)), len(one.architecture.layers)
    # Per layer: weights, gradients, scatter and saturation; per estimator both informations,
    # their standard errors, cells and `resolved`. Parameters that are not kept are NaN in place.
    numbers = 4 + 8 * layers + 7 * layers * len(one.config.estimators)
    row = members * (8 * numbers + one.initial[0].nbytes)
    return steps * row + members * len(one.x) * (1 + 8 * (one.drawn is not None)) + one.x.nbytes


def memory_free() -> int | None:
    """Bytes that can be had without swapping, within the limits of the control groups.

    None where the system does not say.
    """
    try:
        found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    free = [int(found[1]) * 1024] if found else []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            free += _left(Path("/sys/fs/cgroup"), path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = Path("/sys/fs/cgroup/memory"), ("limit", "usage")
            free += _left(root, path, *(f"memory.{name}_in_bytes" for name in names))
    return min(free, default=None)


def _left(root: Path, path: str, limit: str, usage: str) -> list[int]:
    """Bytes left under the limit of each control group from ``path`` up; file cache is free."""
    left = []
    group = root / path.lstrip("/")
    for folder in (
        group,
        *(parent for parent in group.parents if root in (parent, *parent.parents)),
    ):
        try:
            most = (folder / limit).read_text().strip()
            used = int((folder / usage).read_text())
            cache = re.search(
                r"^(?:total_)?inactive_file (\d+)",
                (folder / "memory.stat").read_text(),
                re.MULTILINE,
            )
        except (OSError, ValueError):
            continue
        if most.isdigit():
            left.append(int(most) - used + (int(cache[1]) if cache else 0))
    return left
