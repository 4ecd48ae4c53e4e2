"""The documentation: built without warnings, of the code as it is, with nobody's paths in it."""

import csv
import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_invariance import CHANGES, SEES

from ibdyn import estimators, presets, schema
from ibdyn.cli import COMMANDS
from theory.claims import CLAIMS

ROOT = Path(__file__).parents[1]
FORMS = [form for family in estimators._FAMILIES for form in family.forms]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site, and what the build printed."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


def text(page):
    """What a reader sees of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_every_page_is_built(site):
    sources = (ROOT / "docs").rglob("*.md")
    names = [source.relative_to(ROOT / "docs").with_suffix("") for source in sources]
    assert len(names) > 15
    for name in names:
        page = site / (name.parent if name.name == "index" else name) / "index.html"
        assert "<h1" in page.read_text()


def test_no_page_names_a_folder_of_this_machine(site):
    local = {str(ROOT), str(site), str(Path.home()), sys.prefix}
    for page in site.rglob("*.html"):
        content = page.read_text()
        assert not [path for path in local if f"{path}/" in content], page


def test_no_page_needs_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"', page.read_text())
        fetched += re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="([^"]*)"', page.read_text())
        assert not [address for address in fetched if "//" in address], page


def test_formulas_are_drawn_by_the_browser(site):
    drawn = 0
    for page in site.rglob("*.html"):
        content = page.read_text()
        assert "arithmatex" not in content, page
        # A command that the converter does not know comes out as it went in.
        assert not re.findall(r"<m[io]>\\\w+", content), page
        drawn += content.count("<math")
    assert drawn > 200


def test_tables_are_those_of_the_code(site):
    record = text(site / "record" / "index.html")
    assert all(
        name in record and entry.long_name in record
        for name, entry in {**schema.VARIABLES, **schema.COORDINATES}.items()
    )
    claims = text(site / "theory" / "claims" / "index.html")
    assert all(claim.statement in claims and claim.refutation in claims for claim in CLAIMS)
    commands = text(site / "command-line" / "index.html")
    assert all(f"usage: ibdyn {name}" in commands for name in COMMANDS if name != "simulate")
    assert all(preset.about in commands for preset in presets.PRESETS.values())


def test_every_estimator_has_its_place_in_the_decision(site):
    page = text(site / "theory" / "which-estimator" / "index.html")
    missing = [form for form in FORMS if page.count(form) < 3]
    assert not missing


def test_the_invariances_on_the_page_are_those_that_are_tested():
    page = (ROOT / "docs" / "theory" / "which-estimator.md").read_text()
    table = page[page.index("## Which changes of a layer they see") :]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    header, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert header[1:] == list(CHANGES)
    said = {row[0].strip("`"): row[1:] for row in body}
    for name, seen in SEES.items():
        form = "-".join(name.split("-")[:-1]) or name
        cells = next(cells for full, cells in said.items() if full.startswith(form))
        for change, cell in zip(CHANGES, cells, strict=True):
            assert cell.startswith("≠" if change in seen else ("=", "(=)")), (name, change)


def test_every_module_of_theory_and_every_estimator_has_its_reference():
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    described = re.findall(r"^::: (.+)$", pages, re.MULTILINE)
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in (ROOT / "theory").rglob("*.py")
        if file.name != "__init__.py"
    }
    assert modules <= set(described)
    files = {family.__module__ for family in estimators._FAMILIES}
    assert files | {"ibdyn.estimators.neighbours"} <= set(described)
    assert len(described) == len(set(described))


def test_the_readme_has_the_verdicts_of_the_table_of_claims():
    with (ROOT / "data" / "claims.csv").open(newline="") as file:
        judged = {row["claim"]: row["claim_verdict"] for row in csv.DictReader(file)}
    rows = re.findall(r"^\| (\d+) \| .* \| (\w+) \| .* \|$", (ROOT / "README.md").read_text(), re.M)
    assert dict(rows) == judged
    assert len(rows) == len(CLAIMS)


def quoted(page):
    """Path and lines of each piece of code that a page quotes from a file, as it says above it."""
    return re.findall(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)```", page, re.DOTALL | re.MULTILINE)


def words(code):
    """Code without what indents and separates its lines."""
    return " ".join(code.split())


def test_what_the_guide_quotes_stands_so_in_the_files():
    found = quoted((ROOT / "CONTRIBUTING.md").read_text())
    assert len(found) == 5
    for path, code in found:
        rest = words((ROOT / path).read_text())
        for piece in map(words, re.split(r"^ *\.\.\.\n", code, flags=re.MULTILINE)):
            assert piece in rest, f"{path} has no longer: {piece}"
            rest = rest.partition(piece)[2]


def test_the_map_has_every_module():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    for folder in ("ibdyn", "theory"):
        names = [file.name for file in (ROOT / folder).glob("[a-z]*.py")]
        assert len(names) > 40
        assert not [name for name in names if f"{name}`" not in guide]
