# The few commands, the same by hand and in CI. `make retrain` and `make test` work on a machine that has only
# Python 3.11 or newer, git and make.

# The first python that is new enough; name another with `make PYTHON=/path/to/python3.12 ...`.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ARGS ?=
# As on a user's machine: with it set, what Python leaves beside its sources would never be met in a test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install retrain test journeys test-services walks check docs bench lock clean

install: .venv/installed

# `uv` comes by pip, hash-checked from the same lock, and installs the rest in seconds instead of minutes. It compiles what
# it installs only if asked; where Python writes no bytecode (PYTHONDONTWRITEBYTECODE, common in containers), every command
# would compile its imports again, which took more than half of its time.
.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.11 or newer; install one, or name it: make PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	awk '/^[a-z]/ {mine = /^uv==/} mine' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e '.[pipeline]'
	$(BIN)/python -m compileall -q src
	@touch $@

# One retraining; `make retrain ARGS="--set train.steps=200"` passes arguments on.
retrain: install
	$(BIN)/kshot retrain $(ARGS)

# One thread a process, and three processes on two cores, because tests wait for servers too. Files lie in memory where
# it has room, and are removed; `make test IN_MEMORY=` leaves those of failed tests in the usual temporary folder.
IN_MEMORY ?= $(BIN)/python -m tests.memory_folder
PYTEST = @folder="$$($(IN_MEMORY))"; trap 'rm -rf "$$folder"' EXIT; set -x; OMP_NUM_THREADS=1 $(BIN)/pytest \
	--dist=loadfile --no-loadscope-reorder $${folder:+--basetemp="$$folder"}
test: install
	$(PYTEST) --numprocesses=3 $(ARGS)

# The default paths of a new user, from a fresh clone of the last commit with the settings as shipped.
journeys: install
	$(PYTEST) tests/journeys -m journeys --numprocesses=3 $(ARGS)

# The story of docs/operations.md on the embedded default and on real servers (which need PostgreSQL's programs), and
# kill -9 at the n-th write of each decision; training in several processes; the gallery store on PostgreSQL.
STORIES ?= tests/services tests/parallel tests/serve/store
test-services: install
	$(PYTEST) $(STORIES) -m services --numprocesses=3 $(ARGS)

# Both at once, quicker than one after the other: journeys compute, services wait for servers. Five processes take as
# long as four: 889 s and 887 s on two idle cores (2026-11-30).
walks: install
	$(PYTEST) tests/journeys $(STORIES) -m "journeys or services" --numprocesses=4 $(ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation site: every page, command and public module; a warning, a dead link or a load from elsewhere fails.
docs: install
	OMP_NUM_THREADS=1 $(BIN)/python -m docs.site.build

# Every published table has one script; they print what they measure. Leave the machine alone meanwhile.
OMNIGLOT ?= ../shared/data/omniglot.zip
bench: install
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/losses.py
	test ! -e $(OMNIGLOT) || $(BIN)/python benchmarks/evaluation.py $(OMNIGLOT)
	test ! -e $(OMNIGLOT) || $(BIN)/python benchmarks/transductive.py $(OMNIGLOT)

# Versions that are already in the lock stay unless pyproject.toml forbids them; `make lock ARGS=--upgrade` moves them.
lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header \
		--no-emit-index-url $(ARGS) --output-file requirements.lock pyproject.toml

# What can be made again: the environment, caches, stage outputs. Data versions, DVC's cache and mlruns/ stay.
clean:
	rm -rf .venv .kshot model reports docs/_build data/packed data/split data/episodes .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
