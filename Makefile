# make demo FILES="photo.jpg 'my paper.pdf'"    see resto at work, with your own files
# make play                                     a site with three hosts, to upload to, and to stop and wipe by clicking
# make test                                     the suite, with real media servers, databases, brokers and browsers
# make long                                     what it leaves out: the same with other queues, databases and sizes
# make coverage                                 the same, and which lines nothing tests; takes longer
# make steady                                   the suite three times on a busy machine, in random orders
# make lint                                     format, style, floors and types
# make explore                                  look for unknown failures, for a long time
# make readers                                  read ten thousand files from media servers that lag, are wiped and filled
# make fleet                                    three boxes fail and come back for minutes, while clients save, read and delete
# make servers                                  try many more media servers and proxies, of which it installs those that are missing
# make consumers                                run the suites of packages that use storages, over those of resto
# make bench                                    compare speeds with other packages
# make docs                                     build the site of the documentation, into build/site
# make pictures                                 take the pictures of the docs anew, with Chromium
# make alerts                                   break a site, and see a real Prometheus raise each alert; takes minutes
# make audit                                    look for known vulnerabilities in what the tests and the site install
# make dist                                     build what is published, sdist and wheel, the same bytes each time
# make clean                                    remove what the above made here
#
# As root on Debian, these install what is missing with apt-get, and say so before. make SERVERS=no test installs none.
# Another Python: make PYTHON=python3.13 test (after make clean).

PYTHON ?= python3
FILES ?=
OPTIONS ?=
SERVERS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
NODE_SERVERS := nephele@1.0.0-alpha.67 @nephele/adapter-file-system@1.0.0-alpha.61 @nephele/authenticator-none@1.0.0-alpha.61 express@5.1.0 webdav-server@2.6.3
PARALLEL := --numprocesses 4 --dist loadfile --no-loadscope-reorder

export SERVERS
# Else each of the hundreds of processes of a run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo play test long steady coverage lint explore readers fleet servers consumers bench docs pictures alerts audit dist clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

# The shell splits FILES, so that names with spaces can be quoted.
demo: $(VENV)/.installed
	$(BIN)/python -m resto.testing.demo $(if $(KEEP),--keep) $(FILES)

# In the place of the shell, so that Ctrl-C and SIGTERM come to it, and make waits until it has removed everything.
play: $(VENV)/.installed
	@exec $(BIN)/python -m resto.testing.play $(if $(PORT),--port $(PORT))

# Four processes on two cores: tests of live servers and workers often wait.
test: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python -m pytest $(PARALLEL) -m "not long" $(OPTIONS)

long: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python -m pytest $(PARALLEL) -m long $(OPTIONS)

steady:
	scripts/steady

coverage: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PARALLEL)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: $(VENV)/.installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python scripts/draw-floors --check
	$(BIN)/mypy

explore: $(VENV)/.installed-test
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -m hypothesis --timeout=0

readers: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	RESTO_READS=10000 $(BIN)/python -m pytest tests/sites/test_readers.py

fleet: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	RESTO_BOXES=180 $(BIN)/python -m pytest --numprocesses 0 --timeout=0 -rP tests/sites/test_boxes.py

servers: $(VENV)/.installed-servers
	scripts/install-servers --more $(BIN)/python
	npm install --silent --no-audit --no-fund --prefix $(VENV)/servers $(NODE_SERVERS)
	$(BIN)/python scripts/servers

consumers: $(VENV)/.installed-consumers
	$(BIN)/python scripts/consumers

bench: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python -m benchmarks --output benchmarks/results.json
	$(BIN)/python -m benchmarks.page benchmarks/results.json

docs: $(VENV)/.installed-docs
	rm -rf build/site
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --jobs auto docs build/site

pictures: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python scripts/pictures
	RESTO_WRITE_REFERENCE=1 $(BIN)/python -m pytest -k test_picture tests/sites/test_live_site.py

alerts: $(VENV)/.installed-test
	scripts/install-servers $(BIN)/python
	$(BIN)/python scripts/alerts

audit: $(VENV)/.installed-audit
	$(BIN)/python scripts/audit
	$(BIN)/zizmor --quiet --offline .github

dist: $(VENV)/.installed-test
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build

clean:
	rm -rf $(VENV) .nox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist demo-files
	rm -f .coverage .coverage.*

# The stamps make the next run install nothing, unless pyproject.toml changed.
$(VENV)/.installed: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable . --group test
	$(PIP) download --quiet --no-deps --no-binary Django --dest $(VENV)/django "Django==$$($(BIN)/python -c 'import django; print(django.__version__)')"
	$(PIP) download --quiet --no-deps --dest $(VENV)/axe axe-playwright-python==0.1.8
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-servers: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable . --group test --group servers
	@mkdir -p $(VENV)/servers
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-consumers: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable . --group test --group consumers
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-lint: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable . --group lint --group types
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable '.[rq,celery,tasks,prometheus,testing]' --group docs
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-audit: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet --editable . --group test --group audit
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test

# Dependency groups need pip 25.1. Debian keeps venv in a package of its own.
$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here. Name another: make PYTHON=python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "resto needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name another: make PYTHON=python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  package=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" -eq 0 ] && [ "$(SERVERS)" != no ]; then \
	    echo "About to install with apt-get (make SERVERS=no leaves it out): $$package"; \
	    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$$package"; \
	  else \
	    echo "$(PYTHON) has no venv. Install it: apt-get install $$package" >&2; exit 1; \
	  fi; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@
