# Each target makes what it needs, the virtual environment first. PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo demo-serve test lint bench findings pictures clean

demo: $(READY)
	$(BIN)/python -m fixtures.demo

demo-serve: $(READY)
	$(BIN)/python -m fixtures.demo --serve

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# GNU time measures the memory, and the hook loads bash's builtin stat: Debian's packages time and
# bash-builtins.
bench: $(READY)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

# docs/findings.md, from nixenv/inspect/diagnosis/findings.toml
findings: $(READY)
	$(BIN)/python -m docs.findings

pictures: $(READY)
	$(BIN)/python -m docs.screenshots

clean:
	rm -rf $(VENV) .cache

# pip learnt --group in 25.1; a fresh machine may have an older one.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@
