# Two commands do everything on a fresh machine:
#   make study   set up, run a study of small networks on real data, and say where its report is
#   make test    set up, run every check
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_ARGS ?=

.PHONY: study test lint types unit docs bench clean help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 3

# A PyTorch that is already there is used; the public Linux wheel brings gigabytes of CUDA (the README says how to get
# the CPU build).
$(VENV)/bin/python:
	@if $(PYTHON) -c "import torch" 2>/dev/null; \
	then $(PYTHON) -m venv --system-site-packages $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(VENV)/.study: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[study]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,test]'
	@touch $@

study: $(VENV)/.study
	$(BIN)/wattmark study run vision-quick --report

test: lint types unit docs

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/pyright

unit: $(VENV)/.test
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

docs: $(VENV)/.test
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs docs/_build/html

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) docs/_build .bench
