# The two commands of the README: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)
DEMO := run/digits
STUDY := run/study
GRID := pipelines/study/study.toml

.PHONY: demo test coverage test-slow test-browser test-install test-tutorials test-workflows test-oldest faults fuzz site lint docs bench bench-gpu bench-memory clean
.PHONY: study study-quick study-tuning
.PHONY: kills soak reliability test-matrix requirements demo-locked audit-dependencies
.DEFAULT_GOAL := help

help:
	@echo "make demo       install, train the arms of pipelines/digits.toml, write the report"
	@echo "make test       install what the tests need, run them"
	@echo "make coverage   the same, and print the coverage of every file"
	@echo "make test-slow  run the long checks as well"
	@echo "make test-browser  drive the report page in a headless Chromium (of the system)"
	@echo "make test-install  install the wheel in a new environment, and use it in an empty folder"
	@echo "make test-tutorials  run the commands of docs/tutorials: some minutes"
	@echo "make test-workflows  run the digits by Snakemake and DVC, in an environment of their own"
	@echo "make test-oldest  run the tests with the oldest torch and torchvision: 5 GB"
	@echo "make faults     full disks, limits, removed folders and other faults, and 1,000 races: 20 minutes"
	@echo "make fuzz       5,000 hostile inputs through every command that reads files"
	@echo "make kills      kill commands at 200 random moments, and compare what they leave: 10 minutes"
	@echo "make soak       rounds with random kills in one process for 30 minutes; memory and files stay flat"
	@echo "make reliability  write docs/reliability.md from the records of fuzz, faults, kills, soak and test-matrix"
	@echo "make test-matrix  run the tests with the oldest and newest dependencies, on two Pythons: 8 GB, an hour"
	@echo "make demo-locked  the demo from requirements-demo.txt: one version of each package, with hashes"
	@echo "make requirements  write requirements-demo.txt with the newest versions"
	@echo "make audit-dependencies  compare requirements-demo.txt with the known faults of packages (needs the network)"
	@echo "make lint       style, types, import layers, generated documents"
	@echo "make site       build the site of the documents into site/; broken links are errors"
	@echo "make docs       generate docs/cli.md and the metrics of docs/evaluation.md"
	@echo "make bench      measure speed and memory against bare passes and other packages"
	@echo "make bench-gpu  check every method on a GPU against the CPU, and measure rates there: 5 minutes"
	@echo "make bench-memory  100,000 images through perturb, explain and score: half an hour"
	@echo "make study      the comparison of all objectives: many hours; the same command continues it"
	@echo "make study-quick  a small part of it, in minutes"
	@echo "make study-tuning  choose the setting of every objective on validation images: hours"
	@echo "make clean      remove the environment and the output of the demo"

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(INSTALL) -e ".[test]"
	# torchattacks asks for a requests release from 2021; it needs none of it.
	$(INSTALL) --no-deps torchattacks
	@touch $@

$(VENV)/installed-browser: $(VENV)/installed-test
	$(INSTALL) -e ".[browser]"
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed
	$(INSTALL) -e ".[lint]"
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) -e ".[docs]"
	@touch $@

$(VENV)/installed-study: $(VENV)/installed
	$(INSTALL) -e ".[letters]"
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed-test
	$(INSTALL) -e ".[bench]"
	@touch $@

demo: $(VENV)/installed
	$(BIN)/ectool run pipelines/digits.toml --output $(DEMO) --processes 2
	@echo "The report: file://$(abspath $(DEMO))/report.html"

# Compiled tests and modules are kept, whatever the environment says: every process that a test starts
# would compile them again. Worksteal gives each worker whole files, so that few fixtures are made twice.
test coverage test-slow test-browser test-install test-tutorials test-workflows test-matrix: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/installed-test
	$(BIN)/pytest -n 2 --dist worksteal

# Tracing every line takes a quarter of the time again.
coverage: $(VENV)/installed-test
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term

test-slow: $(VENV)/installed-test
	$(BIN)/pytest -m "not browser"

test-browser: $(VENV)/installed-browser
	$(BIN)/pytest -m browser tests/browser

test-tutorials: $(VENV)/installed-test
	$(BIN)/pytest -m "slow or not slow" tests/tutorials

test-install: $(VENV)/installed-test
	$(BIN)/pytest -m "slow or not slow" tests/packaging

# Snakemake and DVC need other versions of our packages.
$(VENV)-workflows/installed:
	$(PYTHON) -m venv $(VENV)-workflows
	$(VENV)-workflows/bin/pip install --quiet --disable-pip-version-check "snakemake>=9" "dvc>=3.60"
	@touch $@

