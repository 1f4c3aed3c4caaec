# make demo    run the main job: the natural gradient on the hydrogen molecule
# make test    run all tests                 (ARGS="-k h2" goes on to pytest)
# make lint    formatting, rules and types
# make docs    build the site in docs/_build/html, tutorials run, warnings as errors
# make bench   time the exact engine beside its peers (installs them in .bench/; ARGS=--smoke: seconds, without)
# make lock    resolve constraints.txt anew  (ARGS=--upgrade takes the newest releases)
# make hooks   let git run ruff and mypy before each commit
# make check-all      lint, test, and all of the following, each with all tests (PYTHON=python3.13, ARGS="-k h2" for each)
# make check-lowest   the lowest versions that pyproject.toml allows
# make check-newest   the newest versions, those before a release included
# make check-wheel    what was built, as wheel and as sdist, in empty environments
# make check-extras   the wheel with each extra alone, and with none (EXTRAS="qiskit cma": these)
# make check-plain    `pip install .` alone, without any SDK
# make check-pythons  every declared Python that the machine has
# make check-other-systems   without what macOS and Windows lack
# make clean   remove the environments and what tools left behind; results/ stays
#
# All of them make the virtual environment .venv first if it is missing or out of date.

PYTHON ?= python3
ARGS ?=
export PYTHON
# Where it is set, each of the hundreds of processes of the tests compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PROMISES := lowest newest wheel extras plain pythons other-systems
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
DOCS := $(VENV)/.docs
.PHONY: help demo test lint docs hooks bench lock check-all clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "qngd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(PIP) install -q uv

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

$(DOCS): $(STAMP)
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html $(ARGS)

hooks: $(STAMP)
	$(BIN)/pre-commit install

bench: $(STAMP)
	$(BIN)/python -m experiments.bench_peers $(ARGS)
	$(BIN)/python -m experiments.bench_cones $(filter --smoke,$(ARGS))
	$(BIN)/python -m experiments.roofline

# Needs no $(STAMP): the constraints that would be installed are about to be replaced.
lock: | $(BIN)/uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --strip-extras \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		$(ARGS) pyproject.toml -o constraints.txt

# One script for each promise that pyproject.toml makes; each runs alone, too.
check-%: .ci/%
	$< $(ARGS)

check-all:
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) $(patsubst %,check-%,$(PROMISES))

clean:
	rm -rf $(VENV) .bench .check build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
