# The commands of Folioscope. Needed: make, and Python 3.11 or newer as python3 (or: make PYTHON=python3.12 run).
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
HTMX := 4.0.1
PLOTLY := 4.1.1
WORKERS ?= 2
KERNEL ?= 6.1

BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
SOURCES := app benchmarks engine migrations tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test check format browser spin warm golden matrix bench bench-store bench-page bench-explore break-evens soak lock vendor wheel clean

help:
	@echo "make run          install, then start the server on this machine and play the demo"
	@echo "make install      the environment in $(VENV) (make run and make test call it)"
	@echo "make test         lint, types and all tests; sets up what they need, the browser too"
	@echo "make check        lint and types only"
	@echo "make format       put the sources into the one layout"
	@echo "make golden       write the golden digests anew; read the diff before you commit it"
	@echo "make matrix       explore all cells of the matrix, for the verdicts that come with a release (KERNEL=$(KERNEL))"
	@echo "make bench        the engine beside SimPy, Cimba and C (benchmarks/last.json); its growth; starts"
	@echo "make bench-store  the store beside the engine alone: events/s, bytes/event, windows"
	@echo "make bench-page   the page in a browser on a run of ten million events"
	@echo "make bench-explore  the explorer beside SPIN: states/s, bytes/state, reductions, starts"
	@echo "make break-evens  claims 13 to 19: what is fastest at which sizes, in simulated time"
	@echo "make soak         runs and viewers for a while, then faults at full figures; what is promised must hold"
	@echo "make lock         resolve the dependencies anew into requirements*.lock"
	@echo "make vendor       fetch htmx $(HTMX) and plotly.js $(PLOTLY) into static/vendor (needs npm)"
	@echo "make wheel        the package that pipx or uvx can install, in dist/"
	@echo "make clean        remove environments, caches and what was built"

# --- environments: a second call does nothing unless a lock has changed -------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 run"; exit 1; }
	@echo "making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing what requirements.lock names"
	@$(BIN)/python $(PIP) --require-hashes --requirement requirements.lock
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	@echo "installing what the tests need"
	@$(BIN)/python $(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

$(BENCH_VENV)/installed: requirements-bench.lock
	@echo "installing the peers into $(BENCH_VENV)"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(PIP) --require-hashes --requirement requirements-bench.lock
	@touch $@

install: $(VENV)/installed

# A Chromium of the system, or the one that CHROMIUM names; Playwright's own download is never used.
browser:
	@if [ -n "$$CHROMIUM" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; \
	else \
	  echo "The browser tests need Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM=/path/to/it."; exit 1; \
	fi

# SPIN and a C compiler confirm what the explorer counts; where they cannot be had, the tests that need them are skipped.
spin:
	@if command -v spin >/dev/null && command -v gcc >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing spin and gcc for the tests of the explorer"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends spin gcc libc6-dev >/dev/null; } \
	  || echo "spin and gcc could not be installed: their tests will be skipped"; \
	else \
	  echo "without spin and gcc (Debian: apt-get install spin gcc) their tests are skipped"; \
	fi

# --- the product ---------------------------------------------------------------------------------------------------

run: install
	@$(BIN)/folioscope serve --demo

# --- its tests -----------------------------------------------------------------------------------------------------

check: $(VENV)/installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# Compiled once here, so that parallel tests load the engine from its cache.
warm: $(VENV)/installed
	@$(BIN)/folioscope warm

test: check browser spin warm
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

golden: $(VENV)/installed-dev
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/engine -k golden
	git --no-pager diff --stat -- tests

# The same engine writes the same file. Minutes on two cores; once all that a verdict depends on is done.
matrix: warm
	$(BIN)/folioscope matrix --kernel $(KERNEL) --ship

# --- measurements: each runs for minutes, on a machine that does nothing else ---------------------------------------

bench: $(VENV)/installed $(BENCH_VENV)/installed
	$(BIN)/python -m benchmarks.bench --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.bench_growth

bench-store: $(VENV)/installed
	$(BIN)/python -m benchmarks.bench_store

bench-page: $(VENV)/installed-dev browser
	$(BIN)/python -m benchmarks.bench_page

bench-explore: $(VENV)/installed spin
	$(BIN)/python -m benchmarks.bench_explore

break-evens: $(VENV)/installed
	$(BIN)/python -m benchmarks.break_evens

soak: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.soak_faults

# --- what comes from elsewhere --------------------------------------------------------------------------------------

# For every Python and platform, with hashes and without addresses.
lock: $(VENV)/installed-dev
	$(LOCK) --upgrade pyproject.toml --group build --output-file requirements.lock
	$(LOCK) --upgrade pyproject.toml --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) --upgrade --group bench --output-file requirements-bench.lock

# package, version, file in the package, its name here
VENDORED := \
  htmx.org $(HTMX) dist/htmx.min.js htmx.min.js \
  htmx.org $(HTMX) dist/ext/hx-sse.min.js hx-sse.min.js \
  plotly.js-basic-dist-min $(PLOTLY) plotly-basic.min.js plotly-basic.min.js

vendor:
	@into="$$PWD/static/vendor"; from=$$(mktemp -d); trap 'rm -r "$$from"' EXIT; cd "$$from" && mkdir -p "$$into" \
	  && npm pack --silent htmx.org@$(HTMX) plotly.js-basic-dist-min@$(PLOTLY) >/dev/null \
	  && for tar in *.tgz; do mkdir "$${tar%.tgz}" && tar -xzf "$$tar" -C "$${tar%.tgz}" --strip-components=1; done \
	  && cp htmx.org-$(HTMX)/LICENSE "$$into/LICENSE.htmx" \
	  && cp plotly.js-basic-dist-min-$(PLOTLY)/LICENSE "$$into/LICENSE.plotly" \
	  && echo "# package version sha256 file" >"$$into/vendored.txt" \
	  && set -- $(VENDORED) && while [ $$# -gt 0 ]; do \
	    cp "$$1-$$2/$$3" "$$into/$$4" && sha=$$(sha256sum "$$into/$$4") \
	      && echo "$$1 $$2 $${sha%% *} $$4" >>"$$into/vendored.txt" || exit 1; shift 4; done \
	  && cat "$$into/vendored.txt"

wheel: $(VENV)/installed
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean:
	rm -rf $(VENV) $(BENCH_VENV) build dist benchmarks/build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -r {} +
