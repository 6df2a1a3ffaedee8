# `make dev` and `make test` do all their own set-up; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# Tests share two cores with the processes that they start.
TEST_WORKERS ?= 2

.DEFAULT_GOAL := help
KAFKA ?=
KILLS ?= 100
SEED ?= 1
# Containers often set it; a hundred short processes would each compile the same modules anew (7 s of CPU in place of 4).
export PYTHONDONTWRITEBYTECODE :=
# Absolute, since dbt starts from its project's folder.
LINT := $(CURDIR)/.local/lint
# What other versions are tried in, beside .venv.
SCRATCH := .local/upgrade
WITH ?=
NAMES ?=
FAULTS ?=
DBT_TESTS := streaming_assets_tests/dbt/test_unit_tests.py $(wildcard streaming_assets_tests/*/test_dbt.py)

.PHONY: help install dev test test-fast test-stock test-former-dbt upgrade-check bench bench-quick soak soak-crashes rehearsal lint format lock clean-local

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## Create .venv with the locked dependencies and this project

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v < (3, 14); sys.exit(0 if ok else f"Python 3.11, 3.12 or 3.13 is needed, {v.major}.{v.minor} was found; name another with: make PYTHON=python3.11 install")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

dev: install ## Run the whole local system; Ctrl-C ends it (KAFKA=real: on a real broker)
ifeq ($(KAFKA),real)
	$(BIN)/streaming-assets kafka up --no-connect
	trap : INT; set -a; . "$${STREAMING_ASSETS_HOME:-.local}/kafka/env"; set +a; \
		$(BIN)/streaming-assets dev; ended=$$?; $(BIN)/streaming-assets kafka down; exit $$ended
else
	$(BIN)/streaming-assets dev
endif

test: install ## Run every test
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup

test-fast: install ## Run the unit tests only
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not integration"

test-stock: install ## The main path on Dagster's own pieces (docs/dagster-runtime.md); make test has it, too
	$(BIN)/python -m pytest -n 0 streaming_assets_tests/integration/test_graph_stock.py

test-former-dbt: install ## The dbt project and its runner on dbt-core 1.11, the rest as locked
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SCRATCH)/former-dbt
	echo 'dbt-core>=1.11,<1.12' > $(SCRATCH)/former-dbt/overrides.txt
	$(BIN)/uv pip install --quiet --python $(SCRATCH)/former-dbt/bin/python \
		--override $(SCRATCH)/former-dbt/overrides.txt -r requirements.lock -e .
	$(SCRATCH)/former-dbt/bin/python -m pytest -n 0 $(DBT_TESTS)

upgrade-check: install ## The fast and the contract tests on the newest versions that pyproject.toml allows, or WITH='dagster<2 ...'
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(SCRATCH)/newest
	printf '%s\n' $(foreach version,$(WITH),'$(version)') > $(SCRATCH)/newest/overrides.txt
	$(BIN)/uv pip install --quiet --python $(SCRATCH)/newest/bin/python \
		--override $(SCRATCH)/newest/overrides.txt -e '.[dev]'
	@for environment in $(VENV) $(SCRATCH)/newest; do \
		$(BIN)/uv pip freeze --quiet --python $$environment/bin/python > $$environment/versions.txt; done
	@echo "Versions here (<) and newest (>):"; diff $(VENV)/versions.txt $(SCRATCH)/newest/versions.txt | grep '^[<>]' || true
	$(SCRATCH)/newest/bin/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not integration or contract"

bench: install ## Measure all that benchmarks/suite.py names into docs/benchmarks.md (an hour; NAMES='freshness ...')
	$(BIN)/python benchmarks/suite.py $(NAMES)

bench-quick: install ## Ratios of CPU that one short run tells; a loss of a third fails (a minute)
	$(BIN)/python benchmarks/quick.py

soak: install ## Order independence over 5,000 drawn schedules (an hour on two cores)
	PROPERTY_SCHEDULES=5000 $(BIN)/python -m pytest -v -n $(TEST_WORKERS) streaming_assets_tests/properties/test_schedules.py streaming_assets_tests/properties/test_seeded_mistakes.py

soak-crashes: install ## KILLS=100 kills of the running system, then all tables against what Kafka acknowledged (KAFKA=real: a real broker)
	$(BIN)/python -m streaming_assets_tests.soak --kills $(KILLS) --seed $(SEED) --broker $(if $(filter real,$(KAFKA)),kafka,embedded)

rehearsal: install ## Faults put into the running system, its alerts received, the runbook typed; docs/reliability.md has the table (root, Java, Maven and Go; FAULTS='bad object, drift')
	$(BIN)/python -m streaming_assets_tests.rehearsal --faults '$(FAULTS)'

lint: install ## Style, types and SQL
	mkdir -p $(LINT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -c "import duckdb; duckdb.connect('$(LINT)/warehouse.duckdb')"
	STREAMING_ASSETS_WAREHOUSE_PATH=$(LINT)/warehouse.duckdb DBT_TARGET_PATH=$(LINT)/target DBT_LOG_PATH=$(LINT)/logs \
		$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests

format: install ## Format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install ## Resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --universal pyproject.toml -o requirements.lock

clean-local: ## Forget all local state (lake, warehouse, Dagster's history)
	rm -rf .local
