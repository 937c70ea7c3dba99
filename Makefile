# Everything a newcomer types. Needs Python >= 3.11, a Rust toolchain, a C compiler and make.

PYTHON ?= python3
OPENLOOP := --manifest-path benchmarks/macro/openloop/Cargo.toml
FUZZ := --manifest-path native/core/fuzz/Cargo.toml
VENV := .venv
BIN := $(VENV)/bin
# build.rs runs the Cython of this interpreter, under cargo as under pip
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
SOURCES := pyproject.toml Cargo.toml Cargo.lock build.rs $(shell find cext native/core/src native/src -type f)

.DEFAULT_GOAL := help
.PHONY: help run setup test bench lint docs clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: setup  ## six demo services and the gateway in front of them
	@$(BIN)/gateway demo --with-gateway

setup: $(VENV)/.built  ## .venv with the built gateway: .venv/bin/gateway

$(VENV)/.built: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "building the gateway (the first time takes about a minute) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.built tools/dev_requirements.py
	@$(BIN)/python tools/dev_requirements.py | $(BIN)/python -m pip install --quiet -r /dev/stdin
	@touch $@

test: $(VENV)/.dev  ## all tests, against real servers that the tests start
	@$(BIN)/python tools/install_test_servers.py
	cargo test --quiet --workspace --exclude gateway-native
	cargo test --quiet --locked $(FUZZ) --release --target-dir target/fuzz
	cargo test --quiet --locked $(OPENLOOP) --target-dir benchmarks/.cache/target
	$(BIN)/python -m pytest --cov=gateway --cov-report=term:skip-covered --cov-fail-under=90

lint: $(VENV)/.dev  ## formatting, types, layers, documents
	cargo fmt --check
	cargo fmt --check $(OPENLOOP)
	cargo fmt --check $(FUZZ)
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet --locked --all-targets $(OPENLOOP) --target-dir benchmarks/.cache/target -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH=$(BIN):$$PATH cython-lint cext
	$(BIN)/python tools/check_capi.py
	$(BIN)/python tools/check_layers.py
	$(BIN)/python tools/gen_docs.py --check

bench: $(VENV)/.dev  ## micro and macro benchmarks; the table goes to benchmarks/results/
	$(BIN)/python -m pytest benchmarks/micro --benchmark-only --benchmark-columns=min,median,ops
	$(BIN)/python -m benchmarks.macro.install
	$(BIN)/python -m benchmarks.macro

docs: $(VENV)/.dev  ## the generated part of docs/
	$(BIN)/python tools/gen_docs.py

clean:  ## what was built
	rm -rf $(VENV) target gateway/_core.*.so
