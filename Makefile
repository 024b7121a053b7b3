# Forwards to Invoke, after having made `.venv` from the lock files. Extra arguments go in ARGS:
#     make compare-sizes ARGS="--bases scratch --format json"
# In this folder, `.venv/bin/invoke` (or `invoke` after `. .venv/bin/activate`) is the same without make.

SHELL = /bin/sh
VENV = .venv
PY = $(VENV)/bin/python
INVOKE = $(PY) -m invoke

# Handed over in the environment, so that quotes, blanks and dollar signs stay as they are.
SAMPLE ?= hello
override SAMPLE := $(value SAMPLE)
override TARGET := $(value TARGET)
override ONLY := $(value ONLY)
export SAMPLE TARGET ONLY
unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL = help
.PHONY: help build-static compare-sizes bundle smallest debug push inspect verify walkthrough dockerfile doctor bench lint check test coverage fuzz gallery picture docs lock clean FORCE

help:
	@echo 'make compare-sizes              every sample, recipe and base in one table'
	@echo 'make build-static SAMPLE=hello  one sample, the smallest usual way'
	@echo 'make verify TARGET=hello        will it run, and where'
	@echo 'make inspect TARGET=hello       what the file is'
	@echo 'make smallest TARGET=hello      the smallest image that runs, and why the other candidates were rejected'
	@echo 'make bundle TARGET=hello        a dynamic build with exactly the libraries that it loads'
	@echo 'make debug SAMPLE=hello         the same image with a shell and tools'
	@echo 'make push SAMPLE=hello          to a registry: ARGS="--to HOST/REPOSITORY:TAG"'
	@echo 'make dockerfile SAMPLE=hello    the same image for docker build'
	@echo 'make walkthrough                static binaries explained, each step done here'
	@echo 'make doctor                     what this machine has and lacks'
	@echo 'make test | check | fuzz        everything | lint, types and fast tests | 100,000 broken inputs'
	@echo 'make coverage                   what of each room the fast tests run in their own process'
	@echo 'make bench                      measured ratios against docker build and others'
	@echo 'make gallery                    other people'"'"'s programs, built and used: docs/gallery.md'
	@echo 'make picture                    what the README begins with, measured anew: docs/sizes.svg'
	@echo 'make docs                       these pages and the API as a site: build/site'
	@echo 'make lock | clean               renew the lock files | remove what was built'

# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

compare-sizes walkthrough doctor: $(VENV)/.runtime
	@$(INVOKE) $@ $(ARGS)

build-static dockerfile debug push: $(VENV)/.runtime
	@$(INVOKE) $@ --sample="$$SAMPLE" $(ARGS)

inspect verify bundle smallest: $(VENV)/.runtime
	@$(INVOKE) $@ --sample="$$TARGET" $(ARGS)

# ── this project itself ──────────────────────────────────────────────────────────────────────────────────────────────

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m deptry .

check: lint
	$(PY) -m pytest -m 'not slow' $(ARGS)

# Three side by side keep two processors busy: many tests wait for a time limit, a signal or another machine.
test: $(VENV)/.browser
	$(PY) -m recipes.support.system ensure tests
	$(PY) -m pytest -n 3 --durations 10 $(ARGS)

# Measured and not gated. What the tests start as a process of its own, such as the command line, is not seen.
coverage: $(VENV)/.dev
	$(PY) -m coverage run -m pytest -m 'not slow' $(ARGS)
	@for room in $(dir $(wildcard recipes/*/__init__.py)); do \
	    printf '%-20s %s %%\n' "$$room" "$$($(PY) -m coverage report --include="$$room*" --format=total)"; \
	done

fuzz: $(VENV)/.dev
	FUZZ_INPUTS=$${FUZZ_INPUTS:-100000} $(PY) -m pytest -k fuzz --timeout 0 $(ARGS)

bench: $(VENV)/.dev
	@$(PY) -m recipes.support.system ensure bench
	@$(PY) -m tests.bench $(ARGS)

# What was measured is kept below build/gallery, and all that the page says in docs/gallery.json: ONLY=nginx,jq measures
# those alone, AGAIN=1 anew.
gallery: $(VENV)/.dev
	@$(PY) -m recipes.support.system ensure gallery
	@$(PY) -m tests.gallery --output docs/gallery.md $(if $(ONLY),--only "$$ONLY") $(if $(AGAIN),--again) $(ARGS)

# What the README's picture shows is measured here; scratch stands for no base, a bundle for exactly the libraries.
picture: $(VENV)/.runtime
	@$(INVOKE) compare-sizes --samples hello --recipes gcc-dynamic,gcc-static-small,zig-static-small \
	    --bases scratch,bundle,deb-static,deb-cc,deb-slim --engine local --format json --output build/picture.json
	@$(PY) -m docs.picture build/picture.json docs/sizes.svg

# The pages link to each other as they do here, so they are copied as they lie.
docs: $(VENV)/.docs
	@rm -rf build/pages && mkdir -p build/pages/docs
	@cp *.md LICENSE build/pages && cp -r docs/*.md docs/*.svg docs/schema build/pages/docs
	$(PY) -m mkdocs build --quiet --strict --clean
	@echo build/site/index.html

lock: $(VENV)/.dev
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade \
	    --extra all pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade \
	    --group dev -c requirements.lock -o requirements-dev.lock
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade \
	    --group browser -c requirements.lock -c requirements-dev.lock -o requirements-browser.lock

# Unpacked root file systems hold folders that even their owner may not write to.
clean:
	@[ ! -d build ] || chmod -R u+rwX build
	rm -rf --one-file-system build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find recipes tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ── set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────────
# The stamps are inside `.venv` and made last: what was interrupted or is older than its lock file is made afresh.

# A terminal sees what is being downloaded, and how far it is.
QUIET := $(shell [ -t 2 ] || echo --quiet)
INSTALL = $(PY) -m pip install $(QUIET) --disable-pip-version-check --no-input --require-hashes

# A `.venv` whose interpreter has gone since is none.
ifeq ($(realpath $(PY)),)
$(VENV)/.runtime: FORCE
endif

$(VENV)/.runtime: requirements.lock
	@python=''; \
	for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'error: no Python 3.11 or newer found' >&2; echo >&2; \
	    echo 'hint: install one, or say where it is: make PYTHON=/path/to/python3 …' >&2; exit 4; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" --version), once: downloads about 210 MB, mostly zig, Go and CMake" >&2; \
	begun=$$(date +%s); \
	"$$python" -m recipes.support.system ensure venv && "$$python" -m venv --clear $(VENV) && \
	$(INSTALL) -r requirements.lock >&2 && \
	echo "set up in $$(($$(date +%s) - begun)) s; zig builds its C and C++ libraries once, with the first program" >&2
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@rm -f $@
	@$(INSTALL) -r requirements-dev.lock >&2
	@touch $@

$(VENV)/.browser: requirements-browser.lock $(VENV)/.dev
	@rm -f $@
	@$(INSTALL) -r requirements-browser.lock >&2
	@touch $@

# No lock: nothing of this is shipped. What is there already stays at its pin.
$(VENV)/.docs: pyproject.toml $(VENV)/.runtime
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)/bin/uv pip install --quiet --python $(PY) -c requirements.lock -c requirements-dev.lock --group docs
	@touch $@
