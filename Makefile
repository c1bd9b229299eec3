# What people type. `make test` is exactly what CI runs; `make deep` is its long version.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help run prepare fmt fmt-check lint build openapi openapi-check web web-check web-measure pictures sbom sbom-check supply-chain check \
  test sim deep fuzz bench release reproducible

BINARY := $(or $(CARGO_TARGET_DIR),target)/debug/orchestrator
# Options for `make run` and `make bench`, as in: make bench ARGS="--quick --row create"
ARGS ?=

help: ## Shows this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

run: ## Serves, as a release build
	cargo run --release --locked -- $(ARGS)

prepare: ## Installs what the tests need and the machine lacks
	@bash tests/tools/prepare.sh

fmt: ## Formats the source
	cargo fmt --all

fmt-check:
	@echo "==> format"
	cargo fmt --all --check

lint:
	@echo "==> clippy"
	cargo clippy --locked --all-targets -- -D warnings

build:
	@echo "==> build"
	cargo build --locked

openapi: build ## Writes assets/openapi.json from the handlers
	"$(BINARY)" openapi > assets/openapi.json

openapi-check: build
	@echo "==> the API document is that of the handlers"
	"$(BINARY)" openapi | cmp - assets/openapi.json \
	  || { echo "assets/openapi.json is out of date; run: make openapi" >&2; exit 1; }

web: ## Builds the control room into assets/dashboard, from web and assets/openapi.json
	@bash tests/tools/install-web.sh
	cd web
	npm run --silent gen
	npm run --silent build

web-check: prepare
	@echo "==> the control room is what web builds"
	cd web && npm run --silent check

pictures: build ## Takes the picture of the control room for the README, of a real server
	@bash tests/tools/install-web.sh
	node web/e2e/pictures.mjs "$(BINARY)" docs/images

web-measure: ## Measures the control room in Chromium under 1,000 events a second, as a release build (3 minutes)
	@bash tests/tools/install-web.sh
	cargo build --release --locked
	node web/e2e/measure.mjs "$(or $(CARGO_TARGET_DIR),target)/release/orchestrator"

sbom: ## Writes assets/sbom.cdx.json from Cargo.lock
	cargo fetch --quiet --locked
	python3 tests/tools/sbom.py

sbom-check:
	@echo "==> the list of what the executable is made of is that of Cargo.lock"
	cargo fetch --quiet --locked
	python3 tests/tools/sbom.py --check

supply-chain: prepare sbom-check
	@echo "==> licences, sources, bans"
	cargo fetch --quiet --locked
	PATH="$$PWD/.tools/bin:$$PATH" cargo deny --log-level error --offline --locked check bans licenses sources
	echo "==> advisories"
	python3 tests/tools/advisories.py check
	bash tests/tools/release-test.sh

release: ## Builds and signs a release in dist, as in: make release SIGNING_KEY=~/.ssh/release
	@[ -n "$(SIGNING_KEY)" ] || { echo "which key signs? make release SIGNING_KEY=FILE" >&2; exit 1; }
	packaging/release.sh --key "$(SIGNING_KEY)"

reproducible: ## Builds the commit twice, in two folders, and expects the same bytes (long)
	@bash tests/tools/reproducible.sh

check: fmt-check lint ## Format and lints only

test: prepare fmt-check lint build openapi-check web-check supply-chain ## Everything CI checks
	@bash tests/tools/run-tests.sh

SEED ?= 1

sim: ## Replays one simulation and tells what happens, as in: make sim SEED=7
	SIM_SEED=$(SEED) cargo test --locked --test it -- --exact sim::one_seed --nocapture

deep: export ORCHESTRATOR_DEEP := 1
deep: test fuzz ## The same with the long versions of the tests, and the fuzzer

fuzz: build ## Sends 20,000 requests made from the API document (installs schemathesis in .tools)
	@bash tests/tools/fuzz.sh "$(BINARY)"

bench: ## Measures against the limit probe, as a release build
	cargo run --release --locked -- bench $(ARGS)
