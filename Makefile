# Every target sets up what it needs in .venv and says what it installs; a second run starts at once.
# PYTHON=/path/to/python3 names the interpreter where the one found does not suit.
SHELL := /bin/bash
export PYTHON
BIN := .venv/bin
PLANNED := package

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs simulate crash faults device-test $(PLANNED) clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

demo:  ## plays the main job (ARGS=--check: compares both sides)
	@tools/setup.sh demo
	@$(BIN)/doorstile demo $(ARGS)

test:  ## the whole suite, coverage gate (ARGS="-m unit": only those)
	@tools/setup.sh test
	@tools/test.sh $(ARGS)

check:  ## lint, types, import arrows, generated pages, docs
	@tools/setup.sh dev
	@tools/check.sh

bench:  ## every script in bench/, then their target lines
	@tools/setup.sh dev
	@tools/bench.sh

docs:  ## the documentation, into docs/_build/html
	@tools/setup.sh dev
	@tools/docs.sh

simulate:  ## three doors and central in virtual time (SEEDS=n, FIRST=n)
	@tools/setup.sh dev
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),100) --first $(or $(FIRST),1)

crash:  ## kill -9 under load, both sides compared (N=kills, SEED=n)
	@tools/setup.sh test
	@$(BIN)/python -m tests.processes.crash $(if $(N),--kills $(N)) $(if $(SEED),--seed $(SEED))

faults:  ## the fault table, then planted bugs (ARGS="--only F12")
	@tools/setup.sh test
	@$(BIN)/python -m tests.processes.faults $(ARGS)

device-test:  ## the agent on an emulated device (ARGS=--long)
	@tools/setup.sh device
	@$(BIN)/python -m tests.device $(ARGS)

package:  ## not filled yet: what is installed on a device
$(PLANNED):
	@echo "make $@ is not filled yet: nothing was run" >&2; exit 2

clean:  ## remove what builds and tests leave behind; .venv stays
	@rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* coverage.json
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
