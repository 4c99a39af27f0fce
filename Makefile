# Two commands do everything: `make demo` and `make test`. Both set up what they need in .venv.

VENV := .venv
BIN := $(VENV)/bin
TESTERS := $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 2)))

# An empty environment will do.
PATH ?= /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

.DEFAULT_GOAL := help
.PHONY: simulate help setup demo test lint types layers derived lock docs screenshots soak clean bench peers

help:  ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.%: pyproject.toml .ci/setup $(wildcard requirements/*.txt)
	@.ci/setup $(VENV) $*

setup: $(VENV)/.dev  ## create .venv and install wrapgen with everything the tests need

demo: $(VENV)/.platform  ## score 4,200 real tweets on the local platform; then an endpoint that misbehaves
	@$(BIN)/python examples/sentiment/demo.py
	@$(BIN)/wrapgen demo .demo/endpoint

test: $(VENV)/.dev  ## pass all tests; what fails beside others is run once more, alone
	@$(BIN)/python tests/suite.py --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev  ## ruff: style and faults
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	@$(BIN)/mypy

layers: $(VENV)/.dev  ## import-linter: arrows point down only
	@$(BIN)/lint-imports --no-logo

derived: $(VENV)/.dev  ## write again what is made from something else: generated/, golden cases, pages of docs/
	@$(BIN)/python tests/repo/derived.py

lock: $(VENV)/.dev  ## write requirements/*.txt, versions with hashes; LOCK=--upgrade for newer ones
	@$(BIN)/python requirements/lock.py $(LOCK)

docs: $(VENV)/.dev  ## build the documentation site: build/site/index.html
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site
	@echo "open build/site/index.html"

bench: $(VENV)/.dev  ## measure against everything a user would pick instead; writes bench/RESULTS.md
	@$(BIN)/python -m bench $(BENCH)

screenshots: $(VENV)/.dev  ## take the pictures in docs/images anew, from a real platform and run
	@$(BIN)/python docs/screenshots.py

simulate: $(VENV)/.dev  ## try runs under seeds, SEEDS=1-1000; one seed, SEEDS=7, is told as a trace
	@$(BIN)/python tests/simulation $(or $(SEEDS),1-1000) $(if $(FAULTS),--faults '$(FAULTS)') \
		$(if $(ITEMS),--items $(ITEMS)) $(if $(PUBLISH),--publish)

soak: $(VENV)/.dev  ## the long and heavy tests
	@$(BIN)/python -m pytest -m soak

peers: $(VENV)/.dev  ## install the model servers and clients that `make test` else has stand-ins for (2 GB)
	@$(BIN)/python -m bench.peers

clean:  ## remove what set-up, demo and tests made here
	rm -rf $(VENV) build .cache .demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
