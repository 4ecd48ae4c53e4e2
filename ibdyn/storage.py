"""NetCDF files that are whole or not there, and say when they were damaged."""

import hashlib
import os
import platform
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from . import schema, seals

HASH = "content_sha256"
# What a file is, if no record; see `ibdyn.shards`.
KIND = "ibdyn_kind"
# A run works in a folder beside its target, of this name more.
PARTIAL = ".partial"
COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}
# A small file can declare variables of any size; more than this is not read.
LARGEST_BYTES = 16 * 2**30
# HDF5 is not for several threads at once: no file is open but under this lock.
_alone = threading.RLock()


Stamp = tuple[int, int, int]


class RecordError(ValueError):
    """A file that is no readable record; the message names the file and what is wrong."""


def provenance(command: str) -> dict[str, object]:
    """Where a record comes from: command line, time, versions of what computed it."""
    packages = ("ibdyn", "numpy", "scipy", "torch", "numba", "xarray", "netcdf4")
    return {
        "Conventions": "CF-1.11",
        "schema_version": schema.VERSION,
        "source": f"ibdyn {version('ibdyn')}",
        "history": stamp(command),
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }


def stamp(command: str) -> str:
    """One line of a record's history: the time (UTC) and the command."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {command}"


def save(run: xr.Dataset, path: str | Path) -> None:
    """Write a record to ``path``, compressed, with a hash of its content, under a seal.

    The file appears whole or not at all, and an older one stays until then. Raises ValueError if
    ``run`` does not keep the schema, and OSError where the file cannot be written.
    """
    schema.validate(run)
    write(run, Path(path))


def write(data: xr.Dataset, path: Path) -> None:
    """Write any Dataset as `save` does, for `read` to check; OSError where it cannot be written."""
    data = data.compute()
    data = data.assign_attrs({HASH: content_hash(data)})
    encoding = {name: COMPRESSION for name, v in data.variables.items() if v.size > 1}
    with replacing(path) as temporary:
        try:
            with _alone:
                data.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        except RuntimeError as error:
            _raise_cause(temporary, data.nbytes)
            raise OSError(f"{path} cannot be written: {error}") from error
        seals.seal(temporary)


def _raise_cause(path: Path, size: int) -> None:
    """Raise what the system says to ``size`` bytes in a file: the NetCDF library does not tell."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, size))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file in the same folder that becomes ``path`` if all goes well, else nothing.

    File and folder are flushed to disk, so that a power cut finds the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Have the system bring a file or a folder's names to the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: str | Path) -> xr.Dataset:
    """Read a record into memory, after checking that it is what was saved.

    The bytes are held against the file's seal before NetCDF opens it (see `ibdyn.seals`), the
    content against its hash after.

    Raises FileNotFoundError, or RecordError for a file that is empty, truncated, of another kind,
    no record, of another schema version, or changed since it was written.
    """
    path = Path(path)
    run = _record(_open(path), path)
    _check(run, path)
    return run


