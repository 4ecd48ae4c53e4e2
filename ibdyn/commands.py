"""What the commands of ``ibdyn`` do; flags are made from the configuration's own fields."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic
import tyro
import xarray as xr
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec

from . import presets, storage
from .config import RunConfig, explain

File = tyro.conf.Positional[Path]


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


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; bad input is one line on stderr and exit status 2, Ctrl-C 130."""
    try:
        _COMMANDS[name](list(arguments))
    except pydantic.ValidationError as error:
        message = explain(error)
    except (ValueError, OSError) as error:
        message = str(error)
    except KeyboardInterrupt as error:
        print(f"ibdyn: {error or 'interrupted'}", file=sys.stderr)
        return 130
    else:
        return 0
    for line in message.splitlines():
        print(f"ibdyn: error: {line}", file=sys.stderr)
    return 2


def simulate(arguments: list[str]) -> None:
    """Train, save, and say what was found."""
    parsed = _parse_simulate(arguments)
    config = RunConfig.model_validate(parsed.config.model_dump())
    check_writable(parsed.out)
    from . import simulation

    command = shlex.join(["ibdyn", "simulate", *arguments])
    try:
        record = simulation.simulate(config, command=command)
    except simulation.Interrupted as stopped:
        storage.save(stopped.run, parsed.out)
        print(f"wrote {parsed.out}, incomplete")
        raise
    storage.save(record, parsed.out)
    print(f"wrote {parsed.out}")
    print(describe(record))


def _parse_simulate(arguments: list[str]) -> Simulate:
    """Flags on top of the preset or TOML file; values are checked later, by the model itself."""
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
            default=Simulate(
                out=tyro.MISSING, config=config, preset=base.preset, toml=base.toml
            ),
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
            type=field.annotation,
            default=getattr(info.default, name),
            helptext=field.description,
        )
        for name, field in info.type.model_fields.items()
    )

    def instantiate(**values: Any) -> Any:
        return info.type.model_construct(**values)

    instantiate.__doc__ = info.type.__doc__
    return StructConstructorSpec(instantiate=instantiate, fields=fields)


def check_writable(path: Path) -> None:
    """Raise OSError, before any work, where ``path`` could not be written afterwards."""
    if path.is_dir():
        raise IsADirectoryError(f"out: {path} is a folder, expected a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"out: folder {path.parent} is not writable")


def measure(arguments: list[str]) -> None:
    """Add estimators to a record."""

    def parse(file: File, estimators: tuple[str, ...], out: Path | None = None) -> None:
        """Add estimators to a record, measured on its parameters.

        Args:
            file: Record to read.
            estimators: Names of the estimators to add.
            out: File to write; the record itself unless given.
        """
        target = out or file
        check_writable(target)
        from . import replay

        record = replay.measure(storage.load(file), estimators)
        command = shlex.join(["ibdyn", "measure", *arguments])
        record.attrs["history"] = f"{record.attrs['history']}\n{storage.stamp(command)}"
        storage.save(record, target)
        print(f"wrote {target}")

    tyro.cli(parse, args=arguments, prog="ibdyn measure")


def info(arguments: list[str]) -> None:
    """Say what a record holds."""

    def parse(file: File) -> None:
        """Say what a record holds.

        Args:
            file: Record to read.
        """
        print(describe(storage.load(file)))

    tyro.cli(parse, args=arguments, prog="ibdyn info")


def plot(arguments: list[str]) -> None:
    """Draw the figures of a record."""

    def parse(file: File, out: Path | None = None, estimator: str | None = None) -> None:
        """Draw the figures of a record.

        Args:
            file: Record to read.
            out: Folder for the pictures; that of the record unless given.
            estimator: Which estimator to draw; the record's first unless given.
        """
        record = storage.load(file)
        for picture in draw(record, out or file.parent, file.stem, estimator=estimator):
            print(picture)

    tyro.cli(parse, args=arguments, prog="ibdyn plot")


def list_presets(arguments: list[str]) -> None:
    """List the presets, or one with its sources."""

    def parse(name: tyro.conf.Positional[str | None] = None) -> None:
        """List the published experiments, or say where one's settings come from.

        Args:
            name: A preset, to see its settings.
        """
        if name is None:
            for each, preset in presets.PRESETS.items():
                print(f"{each:18} {preset.about}")
            return
        config = presets.preset(name)
        for field, source in presets.PRESETS[name].sources.items():
            print(f"{field:14} {getattr(config, field)!s}\n{'':14} {source}")

    tyro.cli(parse, args=arguments, prog="ibdyn presets")


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "simulate": simulate,
    "measure": measure,
    "info": info,
    "plot": plot,
    "presets": list_presets,
}


def draw(
    record: xr.Dataset, folder: Path, stem: str, *, estimator: str | None = None
) -> list[Path]:
    """Save every figure of a record as ``folder/stem-FIGURE.png``."""
    import matplotlib.pyplot as plt

    from . import figures

    folder.mkdir(parents=True, exist_ok=True)
    if estimator is not None:
        record = record.sel(estimator=[figures.choose_estimator(record, estimator).estimator.item()])
    pictures = []
    with plt.rc_context({"backend": "agg"}):
        for name, figure in figures.FIGURES.items():
            figure(record)
            pictures.append(folder / f"{stem}-{name}.png")
            plt.savefig(pictures[-1], dpi=150)
            plt.close()
    return pictures


def describe(record: xr.Dataset) -> str:
    """What a record holds, as a table for people."""
    steps, epochs = record.step.values, record.epoch.values
    last = record.isel(step=-1)
    lines = [
        record.attrs["title"],
        f"source     {record.attrs['source']}; {record.attrs['history']}",
        f"complete   {'yes' if record.attrs.get('complete') else 'no'}",
        f"members    {record.sizes['member']} ({int(record.diverged.sum())} diverged)",
        f"steps      {len(steps)} recorded, 0 to {steps[-1]} (epoch {epochs[-1]:g})",
        f"task       {record.attrs['task']}: {record.sizes['pattern']} patterns, "
        f"I(X;Y) = {record.attrs['task_information']:.6f} bit, "
        f"H(Y) = {record.attrs['label_entropy']:.6f} bit",
        f"training   {record.attrs['train_size']} patterns, batches of {record.attrs['batch_size']}",
        f"parameters {record.sizes.get('parameter', 0)} a network",
        f"size       {record.nbytes / 2**20:.1f} MiB in memory",
        "",
        "mean over members at the last step:",
    ]
    for split in record.split.values:
        one = last.sel(split=split)
        lines.append(
            f"  {split:6} loss {float(one.loss.mean()):.4f} nat, "
            f"error rate {float(one.error_rate.mean()):.4f}"
        )
    layers = "".join(f"{layer:>9}" for layer in record.layer.values)
    for estimator in record.estimator.values:
        lines.append(f"  {estimator}, bit{'layer':>{max(1, 22 - len(estimator))}}{layers}")
        for symbol, name in (("I(X;T)", "information_input"), ("I(T;Y)", "information_label")):
            mean = last[name].sel(estimator=estimator).mean("member").values
            lines.append(f"{symbol:>34}" + "".join(f"{v:9.3f}" for v in np.atleast_1d(mean)))
    return "\n".join(lines)
