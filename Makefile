VENV ?= .venv
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 5000
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test simulations drills lint docs bench mutate wheel dev clean
.DELETE_ON_ERROR:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo ## Run the example shop (HOST=127.0.0.1 PORT=5000)
	$(BIN)/flask --app example_app seed
	@printf '\nWorth opening:\n'
	@printf '  %-12s http://$(HOST):$(PORT)%s\n' \
		'the shop' / 'its lab' /lab 'a report' /abx/headline
	$(BIN)/flask --app example_app run --debug --host "$(HOST)" --port "$(PORT)"

test: $(VENV)/.dev ## Run the tests
	$(BIN)/python -m pytest -n auto $(ARGS)

simulations: $(VENV)/.dev ## Judge thousands of made-up experiments, and count the errors
	$(BIN)/python -m pytest -q -s -n auto -m simulation tests/results/simulations

drills: $(VENV)/.dev ## Break running servers on purpose, and print what it cost
	$(BIN)/python -m pytest -m drill -q -s -rs tests/drills

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.dev ## Build the documentation into docs/_build/html
	$(BIN)/sphinx-build -q -E -W -n -b html docs docs/_build/html

bench: $(VENV)/.dev ## Measure what a request pays
	$(BIN)/python -m tests.benchmarks

mutate: $(VENV)/.dev ## Break the package patch by patch: the tests must notice
	$(BIN)/python tests/mutations/run.py

wheel: $(VENV)/.dev ## Build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build

dev: $(VENV)/.dev ## Make the virtual environment with all tools

clean: ## Remove what was built, but not the virtual environment
	rm -rf dist build docs/_build .ci-venvs .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find flask_abx tests example_app docs -name __pycache__ -prune -exec rm -rf {} +

# pip knows --group from 25.1 on.
$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --editable '.[toml]'
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --editable '.[toml]' --group dev
	touch $@ $(VENV)/.demo
