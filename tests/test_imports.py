"""The arrows of the design: what imports what, each in a fresh process."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ibdyn

ROOT = Path(__file__).parent.parent


def loaded(code):
    """Top-level modules loaded by ``code`` in a fresh interpreter."""
    tail = "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_loading_fitting_and_plotting_never_import_torch(run, tmp_path):
    ibdyn.save(run, tmp_path / "run.nc")
    modules = loaded(
        "import matplotlib; matplotlib.use('agg'); import ibdyn, theory; "
        "from theory import phases, fitting, information; from ibdyn import figures; "
        f"run = ibdyn.load({str(tmp_path / 'run.nc')!r}); "
        "fitting.mean_interval(phases.signal_to_noise(run)); "
        "[figure(run) for figure in figures.FIGURES.values()]"
    )
    assert "xarray" in modules
    assert not modules & {"torch", "numba"}


def test_a_configuration_and_a_task_need_no_torch():
    assert not loaded(
        "import ibdyn; ibdyn.RunConfig(); ibdyn.presets.preset('szt2017-paper'); "
        "ibdyn.tasks.spherical_rule()"
    ) & {"torch", "numba", "xarray", "matplotlib"}


def test_frozen_networks_are_measured_without_torch():
    code = "from ibdyn import disturbed, hindsight, probes, replay, response"
    modules = loaded(code)
    assert "numba" in modules
    assert "torch" not in modules


def test_theory_imports_neither_ibdyn_nor_torch():
    names = [file.stem for file in (ROOT / "theory").glob("[a-z]*.py")]
    assert len(names) > 15
    code = f"from theory import {', '.join(names)}"
    assert not loaded(code) & {"ibdyn", "torch", "simulations"}


def test_the_command_says_its_usage_before_anything_heavy():
    modules = loaded("from ibdyn.cli import main; main(['--help'])")
    assert not modules & {"torch", "numba", "xarray", "tyro", "pydantic", "numpy"}


def test_nothing_imports_simulations():
    for folder in ("ibdyn", "theory"):
        for file in (ROOT / folder).rglob("*.py"):
            lines = file.read_text().splitlines()
            assert not [s for s in lines if s.startswith(("import simul", "from simul"))], file


def imported(file):
    """Modules of this repository that a file imports, at its head or in a function."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ROOT.joinpath(*above, *(node.module or "").split(".")).resolve()
            for name in node.names:
                for found in (module / f"{name.name}.py", module.with_suffix(".py")):
                    if found.is_file() and found != file:
                        yield found
                        break


def test_no_module_imports_itself_by_a_detour():
    files = [file for folder in ("ibdyn", "theory") for file in (ROOT / folder).rglob("[a-z]*.py")]
    arrows = {file: set(imported(file)) for file in files}
    assert sum(map(len, arrows.values())) > 2 * len(files)
    order = list(TopologicalSorter(arrows).static_order())
    assert order.index(ROOT / "ibdyn" / "config.py") < order.index(ROOT / "ibdyn" / "simulation.py")


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'ibdyn' has no attribute 'train'"):
        ibdyn.train  # noqa: B018
    assert set(dir(ibdyn)) == set(ibdyn.__all__)
    for name in ibdyn.__all__:
        assert getattr(ibdyn, name) is not None
