# Two commands: `make demo` and `make test`. Each prepares .venv from uv.lock by itself.
UV_VERSION := 0.13.9
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# The second try is for networks whose certificates only the system knows.
SYNC := VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv sync --quiet --frozen --compile-bytecode

.PHONY: install demo up down test bench local-model local-model-test faults lint format clean

install: .venv/.ready

.venv/.ready: uv.lock pyproject.toml Makefile
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on PATH (PYTHON=... names one)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv"; $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing what uv.lock names"
	@$(SYNC) 2>.venv/sync.log || $(SYNC) --system-certs || { cat .venv/sync.log >&2; exit 1; }
	@touch $@

demo: install
	@$(BIN)/engross demo

up: install
	@$(BIN)/engross up --detach

down: install
	@$(BIN)/engross down

test: install lint
	$(BIN)/pytest -n 3 --dist loadgroup -m "not local_model"

# Every row of the fault table, in its long version: about half an hour.
faults: install
	FAULTS=long $(BIN)/pytest -n 2 --dist loadgroup --timeout 1500 -m fault --fault-table
	FAULTS=long $(BIN)/pytest --timeout 1500 tests/faults/test_large_batch.py

# Speed against the floor, on a stack of its own: about 5 minutes. BENCH="--scenario b --rounds 3" chooses.
bench: install
	@$(BIN)/python -m benchmarks --json .engross/benchmarks.json $(BENCH)

# A small real model for `engross up --local-model`. The next `make install` with a new uv.lock takes it away again.
local-model: install
	@echo "compiling llama.cpp, which needs a C++ compiler and takes about 5 minutes, once"
	@$(SYNC) --extra local-model 2>.venv/sync.log || $(SYNC) --extra local-model --system-certs || \
		{ cat .venv/sync.log >&2; exit 1; }

local-model-test: local-model
	$(BIN)/pytest -m local_model -s

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
