"""Files: exact round trips, atomic writes, and an error that says what is wrong with a file."""

import stat

import netCDF4
import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import schema, storage


@pytest.fixture
def path(run, tmp_path):
    ibdyn.save(run, tmp_path / "run.nc")
    return tmp_path / "run.nc"


def test_a_file_gives_the_record_back(run, path):
    loaded = ibdyn.load(path)
    digest = loaded.attrs.pop(storage.HASH)
    assert digest == storage.content_hash(run)
    xr.testing.assert_identical(loaded, run)
    for name in run.variables:
        assert loaded[name].dtype.kind == run[name].dtype.kind, name


def test_a_loaded_record_can_be_saved_again(path, tmp_path):
    ibdyn.save(ibdyn.load(path), tmp_path / "again.nc")
    xr.testing.assert_identical(ibdyn.load(tmp_path / "again.nc"), ibdyn.load(path))


def test_a_file_has_the_permissions_of_any_new_file(path, tmp_path):
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_failed_write_leaves_the_old_file_and_no_other(run, path, monkeypatch):
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ibdyn.save(run, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["run.nc"]


def test_a_reader_keeps_the_file_that_it_opened(run, path):
    with netCDF4.Dataset(path) as reader:
        ibdyn.save(run.isel(member=[0]), path)
        assert reader.dimensions["member"].size == 3
    assert ibdyn.load(path).sizes["member"] == 1


def test_saving_makes_the_folder(run, tmp_path):
    ibdyn.save(run, tmp_path / "a" / "b" / "run.nc")
    assert (tmp_path / "a" / "b" / "run.nc").is_file()


def test_files_that_are_no_records_are_named(run, path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"record .*gone.nc does not exist"):
        ibdyn.load(tmp_path / "gone.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(storage.RecordError, match=r"text.nc cannot be read as NetCDF"):
        ibdyn.load(tmp_path / "text.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "foreign.nc")
    with pytest.raises(storage.RecordError, match=r"foreign.nc is NetCDF but no ibdyn record"):
        ibdyn.load(tmp_path / "foreign.nc")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(storage.RecordError, match=r"run.nc cannot be read as NetCDF"):
        ibdyn.load(path)


def test_a_future_schema_is_named(path):
    with netCDF4.Dataset(path, "a") as file:
        file.schema_version = 99
    with pytest.raises(storage.RecordError, match="schema_version is 99, expected 1"):
        ibdyn.load(path)


@pytest.mark.parametrize("name", ["loss", "parameters", "in_train", "epoch", "member"])
def test_a_changed_value_is_found(path, name):
    with netCDF4.Dataset(path, "a") as file:
        values = file[name][...]
        index = (0,) * values.ndim
        file[name][index] = values[index] + 1 if name == "epoch" else 7
    with pytest.raises(storage.RecordError, match=r"was changed or damaged|does not ascend"):
        ibdyn.load(path)


def test_changed_attributes_are_found(path):
    with netCDF4.Dataset(path, "a") as file:
        file["loss"].long_name = "gain"
    with pytest.raises(storage.RecordError, match="was changed or damaged"):
        ibdyn.load(path)


def test_a_file_that_declares_too_much_is_not_read(path, monkeypatch):
    monkeypatch.setattr(storage, "LARGEST_BYTES", 1000)
    with pytest.raises(storage.RecordError, match=r"declares \d+ bytes, more than 1000"):
        ibdyn.load(path)


def test_no_float_is_stored_without_compression(path):
    with netCDF4.Dataset(path) as file:
        for name, variable in file.variables.items():
            if variable.size > 1 and variable.dtype is not str:
                assert variable.filters()["zlib"], name


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda r: r.drop_vars("loss"), "'loss' is missing from the record"),
        (lambda r: r.assign(loss=r.loss.mean("split", keep_attrs=True)), "'loss' has dims"),
        (lambda r: r.assign(loss=r.loss.assign_attrs(units="bit")), "units 'bit', expected 'nat'"),
        (lambda r: r.assign(loss=r.loss.astype(str).assign_attrs(r.loss.attrs)), "has dtype <U"),
        (lambda r: r.isel(step=[1, 0]), "'step' does not ascend"),
        (lambda r: r.isel(member=[0, 0]), "'member' has repeated names"),
        (lambda r: r.assign_attrs(schema_version=0), "schema_version is 0, expected 1"),
    ],
)
def test_a_dataset_that_breaks_the_schema_is_not_saved(run, tmp_path, broken, message):
    with pytest.raises(ValueError, match=message):
        ibdyn.save(broken(run), tmp_path / "run.nc")
    assert not list(tmp_path.iterdir())


def test_variables_of_the_users_own_pass(run, tmp_path):
    own = run.assign(curvature=run.gradient_mean * 2)
    ibdyn.save(own, tmp_path / "run.nc")
    assert np.array_equal(ibdyn.load(tmp_path / "run.nc").curvature, own.curvature)


def test_arrays_outside_the_schema_are_refused():
    with pytest.raises(ValueError, match=r"\['gain'\] are not in the schema"):
        schema.dataset({"gain": np.zeros(3)}, {}, {})