test-workflows: $(VENV)/installed-test $(VENV)-workflows/installed
	PATH="$(abspath $(VENV)-workflows)/bin:$$PATH" $(BIN)/pytest -m "slow or not slow" \
		tests/pipelines/test_workflows.py

# In an environment of its own.
test-oldest:
	$(MAKE) test VENV=$(VENV)-oldest CONSTRAINTS=constraints-oldest.txt

faults: $(VENV)/installed-test
	$(BIN)/python -m tests.faults

fuzz: $(VENV)/installed-test
	$(BIN)/python -m tests.fuzz --keep run/fuzz

kills soak: $(VENV)/installed-test
	$(BIN)/python -m tests.$@

# Without the records that are missing in run/reliability/, those of the last time are kept.
reliability: $(VENV)/installed
	$(BIN)/python -m docs.make_reliability --collect

# uv makes environments and requirements; pip-audit needs other versions of our packages.
$(VENV)-tools/installed:
	$(PYTHON) -m venv $(VENV)-tools
	$(VENV)-tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.8" "pip-audit>=2.9"
	@touch $@

# The environments are its own. Stopped, it goes on where it was.
test-matrix: $(VENV)-tools/installed
	PATH="$(abspath $(VENV)-tools)/bin:$$PATH" $(VENV)-tools/bin/python -m tests.matrix

# hatchling builds the package itself, without an environment of its own that has no hashes.
requirements: $(VENV)-tools/installed
	echo "hatchling>=1.27" | $(VENV)-tools/bin/uv pip compile pyproject.toml - -c constraints.txt --universal \
		--python-version 3.11 --generate-hashes --no-annotate --upgrade --quiet \
		--custom-compile-command "make requirements" -o requirements-demo.txt

$(VENV)-locked/installed: requirements-demo.txt
	$(PYTHON) -m venv $(VENV)-locked
	$(VENV)-locked/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-demo.txt
	@touch $@

demo-locked: $(VENV)-locked/installed
	$(VENV)-locked/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .
	$(VENV)-locked/bin/ectool run digits --output $(DEMO) --processes 2

# A package that could not be looked up is a failure too.
audit-dependencies: $(VENV)-tools/installed
	@PATH="$(abspath $(VENV)-tools)/bin:$$PATH" $(VENV)-tools/bin/python -m tests.audit

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Containerfile
	$(BIN)/shellcheck pipelines/*.sh pipelines/slurm/*
	$(BIN)/python -m docs.make_cli --check
	$(BIN)/python -m docs.make_metrics --check
	$(BIN)/python -m docs.make_study --check
	$(BIN)/python -m docs.make_reliability --check

site: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(VENV)/installed
	$(BIN)/python -m docs.make_cli
	$(BIN)/python -m docs.make_metrics
	$(BIN)/python -m docs.make_study
	$(BIN)/python -m docs.make_reliability

# In the background: nohup make study > study.log &
study: $(VENV)/installed-study
	$(BIN)/python -m benchmarks.study run $(GRID) --output $(STUDY)
	$(BIN)/python -m benchmarks.study collect $(GRID) --output $(STUDY)
	$(BIN)/python -m docs.make_study

study-quick: $(VENV)/installed-study
	$(BIN)/python -m benchmarks.study run $(GRID) --output $(STUDY) --quick
	$(BIN)/python -m benchmarks.study collect $(GRID) --output $(STUDY) --record $(STUDY)/quick.json
	$(BIN)/python -m docs.make_study --record $(STUDY)/quick.json
	@echo "The tables: $(STUDY)/quick.md"

study-tuning: $(VENV)/installed-study
	$(BIN)/python -m benchmarks.study run pipelines/study/tuning.toml --output $(STUDY)-tuning
	$(BIN)/python -m benchmarks.study choose pipelines/study/tuning.toml --output $(STUDY)-tuning

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.heatmaps
	$(BIN)/python -m benchmarks.precision
	$(BIN)/python -m benchmarks.perturbation_cams
	$(BIN)/python -m benchmarks.attacks
	$(BIN)/python -m benchmarks.warm_start
	$(BIN)/python -m benchmarks.online
	$(BIN)/python -m benchmarks.stages
	$(BIN)/python -m benchmarks.ranks
	$(BIN)/python -m benchmarks.loading
	$(BIN)/python -m benchmarks.passes
	$(BIN)/python -m benchmarks.robustness
	$(BIN)/python -m benchmarks.faithfulness
	$(BIN)/python -m benchmarks.curves
	$(BIN)/python -m benchmarks.audit
	$(BIN)/python -m benchmarks.coverage
	$(BIN)/python -m benchmarks.verification
	$(BIN)/python -m benchmarks.first_result

bench-gpu: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.gpu

bench-memory: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.loading --only memory

clean:
	rm -rf $(VENV) run
