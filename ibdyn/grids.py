"""What a sweep is made of: fields that all configurations share, and a grid of the others."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import pydantic
import tomli_w

from . import presets
from .config import RunConfig, explain

Fields = Mapping[str, Any]
# A name begins with its number in the grid, so that it is the only one however it is cut.
LONGEST_NAME = 64
# Settings of the sweep itself, beside the fields of a configuration.
PRESET, GRID, BLOCK = "preset", "grid", "block"


@dataclass(frozen=True)
class Sweep:
    """Configurations that share ``base`` and take each combination of values in ``grid``.

    ``base`` has fields of a `RunConfig`, nested as in its TOML; what it leaves out has its default.
    ``grid`` has the values of further fields, or of fields in place of the base's, under names with
    dots where they are nested ("task.bits"); the last field changes fastest. ``block`` is the
    number of members that are trained together, all of a configuration unless given.

    Raises ValueError, naming the field, for one that does not exist, has no values, one of them
    twice, or any that do not make a configuration.
    """

    base: Fields = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    block: int | None = None

    def __post_init__(self) -> None:
        check_block(self.block)
        for path, value in leaves(self.base):
            _check_path(path, path)
            if any(other.startswith(f"{path}.") for other in self.grid):
                raise ValueError(f"{path}: expected a table of fields, found {value!r}")
        for path, values in self.grid.items():
            _check_path(path, f"{GRID}.{path}")
            _check_values(f"{GRID}.{path}", values)
            for other in self.grid:
                if path.startswith(f"{other}."):
                    raise ValueError(f"{GRID} has both {other} and its {path}, expected one")
        self.to_toml()
        len(self.configs)

    @cached_property
    def configs(self) -> dict[str, RunConfig]:
        """Configurations by their names, in the order of the grid; ValueError for an unfit one."""
        found = {}
        size = 1
        for values in self.grid.values():
            size *= len(values)
        for number, values in enumerate(product(*self.grid.values())):
            chosen = dict(zip(self.grid, values, strict=True))
            name = _name(number, len(str(size - 1)), chosen)
            fields = dict(self.base)
            for path, value in chosen.items():
                fields = _with(fields, path.split("."), value)
            try:
                found[name] = RunConfig.model_validate(fields)
            except pydantic.ValidationError as error:
                raise ValueError(f"configuration {name}: {explain(error)}") from error
        return found

    @classmethod
    def from_toml(cls, text: str) -> "Sweep":
        """Read a TOML text: fields of a configuration, `preset`, `block` and a table `[grid]`.

        Raises ValueError as the class does, and for a field that is both in the grid and beside
        it; a preset's may be in the grid.
        """
        fields = tomllib.loads(text)
        grid = _flat_grid(fields.pop(GRID, {}))
        block, name = fields.pop(BLOCK, None), fields.pop(PRESET, None)
        for path, _ in leaves(fields):
            for other in grid:
                if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                    raise ValueError(f"{other} is in the {GRID} and beside it, expected one")
        base = fields if name is None else _merged(presets.preset(name).model_dump(), fields)
        return cls(base, grid, block)

    def to_toml(self) -> str:
        """The definition as TOML, with a preset's fields in its place; `from_toml` reads it.

        Raises ValueError for what TOML cannot say, such as a None in the grid.
        """
        base = _without_none(self.base)
        for path in self.grid:
            base = _without(base, path.split("."))
        grid = {}
        for path, values in self.grid.items():
            grid[path] = ["full" if v is None and path == "batch_size" else v for v in values]
            if None in grid[path]:
                raise ValueError(f"{GRID}.{path}: None has no form in TOML, expected a value")
        block = {} if self.block is None else {BLOCK: self.block}
        try:
            return tomli_w.dumps({**block, **base, GRID: grid})
        except TypeError as error:
            raise ValueError(f"{error}, expected numbers, texts, lists and tables") from error


def check_block(block: object) -> None:
    """Raise ValueError unless ``block`` is a number of members, or None."""
    if block is not None and not (type(block) is int and block > 0):
        raise ValueError(f"{BLOCK}: {block!r} is no number of members, expected 1 or more")


def differences(there: str, here: str) -> list[str]:
    """What two definitions in TOML have apart, one line for each field; blocks do not count."""
    old, new = (dict(leaves(tomllib.loads(text))) for text in (there, here))
    return [
        f"{path} is {old.get(path, 'not given')} there, {new.get(path, 'not given')} here"
        for path in {**old, **new}
        if path != BLOCK and old.get(path) != new.get(path)
    ]


def leaves(fields: Fields, above: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, and values, of all fields that are not tables."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _flat_grid(grid: object) -> dict[str, Any]:
    """The table [grid], whose nested tables are fields with dots."""
    if not isinstance(grid, Mapping):
        raise ValueError(f"{GRID}: expected a table of fields and lists of values, found {grid!r}")
    return dict(leaves(grid))


def _check_path(path: str, shown: str) -> None:
    model: Any = RunConfig
    for part in path.split("."):
        known = getattr(model, "model_fields", {})
        if part not in known:
            raise ValueError(f"{shown} is no field of a configuration")
        model = known[part].annotation


def _check_values(shown: str, values: object) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError(f"{shown}: expected a list of values, found {values!r}")
    if not values:
        raise ValueError(f"{shown}: the list of values is empty")
    seen = set()
    for value in values:
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            raise ValueError(f"{shown}: {value!r} appears more than once")
        seen.add(text)


def _name(number: int, digits: int, chosen: Fields) -> str:
    """A file's stem that people can read: the number in the grid, then fields and values."""
    words = [f"{number:0{digits}d}"]
    for path, value in chosen.items():
        parts = [str(v) for _, v in leaves({path: value})]
        words += [path.rpartition(".")[2], *parts]
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words))[:LONGEST_NAME].rstrip("-.")


def _with(fields: Fields, path: Sequence[str], value: object) -> dict[str, Any]:
    """Fields with the one at ``path`` put in, or in its place."""
    name, *rest = path
    return {**fields, name: _with(fields.get(name, {}), rest, value) if rest else value}


def _without(fields: Fields, path: Sequence[str]) -> dict[str, Any]:
    """Fields less the one at ``path``."""
    name, *rest = path
    if name not in fields:
        return dict(fields)
    kept = {key: value for key, value in fields.items() if key != name}
    return {**kept, name: _without(fields[name], rest)} if rest else kept


def _merged(below: Fields, above: Fields) -> dict[str, Any]:
    """Fields of ``above`` on top of those of ``below``, table by table."""
    found = dict(below)
    for name, value in above.items():
        under = found.get(name)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            value = _merged(under, value)
        found[name] = value
    return found


def _without_none(fields: Fields) -> dict[str, Any]:
    """Fields in the words of TOML, where what is left out is None, but for the batch size."""
    full = {"batch_size": "full"} if fields.get("batch_size", 0) is None else {}
    found: dict[str, Any] = {**full}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found[name] = _without_none(value)
        elif value is not None:
            found[name] = value
    return found
