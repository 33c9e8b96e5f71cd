# Two commands matter: `make demo` and `make test`. Both create .venv and install what they need.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

VLLM := .venv-vllm

.PHONY: demo demo-tiny test test-slow test-vllm lint types check bench clean

demo: $(STAMP)
	$(BIN)/rulewright demo --config configs/smollm2/demo.yaml $(DEMO_FLAGS)

demo-tiny: $(STAMP)
	$(BIN)/rulewright demo --config configs/tiny/demo.yaml $(DEMO_FLAGS)

# The tests run on a shrunken copy of a real model's architecture, with its tokenizer and template; offline they skip.
test: $(STAMP)
	-$(BIN)/rulewright fetch smollm2
	$(BIN)/python -m pytest -m "not slow and not gpu and not network" -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow"

# 2.4 GB and some minutes the first time: vLLM for CPUs has an environment of its own.
test-vllm: $(STAMP)
	sh tests/vllm/make_env.sh $(VLLM) $(PYTHON)
	$(BIN)/rulewright fetch smollm2
	$(BIN)/python -m pytest tests/vllm

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-only -p no:xdist -s
	$(BIN)/python benchmarks/bench_sandbox.py
	$(BIN)/python benchmarks/bench_training.py

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 with venv found" >&2; \
		echo "hint: install it (Debian: apt-get install python3 python3-venv), or run make PYTHON=/path/to/python3" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,eval,gguf,dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
