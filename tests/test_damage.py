"""Damaged files, a hundred or a thousand: each is the record that was saved, or named as bad."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import storage, verification

ROOT = Path(__file__).parent.parent

# In a process of its own: a library in C may crash on what it cannot read.
READ_DAMAGED = """
    import json, sys
    from pathlib import Path
    import numpy as np
    import ibdyn
    from ibdyn import storage

    folder = Path(sys.argv[1])
    good, rng = (folder / "good.nc").read_bytes(), np.random.default_rng(int(sys.argv[2]))
    record, told = ibdyn.load(folder / "good.nc"), []
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
        try:
            told.append("same" if ibdyn.load(path).identical(record) else "WRONG")
        except storage.RecordError as error:
            told.append(str(error))
    print(json.dumps(told))
"""


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_files_are_each_the_record_or_an_error_that_says_so(run, tmp_path, count):
    ibdyn.save(run, tmp_path / "good.nc")
    seed = str(np.random.SeedSequence().entropy % 2**32)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ_DAMAGED), str(tmp_path), seed, str(count)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, (seed, done.stderr)
    told = json.loads(done.stdout)
    assert len(told) == count
    assert "WRONG" not in told, seed
    for number, one in enumerate(told):
        assert one == "same" or f"{number}.nc" in one, (seed, one)
        if number % 4 == 0:
            assert "truncated" in one or "is empty" in one or "another kind" in one, (seed, one)


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
