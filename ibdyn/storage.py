"""Records on disk: NetCDF files that are whole or not there, and say when they were damaged."""

import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from . import schema

HASH = "content_sha256"
COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}
# A small file can declare variables of any size; more than this is not read.
LARGEST_BYTES = 16 * 2**30


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
    """One line of a record's history: the time and the command."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {command}"


def save(run: xr.Dataset, path: str | Path) -> None:
    """Write a record to ``path``, compressed, with a hash of its content.

    The file appears whole or not at all, and an older one stays until then; whoever has it open
    keeps what they opened. Raises ValueError if ``run`` does not keep the schema.
    """
    schema.validate(run)
    run = run.assign_attrs({HASH: content_hash(run)})
    encoding = {name: COMPRESSION for name, v in run.variables.items() if v.size > 1}
    with _replacing(Path(path)) as temporary:
        run.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file in the same folder that becomes ``path`` if all goes well, else nothing.

    File and folder are flushed to disk, so that a power cut finds the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: str | Path) -> xr.Dataset:
    """Read a record into memory, after checking that it is what was saved.

    Raises FileNotFoundError, or RecordError for a file that is not NetCDF, not a record, of
    another schema version, or changed since it was written.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"record {path} does not exist")
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as file:
            if HASH not in file.attrs:
                raise RecordError(f"{path} is NetCDF but no ibdyn record: it has no {HASH}")
            if file.nbytes > LARGEST_BYTES:
                raise RecordError(f"{path} declares {file.nbytes} bytes, more than {LARGEST_BYTES}")
            run = file.load()
    except RecordError:
        raise
    except Exception as error:
        raise RecordError(f"{path} cannot be read as NetCDF: {error}") from error
    try:
        schema.validate(run)
    except ValueError as error:
        raise RecordError(f"{path} does not keep the record's schema: {error}") from error
    if run.attrs[HASH] != content_hash(run):
        raise RecordError(f"{path} was changed or damaged: its content does not match its {HASH}")
    for variable in run.variables.values():
        variable.encoding = {}
    return run


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
