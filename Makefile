# make run    set up, and run the main experiment at a small scale (three to five minutes)
# make test   set up, and run the tests
# make slow   the tests that take minutes
# make docs   set up, and build the documentation into site/
PYTHON ?= python3
VENV := .venv
# Written last, so that an installation cut short is begun again.
STAMP := $(VENV)/.installed

.PHONY: run test slow docs

run: $(STAMP)
	$(VENV)/bin/python -m simulations.information_plane --scale quick --out results

test: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

slow: $(STAMP)
	$(VENV)/bin/python -m pytest -m slow --timeout 3600

docs: $(STAMP)
	$(VENV)/bin/python -m mkdocs build --strict

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@
