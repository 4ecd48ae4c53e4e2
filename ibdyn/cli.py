"""The ``ibdyn`` command: which command is meant; what they do is in `ibdyn.commands`."""

import sys
from collections.abc import Sequence

COMMANDS = {
    "simulate": "train an ensemble and write its record",
    "sweep": "train the configurations of a grid, here or on a cluster",
    "resume": "go on with an unfinished run from its last checkpoint",
    "verify": "say what files are, and whether they are as they were written",
    "measure": "add estimators to a record, without training again",
    "info": "say what a record holds",
    "plot": "draw the figures of a record",
    "reproduce": "run every simulation and judge every claim of the literature",
    "animate": "draw the information plane of a record in time, as a GIF",
    "report": "make one page of a folder of records, to look at in a browser",
    "presets": "list the published experiments, or say where one's settings come from",
}

USAGE = "\n".join(
    [
        "usage: ibdyn COMMAND [options]",
        "",
        "A laboratory for the information dynamics of learning.",
        "",
        *(f"  {name:10} {about}" for name, about in COMMANDS.items()),
        "",
        "ibdyn COMMAND --help says more of each.",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv``; 0 if all went well, 2 if the input was wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"ibdyn {version('ibdyn')}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"ibdyn: error: {name!r} is no command, expected one of {known}", file=sys.stderr)
        return 2
    from . import commands

    return commands.run(name, rest)


if __name__ == "__main__":
    sys.exit(main())
