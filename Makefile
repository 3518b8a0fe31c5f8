.PHONY: help setup quickstart test check lock clean

help: ## show these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## prepare .venv: Python 3.12, pinned libraries, etude
	@scripts/setup.sh

quickstart: setup ## record, train, evaluate and report, in minutes (ARGS="--episodes 10")
	@.venv/bin/etude quickstart $(ARGS)

test: setup ## the default tests (ARGS="tests/runs -x")
	@.venv/bin/python -m pytest $(ARGS)

check: setup ## style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

lock: ## compile requirements/*.txt from pyproject.toml (ARGS=--upgrade)
	@scripts/lock.sh $(ARGS)

clean: ## remove what setup made
	rm -rf .venv .uv build src/*.egg-info
