# make demo    run the main job: the natural gradient on the hydrogen molecule
# make test    run all tests                 (ARGS="-k h2" goes on to pytest)
# make lint    formatting, rules and types
# make bench   time the exact engine beside its peers (installs them in .bench/; ARGS=--smoke: seconds, without)
# make lock    resolve constraints.txt anew  (ARGS=--upgrade takes the newest releases)
# make check-lowest   all tests with the lowest versions that pyproject.toml allows  (ARGS="-k h2" goes on to pytest)
# make check-newest   all tests with the newest, those before a release included     (PYTHON=python3.13 for both)
# make clean   remove the environments and what tools left behind; results/ stays
#
# All of them make the virtual environment .venv first if it is missing or out of date.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench lock check-lowest check-newest clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "qngd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt -e '.[all,test,dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/qngd run circuits/h2.py --out results/h2
	@echo
	@echo "Plots:"
	@ls results/h2/*.png

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

bench: $(STAMP)
	$(BIN)/python -m experiments.bench_peers $(ARGS)
	$(BIN)/python -m experiments.roofline

# Needs no $(STAMP): the constraints that would be installed are about to be replaced.
lock: | $(BIN)/python
	$(PIP) install -q uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --strip-extras \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		$(ARGS) pyproject.toml -o constraints.txt

# Environments of their own, resolved and made anew each time. What has no wheel is passed over: old source packages do
# not build with today's tools.
check-lowest: RESOLUTION := --resolution lowest-direct
check-newest: RESOLUTION := --prerelease allow
check-lowest check-newest: | $(BIN)/python
	$(PIP) install -q uv
	rm -rf .check/$@
	$(BIN)/uv venv --quiet --python $(PYTHON) .check/$@
	$(BIN)/uv pip compile --quiet --python .check/$@/bin/python $(RESOLUTION) --only-binary :all: \
		--extra all --extra test --no-annotate --no-header pyproject.toml -o .check/$@/versions.txt
	$(BIN)/uv pip sync --quiet --python .check/$@/bin/python .check/$@/versions.txt
	$(BIN)/uv pip install --quiet --python .check/$@/bin/python --no-deps -e .
	NUMBA_CACHE_DIR=$(CURDIR)/.check/$@/numba .check/$@/bin/python -m pytest $(ARGS)

clean:
	rm -rf $(VENV) .bench .check build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
