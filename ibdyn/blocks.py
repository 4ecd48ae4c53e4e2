"""Blocks of members: what a worker trains, the files of finished ones, and how they are joined.

While a configuration's record ``NAME.nc`` is not whole, the folder ``NAME.blocks`` beside it has a
record for each finished block, ``00000-00004.nc`` for the members 0 to 4.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from . import storage
from .config import RunConfig

SUFFIX = ".blocks"
# Attributes that each block of a record has for itself.
OWN = ("title", "history", "versions", "machine", storage.HASH)
# The training kernel is not for several threads at once.
_alone = threading.Lock()


class Block(NamedTuple):
    """Some members, in sequence, of the configuration of a record."""

    target: Path
    config: RunConfig
    members: range

    @property
    def whole(self) -> bool:
        """Whether these are all members."""
        return len(self.members) == self.config.members

    def __str__(self) -> str:
        return f"{self.target.stem}, members {self.members[0]} to {self.members[-1]}"


def train(config: str, members: Sequence[int], command: str) -> bytes:
    """The record of some members of a configuration in JSON, as the content of its file.

    A worker needs nothing else and keeps nothing: the same arguments give the same record
    wherever it is trained. ``command`` is what the record's history says.
    """
    from .simulation import simulate

    with _alone, tempfile.TemporaryDirectory() as folder:
        run = simulate(
            RunConfig.from_json(config), members=members, progress=False, command=command
        )
        path = Path(folder) / "block.nc"
        storage.save(run, path)
        return path.read_bytes()


def folder_of(target: Path) -> Path:
    """Where the blocks of a record are until it is whole."""
    return target.with_suffix(SUFFIX)


def finished(target: Path, notes: list[str]) -> set[int]:
    """Members whose blocks are whole; what is damaged is deleted, and named in ``notes``."""
    members: set[int] = set()
    for path in sorted(folder_of(target).glob("*.nc")):
        try:
            members.update(storage.load(path).member.values.tolist())
        except storage.RecordError as error:
            notes.append(f"{error}; its members are trained again")
            path.unlink()
    return members


def split(target: Path, config: RunConfig, done: set[int], size: int | None) -> list[Block]:
    """The members that are not ``done``, in blocks of at most ``size``.

    Blocks that are there may have had another size: what they lack is filled up.
    """
    found: list[Block] = []
    for member in range(config.members):
        if member in done:
            continue
        last = found[-1].members if found else range(0)
        if found and last.stop == member and (size is None or len(last) < size):
            found[-1] = Block(target, config, range(last.start, member + 1))
        else:
            found.append(Block(target, config, range(member, member + 1)))
    return found


def keep(block: Block, content: bytes) -> None:
    """Write what `train` returned: the record itself if it is whole, else a block of it."""
    path = block.target
    if not block.whole:
        name = f"{block.members[0]:05d}-{block.members[-1]:05d}.nc"
        path = folder_of(block.target) / name
    with storage.replacing(path) as temporary:
        temporary.write_bytes(content)


def join(target: Path) -> None:
    """Put the blocks of a record together, and delete them once it is safely on the disk.

    Raises ValueError where they are not of one run: a task's file, say, changed between them.
    """
    parts = [storage.load(path) for path in sorted(folder_of(target).glob("*.nc"))]
    try:
        run = joined(parts)
    except ValueError as error:
        raise ValueError(
            f"the blocks in {folder_of(target)} are not of one run, delete them to begin anew: "
            f"{error}"
        ) from error
    storage.save(run, target)
    remove(target)


def remove(target: Path) -> None:
    """Delete the blocks of a record, if there are any."""
    folder = folder_of(target)
    if folder.is_dir():
        shutil.rmtree(folder)
        storage.flush(folder.parent)


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """One record of records that have other members; ValueError if they differ in more."""
    same = [part.drop_attrs(deep=False).assign_attrs(_shared(part)) for part in parts]
    run = xr.concat(
        same,
        "member",
        data_vars="minimal",
        coords="minimal",
        compat="identical",
        join="exact",
        combine_attrs="identical",
    )
    first = parts[0]
    title = first.attrs["title"].replace(
        f"{first.sizes['member']} networks", f"{run.sizes['member']} networks", 1
    )
    own = {name: _each(part.attrs[name] for part in parts) for name in ("versions", "machine")}
    return run.assign_attrs({**first.attrs, **own, "title": title})


def _shared(part: xr.Dataset) -> dict[str, object]:
    """The attributes that all parts of a record have alike."""
    return {str(name): value for name, value in part.attrs.items() if name not in OWN}


def _each(texts: Iterable[str]) -> str:
    return "; and ".join(dict.fromkeys(texts))
