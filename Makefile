# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A thin door: what the words do is in noxfile.py. Environments and copies live in the cache folder.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vfio-power
RUNNER := $(CACHE)/runner
NOX := $(RUNNER)/bin/nox
SESSION = $(NOX) --non-interactive --session
ANSIBLE := $(CACHE)/ansible
PYTHON ?= python3

.DEFAULT_GOAL := help

help: ## Say what each word does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(ANSIBLE)/bin/ansible-playbook ## Show the main job on a virtual host (ARGS: --keep leaves it running)
	@$(ANSIBLE)/bin/python -B -m tests.lab.demo $(ARGS)

test: $(NOX) browser ## Run every check and test but soak and bench
	@$(RUNNER)/bin/python tools/checks.py $(NOX)

checks: $(NOX) browser ## Run all of these that need no virtual host
	@$(RUNNER)/bin/python tools/checks.py $(NOX) checks

lint: $(NOX) ## Check style and likely mistakes: ruff, yamllint, shellcheck, ansible-lint, licences
	@$(SESSION) lint ansible-lint licences

format: $(NOX) ## Rewrite the Python files into the style that lint asks for (ARGS: only these)
	@$(SESSION) format -- $(ARGS)

types: $(NOX) ## Check types, and that Python 3.9 can run what goes to a host
	@$(SESSION) types floor

unit: $(NOX) ## Run the unit tests on every Python there is (ARGS: words for ansible-test units)
	@$(NOX) --non-interactive --tags units -- $(ARGS)

sanity: $(NOX) ## Run ansible-test sanity on the oldest and the newest ansible-core
	@$(NOX) --non-interactive --tags sanity -- $(ARGS)

integration: $(NOX) ## Run the integration tests that need no device
	@$(NOX) --non-interactive --tags integration -- $(ARGS)

docs: $(NOX) ## Check the documentation and the changelog
	@$(SESSION) docs changelog

report: $(NOX) browser ## Look at the report's page with a real browser (ARGS: words for pytest)
	@$(SESSION) report -- $(ARGS)

build: $(NOX) ## Build the collection, install it somewhere and let Ansible list it
	@$(SESSION) build

lab-tests: $(NOX) ## Run the tests on virtual hosts (ARGS: words for pytest)
	@$(SESSION) lab-images lab -- $(ARGS)

soak: $(NOX) ## Run the long counts: 40 times the unit tests' own, and those on virtual hosts
	@$(SESSION) soak-unit soak

bench: $(NOX) ## Measure speed and memory on a virtual host, against their bounds
	@$(SESSION) bench -- $(ARGS)

clean: ## Remove what the checks left in this checkout
	@rm -rf tests/output .ansible .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis *.tar.gz
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the cache as well: environments, copies, images
	@rm -rf '$(CACHE)'

packages:
	@tools/packages

# Before the lanes start: two of them must not run apt-get at the same time.
browser:
	@tools/packages chromium chromium-driver

$(NOX): tools/constraints.txt | packages
	@$(PYTHON) -m venv '$(RUNNER)'
	@$(RUNNER)/bin/python -m pip install --quiet --constraint tools/constraints.txt nox
	@touch $@

# The demo does without the runner, because it needs less and should begin soon.
$(ANSIBLE)/bin/ansible-playbook:
	@tools/packages python3-venv
	@echo 'Installing ansible-core into $(ANSIBLE)'
	@$(PYTHON) -m venv '$(ANSIBLE)'
	@$(ANSIBLE)/bin/python -m pip install -qq --disable-pip-version-check ansible-core

.PHONY: packages browser help demo test checks lint format types unit sanity integration docs report build lab-tests soak bench clean distclean
