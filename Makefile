# Copyloom's chores. Everything is installed into .venv (check-xla: .venv-xla); `make help` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
INSTALLED := .venv/.installed
DEV_INSTALLED := .venv/.installed-dev
SERVE_INSTALLED := .venv/.installed-serve
DOCS_INSTALLED := .venv/.installed-docs
XLA_INSTALLED := .venv-xla/.installed

.DEFAULT_GOAL := help
.PHONY: help install quickstart shop test test-slow lint imports docs check-xla check-gpu check-neuron clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(INSTALLED) ## create .venv, install Copyloom and its pinned dependencies, get the model that writes

quickstart: $(INSTALLED) ## install, then run the main job; QUICKSTART="--seeds 3" for a shorter one
	$(BIN)/copyloom quickstart $(QUICKSTART)

shop: $(SERVE_INSTALLED) ## a small fake shop, its service and worker: http://127.0.0.1:8080
	$(BIN)/python examples/shop/shop.py

test: imports ## run all tests but the slow ones, one process a core; WITH=slow: these in the same session, as CI does
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(if $(WITH),-m "not short") -n auto --dist loadfile

test-slow: $(DEV_INSTALLED) ## run the slow tests, one process a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n auto --dist loadfile

lint: imports ## check style, format, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

imports: $(DEV_INSTALLED) ## check that imports between the packages go one way
	$(BIN)/lint-imports --no-logo

docs: $(DOCS_INSTALLED) ## build the documentation into site/, strictly; the notebooks run
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(BIN)/python -m mkdocs build --strict

check-xla: $(XLA_INSTALLED) ## count what PyTorch/XLA compiles for inversion, in .venv-xla
	PJRT_DEVICE=CPU .venv-xla/bin/python -m experiments.benchmarks.xla.compilations

check-gpu: ## check a CUDA device: agreement with the CPU, speed; needs torch and transformers, takes wheels from runs/wheels
	@python3 -c 'import pydantic' 2>/dev/null || { echo "Installing pydantic from runs/wheels"; python3 -m pip install --quiet --no-index --find-links runs/wheels pydantic; }
	python3 -m experiments.benchmarks.devices.check --device cuda --out $${OUT:-runs/check-gpu}

check-neuron: ## the same on a Trainium machine; it has never run on one
	python3 -m experiments.benchmarks.devices.check --device neuron --out $${OUT:-runs/check-neuron}

clean: ## remove .venv, builds and caches; runs/ stays
	rm -rf .venv .venv-xla build dist site *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: what is there is installed again only when pyproject.toml or constraints.txt has changed since.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Copyloom needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing Copyloom into .venv (a few minutes the first time)"
	@$(PIP) -e .
	@$(BIN)/copyloom models get smollm2 || \
	  echo "Without it copyloom-tiny writes; get it later with: $(BIN)/copyloom models get smollm2" >&2
	@touch $@

# Debian's packages that tests start for themselves; without one those tests are skipped.
APT = { set --; \
	test -d /usr/lib/postgresql || command -v initdb >/dev/null || set -- "$$@" postgresql; \
	command -v redis-server >/dev/null || set -- "$$@" redis-server; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || set -- "$$@" chromium; \
	test $$\# = 0 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing $$*, which tests start for themselves"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$$@"; } >/dev/null && exit 0; \
	fi; \
	echo "Without $$* the tests that need it are skipped; get it with: apt-get install $$*" >&2; }

$(DEV_INSTALLED): $(INSTALLED)
	@echo "Installing what tests and checks need"
	@$(PIP) -e '.[dev]'
	@$(APT)
	@touch $@

$(SERVE_INSTALLED): $(INSTALLED)
	@echo "Installing what the service needs"
	@$(PIP) -e '.[serve]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@echo "Installing what the documentation needs"
	@$(PIP) -e '.[docs]'
	@touch $@

# PyTorch/XLA works with one version of torch, older than ours; everything else has the versions of constraints.txt.
$(XLA_INSTALLED): pyproject.toml constraints.txt requirements-xla.txt
	@test -x .venv-xla/bin/pip || $(PYTHON) -m venv .venv-xla
	@echo "Installing Copyloom and PyTorch/XLA into .venv-xla (several minutes)"
	@sed '/^torch==/d' constraints.txt > .venv-xla/constraints.txt
	@.venv-xla/bin/python -m pip install --disable-pip-version-check --quiet -c .venv-xla/constraints.txt \
	  -r requirements-xla.txt -e .
	@touch $@
