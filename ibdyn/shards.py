"""An unfinished run on disk: immutable shards of rows, checkpoints, and a manifest of both.

The folder of a run holds ``manifest.jsonl``, ``shard-000001.nc``, ... and ``checkpoint-000001.nc``,
...; every file is written whole before the manifest names it, so what the manifest names is there
after a kill or a power cut. A line of the manifest has its own sha256, over itself and the line
before, and that of its file. The first line says what the run is.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import schema, storage
from .state import State
from .storage import RecordError

FORMAT = 1
MANIFEST = "manifest.jsonl"
SHARD, CHECKPOINT = "shard", "checkpoint"
Entry = dict[str, Any]
Row = Mapping[str, NDArray]


def folder_of(path: str | Path) -> Path:
    """The folder in which the run of a record works; ``path`` may be either."""
    path = Path(path)
    return path if path.suffix == storage.PARTIAL else path.with_name(path.name + storage.PARTIAL)


def target_of(folder: Path) -> Path:
    """The record that the run in ``folder`` will write."""
    return folder.with_name(folder.name.removesuffix(storage.PARTIAL))


@dataclass
class Work:
    """The folder of a run, held by this process alone until it is closed or ends."""

    folder: Path
    entries: list[Entry]
    lock: int | None
    notes: list[str] = field(default_factory=list)

    @property
    def header(self) -> Entry:
        """What the run is."""
        return self.entries[0]

    def close(self) -> None:
        """Let others work in the folder."""
        if self.lock is not None:
            os.close(self.lock)
        self.lock = None

    def remove(self) -> None:
        """Delete the folder, once the record is in place."""
        shutil.rmtree(self.folder)
        storage.flush(self.folder.parent)


def begin(folder: Path, header: Entry) -> Work:
    """Make the folder of a new run; raises OSError where this cannot be.

    Raises FileExistsError for a folder that holds a run, which is never overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder)
    if (folder / MANIFEST).exists():
        os.close(lock)
        raise FileExistsError(
            f"{folder} holds an unfinished run: go on with it by `ibdyn resume "
            f"{target_of(folder)}`, or delete the folder"
        )
    work = Work(folder, [], lock)
    _rewrite(work, [{"kind": "run", "format": FORMAT, **header}])
    return work


def reopen(folder: Path) -> Work:
    """The folder of an unfinished run, to go on with it.

    Raises FileNotFoundError where there is none, `storage.RecordError` for a damaged manifest and
    BlockingIOError while another process works there.
    """
    if not (folder / MANIFEST).is_file():
        target = target_of(folder)
        raise FileNotFoundError(
            f"{target} is complete, there is nothing to resume"
            if target.is_file()
            else f"{folder} holds no unfinished run, there is nothing to resume"
        )
    lock = locked(folder)
    try:
        return Work(folder, read_manifest(folder), lock)
    except BaseException:
        os.close(lock)
        raise


def locked(folder: Path) -> int:
    """A handle that keeps others out until the process ends; BlockingIOError where one is in."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise BlockingIOError(f"another process works in {folder}") from None
    return handle


def add(work: Work, rows: Sequence[Row], steps: Sequence[int], state: State) -> None:
    """Keep the ``rows`` of ``steps``, none or more, then a checkpoint of ``state``.

    Older checkpoints go once the new one has been read back, all but one. A failure, of a full disk
    say, raises OSError and leaves all that was kept before.
    """
    number = 1 + max((entry.get("number", 0) for entry in work.entries), default=0)
    found = []
    if rows:
        found.append((SHARD, _shard(rows, steps), {"first": int(steps[0]), "last": int(steps[-1])}))
    found.append((CHECKPOINT, _checkpoint(state), {"step": int(state.step)}))
    lines = []
    for kind, data, more in found:
        path = work.folder / f"{kind}-{number:06d}.nc"
        storage.write(data.assign_attrs({storage.KIND: kind}), path)
        storage.read(path, kind)
        lines.append(
            {"kind": kind, "file": path.name, "sha256": _sha256(path), "number": number, **more}
        )
    append(work, lines)
    for entry in of_kind(work.entries, CHECKPOINT)[:-2]:
        (work.folder / entry["file"]).unlink(missing_ok=True)


def restore(work: Work, wanted: Sequence[int]) -> tuple[State | None, list[int], list[Row]]:
    """State, steps and rows of the last checkpoint up to which everything is whole.

    ``wanted`` are the steps that the run records. None and no rows where there is no such
    checkpoint: the run begins anew. What comes after it is dropped from the folder, and what was
    damaged is named in ``work.notes``.
    """
    steps, rows = [], []
    for entry in of_kind(work.entries, SHARD):
        try:
            data = check(work.folder, entry)
        except (RecordError, FileNotFoundError) as error:
            work.notes.append(str(error))
            break
        steps += data.step.values.tolist()
        rows += _rows(data)
    for entry in reversed(of_kind(work.entries, CHECKPOINT)[-2:]):
        count = sum(step <= entry["step"] for step in wanted)
        if steps[:count] != list(wanted[:count]):
            continue
        try:
            state = _state(check(work.folder, entry))
        except (RecordError, FileNotFoundError) as error:
            work.notes.append(str(error))
            continue
        _drop_after(work, entry)
        return state, steps[:count], rows[:count]
    _drop_after(work, work.header)
    return None, [], []


def _drop_after(work: Work, last: Entry) -> None:
    """Forget the entries after ``last``, and delete files that no entry names."""
    _rewrite(work, work.entries[: work.entries.index(last) + 1])
    named = {MANIFEST, *(entry.get("file") for entry in work.entries)}
    for path in work.folder.iterdir():
        if path.name not in named:
            path.unlink()


def check(folder: Path, entry: Entry) -> xr.Dataset:
    """The file of a manifest's entry as written; FileNotFoundError, or RecordError if another."""
    path = folder / entry["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, the manifest names it")
    if _sha256(path) != entry["sha256"]:
        raise RecordError(f"{path} was changed or damaged: its sha256 is not the manifest's")
    return storage.read(path, entry["kind"])


