"""Docstrings as Markdown: doctests become blocks of code, and lists of names become lists."""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?:^|(?<=\n\n))(>>> .*?)(?=\n\n|\Z)", re.DOTALL)
# An entry such as "range: what it does", with its lines that are continued further in.
ENTRY = r"[\w, `*|]{1,40}: [^\n]+(?:\n +\S[^\n]*)*"
ENTRIES = re.compile(rf"(?:^|(?<=\n))((?:{ENTRY}\n)+{ENTRY})(?=\n\n|\Z)")


class Docstrings(griffe.Extension):
    """Turn every docstring into Markdown as it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of ``obj``."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """The docstring ``text`` in Markdown."""
    text = ENTRIES.sub(_listed, text)
    return DOCTEST.sub(lambda found: f"```pycon\n{found[1]}\n```", text)


def _listed(found: re.Match[str]) -> str:
    lines = []
    for line in found[1].split("\n"):
        name, colon, rest = line.partition(": ")
        lines.append(line if line.startswith(" ") or not colon else f"* **{name}**: {rest}")
    return "\n".join(["", *lines])