def lazy(path: Path, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """Open a record whose values are read when looked at, so neither seal nor hash is compared.

    With ``chunks`` they are Dask arrays. Raises as `load` does, but for a change in the values; and
    RecordError when values are looked at in a file that is no longer the one that was opened.
    """
    run = _record(_open(path, lazily=True), path)
    return run if chunks is None else run.chunk(chunks)


def _record(run: xr.Dataset, path: Path) -> xr.Dataset:
    """The same, if it is a record that keeps the schema; else RecordError."""
    if KIND in run.attrs:
        raise RecordError(f"{path} is no record, but a {run.attrs[KIND]}")
    found = run.attrs.get("schema_version")
    if isinstance(found, np.integer) and found > schema.VERSION:
        raise RecordError(
            f"{path} is of a newer ibdyn: its schema_version is {found}, expected {schema.VERSION}"
        )
    try:
        schema.validate(run)
    except (ValueError, TypeError) as error:
        raise RecordError(f"{path} does not keep the record's schema: {error}") from error
    return run


def read(path: Path, kind: str) -> xr.Dataset:
    """Read what `write` wrote, of this ``kind``; raises as `load` does, but for the schema."""
    data = _open(path)
    if data.attrs.get(KIND) != kind:
        raise RecordError(f"{path} is no {kind}")
    _check(data, path)
    return data


def _open(path: Path, *, lazily: bool = False) -> xr.Dataset:
    """What a file of ours holds, in memory unless ``lazily``; its hash is not yet compared."""
    if not path.is_file():
        what = "is a folder, expected a file" if path.is_dir() else "does not exist"
        partial = path.with_name(path.name + PARTIAL)
        if partial.is_dir():
            what += f"; {partial} is its unfinished run: ibdyn resume {path}"
        raise FileNotFoundError(f"record {path} {what}")
    stamp = _stamp(path)
    if not lazily and (fault := seals.fault(path)):
        raise RecordError(f"{path} cannot be read as NetCDF: {fault}")
    try:
        with _alone, xr.open_dataset(path, engine="netcdf4", decode_times=False) as data:
            if HASH not in data.attrs:
                raise RecordError(f"{path} is NetCDF but no ibdyn record: it has no {HASH}")
            if lazily:
                data = _deferred(data, path, stamp)
            elif data.nbytes > LARGEST_BYTES:
                raise RecordError(f"{path} declares {data.nbytes} bytes, more than {LARGEST_BYTES}")
            else:
                data.load()
    except RecordError:
        raise
    except Exception as error:
        reason = (lazily and seals.fault(path)) or f"it is damaged ({error})"
        raise RecordError(f"{path} cannot be read as NetCDF: {reason}") from error
    for variable in data.variables.values():
        variable.encoding = {}
    return data


class _InFile(BackendArray):
    """A variable that stays in its file, which is open only while its values are read.

    A file left open would be closed by whichever thread lets go of it last, while another may be
    at work in the library.
    """

    def __init__(self, path: Path, name: str, variable: xr.Variable, stamp: Stamp) -> None:
        self.path, self.name, self.stamp = path, name, stamp
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray:
        with _alone, netCDF4.Dataset(self.path) as file:
            if _stamp(self.path) != self.stamp:
                raise RecordError(f"{self.path} is no longer the file that was opened")
            variable = file.variables[self.name]
            # What stands there: NaN is no gap, nor is any integer.
            variable.set_auto_mask(False)
            return np.asarray(variable[key]).astype(self.dtype, copy=False)


def _deferred(data: xr.Dataset, path: Path, stamp: Stamp) -> xr.Dataset:
    """The same Dataset, of whose file only the coordinates are in memory."""
    variables = {}
    for name, array in data.data_vars.items():
        values = indexing.LazilyIndexedArray(_InFile(path, str(name), array.variable, stamp))
        variables[name] = xr.Variable(array.dims, values, array.attrs)
    return data.drop_vars(data.data_vars).load().assign(variables)


def _stamp(path: Path) -> Stamp:
    """What tells a file from another one that takes its place."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check(data: xr.Dataset, path: Path) -> None:
    if str(data.attrs[HASH]) != content_hash(data):
        raise RecordError(f"{path} was changed or damaged: its content does not match its {HASH}")


def content_hash(run: xr.Dataset) -> str:
    """sha256 over names, dims, dtypes, values and attributes, in sorted order."""
    digest = hashlib.sha256()
    for name in sorted(run.variables, key=str):
        values = run[name].values
        if values.dtype.kind in "UTO":
            values = np.array([str(v) for v in values.ravel()]).reshape(values.shape)
            data, dtype = "\0".join(values.ravel().tolist()).encode(), "text"
        else:
            data = np.ascontiguousarray(values).tobytes()
            dtype = values.dtype.newbyteorder("<").str
        digest.update(f"{name} {run[name].dims} {values.shape} {dtype} ".encode())
        digest.update(data)
        digest.update(_text(run[name].attrs))
    digest.update(_text({k: v for k, v in run.attrs.items() if k != HASH}))
    return digest.hexdigest()


def _text(attrs: dict) -> bytes:
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()}
    return repr(sorted(plain.items(), key=str)).encode()
