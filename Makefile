# What can be done here: `make` lists it. The first two work on a fresh machine with Python 3.11 or later.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench fuzz docs lock clean
SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
# uv is used where it is installed; it never fetches an interpreter.
export UV_PYTHON_DOWNLOADS := never
INSTALL = sh scripts/install

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: .venv/.server ## The whole story on real TLS, told step by step (ARGS=--once: and end)
	@.venv/bin/certbound demo $(ARGS)

test: .venv/.dev ## Every test (ARGS passes options to pytest)
	@.venv/bin/pytest -n auto $(ARGS)

check: .venv/.dev ## Format, lint, types, import contracts, generated pages
	.venv/bin/ruff format --check src tests bench fuzz scripts
	.venv/bin/ruff check src tests bench fuzz scripts
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/settings_page.py --check
	.venv/bin/python scripts/marked_pages.py --check

bench: .venv/.dev ## Start-up, memory, CPU per request and decision, seconds to a block, on this machine (ARGS=--quick)
	@.venv/bin/python -m bench $(ARGS)

fuzz: .venv/.dev ## Every reader against inputs nobody would write, 10 minutes each (ARGS="--seconds 5")
	@.venv/bin/python -m fuzz $(ARGS)

docs: .venv/.dev ## The documentation as a site, in site/
	.venv/bin/python scripts/settings_page.py
	.venv/bin/python scripts/marked_pages.py
	.venv/bin/zensical build --clean

lock: .venv/.dev ## Choose the newest versions that pyproject.toml allows, and write them down with their hashes
	sh scripts/lock

clean: ## Remove what was made here
	rm -rf .venv site dist

.venv/.server: pyproject.toml locks/server.txt
	@$(INSTALL) "$(PYTHON)" server
.venv/.dev: pyproject.toml locks/dev.txt
	@$(INSTALL) "$(PYTHON)" dev
