"""The table of claims on a page: from ``claims.csv``, with whatever columns it has, to HTML."""

import csv
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

Row = dict[str, str]

# A word and a sign for each verdict, so that neither colour nor sign is needed.
SIGNS = {"supported": "✓", "refuted": "✗", "open": "?"}


def read(path: Path) -> list[Row]:
    """Rows of a CSV file, by claim in the order of numbers; ValueError if it is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restkey="more", restval="")
            rows = [{str(k): _text(v) for k, v in row.items()} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    columns = dict.fromkeys(column for row in rows for column in row)
    rows = [{column: row.get(column, "") for column in columns} for row in rows]
    return sorted(rows, key=lambda row: _order(row.get("claim", "")))


def _text(cell: object) -> str:
    return ", ".join(map(str, cell)) if isinstance(cell, list) else str(cell)


def _order(number: str) -> tuple[float, str]:
    try:
        return float(number), ""
    except ValueError:
        return float("inf"), number


def table(rows: Sequence[Row]) -> str:
    """HTML of the claims: a row each, with its findings to unfold; all columns are shown.

    Columns that are the same in all rows of each claim are said once, the others for each finding.
    Without a column ``claim`` the rows are shown as they are.
    """
    if not rows:
        return "<p>The file holds no claims.</p>"
    columns = list(rows[0])
    if "claim" not in columns:
        return _plain(rows, columns)
    claims = [list(found) for _, found in groupby(rows, key=lambda row: row["claim"])]
    shared = [c for c in columns if all(len({row[c] for row in rows}) == 1 for rows in claims)]
    body = "".join(_claim(found, columns, shared) for found in claims)
    counts = ", ".join(_counts([_verdict(found) for found in claims]))
    return (
        f"<p>{counts}.</p>"
        '<table class="claims"><thead><tr><th scope="col">no.</th><th scope="col">claim</th>'
        f'<th scope="col">verdict</th></tr></thead><tbody>{body}</tbody></table>'
    )


def _counts(verdicts: list[str]) -> Iterator[str]:
    for verdict in dict.fromkeys([*SIGNS, *verdicts]):
        if verdict in verdicts:
            yield f"{verdicts.count(verdict)} {escape(verdict or 'without a verdict')}"


def _verdict(found: Sequence[Row]) -> str:
    """The claim's own verdict, or those of its findings where none is given."""
    own = "claim_verdict" if "claim_verdict" in found[0] else "verdict"
    return ", ".join(dict.fromkeys(row.get(own, "") for row in found))


def _claim(found: Sequence[Row], columns: Sequence[str], shared: Sequence[str]) -> str:
    head = found[0]
    known = ("claim", "statement", "claim_verdict")
    said = [c for c in shared if c not in known and head[c]]
    once = "".join(f"<dt>{_name(c)}</dt><dd>{_cell(c, head[c])}</dd>" for c in said)
    several = [c for c in columns if c not in shared and any(row[c] for row in found)]
    findings = _plain(found, several) if several else ""
    count = f"{len(found)} finding{'s' if len(found) > 1 else ''}"
    return (
        f'<tr><th scope="row">{escape(head["claim"])}</th>'
        f"<td>{escape(head.get('statement', ''))}</td>"
        f"<td>{_cell('verdict', _verdict(found))}</td></tr>"
        f'<tr class="findings"><td colspan="3"><details><summary>{count} on claim '
        f"{escape(head['claim'])}</summary><dl>{once}</dl>{findings}</details></td></tr>"
    )


def _plain(rows: Sequence[Row], columns: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{_name(c)}</th>' for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(c, row[c])}</td>" for c in columns) + "</tr>" for row in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="findings"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _name(column: str) -> str:
    return escape(column.replace("_", " "))


def _cell(column: str, value: str) -> str:
    if column.endswith("verdict"):
        sign = SIGNS.get(value)
        mark = f'<span class="sign" aria-hidden="true">{sign}</span> ' if sign else ""
        return f'<span class="verdict">{mark}{escape(value)}</span>'
    try:
        number = float(value)
    except ValueError:
        return escape(value)
    return "—" if number != number else f"{number:.4g}"
