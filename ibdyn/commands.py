"""What the commands of ``ibdyn`` do."""

import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import pydantic
import tyro

from . import output, presets, storage
from .config import RunConfig, explain
from .flags import parse_simulate

File = tyro.conf.Positional[Path]


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; bad input is one line on stderr and exit status 2, Ctrl-C 130, SIGTERM 143."""
    try:
        _COMMANDS[name](list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output has seen enough; what is left must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except pydantic.ValidationError as error:
        message = explain(error)
    except (ValueError, OSError, ImportError) as error:
        message = str(error)
    except KeyboardInterrupt as error:
        print(f"ibdyn: {error or 'interrupted'}", file=sys.stderr)
        return getattr(error, "status", 130)
    else:
        return 0
    for line in message.splitlines():
        print(f"ibdyn: error: {line}", file=sys.stderr)
    return 2


def simulate(arguments: list[str]) -> None:
    """Train, save, and say what was found."""
    parsed = parse_simulate(arguments)
    config = RunConfig.model_validate(parsed.config.model_dump())
    output.check_writable(parsed.out)
    from . import resumption

    record = resumption.simulate_to(
        config,
        parsed.out,
        seconds=parsed.checkpoint_seconds,
        force=parsed.force,
        command=shlex.join(["ibdyn", "simulate", *arguments]),
    )
    print(f"wrote {parsed.out}")
    print(output.describe(record))


def resume(arguments: list[str]) -> None:
    """Go on with an unfinished run."""

    def parse(file: File, checkpoint_seconds: float = 30.0, force: bool = False) -> None:
        """Go on with an unfinished run, from its last checkpoint.

        Args:
            file: The record that the run was to write, or its folder FILE.partial.
            checkpoint_seconds: Seconds between checkpoints.
            force: Try a run that needs more memory or disk than is free.
        """
        from . import resumption

        command = shlex.join(["ibdyn", "resume", *arguments])
        record = resumption.resume(file, seconds=checkpoint_seconds, force=force, command=command)
        print(f"wrote {str(file).removesuffix(storage.PARTIAL)}")
        print(output.describe(record))

    tyro.cli(parse, args=arguments, prog="ibdyn resume")


def sweep(arguments: list[str]) -> None:
    """Train the configurations of a grid."""

    def parse(
        file: File,
        out: Path,
        scheduler: str | None = None,
        local_workers: int | None = None,
        force: bool = False,
    ) -> None:
        """Train the configurations of a grid, a record for each; the same command goes on.

        In this process, unless a Dask cluster is given: workers on this machine, or a scheduler
        that is running.

        Args:
            file: TOML file of configuration fields, with a table [grid] of fields and their values,
                and maybe a preset and a block (the number of members that are trained together).
            out: Folder for the records, as NAME.nc.
            scheduler: Address of a Dask scheduler, such as tls://host:8786.
            local_workers: Number of worker processes to start on this machine.
            force: Try a sweep that needs more memory or disk than is free.
        """
        from .grids import Sweep
        from .sweep import run_sweep
        from .workers import connected

        grid = Sweep.from_toml(file.read_text())
        command = shlex.join(["ibdyn", "sweep", *arguments])
        with connected(scheduler, local_workers) as client:
            run_sweep(grid, out, client=client, force=force, command=command)
        print(f"wrote {len(grid.configs)} records to {out}")

    tyro.cli(parse, args=arguments, prog="ibdyn sweep")


def verify(arguments: list[str]) -> None:
    """Say what files are, and whether they are as they were written."""

    def parse(files: tyro.conf.Positional[tuple[Path, ...]]) -> None:
        """Say what files are, and whether they are as they were written.

        Args:
            files: Records, folders of unfinished runs, or their shards, checkpoints and manifests.
        """
        from . import verification

        if not files:
            raise ValueError("files: none is given, expected one or more")
        for file in files:
            print(verification.verify(file))

    tyro.cli(parse, args=arguments, prog="ibdyn verify")


def reproduce(arguments: list[str]) -> None:
    """Run every simulation and judge every claim."""
    # By name: the package does not depend on its experiments.
    importlib.import_module("simulations.reproduce").main(arguments)


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
        output.check_writable(target)
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
        print(output.describe(storage.load(file)))

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
        for picture in output.draw(record, out or file.parent, file.stem, estimator=estimator):
            print(picture)

    tyro.cli(parse, args=arguments, prog="ibdyn plot")


def animate(arguments: list[str]) -> None:
    """Draw the information plane in time."""

    def parse(file: File, out: Path, estimator: str | None = None, fps: int = 8) -> None:
        """Draw the information plane of a record in time: a frame for each recorded step.

        Args:
            file: Record to read.
            out: GIF file to write.
            estimator: Which estimator to draw; the record's first unless given.
            fps: Frames in a second.
        """
        output.check_writable(out)
        record = storage.load(file)
        from . import animation

        frames = animation.animate(record, out, estimator=estimator, fps=fps)
        print(f"wrote {out}: {frames} frames")

    tyro.cli(parse, args=arguments, prog="ibdyn animate")


def report(arguments: list[str]) -> None:
    """Make one page of a folder of records."""

    def parse(folder: File, out: Path) -> None:
        """Make one page of all records in a folder, to look at in a browser without a network.

        Args:
            folder: Folder of records, with claims.csv and pictures if there are any.
            out: HTML file to write.
        """
        from . import report as pages

        found = pages.write(folder, out, command=shlex.join(["ibdyn", "report", *arguments]))
        for name, why in found.left_out.items():
            print(f"ibdyn: left out {name}: {why}", file=sys.stderr)
        print(f"wrote {out}: {len(found.records)} records")

    tyro.cli(parse, args=arguments, prog="ibdyn report")


def list_presets(arguments: list[str]) -> None:
    """List the presets, or one with its sources."""

    def parse(name: Annotated[str | None, tyro.conf.Positional] = None) -> None:
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
    "sweep": sweep,
    "resume": resume,
    "verify": verify,
    "measure": measure,
    "info": info,
    "plot": plot,
    "animate": animate,
    "report": report,
    "presets": list_presets,
    "reproduce": reproduce,
}
