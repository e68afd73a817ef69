# Everything is done inside .venv, made from the lock file; nothing else on the machine is touched.
# uv is used when it is there, python -m venv and pip when it is not.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Roles belong to a whole server: on one that is shared, tests run one after another.
WORKERS ?= $(if $(FEDSCHEMA_TEST_URL),0,auto)

.DEFAULT_GOAL := help
.PHONY: help demo test test-programs lint format types floors check bench bench-isolation bench-fleet bench-others lock clean

help:  ## Show what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

demo: $(VENV)/installed  ## Run the main job on the embedded server
	@$(BIN)/fedschema demo

test: $(VENV)/installed  ## Run the tests, on a server of their own
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-programs: $(VENV)/installed  ## Run the tests that need PgBouncer, psql, plpgsql_check, pg_cron, Chromium and promtool (FEDSCHEMA_TEST_BINDIR)
	$(BIN)/python -m pytest tests/programs $(ARGS)

lint: $(VENV)/installed  ## Check style, and the revisions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/fedschema lint --all --strict

types: $(VENV)/installed  ## Check types
	$(BIN)/mypy

floors: $(VENV)/installed  ## Check that imports run strictly downward
	$(BIN)/lint-imports

check: lint types floors test  ## All of the above

format: $(VENV)/installed  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed  ## Measure against psql applying the same SQL
	$(BIN)/python -m benchmarks.add_department $(ARGS)

bench-isolation: $(VENV)/installed  ## Measure what isolation costs, on a million rows
	$(BIN)/python -m benchmarks.isolation $(ARGS)

bench-fleet: $(VENV)/installed  ## Measure a fleet against psql, and against a small one (ARGS="--departments 1000")
	$(BIN)/python -m benchmarks.fleet $(ARGS)

bench-others: $(VENV)/installed  ## Measure django-tenants and a loop of Alembic on the same tables
	$(BIN)/python -m benchmarks.others $(ARGS)

lock: pyproject.toml  ## Renew the lock file (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade --group dev --custom-compile-command "make lock" \
		pyproject.toml --output-file requirements.lock

clean:  ## Remove what was made here but the embedded server's data
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "fedschema needs Python 3.11 or newer; name it with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && \
		uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
		"$(PYTHON)" -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@
