"""One page from a folder of records: self-contained HTML, to look at in any browser."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

import xarray as xr

from . import output, report_claims, report_figures, storage

# Records are thinned to the first of these numbers of steps at which they fit.
FRAMES = (100, 80, 65, 50, 40, 30, 20, 10)
LARGEST_PAGE = 8 * 2**20
LARGEST_RECORDS = 3_100_000
CLAIMS = "claims.csv"
# Where a policy of content allows scripts, it does so by their hash: no other can ever run.
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; script-src "
)


@dataclass
class Folder:
    """What lies in a folder: records by name, pictures, claims; and what was left out, and why."""

    path: Path
    records: dict[str, xr.Dataset] = field(default_factory=dict)
    pictures: list[Path] = field(default_factory=list)
    claims: list[report_claims.Row] | None = None
    left_out: dict[str, str] = field(default_factory=dict)


def collect(folder: str | Path) -> Folder:
    """Read all records in ``folder`` and below it, each checked against its hash.

    Files that are no records, and folders of unfinished runs, are left out and named. Raises
    FileNotFoundError for a folder that is none or holds no record, ValueError for a ``claims.csv``
    that cannot be read.
    """
    found = Folder(Path(folder))
    if not found.path.is_dir():
        raise FileNotFoundError(f"{folder} is no folder, expected one of records")
    for path in sorted(found.path.rglob("*.nc")):
        partial = [p for p in path.parents if p.suffix == storage.PARTIAL]
        if partial:
            found.left_out[str(partial[0].relative_to(found.path))] = "it is an unfinished run"
            continue
        name = path.relative_to(found.path)
        try:
            record = report_figures.needed(storage.load(path))
        except ValueError as error:
            found.left_out[str(name)] = str(error).removeprefix(f"{path} ")
        else:
            found.records[str(name.with_suffix(""))] = record
    if not found.records:
        others = "".join(f"; {name} {why}" for name, why in found.left_out.items())
        raise FileNotFoundError(f"{folder} holds no record of ibdyn, expected NAME.nc{others}")
    found.pictures = sorted(found.path.rglob("*.png"))
    if (found.path / CLAIMS).is_file():
        found.claims = report_claims.read(found.path / CLAIMS)
    return found


def write(folder: str | Path, path: str | Path, *, command: str = "ibdyn.report") -> Folder:
    """Write the page of a folder to ``path``; what was found and left out is returned.

    Plotly is part of the page, nothing is loaded from elsewhere. Raises OSError, before any work,
    where ``path`` cannot be written, ImportError without Plotly, and as `collect` and `render` do.
    """
    path = Path(path)
    output.check_writable(path)
    script = plotly_script()
    found = collect(folder)
    text = render(found, script, home=path.parent, command=command)
    with storage.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return found


def plotly_script() -> str:
    """The source of plotly.js; ImportError, which says how to get it, without Plotly."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError(
            'a page needs Plotly, which is not installed: pip install "ibdyn[report]"'
        ) from error
    return str(get_plotlyjs())


def render(found: Folder, script: str, *, home: Path, command: str) -> str:
    """The page as HTML; pictures that it has no room for are links from the folder ``home``.

    Raises ValueError for records that are too large for a page even if few steps are shown.
    """
    data = packed(found.records)
    source = files("ibdyn") / "page"
    scripts = [script, (source / "page.js").read_text(encoding="utf-8")]
    parts = {
        "title": escape(found.path.resolve().name),
        "summary": _summary(found),
        "policy": POLICY + " ".join(_digest(one) for one in scripts),
        "style": (source / "page.css").read_text(encoding="utf-8"),
        "options": "".join(f"<option>{escape(name)}</option>" for name in found.records),
        "single": "hidden" if len(found.records) == 1 else "",
        "claims": _claims(found),
        "left_out": _left_out(found.left_out),
        "made": escape(
            f"{storage.stamp(command)}, ibdyn {version('ibdyn')}, plotly {version('plotly')}"
        ),
        "records": "".join(
            f'<script type="application/json" class="record">{one}</script>\n' for one in data
        ),
        "plotly": scripts[0],
        "script": scripts[1],
    }
    room = LARGEST_PAGE - sum(len(part.encode()) for part in parts.values()) - 2**16
    parts["pictures"] = "".join(_pictures(found, home, room))
    return Template((source / "page.html").read_text(encoding="utf-8")).substitute(parts)


def packed(records: Mapping[str, xr.Dataset]) -> list[str]:
    """Each record as JSON that can stand in HTML, at as many steps as the page has room for.

    ValueError where they do not fit even at the fewest steps of `FRAMES`.
    """
    for most in FRAMES:
        data = [_json(report_figures.packed(name, run, most)) for name, run in records.items()]
        size = sum(map(len, data))
        if size <= LARGEST_RECORDS:
            return data
    raise ValueError(
        f"{len(records)} records need {size} bytes of the page at {most} steps each, expected at "
        f"most {LARGEST_RECORDS}: give a folder with fewer of them"
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _digest(script: str) -> str:
    """A script as the policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _summary(found: Folder) -> str:
    count = len(found.records)
    members = sum(run.sizes["member"] for run in found.records.values())
    return f"{count} record{'s' if count > 1 else ''} of {members} networks in all"


def _claims(found: Folder) -> str:
    if found.claims is None:
        return ""
    return (
        '<section aria-labelledby="claims-title"><h2 id="claims-title">Claims</h2><p>What the '
        "records say of each claim, with the word of the verdict; unfold a row for effects, 95 % "
        f"intervals and p-values.</p>{report_claims.table(found.claims)}</section>"
    )


def _left_out(files: Mapping[str, str]) -> str:
    if not files:
        return ""
    items = "".join(f"<li><b>{escape(n)}</b>: {escape(why)}</li>" for n, why in files.items())
    return f"<h3>Left out</h3><ul>{items}</ul>"


def _pictures(found: Folder, home: Path, room: int) -> Iterator[str]:
    """Pictures as long as there is room, and links to the others."""
    if found.pictures:
        yield '<section aria-labelledby="pictures-title"><h2 id="pictures-title">Pictures</h2>'
        for path in found.pictures:
            name = escape(str(path.relative_to(found.path)))
            size = 4 * path.stat().st_size // 3 + 1000
            if size <= room:
                room -= size
                data = base64.b64encode(path.read_bytes()).decode()
                yield f'<figure><img alt="{name}" src="data:image/png;base64,{data}">'
                yield f"<figcaption>{name}</figcaption></figure>"
            else:
                link = quote(os.path.relpath(path.resolve(), home.resolve()))
                yield f'<p>Not in the page: <a href="{link}">{name}</a></p>'
        yield "</section>"
