"""The folder of an unfinished run: what it was given it gives back, or says what is damaged."""

import errno
import json
import os

import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import shards, storage
from ibdyn.state import State

WANTED = [0, 1, 5, 9, 20]


def row(step):
    """A row with the numbers that are hard to keep: NaN, -0, infinity, subnormal."""
    loss = np.array([[np.nan, -0.0, step], [np.inf, 5e-324, -step]])
    return {"loss": loss, "parameters": np.full((3, 4), step + 0.1, np.float32)}


def state(step):
    rng = np.random.default_rng(step)
    arrays = rng.standard_normal((3, 3, 4)).astype(np.float32)
    return State(*arrays, step)


@pytest.fixture
def work(tmp_path):
    """A run kept at steps 1, 7 (which is not recorded) and 9."""
    work = shards.begin(tmp_path / "run.nc.partial", {"config": "{}", "history": "then"})
    shards.add(work, [row(0), row(1)], [0, 1], state(1))
    shards.add(work, [row(5)], [5], state(7))
    shards.add(work, [row(9)], [9], state(9))
    yield work
    work.close()


def again(work):
    """The same folder, by another process as it were."""
    work.close()
    opened = shards.reopen(work.folder)
    work.lock = opened.lock
    return opened


def restored(work):
    opened = again(work)
    return opened, *shards.restore(opened, WANTED)


def assert_kept(found, steps, rows, step):
    assert found.step == step
    for name in ("parameters", "first", "second"):
        assert getattr(found, name).tobytes() == getattr(state(step), name).tobytes()
    assert steps == [s for s in WANTED if s <= step]
    for one, at in zip(rows, steps, strict=True):
        assert one.keys() == row(at).keys()
        for name, values in row(at).items():
            assert one[name].dtype == values.dtype
            assert one[name].tobytes() == values.tobytes()


def test_state_and_rows_come_back_to_the_byte(work):
    opened, found, steps, rows = restored(work)
    assert_kept(found, steps, rows, 9)
    assert not opened.notes
    assert opened.header["history"] == "then"


def test_checkpoints_older_than_the_previous_are_deleted(work):
    names = sorted(path.name for path in work.folder.iterdir())
    assert names == [
        "checkpoint-000002.nc",
        "checkpoint-000003.nc",
        "manifest.jsonl",
        "shard-000001.nc",
        "shard-000002.nc",
        "shard-000003.nc",
    ]


def test_a_damaged_checkpoint_is_named_and_the_previous_one_serves(work):
    path = work.folder / "checkpoint-000003.nc"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    opened, found, steps, rows = restored(work)
    assert_kept(found, steps, rows, 7)
    assert "checkpoint-000003.nc was changed or damaged" in opened.notes[0]
    assert not path.exists()
    assert not (work.folder / "shard-000003.nc").exists()
    # What was dropped can be made again.
    shards.add(opened, [row(9)], [9], state(9))
    assert_kept(*restored(work)[1:], 9)


@pytest.mark.parametrize(
    "lost", [["shard-000001.nc"], ["checkpoint-000002.nc", "checkpoint-000003.nc"]]
)
def test_a_run_begins_anew_where_nothing_whole_is_left(work, lost):
    for name in lost:
        (work.folder / name).unlink()
    opened, found, steps, rows = restored(work)
    assert (found, steps, rows) == (None, [], [])
    assert [note.split("/")[-1].split()[0] for note in opened.notes] == lost[::-1]
    assert [path.name for path in work.folder.iterdir()] == ["manifest.jsonl"]


def test_a_line_that_was_being_written_does_not_count(work):
    manifest = work.folder / "manifest.jsonl"
    text = manifest.read_bytes()
    lines = text.splitlines(keepends=True)
    # Cut inside the last line, a checkpoint's: its shard's line stands, and its rows are dropped.
    for cut in (1, 20, len(lines[-1])):
        manifest.write_bytes(text[:-cut])
        entries = shards.read_manifest(work.folder)
        assert entries[-1]["kind"] == "shard"
    assert_kept(*restored(work)[1:], 7)


