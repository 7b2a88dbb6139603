# make demo, make test: the two commands of the README. Both set up .venv first.
# Another Python beside it: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Nothing comes in whose bytes the lock files do not know.
LOCKED := $(INSTALL) --require-hashes --requirement
# Tapetum itself, from here, with the build tools of requirements-build.lock instead of new ones.
HERE := --no-deps --no-build-isolation --editable .

.PHONY: help install install-dev demo test lint unit azurite clients test-clients compatibility \
	extras wheel test-wheel test-3.13 bench quality fuzz audit lock clean

help:
	@echo "make demo      the main job on real photographs, start to finish"
	@echo "make test      everything CI checks: style, types, imports, tests"
	@echo "make install   only .venv/bin/tapetum"
	@echo "make bench     speed and memory, as ratios"
	@echo "make azurite   the Azure emulator, for the tests that are skipped without it"
	@echo "make test-clients   Google's clients in three languages; installs what Node.js and Java need"
	@echo "make compatibility  the same, and writes docs/compatibility.md"
	@echo "make extras    PDQ's reference, Parquet, PostgreSQL and LanceDB, for the tests skipped without"
	@echo "make wheel     dist/: the wheel and the source archive"
	@echo "make test-wheel     the wheel in an empty environment (asks an index)"
	@echo "make test-3.13      most tests on python3.13, in .venv-3.13"
	@echo "make quality   every quality metric on the development sets (DATA=folder)"
	@echo "make fuzz      10,000 mutated requests, 2,000 images, 200 files against a server (asks an index)"
	@echo "make audit     known holes in what is installed (asks an index)"
	@echo "make lock      renew the four requirements*.lock (asks an index); LOCK=--upgrade for the newest"

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tapetum needs Python 3.11 or newer; name one: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements.lock --requirement requirements-build.lock
	$(INSTALL) $(HERE)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(LOCKED) requirements-dev.lock
	@touch $@

demo: install
	$(BIN)/python examples/demo.py

test: install-dev lint unit

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Most of a test's time is other processes' work, or waiting for them. Those of a file share what
# they need; those of the clients write one table together, in their order.
JOBS ?= 2
SIDE_BY_SIDE := --numprocesses $(JOBS) --dist loadfile

unit: install-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore=tests/clients
	$(BIN)/python -m pytest tests/clients

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

# What some tests are skipped without. Of all that is locked, only pdqhash has to be compiled.
extras: $(VENV)/.installed-extras

$(VENV)/.installed-extras: $(VENV)/.installed-dev requirements-extras.lock
	$(LOCKED) requirements-extras.lock
	@touch $@

# sdist and wheel, the wheel out of the sdist; git's tags say which version they are.
wheel: install-dev
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python

# The wheel in an empty environment, far from any checkout.
test-wheel: install-dev
	TAPETUM_REQUIRE_WHEEL=1 $(BIN)/python -m pytest tests/packaging

# On the newest Python that is supported, without what says the same there: networks are libraries'
# work, clients are other languages', and the wheel is of no one Python.
PYTHON313 ?= python3.13
NOT313 := bench clients detectors packaging recognisers

test-3.13:
	$(MAKE) install-dev PYTHON=$(PYTHON313) VENV=.venv-3.13
	.venv-3.13/bin/python -m pytest $(SIDE_BY_SIDE) $(NOT313:%=--ignore=tests/%)

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

# Keeps what is pinned as long as it fits; LOCK=--upgrade takes the newest of everything.
LOCK ?=
COMPILE := $(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --generate-hashes $(LOCK)

lock:
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-build.lock
	$(COMPILE) --group dev --constraint requirements.lock --constraint requirements-build.lock \
		--output-file requirements-dev.lock
	$(COMPILE) --group extras --all-extras pyproject.toml --constraint requirements.lock \
		--constraint requirements-dev.lock --output-file requirements-extras.lock

clean:
	rm -rf $(VENV) .venv-3.13 build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
