# Driftloop. `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest
PIP := $(BIN)/python -m pip
UV := $(BIN)/python -m local.jobs.installer
# Processes are started by the hundred; without byte code each of them would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint soak bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make the virtual environment (the others call it by themselves)

# It is ready when its stamp is newer than what it is made from. `compat` puts the checkout on the path as it is: the
# finder that stands there else costs every process that starts 25 ms.
.venv/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Driftloop needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.11"; exit 1; }
	@echo "making .venv (about a minute, once)"
	@$(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt >.venv/uv.txt
	@$(PIP) install -qq --disable-pip-version-check --retries 1 -r .venv/uv.txt 2>.venv/pip.log || \
	  { echo "No package index answered (.venv/pip.log). Behind a proxy set HTTPS_PROXY; for a mirror set PIP_INDEX_URL."; exit 1; }
	@$(UV) pip install --require-hashes -r requirements-dev.txt || \
	  $(PIP) install -qq --disable-pip-version-check -r requirements-dev.txt
	@$(PIP) install -qq --disable-pip-version-check --no-deps -e . --config-settings editable_mode=compat
	@touch $@

demo: setup ## Show the main job on real data: make demo; another loop: LOOP=iris; from test to production: LOOP=iris ENVIRONMENTS=1; served inputs that drift: SERVED=1; with Spark: LOOP=income SPARK=1
	@$(BIN)/python -m demo $(LOOP) $(if $(ENVIRONMENTS),--environments) $(if $(SERVED),--served) $(if $(SPARK),--spark)

up: setup ## Keep a local Azure running to play with, and print its settings
	@$(BIN)/python -m local up

# Test processes share the cores already: threads of the linear algebra would only spin.
test soak: export OPENBLAS_NUM_THREADS = 1
test: setup ## Lint, types, import rules, and all tests but the long ones
	@$(MAKE) --no-print-directory lint & lint=$$!; \
	  $(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m "not soak"; tests=$$?; \
	  wait $$lint || { echo "lint, types or import rules failed: the words are above, and in: make lint"; exit 1; }; \
	  exit $$tests

lint: setup ## Lint, types and import rules alone
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

soak: setup ## The long tests: full sizes of what `make test` samples, and what takes minutes
	@$(PYTEST) -m soak --timeout 0

bench: setup ## Compare side by side and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks

# The app's packages are a part of the tests' ones, at the same versions: what is deployed is what was tested.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
  --custom-compile-command "make lock"
lock: setup ## Pin every package by hash: requirements*.txt from requirements*.in (UPGRADE=1 takes the newest)
	@$(BIN)/$(COMPILE) $(if $(UPGRADE),--upgrade) requirements-dev.in --output-file requirements-dev.txt
	@$(BIN)/$(COMPILE) requirements.in --constraint requirements-dev.txt --output-file requirements.txt

clean: ## Remove the virtual environment and all caches
	@rm -rf .venv .venv-ml .local .mypy_cache .ruff_cache .hypothesis build *.egg-info
