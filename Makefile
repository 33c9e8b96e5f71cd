# Two commands matter: `make demo` and `make test`. Both create .venv and install what they need.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

VLLM := .venv-vllm

.DEFAULT_GOAL := help
.PHONY: help demo demo-tiny test test-slow test-vllm mutants lint types check bench clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-11s %s\n", $$1, $$2}'

demo: $(STAMP)  ## the whole pipeline, small, with a pretrained model (93 MB to download)
	$(BIN)/rulewright demo --config configs/smollm2/demo.yaml $(DEMO_FLAGS)

demo-tiny: $(STAMP)  ## the same with a model made from nothing: no download
	$(BIN)/rulewright demo --config configs/tiny/demo.yaml $(DEMO_FLAGS)

# The tests run on a shrunken copy of a real model's architecture, with its tokenizer and template; offline they skip.
test: $(STAMP)  ## install and run the tests
	-$(BIN)/rulewright fetch smollm2
	$(BIN)/python -m pytest -m "not slow and not gpu and not network" -n 2 --dist worksteal

test-slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/python -m pytest -m "slow"

# 2.4 GB and some minutes the first time: vLLM for CPUs has an environment of its own.
test-vllm: $(STAMP)  ## the tests against a real vLLM, in an environment of its own (2.4 GB)
	sh tests/vllm/make_env.sh $(VLLM) $(PYTHON)
	$(BIN)/rulewright fetch smollm2
	$(BIN)/python -m pytest tests/vllm

# MUTANTS="--rooms mining --sample 200 --minutes 30" chooses. Results stay in runs/mutants; the next run goes on from there.
mutants: $(STAMP)  ## change one thing of the code at a time: does a test notice?
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt cosmic-ray
	nice -n 19 $(BIN)/python tools/mutants.py $(MUTANTS)

lint: $(STAMP)  ## ruff: style, imports, format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy --strict, tests too
	$(BIN)/mypy

check: lint types test  ## lint, types and test: what CI runs

bench: $(STAMP)  ## benchmarks, as ratios within one run
	$(BIN)/python -m pytest benchmarks --benchmark-only -p no:xdist -s
	$(BIN)/python benchmarks/bench_sandbox.py
	$(BIN)/python benchmarks/bench_training.py
	$(BIN)/python benchmarks/bench_apply.py

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 with venv found" >&2; \
		echo "hint: install it (Debian: apt-get install python3 python3-venv), or run make PYTHON=/path/to/python3" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,eval,gguf,mcp,dev]'
	@touch $@

clean:  ## remove environments, builds and caches
	rm -rf $(VENV) $(VLLM) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
