# make run    a pretend school on this machine, with no internet needed
# make test   all tests; those of the gateway once more without the compiled modules
# make check  ruff, mypy --strict
# make bench  side by side with Unbound, dnsmasq and PowerDNS Recursor
# make fuzz   mutated packets through the decoder and the whole pipeline

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKETS ?= 200000
BENCH ?=
DEMO ?=
# Tests that neither share ports nor look at the machine's load: side by side.
SIDE_BY_SIDE := tests/attacks tests/blocklists tests/browser tests/cli tests/dashboard tests/filters tests/policies

.PHONY: run test check bench fuzz install lock clean

run: install
	@$(BIN)/manglanh demo $(DEMO)

test: install
	$(BIN)/pytest -n 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/pytest $(addprefix --ignore=,$(SIDE_BY_SIDE))
	MANGLANH_PURE=1 $(BIN)/pytest tests/gateway tests/fuzz

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_imports.py

bench: install
	$(BIN)/python -m tests.bench $(BENCH)

fuzz: install
	$(BIN)/python -m tests.fuzz --packets $(PACKETS)

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml setup.py $(wildcard gateway/*.py gateway/*.pxd) $(wildcard dashboard/messages/*/LC_MESSAGES/*.po)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian: sudo apt install python3-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (hashes are checked) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -c 'import shutil, sys, sysconfig, pathlib; cc = shutil.which("cc") or shutil.which("gcc"); \
	  header = pathlib.Path(sysconfig.get_path("include"), "Python.h").exists(); sys.exit(not (cc and header))' || \
	  echo "No C compiler or no Python.h: the hot loop runs as plain Python. For the faster one: sudo apt install gcc python3-dev"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build *.egg-info gateway/*.so bench-results
