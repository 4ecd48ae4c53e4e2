"""Records that many tests look at, made once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import hypothesis
import matplotlib as mpl
import pytest

import ibdyn
from ibdyn.config import RunConfig, ScheduleConfig

mpl.use("agg")
# No deadline for an example: the first of them may compile.
hypothesis.settings.register_profile("ibdyn", deadline=None)
hypothesis.settings.load_profile("ibdyn")


@pytest.fixture(scope="session")
def config():
    """Three small networks on the spherical rule, six recorded epochs."""
    return RunConfig(
        members=3,
        epochs=12,
        widths=(5, 3),
        batch_size=512,
        learning_rate=0.5,
        schedule=ScheduleConfig(count=5, extra=(3,)),
        estimators=("binned-range-30", "binned-width-0.07"),
    )


@pytest.fixture(scope="session")
def run(config):
    return ibdyn.simulate(config, progress=False)


# The reproduction is one for all processes that share the tests: its folder, of the first process.
FOLDER = pytest.StashKey[Path]()
# A command whose process id, output and, once it ended, exit status are files of a folder.
TOLD = 'cd "$0"; echo $$ > pid; "$@" > printed 2>&1; echo $? > .status; mv .status status'


def pytest_configure(config):
    shared = getattr(config, "workerinput", {}).get("folder")
    config.stash[FOLDER] = Path(shared or tempfile.mkdtemp(prefix="reproduced"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Compile before several processes begin, of which each would compile the same."""
    if getattr(session.config.option, "numprocesses", None):
        ibdyn.simulate(RunConfig(members=2, epochs=1), progress=False)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a process of pytest-xdist the folder."""
    node.workerinput["folder"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        folder = config.stash[FOLDER]
        with suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
        shutil.rmtree(folder)


def looks_at_the_reproduction(item):
    return "reproduced" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items):
    """What looks at the reproduction comes last, since that takes a minute beside the others."""
    items.sort(key=looks_at_the_reproduction)


def pytest_collection_finish(session):
    """Begin the reproduction, in a process of its own, if a test will look at it."""
    folder = session.config.stash[FOLDER]
    if session.config.option.collectonly or not any(map(looks_at_the_reproduction, session.items)):
        return
    with suppress(FileExistsError):
        (folder / "out").mkdir()
        command = [sys.executable, "-m", "simulations.reproduce", "--scale", "smoke"]
        subprocess.Popen(
            ["sh", "-c", TOLD, str(folder), *command, "--out", str(folder / "out")],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(session.config.rootpath)},
            start_new_session=True,
        )


@pytest.fixture(scope="session")
def reproduced(request):
    """The folder of `ibdyn reproduce` at its tiny scale: every simulation, and what it printed."""
    folder = request.config.stash[FOLDER]
    deadline = time.monotonic() + 480
    while not (folder / "status").exists():
        assert time.monotonic() < deadline, (folder / "printed").read_text()
        time.sleep(0.2)
    assert (folder / "status").read_text() == "0\n", (folder / "printed").read_text()
    return folder / "out"
