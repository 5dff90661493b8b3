# Everything here needs python3 (3.11 or later) and make; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# What is installed beside the package: dev is enough for everything but the benchmarks' yardstick in PyTorch.
EXTRAS ?= dev
# Tests that compute no gradient, which NumPy runs in a third of the time; called by hand they run on TensorFlow.
FORWARD := $(foreach name,augment evaluation gaps gate labels moves rewrite writer,tests/test_$(name).py)
PYTEST := $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder
SENTENCE ?= The government has announced a new plan.

.PHONY: demo test lint types docs bench bench-check clean

demo: $(INSTALLED)  ## train on the sample corpus, then write five variations of a sentence
	$(BIN)/textvae run quickstart
	$(BIN)/textvae vary quickstart "$(SENTENCE)" -n 5
	@echo "report: $$($(BIN)/textvae show quickstart evaluation --path)/report.html"

test: $(INSTALLED)  ## run the test suite
	KERAS_BACKEND=numpy $(PYTEST) --durations=5 $(FORWARD)
	$(PYTEST) --durations=25 $(addprefix --ignore=,$(FORWARD))  # each process takes a few GB

lint: $(INSTALLED)  ## look for mistakes and style
	$(BIN)/ruff check textvae tests benchmarks

types: $(INSTALLED)  ## check the type annotations
	$(BIN)/mypy

docs: $(INSTALLED)  ## write docs/cli.md and docs/settings.md anew
	$(BIN)/python -m textvae.cli.reference docs

bench: $(INSTALLED)  ## measure speed beside the yardsticks, and write docs/performance.md anew; takes hours
	$(BIN)/python -m benchmarks all

bench-check: $(INSTALLED)  ## fail where training lost 30% of its speed beside its yardstick
	$(BIN)/python -m benchmarks check

clean:  ## remove the environment and every cache; models/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find textvae tests benchmarks -name __pycache__ -type d -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or later" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "textvae needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) -V 2>&1):" \
		     "name a newer one, as in  make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@
