# fitwatch: the entry point for every task. `make help` lists the targets.

# The first Python that is new enough; PYTHON=... sets another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
PY   := $(VENV)/bin/python
# The sets of packages that an environment may have: an extra and groups of pyproject.toml.
PACKAGES_demo     := --extras demo
PACKAGES_dev      := --extras demo --group dev
PACKAGES_notebook := --extras demo --group notebook
PACKAGES_torch    := --extras demo --group dev --group torch
PACKAGES_integrations := --extras demo --group integrations
OLDEST_KERAS := 3.13.0
SOURCES := Cargo.toml Cargo.lock pyproject.toml constraints.txt \
  $(shell find rust -name '*.rs' -o -name Cargo.toml)
PACKAGE := $(shell find python -name '*.py' -o -name '*.pyi' -o -path '*/_view/page/*')
DIST := dist/.stamp
# Selects those of Keras's own tests of fit() that take about a minute; empty selects all.
QUICK := --quick
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 300

# The versions that were tested together, which may be older than the newest.
export PIP_CONSTRAINT ?= constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
# Hides TensorFlow's notes about the processor; its errors still show.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif
.PHONY: help demo fuzz notebook wheel test test-rust test-python test-tensorflow test-jax test-cost test-fits test-parity test-keras test-keras-all test-keras-tensorflow test-keras-jax test-torch test-wheel test-sdist test-oldest faults lint format bench bench-torch clean tools

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 26

demo: $(VENV)/demo.stamp ## train on real digits with everything on (ARGS="--backend jax" for JAX)
	$(PY) -m fitwatch demo $(ARGS)

test: lint test-rust test-cost test-python test-keras test-wheel ## run every check and every test

lint: $(VENV)/dev.stamp ## check formatting, lints and types, in Rust and in Python
	cargo fmt --all --check
	PYO3_PYTHON="$(CURDIR)/$(PY)" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(PY) tests/check_private_names.py
	$(PY) -m mypy.stubtest fitwatch._core --mypy-config-file pyproject.toml
	$(VENV)/bin/zizmor --quiet --offline --pedantic .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

test-rust: | tools ## test the core and the terminal view, and run its fuzz targets for a few seconds
	cargo test --quiet --locked --package fitwatch-core --package fitwatch-tui

