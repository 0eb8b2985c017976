# Everything happens in a .venv that the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the benchmarks compare with asks for older releases of NumPy, and so lives apart.
BENCH := .venv-bench
# setuptools warns at length about every editable installation.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: demo test lint docs bench clean
.DELETE_ON_ERROR:

# Stamps: what it takes to build, what the demo needs, what developers need, and the compiled package.
$(VENV)/builds: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip "setuptools>=77" "cython>=3.1"
	touch $@

$(VENV)/demo: $(VENV)/builds setup.py $(wildcard _ext/*.pyx _ext/*.pxi _ext/*.h)
	$(INSTALL) --no-build-isolation --group demo --editable .
	touch $@

$(VENV)/dependencies: $(VENV)/builds
	$(INSTALL) --no-build-isolation --group dev --editable ".[frames,sktime,river,plot,rnn,cluster]"
	touch $@ $(VENV)/demo $(VENV)/built

$(VENV)/built: $(VENV)/dependencies setup.py $(wildcard _ext/*.pyx _ext/*.pxi _ext/*.h)
	$(INSTALL) --no-build-isolation --no-deps --editable .
	touch $@ $(VENV)/demo

demo: $(VENV)/demo
	$(BIN)/python examples/quickstart.py

# As many processes as there are cores, of one thread each, but where tests are about threads.
test: $(VENV)/built
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint _ext
	$(BIN)/mypy

docs: $(VENV)/built
	rm -rf docs/_build
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	$(BIN)/python -m pytest -q tests/test_docs.py

# pysiglib declares a release of PyTorch that it does not need.
$(BENCH)/built: $(VENV)/built
	$(PYTHON) -m venv $(BENCH)
	$(INSTALL:$(BIN)%=$(BENCH)/bin%) --upgrade pip "setuptools>=77" "cython>=3.1"
	$(INSTALL:$(BIN)%=$(BENCH)/bin%) --no-build-isolation --group compare --editable ".[rnn,sktime]"
	$(INSTALL:$(BIN)%=$(BENCH)/bin%) --no-deps pysiglib
	touch $@

bench: $(BENCH)/built
	$(BENCH)/bin/python examples/benchmarks/projection.py
	$(BENCH)/bin/python examples/benchmarks/memory.py
	$(BENCH)/bin/python examples/benchmarks/bank.py
	$(BENCH)/bin/python examples/benchmarks/small.py
	$(BENCH)/bin/python examples/benchmarks/rnn.py
	$(BENCH)/bin/python examples/benchmarks/scaling.py
	-$(BENCH)/bin/python examples/benchmarks/instructions.py

clean:
	rm -rf $(VENV) $(BENCH) build dist *.egg-info docs/_build docs/api docs/gallery _ext/*.c sklearn_hippo/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
