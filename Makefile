# Needs Python >= 3.11, make and a package index. Every target sets up what it needs.

CANDIDATES := python3 python python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c \
	'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
DUCKDB2 := 2.0.0

.DEFAULT_GOAL := help
.PHONY: help test lint demo live bench test-tz test-duckdb2 clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 15

test: lint ## lint, then every test on two processes in random order
	.venv/bin/python -m pytest

lint: .venv/ready ## ruff, mypy --strict, import-linter
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

demo: .venv/ready ## sync the embedded demo APIs into ./demo and show what failed
	.venv/bin/etl demo

live: .venv/ready .live/ready ## a real Airflow on loopback, synced and compared run by run
	.venv/bin/python -m tests.live .live/venv

bench: .venv/ready ## measure; prints a table
	.venv/bin/python -m tests.bench

test-tz: .venv/ready ## every test in another time zone
	TZ=America/New_York .venv/bin/python -m pytest

test-duckdb2: .venv-duckdb2/ready ## every test with DuckDB 2
	.venv-duckdb2/bin/python -m pytest

clean: ## remove every virtual environment and cache
	rm -rf .venv .venv-duckdb2 .live .bench .mypy_cache .ruff_cache .import_linter_cache \
		.pytest_cache .hypothesis

# $(call install,FOLDER,CONSTRAINTS): the project, editable, and its dev group. Old pips know no groups.
define install
@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; try: make PYTHON=/path/to/python3" >&2; exit 2; }
@echo "make: installing into $1" >&2
@$1/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $1
@$1/bin/python -m pip install -qq --disable-pip-version-check -c $2 pip
@$1/bin/python -m pip install -qq --disable-pip-version-check -c $2 --group dev
@$1/bin/python -m pip install -qq --disable-pip-version-check -c $2 --no-build-isolation -e .
@touch $@
endef

.venv/ready: pyproject.toml .ci/constraints.txt
	$(call install,.venv,.ci/constraints.txt)

.venv-duckdb2/ready: pyproject.toml .ci/constraints.txt Makefile
	@test -d .venv-duckdb2 || $(PYTHON) -m venv .venv-duckdb2
	@sed 's/^duckdb==.*/duckdb==$(DUCKDB2)/' .ci/constraints.txt > .venv-duckdb2/constraints.txt
	$(call install,.venv-duckdb2,.venv-duckdb2/constraints.txt)
