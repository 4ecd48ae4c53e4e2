"""Records that many tests look at, made once."""

import hypothesis
import matplotlib as mpl
import pytest

import ibdyn
from ibdyn.config import RunConfig, ScheduleConfig
from simulations import reproduce

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


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """The folder of `ibdyn reproduce` at its tiny scale: every simulation, and what it printed."""
    folder = tmp_path_factory.mktemp("reproduced")
    reproduce.main(["--scale", "smoke", "--out", str(folder)])
    return folder
