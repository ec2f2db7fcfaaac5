# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help setup drill test test-all test-hosts test-ceph test-matrix lint bench clean

help: ## Explain every target (the default)
	@sed -n 's/^\([a-z-]*\): ## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

setup: ## Make .venv and everything below .build; quick when nothing has changed
	@tools/bootstrap test

drill: ## Lose a real database and get it back from a real object store; leaves report.html
	@tools/drill

test: ## Lint, then every test: on real hosts (as root, where podman can be had), and with an embedded store
	@tools/test

test-all: ## make test and its longest tests: a rebuild interrupted in each of its phases, a second site, and more bad input
	@LIFEBOAT_TEST_ALL=1 tools/test

test-hosts: ## Only the Molecule scenarios on real hosts with systemd
	@tools/test-hosts

test-ceph: ## The tests of the S3 store on a real Ceph RADOS Gateway (root only; not part of make test)
	@tools/test-ceph

test-matrix: ## The drill with each release of ansible-core, the engine with more PostgreSQL (not part of make test)
	@tools/test-matrix

lint: ## ruff, mypy, ansible-lint, changelog, documentation, collection build, ansible-test sanity
	@tools/lint

bench: ## Measure beside pgBackRest and barman-cloud; writes docs/benchmarks.md (tools/bench --short: a quick look)
	@tools/bench

clean: ## Remove .venv, .build and every cache
	@tools/clean
