# Quarterdeck. `make demo` is the place to start; `make help` lists the rest.
# Variables: NO_SUDO=1 (print system commands, never run them), PYTHON=python3.12, JOBS=2, DEMO_SEED=n, DEMO_MODEL=provider/name.
SHELL := /bin/bash
BIN := .venv/bin
export NO_SUDO PYTHON JOBS

.PHONY: help setup demo test test-all bench lint clean
.DEFAULT_GOAL := help

help:            ## this list
	@sed -nE 's/^([a-z-]+): .*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:           ## install what using and testing Quarterdeck needs, into .venv
	@tools/bootstrap test

demo:            ## a pull request reviewed before your eyes, then five scenes
	@tools/bootstrap demo
	@$(BIN)/quarterdeck demo

test:            ## lint and the tests (minutes)
	@tools/bootstrap test
	@$(BIN)/python tools/suite

test-all:        ## the slow tests too: wheels, long sweeps
	@tools/bootstrap test
	@$(BIN)/python tools/suite --all

bench:           ## the measured figures, as ratios in one run
	@tools/bootstrap test
	@$(BIN)/python bench/run.py

lint:            ## ruff, mypy --strict, import contracts
	@tools/bootstrap test
	@$(BIN)/python tools/suite --lint-only

clean:           ## remove .venv and every cache in the checkout
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
