"""The notebooks: they run to their end in a folder of their own, and are kept without outputs."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Seconds that one cell may take, those included in which kernels are compiled for the first time.
CELL = 120
LOCAL = re.compile(r"(?<![\w.])/(?:home|Users|root|tmp|mnt|opt|var|work)/|\b[A-Z]:\\|file://")
# What a cell with a figure calls.
DRAWS = re.compile(r"plt\.subplots\(|figures\.\w+\(|\.draw\(")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook):
    """The cells with code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_five():
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-", "4-", "5-"]


@each
def test_it_runs_and_draws(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=CELL, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    for cell in code(notebook):
        drawn = [one for one in cell.outputs if "image/png" in one.get("data", {})]
        assert bool(drawn) == bool(DRAWS.search(cell.source)), cell.source
    assert not [one.text for one in outputs if one.get("name") == "stderr"]
    assert not list(tmp_path.iterdir())


@each
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in code(notebook) if cell.outputs or cell.execution_count]
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert not [cell for cell in notebook.cells if cell.metadata]


@each
def test_no_cell_names_a_folder_of_some_machine(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert not LOCAL.search(cell.source)
        assert not [one for one in (ROOT, Path.home(), sys.prefix) if str(one) in cell.source]


@each
def test_each_code_cell_is_short_and_the_first_and_last_are_words(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].source.startswith("# ")
    assert "## Exercises" in notebook.cells[-1].source
    assert max(cell.source.count("\n") for cell in code(notebook)) < 35
