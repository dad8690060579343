# The commands of this project. "make demo" and "make test" set up all that they need.
# What sets up speaks on stderr, so that "make -s bench ARGS=--json" prints one JSON object and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: help setup packages image demo test check format bench lock clean

help:            ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: packages $(STAMP) ## Install what is missing: Debian packages (as root or by sudo) and .venv

packages:
	@scripts/install-packages packaging/debian-packages.txt >&2

$(STAMP): requirements.lock pyproject.toml scripts/make-venv
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV) requirements.lock >&2

image: setup     ## Build the VM image, unless it is up to date
	@$(BIN)/terraphim-runner image build >&2

demo: image      ## Deliver a signed push of a real repository and run its workflows in microVMs
	@$(BIN)/python -m demo $(ARGS)

test: image      ## Run every test, with real VMs
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)  ## Formatting, lint, types and import floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports

format: $(STAMP) ## Format, and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: image     ## Measure; ARGS=--json for one JSON object
	@$(BIN)/python -m bench $(ARGS)

lock: $(STAMP)   ## Renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet \
		--python-version 3.11 --group dev --group lock pyproject.toml --output-file requirements.lock

clean:           ## Remove the virtual environment; images and data stay in the data folder
	@rm -rf $(VENV)
