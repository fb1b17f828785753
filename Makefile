# Fenestra's verbs. `make` alone lists them.
#
# pip installs what a verb needs and no more; torch only for training and the tests. On Linux, PyPI's torch is the CUDA
# build (gigabytes); to get the CPU build instead, name the index it comes from once, at the first install:
#
#     make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
#
# pip's own settings (pip.conf, PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS …) are followed as they are.

PYTHON      ?=
TORCH_INDEX ?=
HOST        ?=
PORT        ?=
MODEL       ?=
CONFIG      ?= training/configs/sample.toml
OUTPUT      ?= runs/sample
FILE        ?= data/sample/test.conll
CORPUS      ?= data/sample/test.conll
DOCS_PORT   ?= 8080
WORKERS     ?= 4
INTEGRATIONS ?= $(basename $(notdir $(sort $(wildcard tests/integrations/environments/*.txt))))
WITH        ?=
EXTRA       ?= dev
PYTEST_ARGS ?=
BENCH_ARGS  ?=
SOAK_ARGS   ?=
FUZZ_SECONDS ?= 60
SEQUENCES   ?= 2000
PROMISE_ARGS ?=
DOCKER      ?= docker
TARGET      ?= serve
WHEELS      ?= pure linux-x86_64 linux-aarch64 macos-arm64 macos-x86_64 windows-x86_64
IMAGE       ?= fenestra:$(TARGET)

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install serve train check fix test coverage test-fast test-integrations bench bench-peers bench-ablation soak stateful fuzz promises docs wheels lock image clean

help: ## list the verbs and the variables they take
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

install: $(VENV)/.$(EXTRA) ## create .venv and install Fenestra with everything, tools of its developers included; EXTRA=train, serve or train,serve leaves these out (PYTHON, TORCH_INDEX, WITH)

serve: $(VENV)/.serve ## serve a model, the bundled one unless MODEL is given (HOST, PORT); installs only what serving needs
	@exec $(BIN)/fenestra serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(if $(MODEL),--model $(MODEL))

train: $(VENV)/.train ## run one training job (CONFIG, OUTPUT, TORCH_INDEX)
	@exec $(BIN)/fenestra train $(CONFIG) --output $(OUTPUT)

check: $(VENV)/.dev ## formatting, lint, types and the import rule; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Tests start hundreds of processes. Where Python may not keep what it compiled, as in many images, each would compile all
# that it imports anew, and pytest all tests in each of its processes.
test test-fast test-integrations: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev check ## install, check, then every test (WORKERS, PYTEST_ARGS)
	@if [ "$$CI" = true ]; then .ci/browser; fi
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

coverage: ## every test, with the lines and branches that none of them runs; half as long again as `make test`
	@$(MAKE) --no-print-directory test PYTEST_ARGS="--cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)"

test-fast: $(VENV)/.dev ## the quick tests, in two minutes: no training, browser, loaded server or whatever else takes long (WORKERS, PYTEST_ARGS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		-m "not slow and not training and not browser and not load and not wheel" $(PYTEST_ARGS)

test-integrations: $(INTEGRATIONS:%=$(VENV)-%/.ready) ## each tool that Fenestra is used in, installed in .venv-NAME, with its tests (INTEGRATIONS, PYTEST_ARGS)
	@for name in $(INTEGRATIONS); do \
	    echo "── $$name ──"; \
	    $(VENV)-$$name/bin/python -m pytest --confcutdir tests/integrations tests/integrations/test_$$name.py $(PYTEST_ARGS) || failed="$$failed $$name"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

bench: $(VENV)/.base ## tokens per second and latency of a model (MODEL, FILE)
	@exec $(BIN)/fenestra bench $(if $(MODEL),--model $(MODEL)) $(FILE)

bench-peers: $(VENV)/.dev ## a table of ours beside spaCy and a CRF, those that PEER_PYTHON … name (MODEL, CORPUS, BENCH_ARGS)
	$(BIN)/python -m benchmarks.speed $(if $(MODEL),--model $(MODEL)) --corpus $(CORPUS) $(BENCH_ARGS)

bench-ablation: $(VENV)/.dev ## what each part of the CoNLL-2003 recipe is worth; hours, and goes on where it was stopped (ABLATION_ARGS)
	$(BIN)/python -m benchmarks.ablation training/configs/conll2003.toml benchmarks/ablation.toml --output runs/ablation \
		$(ABLATION_ARGS)

soak: $(VENV)/.dev ## the service in full length: stops, reloads, memory, overload, equal bytes; over an hour (SOAK_ARGS)
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

stateful: $(VENV)/.dev ## random clients, reloads and signals against the service, then without each safeguard (SEQUENCES)
	$(BIN)/python -m benchmarks.stateful --sequences $(SEQUENCES)
	$(BIN)/python -m benchmarks.stateful.safeguards

fuzz: $(VENV)/.dev ## the kernel, built with sanitizers, and the checkpoint loader, under libFuzzer (FUZZ_SECONDS)
	@exec $(BIN)/python -m benchmarks.fuzzing --seconds $(FUZZ_SECONDS)

promises: $(VENV)/.dev ## run the short form of every promise and write docs/promises.md; half an hour (PROMISE_ARGS)
	@exec $(BIN)/python -m benchmarks.promises $(PROMISE_ARGS)

docs: $(VENV)/.docs ## build the documentation site strictly into build/docs, and serve it (DOCS_PORT)
	@exec $(BIN)/python -m docs.website --port $(DOCS_PORT)

wheels: $(VENV)/.dev ## build the sdist and the wheels of all platforms into dist/, compiled here without an emulator (WHEELS)
	rm -rf dist
	$(BIN)/python -m hatchling build -t sdist
	for target in $(WHEELS); do FENESTRA_TARGET=$$target $(BIN)/python -m hatchling build -t wheel || exit; done

lock: $(VENV)/.dev ## pin what the serve image installs, with hashes, after a change of pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --extra serve --extra otel \
		--no-header --no-emit-index-url --no-emit-find-links --output-file deploy/requirements.lock pyproject.toml

image: ## build the container image (DOCKER, TARGET=serve|train, IMAGE, TORCH_INDEX)
	$(DOCKER) build --target $(TARGET) -t $(IMAGE) $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX)) .

clean: ## remove .venv, caches and build outputs; never runs/
	rm -rf $(VENV) $(VENV)-* build dist model/engine/kernel-* *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find app fenestra model training tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# ── the virtual environment: made once, installed anew when pyproject.toml or the kernel changes ──

$(BIN)/python:
	@found=; for python in $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python3.14); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Fenestra needs Python 3.11 or newer; none among: $(or $(PYTHON),python3 python3.11 … python3.14)." >&2; \
	    echo "Install one, or name it: make install PYTHON=/path/to/python3" >&2; exit 2; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$found has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; \
	fi; \
	echo "creating $(VENV) with $$("$$found" --version) ($$found)"; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

KERNEL  := $(wildcard model/*/*.c model/*.h) fenestra/hatch_build.py model/engine/sources.py
INSTALL := pyproject.toml $(KERNEL) | $(BIN)/python

# A stamp for each extra. `dev` holds the others, and the base is in all.
$(VENV)/.base: $(INSTALL)
	$(PIP) -e .
	@touch $@

$(VENV)/.serve $(VENV)/.train $(VENV)/.docs $(VENV)/.train,serve: $(VENV)/.%: $(INSTALL)
	$(PIP) -e '.[$*]'
	@touch $(VENV)/.base $@

$(VENV)/.dev: $(INSTALL)
	$(PIP) -e '.[dev]' $(WITH)
	@touch $(VENV)/.base $(VENV)/.serve $(VENV)/.train $(VENV)/.docs $@

# One environment for each tool: their requirements need not agree with each other, nor with ours for development. A tool
# that is a program of its own and does not agree with ours either has one inside of it, server/.
$(VENV)-%/.ready: tests/integrations/environments/%.txt $(INSTALL)
	$(BIN)/python -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --disable-pip-version-check -r $<
	@if [ -f tests/integrations/environments/servers/$*.txt ]; then \
	    $(BIN)/python -m venv $(VENV)-$*/server && \
	    $(VENV)-$*/server/bin/python -m pip install --disable-pip-version-check \
	        -r tests/integrations/environments/servers/$*.txt; \
	fi
	@touch $@
