# Everything runs inside .venv, which is made on first use. Another Python: make PYTHON=python3.12 ...
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGING := settings.ini setup.py pyproject.toml MANIFEST.in
SOURCES := $(shell find lbp_inpaint -type f -not -path '*/__pycache__/*')

# A development install serves the demo as well, so a plain one is made only where there is none
INSTALLED := $(firstword $(wildcard $(VENV)/dev.stamp) $(VENV)/plain.stamp)

.DEFAULT_GOAL := help
.PHONY: help demo test reliability fuzz readme docs clean

help: ## Show these lines
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-12s%s\n", $$1, $$2}' Makefile

demo: $(INSTALLED) ## Install the package, fill holes in photographs, write demo.png
	$(BIN)/lbp-inpaint demo -o demo.png

test: $(VENV)/dev.stamp ## Run every check: export, clean, notebooks, tests
	$(BIN)/python tests/unchanged.py nbdev-export
	$(BIN)/python tests/unchanged.py nbdev-clean
	$(BIN)/nbdev-test --timing
	$(BIN)/python -m pytest -q tests
	$(BIN)/python tests/fuzz.py 120

SECONDS ?= 3600
fuzz: $(VENV)/dev.stamp ## Damage pictures, masks, weights and commands for an hour
	$(BIN)/python tests/fuzz.py $(SECONDS) --start $$(date +%s)0000

reliability: $(VENV)/dev.stamp ## Attack training at full size: kills, full disks, bad data, several processes (an hour)
	$(BIN)/python -m tests.reliability all

readme: $(VENV)/dev.stamp ## Write README.md from nbs/index.ipynb
	$(BIN)/python tests/make_readme.py

docs: ## Build the documentation site in _docs and check it (needs Quarto)
	@command -v quarto >/dev/null || { echo 'make docs needs Quarto: get it from https://quarto.org/docs/get-started/ and run make docs again.' >&2; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/nbdev-docs
	$(BIN)/python tests/check_site.py _docs

clean: ## Remove what these commands made, .venv included
	rm -rf $(VENV) build dist *.egg-info _proc _docs demo.png .pytest_cache nbs/nbdev.yml
	find lbp_inpaint tests nbs -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3,10))' || \
		{ echo "$(PYTHON) is missing or too old: Python 3.10 or newer is needed; name one with make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# setuptools would pack what an earlier build left behind
$(VENV)/plain.stamp: $(VENV)/made.stamp $(PACKAGING) $(SOURCES)
	rm -rf build *.egg-info
	$(BIN)/python -m pip install .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/made.stamp $(PACKAGING)
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $@
