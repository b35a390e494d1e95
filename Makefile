# Two commands do everything on a machine with Python >= 3.11: `make demo` and `make test`.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
LOCK := containers/locks/dev.txt
STAMP := $(VENV)/.setup-$(shell cat $(LOCK) pyproject.toml | cksum | cut -d' ' -f1)
PYTEST_ARGS ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test lab lab-test lab-soak image images image-verify image-test release-images lint format bench
.PHONY: goldens docs lock clean site

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## Make .venv from the hash-pinned lock (every other target calls it when needed)

$(STAMP):
	@PYTHON="$(PYTHON)" ci/setup.sh "$(VENV)" "$(LOCK)" "$(STAMP)"

demo: setup ## Make sample NanoAOD, run a Z->mumu + ttbar + data analysis, show the results
	@$(BIN)/python ci/demo.py demo

test: setup lint ## Lint, check types and run every test, those on real engines too where a lab can run
	@$(BIN)/python -m pytest $(PYTEST_ARGS) -m "not lab"
	@$(MAKE) --no-print-directory lab-test

lab: ## Start the lab: real HTCondor, Slurm, XRootD, Rucio, Dask and Apptainer on this machine (docs/lab.md)
	@ci/lab/lab up

lab-test: setup ## Run the tests on real engines, in the lab
	@$(BIN)/python -m pytest -m lab tests/lab/outside
	@! ci/lab/lab check >/dev/null || $(BIN)/pocket-coffea image build lab --allow-dirty
	@ci/lab/lab test $(LAB_ARGS)

lab-soak: setup ## A campaign under fire: 200 jobs on HTCondor and Slurm while everything around them breaks
	@ci/lab/lab --name soak up --services condor,slurm,xrootd,rucio
	@ci/lab/lab --name soak exec -- sh -c 'cd /project && exec python -m tests.lab.soak $(SOAK_ARGS)'; \
		code=$$?; ci/lab/lab --name soak down; exit $$code

image: site setup ## Build and test the image of SITE=... unless it is there (docs/images.md)
	@$(BIN)/pocket-coffea image build $(SITE)

images: setup ## Build and test the images of all sites
	@$(BIN)/pocket-coffea image build all

image-verify: site setup ## Build the image of SITE=... again, from nothing, and compare the bytes
	@$(BIN)/pocket-coffea image verify $(SITE)

image-test: setup ## Images of all sites (or SITE=...): build, %test, the demo in it against the result on record
	@ci/matrix $(SITE) $(MATRIX_ARGS)

release-images: setup ## Build the images of this version and write their digests to containers/images.lock.yaml
	@$(BIN)/pocket-coffea image release

site:
	@test -n "$(SITE)" || { echo "make $(MAKECMDGOALS) SITE=..., one of:" `basename -s .yaml sites/*.yaml` >&2; exit 2; }

lint: setup ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## Compare our engine with hand-written coffea, in one run (README shows the table)
	@$(BIN)/python -m tests.bench --output bench-output
	@$(BIN)/python -W ignore -m tests.bench.merge
	@$(BIN)/python -W ignore -m tests.bench.prepare
	@$(BIN)/python -W ignore -m tests.bench.polling
	@$(BIN)/python -W ignore -m tests.bench.plots
	@$(BIN)/python -W ignore -m tests.bench.dask_overhead
	@! ci/lab/lab check >/dev/null || { ci/lab/lab --name bench up --services condor,slurm && \
		ci/lab/lab --name bench exec -- python -W ignore -m tests.bench.dask_overhead \
			--systems htcondor,slurm --rounds 1 --folder /shared/physicist; \
		status=$$?; ci/lab/lab --name bench down; exit $$status; }

goldens: setup ## Renew the text goldens of the tests; look at the difference before you commit
	@$(BIN)/python -m pytest -q tests/compat --renew-goldens

docs: setup ## Write the pages of docs/ that are made from the code
	@$(BIN)/python ci/docs.py

lock: setup ## Renew the hash-pinned locks and say what changed (needs uv, and mmdebstrap for the images)
	@ci/lock.sh
	@$(BIN)/pocket-coffea image lock

clean: ## Remove what the targets made
	rm -rf $(VENV) demo bench-output .pytest_cache .mypy_cache .ruff_cache
