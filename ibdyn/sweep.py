"""Many records together: one file for each configuration, opened as one tree."""

from pathlib import Path

import xarray as xr

from . import storage


def open_sweep(folder: str | Path) -> xr.DataTree:
    """All records of a folder as a tree: one node for each file, named by the file's stem.

    Configurations may differ in their layers, members and steps, so nothing is aligned; what has
    a common shape can be brought together by ``xarray.concat``. Every file's content is checked
    against its hash.

    Raises FileNotFoundError for a folder that is none or holds no ``.nc`` file, and
    `storage.RecordError` for a file that is no record.
    """
    files = sorted(Path(folder).glob("*.nc"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .nc file, expected records of ibdyn")
    return xr.DataTree.from_dict({file.stem: storage.load(file) for file in files})
