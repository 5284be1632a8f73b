# Two commands do everything on a fresh machine:
#   make study   set up, study small networks and small language models on real data, and say where the reports are
#   make test    set up, run every check
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_ARGS ?=

OLDEST_PYTHON ?= $(PYTHON)
OLDEST := .venv-oldest
OLDEST_EXTRAS := pandas,postgres,ui,tui,llm

# The many processes of the tests are compiled once, also where the environment says that nothing should be.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test side-by-side test-oldest test-integrations lint types unit web web-checked bundle docs bench clean help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 3

# A PyTorch that is already there is used; the public Linux wheel brings gigabytes of CUDA (the README says how to get
# the CPU build).
$(VENV)/bin/python:
	@if $(PYTHON) -c "import torch" 2>/dev/null; \
	then $(PYTHON) -m venv --system-site-packages $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(VENV)/.study: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[study,llm]'
	@touch $@

# Without [vision]: timm brings torchvision, which must fit the machine's PyTorch; its tests use stand-ins.
$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[pandas,postgres,study,llm,ui,tui,agent,edge,optuna,slurm,kubernetes,test]'
	@touch $@

study: $(VENV)/.study
	$(BIN)/wattmark study run vision-quick --report
	$(BIN)/wattmark study run genops-quick --report

test: lint web
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target side-by-side

side-by-side: unit types docs

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/pyright
	$(BIN)/pyright -p pyrightconfig.tests.json

unit: $(VENV)/.test
	$(BIN)/python -m coverage erase
	@# Five processes that take about as long: the tests of the browser, of runs, of commands and of advice mostly wait.
	@run="$(BIN)/python -m coverage run -m pytest"; \
	$$run tests/browser > .browser.log 2>&1 & browser=$$!; \
	$$run tests/recorder tests/cli/run tests/cli/carbon > .runs.log 2>&1 & runs=$$!; \
	$$run --ignore=tests/cli/advise --ignore=tests/cli/run --ignore=tests/cli/carbon tests/cli \
	  tests/report tests/dashboard tests/integrations > .commands.log 2>&1 & commands=$$!; \
	$$run tests/advise tests/cli/advise > .advice.log 2>&1 & advice=$$!; \
	$$run --ignore=tests/browser --ignore=tests/cli --ignore=tests/recorder --ignore=tests/advise \
	  --ignore=tests/report --ignore=tests/dashboard --ignore=tests/integrations $(PYTEST_ARGS); unit=$$?; \
	failed=0; for one in $$runs $$commands $$browser $$advice; do wait $$one || failed=1; done; \
	cat .runs.log .commands.log .browser.log .advice.log; exit $$((unit + failed))
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# The lowest versions that pyproject.toml allows, without PyTorch, in an environment of its own (OLDEST_PYTHON=python3.10 tries that
# one, too). Old releases warn of newer ones, so warnings are no errors here; slow tests and those of this repository are left out.
test-oldest: $(VENV)/.test
	$(BIN)/python tools/oldest.py pandas postgres ui tui llm study > .oldest.txt
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --constraint .oldest.txt --editable '.[$(OLDEST_EXTRAS)]' scipy matplotlib \
	  pytest pytest-timeout hypothesis jsonschema uncertainties httpx httpx2
	$(OLDEST)/bin/python -m pytest -o filterwarnings=default -W ignore -m "not slow" --ignore=tests/dashboard/test_openapi.py \
	  --deselect tests/sources/test_contract.py::test_the_suite_notices_imports_beyond_the_standard_library \
	  tests/store tests/runs tests/impact tests/workspace tests/dashboard tests/sources tests/predict tests/test_quantity.py \
	  tests/test_statistics.py tests/test_settings.py

# Integrations against their real frameworks, newest and (ARGS=--lowest) lowest, each in an environment of its own that sees
# PyTorch and the test tools of .venv; what passed with which versions is kept in benchmarks/results/integrations.json.
test-integrations: $(VENV)/.test
	$(BIN)/python tools/integrations.py $(ARGS)

test-integration-%: $(VENV)/.test
	$(BIN)/python tools/integrations.py $(ARGS) $*

# The page is committed as it was built, so that installing needs no node; where node is, it must be what the source gives.
web:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory web-checked; \
	else echo "no npm here: the page is taken as it was committed"; fi

web-checked: frontend/node_modules/.package-lock.json
	cd frontend && npm run --silent check && npm run --silent test
	cd frontend && npm run --silent build -- --outDir ../.web --emptyOutDir --logLevel error
	diff --recursive --brief .web src/wattmark/dashboard/static || { echo "the committed page is not what frontend/ gives: make bundle"; exit 1; }

bundle: frontend/node_modules/.package-lock.json
	cd frontend && npm run --silent build -- --logLevel error

frontend/node_modules/.package-lock.json: frontend/package-lock.json
	cd frontend && npm ci --silent --no-audit --no-fund

docs: $(VENV)/.test
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs docs/_build/html

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .venv-integrations docs/_build .bench .web frontend/node_modules
