# make demo: the main job, end to end.  make test: the tests.  Both set up everything they need.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
DATA   ?= ../shared/data
READY   = $(VENV)/.ready

.PHONY: demo test lint format clean

demo: $(READY)
	$(BIN)/python examples/demo.py --data $(DATA)

test: $(READY)
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build

# torch comes first and by its version: any newer one would bring gigabytes of CUDA along.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[torch,images,dev]"
	touch $(READY)