# Temporary files in memory, where fsync is free: about 30 times as many runs.
fuzz: export TMPDIR := $(or $(wildcard /dev/shm),$(TMPDIR),/tmp)
fuzz: ## run the fuzz targets with libFuzzer, FUZZ_SECONDS each
	@cargo +nightly fuzz --version >/dev/null || { echo "fitwatch: cargo-fuzz on nightly Rust is missing." \
	  "Get it with: rustup toolchain install nightly && cargo install cargo-fuzz" >&2; exit 1; }
	for target in $(basename $(notdir $(wildcard rust/fuzz/fuzz_targets/*.rs))); do \
	  mkdir -p target/fuzz/corpus/$$target && \
	  cargo +nightly fuzz run --fuzz-dir rust/fuzz --target-dir target/fuzz $$target \
	    target/fuzz/corpus/$$target rust/fuzz/corpus/$$target \
	    -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 || exit 1; \
	done

test-python: $(VENV)/dev.stamp ## test the package on TensorFlow and JAX, in parallel
	+$(MAKE) SIDE_BY_SIDE=1 -j2 test-tensorflow test-jax

test-tensorflow: $(VENV)/dev.stamp ## test the package on TensorFlow
	KERAS_BACKEND=tensorflow $(PY) -m pytest $(ARGS)

test-jax: $(VENV)/dev.stamp ## test the package on JAX; prints its output at the end
	@KERAS_BACKEND=jax $(PY) -m pytest $(ARGS) >$(VENV)/jax.log 2>&1; \
	status=$$?; echo "on JAX:"; cat $(VENV)/jax.log; exit $$status

test-cost: $(VENV)/dev.stamp ## check the cost of a batch against limits
	FITWATCH_COST=1 KERAS_BACKEND=tensorflow $(PY) -m pytest $(ARGS) tests/cost
	FITWATCH_COST=1 KERAS_BACKEND=jax $(PY) -m pytest $(ARGS) tests/cost

test-fits: $(VENV)/dev.stamp ## check that 10,000 fits leave nothing behind
	FITWATCH_FITS=10000 KERAS_BACKEND=jax $(PY) -m pytest tests/test_many_fits.py $(ARGS)

test-parity: $(VENV)/dev.stamp ## compare decisions with Keras's on 10,000 random series of each kind
	FITWATCH_SERIES=10000 KERAS_BACKEND=tensorflow $(PY) -m pytest tests/parity $(ARGS)
	FITWATCH_SERIES=10000 KERAS_BACKEND=jax $(PY) -m pytest tests/parity $(ARGS)

test-keras: $(VENV)/dev.stamp ## run Keras's own tests: of its callbacks, on fitwatch's; of fit(), with everything on
	+$(MAKE) SIDE_BY_SIDE=1 -j2 test-keras-tensorflow test-keras-jax

test-keras-all: ## the same, with the slow tests of fit()
	+$(MAKE) QUICK= test-keras

test-keras-tensorflow: $(VENV)/dev.stamp
	KERAS_BACKEND=tensorflow $(PY) tests/keras_own.py $(ARGS)
	KERAS_BACKEND=tensorflow $(PY) tests/keras_fits.py $(QUICK) $(ARGS)

test-keras-jax: $(VENV)/dev.stamp
	@{ KERAS_BACKEND=jax $(PY) tests/keras_own.py $(ARGS) && \
	KERAS_BACKEND=jax $(PY) tests/keras_fits.py $(QUICK) $(ARGS); } >$(VENV)/jax.log 2>&1; \
	status=$$?; echo "on JAX:"; cat $(VENV)/jax.log; exit $$status

test-wheel: $(DIST) ## test the wheel on JAX, without TensorFlow and without a compiler
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install --upgrade pip
	env PATH="$(CURDIR)/.venv-wheel/bin" PIP_CONSTRAINT=$(PIP_CONSTRAINT) \
	  pip install --quiet --only-binary :all: "$$(ls dist/*.whl)[plot,tensorboard]" --group wheel
	env PATH="$(CURDIR)/.venv-wheel/bin" KERAS_BACKEND=jax FITWATCH_WHEEL="$$(ls dist/*.whl)" \
	  python -m pytest $(ARGS) tests/wheel tests/test_tutorials.py \
	  tests/test_event_file_writer.py tests/test_tensorboard_tags.py

test-sdist: $(DIST) ## check that the source distribution builds by itself
	.venv-build/bin/pip wheel --no-deps --wheel-dir .venv-build/from-sdist dist/*.tar.gz
	ls .venv-build/from-sdist/fitwatch-*.whl

test-oldest: ## test the package with the oldest supported Keras
	@mkdir -p .venv-oldest
	@sed 's/^keras==.*/keras==$(OLDEST_KERAS)/' constraints.txt >.venv-oldest/constraints.txt
	+$(MAKE) VENV=.venv-oldest PIP_CONSTRAINT=.venv-oldest/constraints.txt test-python

.PHONY: test-integrations test-integrations-tensorflow test-integrations-jax
# Some of these tools need older packages than constraints.txt has.
test-integrations: ## test third-party tools that record fits, beside stock Keras (some gigabytes)
	+$(MAKE) VENV=.venv-integrations PIP_CONSTRAINT=constraints-integrations.txt SIDE_BY_SIDE=1 -j2 \
	  test-integrations-tensorflow test-integrations-jax

.venv-integrations/integrations.stamp: constraints-integrations.txt

test-integrations-tensorflow: $(VENV)/integrations.stamp
	FITWATCH_INTEGRATIONS=1 KERAS_BACKEND=tensorflow $(PY) -m pytest tests/integrations $(ARGS)

test-integrations-jax: $(VENV)/integrations.stamp
	@FITWATCH_INTEGRATIONS=1 KERAS_BACKEND=jax $(PY) -m pytest tests/integrations $(ARGS) \
	  >$(VENV)/jax.log 2>&1; \
	status=$$?; echo "on JAX:"; cat $(VENV)/jax.log; exit $$status

faults: $(VENV)/dev.stamp ## kill processes, 200 times for each test; train in two processes, 50 times
	FITWATCH_KILLS=200 KERAS_BACKEND=jax $(PY) -m pytest tests/faults $(ARGS)
	FITWATCH_KILLS=200 KERAS_BACKEND=tensorflow $(PY) -m pytest tests/faults $(ARGS)
	FITWATCH_ROUNDS=50 KERAS_BACKEND=jax $(PY) -m pytest tests/distributed $(ARGS)

test-torch: ## test the package on torch, in a separate environment (some gigabytes)
	$(MAKE) VENV=.venv-torch .venv-torch/torch.stamp
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest $(ARGS)
	FITWATCH_COST=1 KERAS_BACKEND=torch .venv-torch/bin/python -m pytest $(ARGS) tests/cost
	KERAS_BACKEND=torch .venv-torch/bin/python tests/keras_own.py $(ARGS)

bench: $(VENV)/dev.stamp ## compare with stock Keras; writes benches/RESULTS.md and the tables of the pages
	rm -f .benchmarks/*.json
	cargo bench --quiet --locked --package fitwatch-core
	KERAS_BACKEND=tensorflow $(PY) -m pytest benches $(ARGS)
	KERAS_BACKEND=jax $(PY) -m pytest benches $(ARGS)
	$(PY) benches/report.py

bench-torch: ## the same on torch; writes benches/RESULTS.md
	$(MAKE) VENV=.venv-torch .venv-torch/torch.stamp
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest benches $(ARGS)
	.venv-torch/bin/python benches/report.py

.PHONY: bench-trackers
bench-trackers: ## compare with the callbacks of MLflow and Weights & Biases; writes benches/RESULTS.md
	$(MAKE) VENV=.venv-integrations PIP_CONSTRAINT=constraints-integrations.txt .venv-integrations/integrations.stamp
	for backend in tensorflow jax; do KERAS_BACKEND=$$backend \
	  .venv-integrations/bin/python -m pytest benches/test_mlflow.py benches/test_wandb.py $(ARGS) || exit 1; done
	.venv-integrations/bin/python benches/report.py

notebook: $(VENV)/notebook.stamp ## run examples/digits.ipynb and keep its outputs
	$(PY) examples/run_notebook.py $(ARGS)

wheel: $(DIST) ## build a wheel (on Linux: manylinux2014) and an sdist in dist/

format: $(VENV)/dev.stamp ## format everything
	cargo fmt --all
	$(VENV)/bin/ruff check --fix --quiet
	$(VENV)/bin/ruff format --quiet

clean: ## remove everything that was built or installed
	rm -rf .venv .venv-* dist target .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks

.venv-build/stamp: constraints.txt | tools
	$(PYTHON) -m venv .venv-build
	.venv-build/bin/pip install 'maturin[zig]'
	@touch $@

# Zig's C compiler links against the glibc of manylinux2014, also on newer systems.
$(DIST): $(SOURCES) $(PACKAGE) README.md LICENSE .venv-build/stamp | tools
	rm -rf dist
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" maturin build --quiet --release --locked --out dist \
	  $(if $(filter Linux,$(shell uname)),--zig --compatibility manylinux2014)
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" maturin sdist --out dist
	@touch $@

# One stamp per set of packages. The package is installed editable, with its core built for release.
$(VENV)/%.stamp: $(SOURCES) | tools
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@echo "fitwatch: installing the packages for '$*' into $(VENV), and building the core;"
	@echo "          the first time takes a few minutes"
	@$(VENV)/bin/pip install --upgrade pip maturin
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(VENV)/bin/maturin develop --quiet --release --locked $(PACKAGES_$*)
	@touch $@

# Checks that the required tools are installed, before anything is downloaded.
tools:
	@missing() { echo "fitwatch: $$1 is missing. $$2" >&2; exit 1; }; \
	test -n "$(PYTHON)" || missing "Python 3.11 or newer" \
	  "Get it from https://www.python.org/downloads or your system's packages."; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing "Python's venv module" \
	  "On Debian and Ubuntu: apt-get install python3-venv."; \
	command -v cargo >/dev/null || missing "cargo (Rust 1.89 or newer)" "Get it from https://rustup.rs."; \
	test "$$(cargo --version | sed -E 's/^cargo 1\.([0-9]+).*/\1/')" -ge 89 || \
	  missing "Rust 1.89 or newer" "Get it with: rustup update."; \
	command -v cc >/dev/null || missing "a C compiler (cc)" \
	  "On Debian and Ubuntu: apt-get install gcc; on macOS: xcode-select --install."
