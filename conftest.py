"""The Python blocks of the README and of the recipes are tests; all tests wait without spinning."""

import os

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

# Beside other processes, threads that spin for each other take the time of those they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="module")
def in_a_new_folder(tmp_path_factory):
    """Blocks write their files into a folder of their own."""
    home = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("readme"))
    yield
    os.chdir(home)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "recipes.md"],
    fixtures=["in_a_new_folder"],
).pytest()
