# Everything a clone can do. Each target builds the part of the environment .venv/ that it needs and reuses it later.

SHELL := /bin/bash
IS_SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for p in .venv/bin/python python3 python3.11 python3.12; do \
	$$p -c "$(IS_SUPPORTED)" >/dev/null 2>&1 && { echo $$p; exit; }; done; echo python3)
OPERATORS ?= auto
RUN := .venv/bin/python
SETUP := $(PYTHON) benchmark/environment.py --operators $(OPERATORS)

.DEFAULT_GOAL := help
.PHONY: help suite test check demo bench fuzz format base full python

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18
	@echo "  The environment takes about 10 minutes the first time (mmcv's operators are compiled), then it is reused."
	@echo "  OPERATORS=cpu|cuda chooses what mmcv is compiled for; PYTHON=... names the Python to use."

suite: full ## train and evaluate on the mini data, write the report (about 15 min on two cores)
	$(RUN) benchmark/run.py --suite full $(ARGS)

test: full ## run the whole test suite (at most 15 min on two cores)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile $(ARGS)

check: full ## format, lint, types, import contract, size budget (under 1 min)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -c "from importlinter.cli import lint_imports_command as run; run()"
	$(RUN) -m pytest tests/test_house.py

demo: base ## no torch, no compiler: mini data, example predictions scored, a report (at most 90 s)
	$(RUN) -m benchmark demo $(ARGS)

bench: full ## our scoring's CPU time and memory beside the installed peers (about 15 min; ARGS="--peers PYTHON")
	$(RUN) tests/bench.py $(ARGS)

fuzz: full ## 10,000 damaged files for each family of readers (about 15 min)
	$(RUN) tests/fuzz.py --inputs 10000 $(ARGS)

format: full ## format the code and fix what the linter can fix
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

base: python
	@$(SETUP) --level base

full: python
	@$(SETUP) --level full

python:
	@command -v $(PYTHON) >/dev/null || { \
	echo "Python 3.11 or 3.12 needed. Debian and Ubuntu: apt-get install -y python3.11 python3.11-venv python3.11-dev"; \
	exit 2; }
