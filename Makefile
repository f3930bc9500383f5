# make demo: the main job, end to end.  make check: lint and the quick tests, while you work.
# make test: the tests.  Each sets up everything that it needs. `.ci/run` also has the exhaustive tests.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
DATA   ?= ../shared/data
READY   = $(VENV)/.ready
PIP     = $(BIN)/pip install --quiet --disable-pip-version-check
TESTS  ?= not exhaustive
# Of PyTorch this version, and before anything else: any newer one would bring gigabytes of CUDA along.
TORCH  ?= torch==2.13.0

.PHONY: demo check test coverage lint format docs site wheel-smoke clean

demo: $(READY)
	$(BIN)/python examples/demo.py --data $(DATA)

check: lint
	$(BIN)/python -m pytest -n 2 -m "not slow and not exhaustive"

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "$(TESTS)"

coverage: $(READY)
	$(BIN)/python -m pytest -n 2 --cov --cov-report=

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The page to try netspec in a browser, in build/site; needs Node.
site: $(READY)
	cd docs/site && npm ci --ignore-scripts --no-audit --no-fund && PYTHON="$(abspath $(BIN))/python" npm run build

wheel-smoke:
	PYTHON="$(PYTHON)" .ci/wheel-smoke

clean:
	rm -rf $(VENV) build

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) --editable ".[torch,images,pictures,completion,examples,dev]"
	touch $(READY)

$(VENV)/.docs: $(READY)
	$(PIP) --editable ".[docs]"
	touch $@
