# SPDX-License-Identifier: Apache-2.0
# The two commands that matter: `make demo` and `make test`. Everything else is a part of them.

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
STATE_DIR ?= /var/lib/zuul-suse
REGIONS ?= 2
N ?= 100
LATENCY ?= 100
SOURCES := $(shell git ls-files zuul_suse seeds nodepool pyproject.toml)

.PHONY: help demo test lint docs packages devstack-check crowbar-check test-packages cloud-packages install install-test unit conformance chaos e2e bench down cloud cloud-tests cloud-down clean

help:  ## show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: packages install  ## bring the sandbox up and show verdicts on real changes
	$(SUDO) $(BIN)/zuul-suse sandbox demo --state-dir $(STATE_DIR)

test: cloud-packages install-test lint  ## all tests: linters, types, unit, real OpenStack, Nodepool's own, end to end
	$(MAKE) unit
	$(SUDO) $(BIN)/pytest -m cloud
	$(MAKE) conformance
	$(MAKE) e2e

lint: install-test  ## linters, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	PATH=$(CURDIR)/$(BIN):$$PATH ANSIBLE_ROLES_PATH=roles:seeds/config-project/roles $(BIN)/ansible-lint --offline
	$(BIN)/zuul-suse seeds render --check
	$(BIN)/zuulcilint zuul.d zuul-openstack.d zuul-crowbar.d \
		seeds/config-project/zuul.d seeds/config-project-openstack/zuul.d seeds/config-project-crowbar/zuul.d
	$(BIN)/zuulcilint seeds/config-project/zuul.d-git

docs: install-test  ## the pages, into docs/_build/html; a warning is a fault
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

unit: install-test  ## tests that need no sandbox and no cloud; the driver meets a real Nodepool and a real LXD
	$(SUDO) $(BIN)/pytest -m "not e2e and not cloud" -n 4 --dist loadfile

cloud-tests: cloud-packages install-test  ## the driver and zuul-suse doctor against a real OpenStack of three regions
	$(SUDO) $(BIN)/pytest -m "cloud and not chaos"

conformance: install-test  ## the tests that Nodepool ships, against our driver
	$(BIN)/python -m tests.conformance

devstack-check: test-packages install-test  ## the overlay against upstream's real tree: make devstack-check DEVSTACK=DIR [TREES=DIR]
	$(SUDO) $(BIN)/python -m tests.devstack $(if $(TREES),--sources $(TREES)) $(or $(DEVSTACK),$(error DEVSTACK=DIR: which tree of openstack/devstack?))

crowbar-check: test-packages install-test  ## the Crowbar checks on upstream's projects: make crowbar-check CROWBAR=DIR [RELEASE=cloud9]
	$(BIN)/python -m tests.crowbar $(if $(RELEASE),--release $(RELEASE)) $(or $(CROWBAR),$(error CROWBAR=DIR: which folder has clones as DIR/crowbar/NAME?))

chaos: cloud-packages install-test  ## faults between a real launcher and three regions of a real OpenStack
	$(SUDO) $(BIN)/pytest -m chaos

bench: cloud-packages install-test  ## Nodepool's own openstack driver and ours on one cloud: make bench N=200 LATENCY=50
	$(BIN)/python -m tests.bench --count $(N) --latency $(LATENCY) --docs

e2e: install-test  ## the whole CI, from a change to its verdict and back to nothing
	$(SUDO) $(BIN)/pytest -m e2e

cloud: cloud-packages install-test  ## start an OpenStack of two regions (REGIONS=n) for tests, and say how to use it
	$(SUDO) $(BIN)/python -m tests.cloud up --regions $(REGIONS)

cloud-down:  ## end that OpenStack
	$(SUDO) $(BIN)/python -m tests.cloud down

down:  ## stop the sandbox
	$(SUDO) $(BIN)/zuul-suse sandbox down --state-dir $(STATE_DIR)

packages:  ## install the operating system packages of bindep.txt that are missing
	@$(SUDO) sh .ci/install-packages bindep.txt

cloud-packages: test-packages
	@$(SUDO) sh .ci/install-packages bindep.txt cloud

test-packages:
	@$(SUDO) sh .ci/install-packages bindep.txt test

install: $(VENV)/installed

install-test: $(VENV)/installed-test

$(VENV)/installed: $(SOURCES)
	@[ -x $(BIN)/python ] || (umask 022; $(PYTHON) -m venv $(VENV))
	@echo "installing zuul-suse into $(VENV) (some minutes the first time)"
	umask 022; $(BIN)/pip install -q --use-pep517 '.[sandbox]'
	@touch $@

$(VENV)/installed-test: $(SOURCES)
	@[ -x $(BIN)/python ] || (umask 022; $(PYTHON) -m venv $(VENV))
	@echo "installing zuul-suse and its tests' tools into $(VENV) (some minutes the first time)"
	umask 022; $(BIN)/pip install -q --use-pep517 '.[sandbox,test]'
	@touch $@ $(VENV)/installed

clean:  ## remove the virtual environment and what tools cached
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .ansible dist build
