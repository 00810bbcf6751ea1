# Each target sees to what it needs: the machine's tools, then the virtual environment. PYTHON is
# the interpreter.
PYTHON ?= python3
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo demo-serve test test-nix-matrix test-oldest fuzz mutants coverage lint dist docs bench
.PHONY: findings profiles pictures clean
.NOTPARALLEL: # what is installed first is used next

demo: $(READY)
	$(BIN)/python -m fixtures.demo

demo-serve: tools-demo-serve $(READY)
	$(BIN)/python -m fixtures.demo --serve

test: tools-test $(READY)
	@command -v chromium >/dev/null || $(BIN)/playwright install --with-deps chromium
	$(BIN)/python -m pytest

# Each target of tests/fuzz for SECONDS, led by what its inputs reach.
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),20) $(TARGETS)

# MUTANTS='--sample 0' tries all, which takes hours.
mutants: tools-test $(READY)
	$(BIN)/python -m pip install --quiet --group mutants
	$(BIN)/python -m tests.mutation $(MUTANTS)

# Of the whole suite, or of what PYTEST names.
coverage: tools-test $(READY)
	$(BIN)/python -m pip install --quiet --group coverage
	scripts/coverage.sh $(PYTEST)

# The tests that ask Nix, with the Nix of each Debian.
test-nix-matrix: tools-test $(READY) tools-test-nix-matrix
	PYTEST='$(BIN)/python -m pytest' scripts/nix_matrix.sh $(SUITES)

lint: tools-lint $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	shellcheck hooks/*.bash benchmarks/*.bash scripts/*.sh .ci/run
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

bench: tools-bench $(READY)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

# nixenv/road/built_in.py, from nixenv/profiles
profiles: $(READY)
	$(BIN)/python -m scripts.compile_profiles

# docs/findings.md, from nixenv/inspect/diagnosis/findings.toml
findings: $(READY)
	$(BIN)/python -m docs.findings

# The documentation site, in site/
docs: $(READY)
	$(BIN)/python -m pip install --quiet --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# sdist and wheel in dist/, and what the wheel brings, looked at where it is installed alone
dist: tools-dist $(READY)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	NIXENV_DIST=dist $(BIN)/python -m pytest tests/release

# The lower bounds of pyproject.toml hold: an environment of the oldest that they allow, and of
# the oldest Python where PYTHON names it. AREAS are the tests to run.
AREAS ?= tests/road tests/shells tests/cli tests/hook tests/release
test-oldest: tools-test $(READY)
	rm -rf $(VENV)-oldest
	$(BIN)/uv venv --quiet --seed --python "$$(command -v $(PYTHON))" $(VENV)-oldest
	$(BIN)/uv pip install --quiet --python $(VENV)-oldest/bin/python \
		--resolution lowest-direct --editable . --group dev
	$(VENV)-oldest/bin/python -m pytest $(AREAS)

pictures: tools-pictures $(READY)
	$(BIN)/python -m docs.screenshots

clean:
	rm -rf $(VENV) $(VENV)-oldest .cache dist site

# Python itself matters only where the virtual environment is still to be made.
tools-%:
	@scripts/tools.sh $* $(if $(wildcard $(READY)),,venv)

# pip learnt --group in 25.1; a fresh machine may have an older one.
$(READY): pyproject.toml
	@scripts/tools.sh venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@