def read_manifest(folder: Path) -> list[Entry]:
    """The entries of a manifest; a last line without an end was being written and does not count.

    Raises `storage.RecordError` where a line was changed, or the format is of a newer ibdyn.
    """
    path = folder / MANIFEST
    entries: list[Entry] = []
    lines = path.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            del entry["line_sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path} was changed or damaged in line {number}") from error
        entries.append(entry)
    for number, (line, expected) in enumerate(zip(lines, _lines(entries), strict=True), start=1):
        if line != expected:
            raise RecordError(f"{path} was changed or damaged in line {number}")
    if not entries or entries[0].get("kind") != "run":
        raise RecordError(f"{path} is no manifest of ibdyn: its first line names no run")
    if entries[0]["format"] != FORMAT:
        found = entries[0]["format"]
        age = "a newer" if found > FORMAT else "another"
        raise RecordError(f"{path} is of {age} ibdyn: its format is {found}, expected {FORMAT}")
    return entries


def of_kind(entries: Sequence[Entry], kind: str) -> list[Entry]:
    """The entries of shards, of checkpoints or of resumptions."""
    return [entry for entry in entries if entry["kind"] == kind]


def _lines(entries: Sequence[Entry]) -> list[bytes]:
    """The manifest's lines: each entry with the sha256 of all entries up to it."""
    digest, lines = hashlib.sha256(), []
    for entry in entries:
        digest.update(json.dumps(entry, sort_keys=True).encode())
        whole = {**entry, "line_sha256": digest.hexdigest()}
        lines.append(json.dumps(whole, sort_keys=True).encode())
    return lines


def _rewrite(work: Work, entries: list[Entry]) -> None:
    """Replace the manifest by one of these entries."""
    path = work.folder / MANIFEST
    with storage.replacing(path) as temporary:
        temporary.write_bytes(b"".join(line + b"\n" for line in _lines(entries)))
    work.entries = entries


def append(work: Work, entries: list[Entry]) -> None:
    """Add entries to the manifest, flushed to disk, all or none."""
    together = [*work.entries, *entries]
    text = b"".join(line + b"\n" for line in _lines(together)[len(work.entries) :])
    handle = os.open(work.folder / MANIFEST, os.O_WRONLY | os.O_APPEND)
    try:
        size = os.fstat(handle).st_size
        try:
            written = 0
            while written < len(text):
                written += os.write(handle, text[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)
    work.entries = together


def _shard(rows: Sequence[Row], steps: Sequence[int]) -> xr.Dataset:
    """Rows as recorded, stacked along a first axis ``step``."""
    variables = {}
    for name in rows[0]:
        stacked = np.stack([row[name] for row in rows])
        variables[name] = xr.Variable(("step", *schema.row_dims(name)), stacked)
    return xr.Dataset(variables, {"step": np.array(steps, dtype=np.int64)})


def _rows(shard: xr.Dataset) -> list[Row]:
    arrays = {str(name): variable.values for name, variable in shard.data_vars.items()}
    return [
        {name: array[i].copy() for name, array in arrays.items()} for i in range(len(shard.step))
    ]


def _checkpoint(state: State) -> xr.Dataset:
    arrays = {"parameters": state.parameters, "first": state.first, "second": state.second}
    return xr.Dataset(
        {name: (("member", "parameter"), array) for name, array in arrays.items()},
        attrs={"step": int(state.step)},
    )


def _state(checkpoint: xr.Dataset) -> State:
    theta, first, second = (
        np.ascontiguousarray(checkpoint[name].values) for name in ("parameters", "first", "second")
    )
    return State(theta, first, second, int(checkpoint.attrs["step"]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
