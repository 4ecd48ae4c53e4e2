"""What a file of ours is, and whether it is as it was written."""

from pathlib import Path

from . import shards, storage
from .config import RunConfig


def verify(path: str | Path) -> str:
    """Say what a file or the folder of a run is, once all of it matches its hashes.

    Raises FileNotFoundError for what is missing, and `storage.RecordError` for what is damaged,
    truncated, of another kind or of a newer ibdyn.
    """
    path = Path(path)
    if path.name == shards.MANIFEST or path.is_dir():
        return _run(path if path.is_dir() else path.parent)
    for kind in (shards.SHARD, shards.CHECKPOINT):
        if path.match(f"*{storage.PARTIAL}/{kind}-*.nc"):
            return _part(path, kind)
    run = storage.load(path)
    state = "complete" if run.attrs.get("complete") else "incomplete"
    return (
        f"{path}: {state} record, {run.attrs['title']}, {run.sizes['step']} steps to epoch "
        f"{run.epoch.values[-1]:g}, written by {run.attrs['source']}; content matches its hash"
    )


def _part(path: Path, kind: str) -> str:
    """A shard or a checkpoint by itself: its content, and what the manifest says of the file."""
    data = storage.read(path, kind)
    if kind == shards.SHARD:
        what = f"shard of {data.sizes['step']} rows, steps {data.step[0]:d} to {data.step[-1]:d}"
    else:
        what = f"checkpoint at step {data.attrs['step']}"
    named = [e for e in shards.read_manifest(path.parent) if e.get("file") == path.name]
    if not named:
        return f"{path}: {what}; content matches its hash, but no manifest names it"
    shards.check(path.parent, named[0])
    return f"{path}: {what}; content matches its hash and that in the manifest"


def _run(folder: Path) -> str:
    """An unfinished run, with every shard and the checkpoints that are still there."""
    if not (folder / shards.MANIFEST).is_file():
        raise FileNotFoundError(f"{folder} holds no {shards.MANIFEST}, so it is no unfinished run")
    entries = shards.read_manifest(folder)
    parts = shards.of_kind(entries, shards.SHARD)
    checkpoints = shards.of_kind(entries, shards.CHECKPOINT)
    rows = sum(shards.check(folder, entry).sizes["step"] for entry in parts)
    for entry in checkpoints[-2:]:
        shards.check(folder, entry)
    step = checkpoints[-1]["step"] if checkpoints else 0
    config = RunConfig.from_json(entries[0]["config"])
    return (
        f"{folder}: unfinished run of {config.members} members and {config.epochs} epochs, "
        f"{rows} rows in {len(parts)} shards, checkpoint at step {step}; all files match the "
        f"manifest; go on with: ibdyn resume {shards.target_of(folder)}"
    )
