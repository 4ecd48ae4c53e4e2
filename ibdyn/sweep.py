"""Many records together: trained as one sweep, a file for each configuration, opened as one tree.

The folder of a sweep holds ``sweep.toml``, its definition, a record ``NAME.nc`` for each
configuration that is done, and a folder ``NAME.blocks`` for one that is under way.
"""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from . import blocks, resources, shards, storage, workers
from .blocks import Block
from .grids import Sweep, check_block, differences
from .progress import Progress
from .stopping import Stopped, signals

if TYPE_CHECKING:
    from distributed import Client

DEFINITION = "sweep.toml"
# Failed blocks that an error names one by one.
NAMED = 10


class FailedError(ValueError):
    """Blocks that could not be trained; all others are kept."""


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    client: "Client | None" = None,
    block: int | None = None,
    force: bool = False,
    progress: bool = True,
    command: str = "ibdyn.run_sweep",
) -> None:
    """Train every configuration of ``sweep`` and write its record to ``folder``/NAME.nc.

    Blocks of ``block`` members (the sweep's own unless given) are trained one after the other in
    this process, or by the workers of the Dask cluster of ``client``, which write nothing
    themselves. Finished blocks are files: the same sweep in the same folder goes on with what they
    lack. With the kernel engine a record has the bits of `simulation.simulate`, on one type of CPU
    and one set of versions, however the work was split.

    Raises, before any work, ValueError for configurations that do not fit their task, for another
    sweep's folder, and `resources.NotEnoughError` where memory or disk are too small unless
    ``force``; BlockingIOError while another process works there. Raises `FailedError` at the end,
    which names the blocks that failed, OSError where a file cannot be written or the cluster is
    lost, and `Stopped` on SIGINT and SIGTERM; what was finished is kept in each case.
    """
    check_block(block)
    folder, block = Path(folder), block or sweep.block
    _begin(folder, sweep)
    lock = shards.locked(folder)
    try:
        targets = {folder / f"{name}.nc": config for name, config in sweep.configs.items()}
        left = _left(targets, block, shown=progress)
        pending = [targets[target] for target in left]
        found = None if client is None else _workers_of(client)
        if pending:
            resources.check_sweep(
                pending, block, folder, workers=found, force=force, shown=progress
            )
        with nullcontext() if client is None else workers.locks_of_a_process():
            _train(left, sweep, client, command, progress)
    finally:
        os.close(lock)


def _begin(folder: Path, sweep: Sweep) -> None:
    """Make the folder, with the definition that it keeps; ValueError if that is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / DEFINITION, sweep.to_toml()
    if path.exists():
        other = differences(path.read_text(), text)
        if other:
            raise ValueError(f"{folder} holds another sweep: {'; '.join(other)}")
        return
    if any(folder.glob("*.nc")):
        raise ValueError(f"{folder} holds records but no {DEFINITION}, expected a sweep's or none")
    with storage.replacing(path) as temporary:
        temporary.write_text(text)


def _left(targets: Mapping[Path, Any], size: int | None, *, shown: bool) -> dict[Path, list[Block]]:
    """The blocks that each unfinished record lacks; says on stderr how far the sweep is."""
    left: dict[Path, list[Block]] = {}
    notes: list[str] = []
    kept = 0
    for target, config in targets.items():
        if target.is_file():
            # Its blocks may have outlived a kill between the record and their end.
            blocks.remove(target)
            kept += config.members
            continue
        done = blocks.finished(target, notes)
        kept += len(done)
        left[target] = blocks.split(target, config, done, size)
    if shown:
        for note in notes:
            print(f"ibdyn: {note}", file=sys.stderr)
        networks = sum(config.members for config in targets.values())
        print(
            f"ibdyn: {_many(len(targets), 'configuration')}, {_many(networks, 'network')} "
            f"({kept} done), {_many(sum(map(len, left.values())), 'block')} to train",
            file=sys.stderr,
        )
    return left


def _train(
    left: Mapping[Path, list[Block]],
    sweep: Sweep,
    client: "Client | None",
    command: str,
    shown: bool,
) -> None:
    """Train the blocks that are left, keep each when it is done, and join those of a record."""
    networks = sum(config.members for config in sweep.configs.values())
    lacking = {target: len(found) for target, found in left.items()}
    todo = [block for found in left.values() for block in found]
    done = networks - sum(len(block.members) for block in todo)
    failed: list[str] = []
    with Progress(networks, shown=shown, unit="network") as bar, signals(0) as asked:
        bar.at(done)
        try:
            for target in [target for target, count in lacking.items() if not count]:
                blocks.join(target)
            outcomes = (
                workers.here(blocks.train, todo, command)
                if client is None
                else workers.there(client, blocks.train, todo, command)
            )
            with closing(outcomes):
                for block, result in outcomes:
                    if isinstance(result, Exception):
                        failed.append(f"{block}: {type(result).__name__}: {result}")
                        continue
                    blocks.keep(block, result)
                    lacking[block.target] -= 1
                    if not (lacking[block.target] or block.whole):
                        blocks.join(block.target)
                    done += len(block.members)
                    bar.at(done)
        except KeyboardInterrupt:
            kept = f"{done} of {networks} networks are kept; the same command goes on"
            raise Stopped(asked[0] if asked else signal.SIGINT, kept) from None
    if failed:
        more = [f"and {len(failed) - NAMED} more"] if len(failed) > NAMED else []
        raise FailedError(
            "\n".join(
                [
                    f"{_many(len(failed), 'block')} of {len(todo)} failed, the others are kept; "
                    "the same command tries again",
                    *failed[:NAMED],
                    *more,
                ]
            )
        )


def _workers_of(client: "Client") -> resources.Workers:
    """What the workers of a cluster may take, and how many of them are on this machine."""
    from distributed import LocalCluster

    known = client.scheduler_info(n_workers=-1)["workers"].values()
    memory = [worker["memory_limit"] for worker in known if worker["memory_limit"]]
    here = len(known) if isinstance(client.cluster, LocalCluster) else 0
    return resources.Workers(min(memory, default=None), here)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def open_sweep(
    folder: str | Path, *, verify: bool = True, chunks: Mapping[str, int] | None = None
) -> xr.DataTree:
    """All records of a folder as a tree: one node for each file, named by the file's stem.

    Values are read from the files when they are looked at. Every file's content is checked against
    its hash first, which reads it, one at a time; ``verify=False`` leaves that out, and opens a big
    sweep in the time that its headers take. With ``chunks`` (``{}`` for whole variables) arrays are
    Dask's, so that what is computed of many records goes through memory in pieces; it needs
    ``ibdyn[cluster]``.

    Configurations may differ in their layers, members and steps, so nothing is aligned; what has
    a common shape can be brought together by ``xarray.concat``. Records that a sweep is still at
    are left out.

    Raises FileNotFoundError for a folder that is none or holds no ``.nc`` file, and
    `storage.RecordError` for a file that is no record.
    """
    files = sorted(Path(folder).glob("*.nc"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .nc file, expected records of ibdyn")
    if verify:
        for file in files:
            storage.load(file)
    return xr.DataTree.from_dict({file.stem: storage.lazy(file, chunks) for file in files})
