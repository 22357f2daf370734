# Two commands do everything: `make demo` runs the main job, `make test` passes all tests.
# All is installed into this folder: .venv (Python) and node_modules (the embedded chain).

.PHONY: demo test bench fuzz mutate soak study lint lock clean setup
.DEFAULT_GOAL := help

# The first interpreter that really is Python 3.11 or 3.12 (a name on PATH may be a dead shim).
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
  && { echo "$$p"; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# What tests compile stays in this folder. The demo uses the user's cache, as its programs do when they are
# started by hand afterwards: nobody waits for the compiler twice.
test bench fuzz soak: export NUMBA_CACHE_DIR ?= $(CURDIR)/.cache/numba
# All bytecode stays in this folder; without it every start takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make demo   run collector and paper trader on an embedded chain (ARGS='--blocks 60')"
	@echo "make test   run all tests          make fuzz   the long differential runs"
	@echo "make bench  measure speed          make lint   ruff and mypy --strict"
	@echo "make soak   a day of blocks, a thousand strategies, forks, kills (ARGS='--blocks 5000')"
	@echo "make study  are verdicts true? a thousand worlds without an edge (ARGS='--worlds 100')"
	@echo "make mutate change the code here and there, and see that a test fails"

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install one, or call make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "setup: virtual environment with $(PYTHON)"
	@$(PYTHON) -m venv .venv

.venv/base.done: requirements.txt pyproject.toml | .venv/bin/python
	@echo "setup: Python packages"
	@$(PIP) install --no-compile --require-hashes -r requirements.txt
	@$(PIP) install --no-deps -e .
	@touch $@

.venv/test.done: requirements-test.txt .venv/base.done
	@echo "setup: Python packages for the tests"
	@$(PIP) install --no-compile --require-hashes -r requirements-test.txt
	@touch $@

# An environment of its own: nothing of the tool is among what it tests.
.cache/mutate/venv.done: requirements-mutate.txt | .venv/bin/python
	@echo "setup: the tool for mutants"
	@$(BIN)/python -m venv .cache/mutate/venv
	@.cache/mutate/venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-mutate.txt
	@touch $@

# skfolio alone: half a gigabyte, to compare two formulas with.
.cache/study/venv.done: requirements-study.txt | .venv/bin/python
	@echo "setup: skfolio, to compare with"
	@$(BIN)/python -m venv .cache/study/venv
	@.cache/study/venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-study.txt
	@touch $@

node_modules/.done: package-lock.json package.json .npmrc
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed for the embedded chain"; exit 1; }
	@echo "setup: node and contracts of the embedded chain"
	@npm install --no-save --loglevel=error
	@touch $@

tests/hardhat/node_modules/.done: tests/hardhat/package-lock.json tests/hardhat/package.json tests/hardhat/.npmrc
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed for the second node"; exit 1; }
	@echo "setup: a second node for the tests"
	@cd tests/hardhat && npm install --no-save --loglevel=error
	@touch $@

# pip and npm side by side. (`npm ci` refuses a lock that lacks the packages of other platforms.)
setup-demo:
	@$(MAKE) --no-print-directory -j2 .venv/base.done node_modules/.done

setup-test:
	@$(MAKE) --no-print-directory -j2 .venv/test.done node_modules/.done tests/hardhat/node_modules/.done

# Who signs needs more than who watches.
.venv/live.done: requirements-live.txt .venv/base.done
	@echo "setup: Python packages for dexarb-bot"
	@$(PIP) install --no-compile --require-hashes -r requirements-live.txt
	@touch $@

demo: setup-demo $(if $(findstring --live,$(ARGS)),.venv/live.done)
	@$(BIN)/dexarb demo $(ARGS)

test: setup-test
	@$(BIN)/python -m pytest $(ARGS)

bench: setup-test
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: setup-test
	@$(BIN)/python -m pytest -m fuzz -s $(ARGS)

soak: setup-test
	@PYTHONPATH=. $(BIN)/python scripts/soak.py $(ARGS)

# One thread a process: there is a process a core.
study: export OMP_NUM_THREADS = 1
study: .venv/base.done .cache/study/venv.done
	@$(BIN)/python scripts/study.py $(ARGS)

mutate: setup-test .cache/mutate/venv.done
	@.cache/mutate/venv/bin/python scripts/mutate.py $(ARGS)

lint: setup-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Locks carry hashes and no addresses. uv is needed for this alone.
lock: setup-test
	@$(PIP) install uv
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes -q -o requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --extra live --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes -q -c requirements.txt -o requirements-live.txt
	@$(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes -q -c requirements.txt -o requirements-test.txt
	@$(BIN)/uv pip compile --group mutate --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes -q -o requirements-mutate.txt
	@$(BIN)/uv pip compile --group study --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes -q -o requirements-study.txt
	@npm install --package-lock-only --silent
	@cd tests/hardhat && npm install --package-lock-only --silent

clean:
	rm -rf .venv node_modules tests/hardhat/node_modules .cache build dist *.egg-info src/*.egg-info
