# Each target makes .venv and installs the pinned versions when needed; nothing else is required than Python >= 3.11, pip, git and make.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test test-slow bench check format audit clean

repro: $(STAMP)  ## run the whole pipeline
	dvc repro

test: $(STAMP)  ## the fast tests: at most 12 minutes on two cores
	python -m pytest -m "not slow and not gpu"

test-slow: $(STAMP)  ## the long tests
	python -m pytest -m "slow and not gpu" --timeout=1500

bench: $(STAMP)  ## how close each stage comes to its physical limit: at most 15 minutes on two quiet cores
	python -m benchmarks

check: $(STAMP)  ## format, lint, types, import contracts
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: $(STAMP)
	ruff format .
	ruff check --fix .

audit: $(STAMP)  ## known vulnerabilities of the pinned versions; needs a network
	python -m pip install --quiet pip-audit && pip-audit --requirement constraints.txt --no-deps

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "TeachOnce needs Python >= 3.11, got " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

clean:  ## remove the environment and what the tools leave behind; data, models and results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
