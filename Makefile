PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export FEED_HOME ?= $(CURDIR)/.feed
.DEFAULT_GOAL := help
.PHONY: help demo test check ui stop clean setup bench-imports bench-features bench-feast bench-off-policy bench-promotion bench-headroom bench-training bench-serving

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## set everything up, run the whole line on two feeds, leave the service answering
	@$(BIN)/feed demo

test: check ## set everything up, check and test
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup ## lint, types, Dagster definitions, dbt project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m feed_platform.features.manifest
	$(BIN)/dagster definitions validate -w workspace.yaml

ui: setup ## Dagster webserver and daemon on loopback (http://127.0.0.1:3000)
	@$(BIN)/feed ui

bench-imports: setup ## validated imports beside DuckDB's own CREATE TABLE AS, 1 and 10 million rows
	@$(BIN)/python -m benchmarks.imports

bench-features: setup ## the feature build beside a hand-written script and Polars
	@$(BIN)/python -m benchmarks.features

bench-feast: setup ## Feast's retrieval of the same features, in an environment of its own
	@$(BIN)/python -m benchmarks.features.bench_feast

bench-off-policy: setup ## do off-policy intervals cover the truth: 640 simulated worlds
	@$(BIN)/python -m benchmarks.off_policy

bench-promotion: setup ## how often the gate passes models that differ in their seed alone
	@$(BIN)/python -m benchmarks.learning.promotion

bench-headroom: setup ## how much of what there is to learn the ranker learns, in simulated worlds
	@$(BIN)/python -m benchmarks.headroom

bench-training: setup ## training from the lake beside plain XGBoost, and up to 30 million rows
	@$(BIN)/python -m benchmarks.learning.training

bench-serving: setup ## the ranking service beside a naive one, a plain ASGI one and Ray Serve's defaults
	@$(BIN)/python -m benchmarks.serving

stop: ## end the service and the UI that this checkout started
	@for home in "$(FEED_HOME)" "$(FEED_HOME)-open-bandit"; do \
		if [ -d "$$home" ] && [ -x $(BIN)/feed ]; then FEED_HOME="$$home" $(BIN)/feed stop; fi; done

clean: stop ## stop, then remove the homes and the environment
	rm -rf "$(FEED_HOME)" "$(FEED_HOME)-open-bandit" $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

setup: $(INSTALLED)

$(INSTALLED): pins.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	@echo "Installing into $(VENV): about 2.5 GB, two to five minutes"
	@if command -v uv > /dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --no-deps --python $(BIN)/python -r pins.txt && \
		uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r pins.txt && \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .; \
	fi
	@touch $(INSTALLED)
