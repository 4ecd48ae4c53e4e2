"""Damaged files, a hundred or a thousand: each is the record that was saved, or named as bad."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import seals, storage, verification

ROOT = Path(__file__).parent.parent

# In a process of its own: a library in C may crash on what it cannot read, or never be done.
READ_DAMAGED = """
    import faulthandler, json, sys
    from pathlib import Path
    import numpy as np
    import ibdyn
    from ibdyn import storage

    folder = Path(sys.argv[1])
    good, rng = (folder / "good.nc").read_bytes(), np.random.default_rng(int(sys.argv[2]))
    record = ibdyn.load(folder / "good.nc")
    for number in range(int(sys.argv[3])):
        damaged = bytearray(good)
        place = int(rng.integers(len(good)))
        if number % 4 == 0:
            damaged = damaged[:place]
        elif number % 4 == 1:
            damaged[place] ^= 1 << int(rng.integers(8))
        elif number % 4 == 2:
            for i in rng.integers(len(good), size=10):
                damaged[i] ^= 1 << int(rng.integers(8))
        else:
            damaged[place : place + 500] = rng.bytes(len(damaged[place : place + 500]))
        path = folder / f"{number}.nc"
        path.write_bytes(damaged)
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            told = "same" if ibdyn.load(path).identical(record) else "WRONG"
        except storage.RecordError as error:
            told = str(error)
        print(json.dumps([place, told]), flush=True)
"""


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_files_are_each_the_record_or_an_error_that_says_so(run, tmp_path, count):
    ibdyn.save(run, tmp_path / "good.nc")
    seed = str(np.random.SeedSequence().entropy % 2**32)
    command = [sys.executable, "-c", textwrap.dedent(READ_DAMAGED), str(tmp_path), seed, str(count)]
    with (tmp_path / "told").open("w") as told:
        done = subprocess.run(
            command, stdout=told, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert done.returncode == 0, (seed, len(told), done.stderr)
    assert len(told) == count
    unsealed = (tmp_path / "good.nc").stat().st_size - seals.SIZE
    for number, (place, one) in enumerate(told):
        assert one == "same" or f"{number}.nc" in one, (seed, number, one)
        if number % 4 == 0 and place != unsealed:
            assert "truncated" in one or "is empty" in one or "another kind" in one, (seed, one)


def test_damage_is_found_before_the_library_of_hdf5_sees_it(run, tmp_path, monkeypatch):
    path, opened = tmp_path / "run.nc", []
    ibdyn.save(run, path)
    good = path.read_bytes()
    ends = len(good) - seals.SIZE, len(good)
    with monkeypatch.context() as patched:
        patched.setattr(xr, "open_dataset", lambda *_, **__: opened.append(path))
        for place in (*range(50), *range(50, ends[0], 997), *range(*ends)):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            with pytest.raises(storage.RecordError, match=r"run.nc cannot be .* it is damaged, "):
                ibdyn.load(path)
        for size in (36, *range(50, ends[0], 997), *range(ends[0] + 1, ends[1])):
            path.write_bytes(good[:size])
            with pytest.raises(storage.RecordError, match=f"truncated, {size} bytes of {ends[1]}"):
                ibdyn.load(path)
    assert not opened
    path.write_bytes(good[: ends[0]])
    assert ibdyn.load(path).identical(run.assign_attrs(ibdyn.load(path).attrs))


def test_others_read_a_sealed_file_and_what_they_change_is_unsealed(run, tmp_path):
    path = tmp_path / "run.nc"
    ibdyn.save(run, path)
    sealed = path.read_bytes()
    assert sealed[-seals.SIZE :].startswith(seals.MARK)
    with xr.open_dataset(path) as others:
        assert others.loss.equals(run.loss)
    assert path.read_bytes() == sealed
    with netCDF4.Dataset(path, "a") as file:
        file["loss"].comment = "read"
        del file["loss"].comment
    assert seals.MARK not in path.read_bytes()
    assert ibdyn.load(path).loss.identical(run.loss)


def with_attribute(name, value):
    return lambda run: run.assign_attrs({name: value})


ALTERED = {
    "loss of text": lambda r: r.assign(loss=r.loss.astype(str).assign_attrs(r.loss.attrs)),
    "loss in bits": lambda r: r.assign(loss=r.loss.assign_attrs(units="bit")),
    "loss without a split": lambda r: r.assign(loss=r.loss.isel(split=0, drop=True)),
    "loss with a dim more": lambda r: r.assign(loss=r.loss.expand_dims("more", 1)),
    "names that are numbers": lambda r: r.assign_coords(layer=np.arange(r.sizes["layer"])),
    "steps that are text": lambda r: r.assign_coords(step=r.step.astype(str)),
    "units that are numbers": lambda r: r.assign(loss=r.loss.assign_attrs(units=[1, 2])),
    "a version that is text": with_attribute("schema_version", "one"),
    "a version that is many": with_attribute("schema_version", [1, 1]),
    "an older version": with_attribute("schema_version", 0),
    "nothing but attributes": lambda r: xr.Dataset(attrs=r.attrs),
}


@pytest.mark.parametrize("what", ALTERED)
def test_whole_files_that_are_no_records_are_errors_too(run, tmp_path, what):
    path = tmp_path / "altered.nc"
    storage.write(ALTERED[what](run), path)
    with pytest.raises(storage.RecordError, match=r"altered.nc does not keep the record's schema"):
        ibdyn.load(path)


def test_each_kind_of_bad_file_is_called_by_its_name(run, tmp_path):
    path = tmp_path / "run.nc"
    ibdyn.save(run, path)
    good = path.read_bytes()
    assert "complete record, spherical_rule: 3 networks 12-5-3-2" in verification.verify(path)
    for content, name in (
        (b"", "it is empty"),
        (b"\x89PNG and so on", "it is of another kind"),
        (good[:20], "it is truncated, 20 bytes of more"),
        (good[:-1], f"it is truncated, {len(good) - 1} bytes of {len(good)}"),
        (good[:100] + b"?" * 2000 + good[2100:], "it is damaged"),
    ):
        (tmp_path / "bad.nc").write_bytes(content)
        with pytest.raises(storage.RecordError, match=name):
            verification.verify(tmp_path / "bad.nc")
    xr.Dataset({"a": 1}).to_netcdf(path)
    with pytest.raises(storage.RecordError, match="is NetCDF but no ibdyn record"):
        verification.verify(path)
    storage.write(run.assign_attrs(schema_version=2), path)
    with pytest.raises(storage.RecordError, match="is of a newer ibdyn: its schema_version is 2"):
        verification.verify(path)
    for gone in (tmp_path / "gone.nc", tmp_path):
        with pytest.raises(FileNotFoundError):
            verification.verify(gone)
