# Run `make` to see what there is.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := config/requirements.lock
# The first Python that is new enough and can make a virtual environment.
FIND_PYTHON = for python in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; \
	done
PYTEST = $(BIN)/pytest
# Keep what Python compiles, whatever the environment says: a run of the tests starts hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv test retest test-on test-twice lint format demo bench bench-quick soak fuzz install uninstall lock clean system-packages

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)  ## make the virtual environment .venv from the lock

$(STAMP): $(LOCK) pyproject.toml
	@python="$$($(FIND_PYTHON))"; \
	[ -n "$$python" ] || { echo "No Python 3.11 or newer with venv found; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

system-packages:
	@tests/servers/install

# Making the virtual environment may need a package that is installed first.
test: system-packages  ## run the tests, or TESTS="tests/imap ..."; first installs what they need
	@$(MAKE) --no-print-directory venv
	$(PYTEST) -n 4 --dist worksteal $(TESTS)

retest: venv  ## run the tests that failed last time once more, one at a time
	$(PYTEST) --last-failed --last-failed-no-failures none

test-on:  ## run the tests on another Debian: SUITE=trixie, bookworm or forky (root)
	tests/servers/on-debian $(SUITE) make $(or $(GOAL),test) TESTS="$(TESTS)"

# A test that waits for a server can run out of time on a busy machine. A test that fails alone, too, is broken.
test-twice:
	@$(MAKE) --no-print-directory test || { echo "== once more, one at a time" && $(MAKE) --no-print-directory retest; }

lint: venv  ## run ruff, mypy and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

demo: venv  ## run the worker on an embedded mailbox, SQLite and a dozen messages
	$(BIN)/bcc-dropbox demo

bench: venv  ## measure each row of the speed table
	$(BIN)/python -m tests.benchmarks

bench-quick: venv  ## measure with small counts, in under two minutes
	$(BIN)/python -m tests.benchmarks --quick

soak: venv  ## kill the worker a hundred times over thousands of messages
	$(PYTEST) -m soak --timeout=0 -s

fuzz: venv  ## feed it a hundred thousand generated messages
	$(PYTEST) -m fuzz --timeout=0 -n 2

install:  ## install or upgrade the service (root), or build a package tree in DESTDIR=FOLDER
	@DESTDIR="$(DESTDIR)" config/install install

uninstall:  ## remove the service, and keep its settings and data
	@DESTDIR="$(DESTDIR)" config/install uninstall

lock:  ## pin the newest dependencies (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o $(LOCK)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 -c $(LOCK) \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o config/runtime.lock

clean:  ## remove generated files and the virtual environment
	rm -rf $(VENV) build dist *.egg-info .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find worker tests -name __pycache__ -type d -prune -exec rm -rf {} +
