"""Records that many tests look at, made once."""

import os
import shutil
import subprocess
import sys
import tempfile
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


REPRODUCTION = pytest.StashKey[tuple[subprocess.Popen, Path]]()


def looks_at_the_reproduction(item):
    return "reproduced" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items):
    """What looks at the reproduction comes last, since that takes a minute beside the others."""
    items.sort(key=looks_at_the_reproduction)


def pytest_collection_finish(session):
    """Begin the reproduction, in a process of its own, if a test will look at it."""
    if any(map(looks_at_the_reproduction, session.items)) and not session.config.option.collectonly:
        folder = Path(tempfile.mkdtemp(prefix="reproduced"))
        command = [sys.executable, "-m", "simulations.reproduce", "--scale", "smoke"]
        with (folder / "printed").open("w") as printed:
            process = subprocess.Popen(
                [*command, "--out", str(folder)],
                cwd=session.config.rootpath,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        session.config.stash[REPRODUCTION] = process, folder


def pytest_unconfigure(config):
    if REPRODUCTION in config.stash:
        process, folder = config.stash[REPRODUCTION]
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def reproduced(request):
    """The folder of `ibdyn reproduce` at its tiny scale: every simulation, and what it printed."""
    process, folder = request.config.stash[REPRODUCTION]
    assert process.wait() == 0, (folder / "printed").read_text()
    return folder