def test_a_damaged_byte_of_a_manifest_is_found_wherever_it_is(work):
    manifest = work.folder / "manifest.jsonl"
    text = manifest.read_bytes()
    entries = shards.read_manifest(work.folder)
    for i in [*range(0, len(text) - 1, 4), len(text) - 1]:
        manifest.write_bytes(text[:i] + bytes([text[i] ^ 1 << i % 8]) + text[i + 1 :])
        if i == len(text) - 1:
            assert shards.read_manifest(work.folder) == entries[:-1]
        else:
            with pytest.raises(storage.RecordError, match=r"damaged in line|names no run"):
                shards.read_manifest(work.folder)


def test_manifests_of_other_formats_are_named(work):
    manifest = work.folder / "manifest.jsonl"
    future = [{**work.entries[0], "format": 2}]
    manifest.write_bytes(shards._lines(future)[0] + b"\n")
    with pytest.raises(storage.RecordError, match="is of a newer ibdyn: its format is 2"):
        again(work)
    for text in (b"", json.dumps({"line_sha256": ""}).encode() + b"\n", b"[]\n", b"\xff\n"):
        manifest.write_bytes(text)
        with pytest.raises(storage.RecordError, match=r"manifest.jsonl"):
            shards.read_manifest(work.folder)


def test_one_process_works_in_a_folder(work):
    with pytest.raises(BlockingIOError, match="another process works in"):
        shards.reopen(work.folder)
    with pytest.raises(BlockingIOError, match="another process works in"):
        shards.begin(work.folder, {})
    again(work)


def test_a_run_is_never_overwritten(work):
    work.close()
    with pytest.raises(FileExistsError, match=r"ibdyn resume .*run.nc`, or delete"):
        shards.begin(work.folder, {})
    work.lock = shards.reopen(work.folder).lock


def full(after):
    """A writer of NetCDF on a disk that is full once it has written ``after`` files."""
    to_netcdf, calls = xr.Dataset.to_netcdf, []

    def write(data, path, **options):
        calls.append(1)
        to_netcdf(data, path, **options)
        if len(calls) > after:
            os.truncate(path, os.path.getsize(path) // 2)
            raise OSError(errno.ENOSPC, "No space left on device")

    return write


@pytest.mark.parametrize("after", [0, 1])
def test_a_disk_that_fills_in_the_middle_of_a_file_costs_nothing_that_was_kept(
    work, monkeypatch, after
):
    before = {path.name: path.read_bytes() for path in work.folder.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_netcdf", full(after))
        with pytest.raises(OSError, match="No space left"):
            shards.add(work, [row(20)], [20], state(20))
    now = {path.name: path.read_bytes() for path in work.folder.iterdir()}
    assert before.items() <= now.items()
    assert not [name for name in now if name.startswith(".")]
    shards.add(work, [row(20)], [20], state(20))
    assert_kept(*restored(work)[1:], 20)


def test_a_disk_that_fills_in_the_middle_of_a_line_leaves_the_manifest(work, monkeypatch):
    before, write = (work.folder / "manifest.jsonl").read_bytes(), os.write

    def full(handle, text):
        if len(text) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, text[: len(text) - 40])

    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            shards.add(work, [row(20)], [20], state(20))
    assert (work.folder / "manifest.jsonl").read_bytes() == before
    shards.add(work, [row(20)], [20], state(20))
    assert_kept(*restored(work)[1:], 20)


def test_a_checkpoint_that_cannot_be_read_back_replaces_none(work, monkeypatch):
    read = storage.read

    def spoilt(path, kind):
        if kind == "checkpoint":
            path.write_bytes(b"")
        return read(path, kind)

    monkeypatch.setattr(storage, "read", spoilt)
    with pytest.raises(storage.RecordError, match="it is empty"):
        shards.add(work, [row(20)], [20], state(20))
    monkeypatch.undo()
    assert_kept(*restored(work)[1:], 9)


def test_parts_of_a_run_are_no_records(work):
    with pytest.raises(storage.RecordError, match="is no record, but a shard"):
        ibdyn.load(work.folder / "shard-000001.nc")
    with pytest.raises(storage.RecordError, match="is no checkpoint"):
        storage.read(work.folder / "shard-000001.nc", "checkpoint")
    with pytest.raises(FileNotFoundError, match=r"does not exist; .* ibdyn resume"):
        ibdyn.load(work.folder.with_name("run.nc"))
    with pytest.raises(FileNotFoundError, match="is a folder, expected a file"):
        ibdyn.load(work.folder)


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no unfinished run"):
        shards.reopen(tmp_path / "run.nc.partial")
