"""What the pages show of the code itself, and formulas as MathML.

A line ``{{ name }}`` of a page is replaced by one of `TABLES`, made from the code at each build, so
that it cannot go stale. Formulas are turned into MathML, which browsers draw themselves: the site
needs no scripts from elsewhere.
"""

import ast
import contextlib
import html
import importlib.util
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

from ibdyn import commands, config, presets, schema
from ibdyn.cli import COMMANDS
from ibdyn.estimators import Binned, Exact, Gaussian, Mixture, Pairwise, Quantised, from_name
from simulations.reproduce import MINUTES
from theory.bounds import BOUNDS, CRITICISMS
from theory.claims import CLAIMS

FAMILIES = (Exact, Quantised, Binned, Pairwise, Mixture, Gaussian)
# What stands for the parameters in the forms of estimators' names.
VALUES = {
    "BITS": "8",
    "COUNT": "30",
    "LOW": "-1",
    "HIGH": "1",
    "WIDTH": "0.07",
    "EDGES": "30",
    "VARIANCE": "0.001",
    "DRAWS": "2",
    "PATHS": "8",
}


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Put tables in the place of their names; an unknown name stops the build."""

    def table(found: re.Match[str]) -> str:
        if found[1] not in TABLES:
            raise PluginError(
                f"{page.file.src_uri} asks for {found[1]!r}, expected one of {', '.join(TABLES)}"
            )
        return TABLES[found[1]]()

    return re.sub(r"^\{\{ ([\w-]+) \}\}$", table, markdown, flags=re.MULTILINE)


def on_page_content(html: str, **_: object) -> str:
    r"""Turn what arithmatex marks as formulas, \(...\) and \[...\], into MathML."""
    html = re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', _inline, html, flags=re.DOTALL)
    return re.sub(
        r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', _displayed, html, flags=re.DOTALL
    )


def _inline(found: re.Match[str]) -> str:
    return convert(html.unescape(found[1]))


def _displayed(found: re.Match[str]) -> str:
    return convert(html.unescape(found[1]), display="block")


def rows(header: Iterable[str], body: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [list(header), *map(list, body)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    return re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip()


def variables() -> str:
    """Variables of the record."""
    return _of_schema(schema.VARIABLES)


def coordinates() -> str:
    """Coordinates of the record."""
    return _of_schema(schema.COORDINATES)


def _of_schema(entries: Mapping[str, schema.Variable]) -> str:
    kinds = {"U": "text", "float": "that of the run"}
    return rows(
        ["name", "dims", "units", "what it is", "numbers", "in every record"],
        (
            [
                f"`{name}`",
                ", ".join(f"`{dim}`" for dim in entry.dims) or "none",
                entry.units,
                entry.long_name,
                kinds.get(entry.dtype, entry.dtype),
                "yes" if entry.required else "no",
            ]
            for name, entry in entries.items()
        ),
    )


def claims() -> str:
    """The claims, each with how it is judged."""
    return rows(
        ["#", "claim", "source", "observed", "number", "held against", "refuted by"],
        (
            [
                claim.number,
                claim.statement,
                claim.source,
                claim.observable,
                claim.statistic,
                claim.null,
                claim.refutation,
            ]
            for claim in CLAIMS
        ),
    )


def evidence() -> str:
    """The records that each claim is judged by."""
    return rows(
        ["#", "records it needs", "records it also looks at"],
        (
            [claim.number, *(", ".join(map("`{}`".format, one)) for one in (claim.own, claim.more))]
            for claim in CLAIMS
        ),
    )


def bounds() -> str:
    """The bounds of `theory.bounds.compare`, and whether they are theorems."""
    return rows(["bound", "standing"], ([f"`{name}`", what] for name, what in BOUNDS.items()))


def criticisms() -> str:
    """What has to be said of the bounds of layers."""
    return "\n".join(f"* {one}" for one in CRITICISMS)


def estimators() -> str:
    """What each estimator says of its number in the record, by its name's form."""
    found = []
    for form in (form for family in FAMILIES for form in family.forms):
        name = re.sub("[A-Z]+", lambda word: VALUES[word[0]], form)
        meaning = from_name(name).meaning
        found.append([f"`{form}`", f"`{name}`", *meaning])
    return rows(["form", "for instance", "symbol", "meaning", "noise", "resolution"], found)


def configuration() -> str:
    """Fields of a configuration, nested ones with their prefix."""
    return rows(["field", "default", "what it decides"], _fields(config.RunConfig, ""))


def _fields(model: type[pydantic.BaseModel], prefix: str) -> Iterable[list[str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, pydantic.BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield [f"`{prefix}{name}`", f"`{field.default!r}`", field.description or ""]


def command_table() -> str:
    """The commands."""
    return rows(["command", "what it does"], ([f"`ibdyn {k}`", v] for k, v in COMMANDS.items()))


def command_help() -> str:
    """What ``--help`` says of each command but simulate, whose flags are `configuration`."""
    others = (name for name in COMMANDS if name != "simulate")
    return "\n\n".join(f"### ibdyn {name}\n\n```text\n{_help(name)}\n```" for name in others)


def _help(name: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        commands.run(name, ["--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).strip()


def preset_table() -> str:
    """The published experiments."""
    return rows(
        ["preset", "what it is"],
        ([f"`{name}`", preset.about] for name, preset in presets.PRESETS.items()),
    )


def simulations() -> str:
    """What `ibdyn reproduce` runs, and how long it takes."""
    return rows(
        ["simulation", "what it asks", "minutes: smoke", "quick", "paper"],
        ([f"`{name}`", _first_sentence(name), *minutes] for name, minutes in MINUTES.items()),
    )


def _first_sentence(simulation: str) -> str:
    spec = importlib.util.find_spec(f"simulations.{simulation}")
    if spec is None or spec.origin is None:
        raise PluginError(f"simulations.{simulation} is not there, expected all of MINUTES")
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""
    return docstring.split("\n")[0]


TABLES: Mapping[str, Callable[[], str]] = {
    "variables": variables,
    "coordinates": coordinates,
    "claims": claims,
    "evidence": evidence,
    "bounds": bounds,
    "criticisms": criticisms,
    "estimators": estimators,
    "configuration": configuration,
    "commands": command_table,
    "help": command_help,
    "presets": preset_table,
    "simulations": simulations,
}
