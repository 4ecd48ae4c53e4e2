"""Records of different members of one ensemble, joined into one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from . import schema, storage

# What members of one ensemble share, beside the variables without a member.
SHARED = ("config", "task", "batch_size", "train_size", "steps_per_epoch", "seed")


def join(records: Sequence[xr.Dataset | str | Path]) -> xr.Dataset:
    """The ensemble of several records, Datasets or files, sorted by member.

    They must hold different members of the same experiment: the same settings, examples, layers,
    estimators and steps. ``complete`` is that of the least complete; what else differs among the
    attributes is listed line by line.

    Raises ValueError, naming the record (its file, or its place) and what is wrong with it, and
    FileNotFoundError for a file that is not there.
    """
    if isinstance(records, xr.Dataset | str | Path) or not len(records):
        raise ValueError("records are none, or only one, expected a list of them")
    runs = {
        f"record {i} ({r})" if isinstance(r, str | Path) else f"record {i}": (
            storage.load(r) if isinstance(r, str | Path) else r
        )
        for i, r in enumerate(records)
    }
    first_name, first = next(iter(runs.items()))
    owner: dict[int, str] = {}
    for name, run in runs.items():
        schema.validate(run)
        for member in run.member.values.tolist():
            if member in owner:
                raise ValueError(f"member {member} of {name} is in {owner[member]} already")
            owner[member] = name
        difference = _difference(run, first)
        if difference:
            raise ValueError(f"{name} differs from {first_name}: {difference}")
    joined = xr.concat(
        list(runs.values()),
        "member",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    ).sortby("member")
    joined.attrs = _attributes([run.attrs for run in runs.values()])
    schema.validate(joined)
    return joined


def _difference(run: xr.Dataset, first: xr.Dataset) -> str | None:
    """What of ``run`` does not belong to the ensemble of ``first``."""
    for name in ("step", "layer", "estimator"):
        if run[name].values.tolist() != first[name].values.tolist():
            return f"{name} is {_short(run[name].values)}, expected {_short(first[name].values)}"
    odd = set(map(str, run.variables)) ^ set(map(str, first.variables))
    if odd:
        return f"only one of them has {sorted(odd)}"
    for name in SHARED:
        found, expected = run.attrs.get(name), first.attrs.get(name)
        if found != expected:
            return f"{name} is {found}, expected {expected}"
    for key, variable in first.variables.items():
        if "member" not in variable.dims and not variable.identical(run[key].variable):
            what = "probe set" if key in ("x", "p_x", "p_y_given_x") else "variable"
            return f"another {what}, by {key!r}"
    return None


def _short(values: np.ndarray) -> str:
    names = [str(value) for value in values.tolist()]
    return ", ".join(names if len(names) < 9 else [*names[:3], "...", *names[-3:]])


def _attributes(all_attrs: Sequence[dict]) -> dict:
    """Attributes of all: where they differ, each value once, line by line."""
    attrs = {key: value for key, value in all_attrs[0].items() if key != storage.HASH}
    for key in attrs:
        values = list(dict.fromkeys(str(one.get(key)) for one in all_attrs))
        if key == "complete":
            attrs[key] = min(int(one.get(key, 0)) for one in all_attrs)
        elif len(values) > 1:
            attrs[key] = "\n".join(values)
    return attrs
