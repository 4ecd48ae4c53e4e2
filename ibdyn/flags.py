"""The flags of ``ibdyn simulate``, made from the configuration's own fields."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import pydantic
import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec

from . import presets
from .config import RunConfig


@dataclass(frozen=True)
class Simulate:
    """Train an ensemble and write its record.

    Flags override the preset or the TOML file, which override the defaults.
    """

    out: Path
    """NetCDF file to write."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    preset: str | None = None
    """A published experiment to start from; see `ibdyn presets`."""
    toml: Path | None = None
    """A TOML file of configuration fields to start from."""
    checkpoint_seconds: float = 30.0
    """Seconds between checkpoints, from which `ibdyn resume` goes on."""
    force: bool = False
    """Try a run that needs more memory or disk than is free."""


def parse_simulate(arguments: list[str]) -> Simulate:
    """Flags on top of the preset or TOML file; values are checked later, by the model itself.

    Raises ValueError for a preset and a TOML file together and for either that is none, OSError
    for a file that cannot be read, and SystemExit for flags that do not exist.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset")
    first.add_argument("--toml", type=Path)
    base, _ = first.parse_known_args(arguments)
    if base.preset and base.toml:
        raise ValueError("--preset and --toml are both given, expected one of them")
    config = RunConfig()
    if base.preset:
        config = presets.preset(base.preset)
    elif base.toml:
        config = RunConfig.from_toml(base.toml.read_text())
    with _unchecked:
        return tyro.cli(
            Simulate,
            args=arguments,
            default=Simulate(out=tyro.MISSING, config=config, preset=base.preset, toml=base.toml),
            prog="ibdyn simulate",
        )


_unchecked = ConstructorRegistry()


@_unchecked.struct_rule
def _fields_unchecked(info: Any) -> StructConstructorSpec | None:
    """Flags of a pydantic model without its checks, so that errors come out in one form."""
    if not (isinstance(info.type, type) and issubclass(info.type, pydantic.BaseModel)):
        return None
    fields = tuple(
        StructFieldSpec(
            name=name,
            type=cast(type, field.annotation),
            default=getattr(info.default, name),
            helptext=field.description,
        )
        for name, field in info.type.model_fields.items()
    )

    def instantiate(**values: Any) -> Any:
        return info.type.model_construct(**values)

    instantiate.__doc__ = info.type.__doc__
    return StructConstructorSpec(instantiate=instantiate, fields=fields)
