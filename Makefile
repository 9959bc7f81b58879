# What is built, tested and checked here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
GOFMT := $(shell $(GO) env GOROOT)/bin/gofmt
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages whose tests measure: they run one at a time and after all others, so
# that they have the machine for themselves, and without the race detector,
# which slows what they measure down.
TIMED := ./cmd/internal/experiment ./cmd/internal/cli ./cmd/sailplan
OTHERS = $(filter-out $(TIMED),$(patsubst $(shell $(GO) list -m)%,.%,$(shell $(GO) list ./...)))

TESTFLAGS ?=
FUZZTIME ?= 10s
BENCH ?= .
BENCHTIME ?= 1s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/sailplan
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/sailplan ./cmd/sailplan

.PHONY: envoy
envoy: ## install the pinned Envoy into the user's cache folder and print its path
	@$(GO) run ./cmd/sailplan lab install

# Tests that lack something are skipped with a line that says what; naming it in
# SAILPLAN_TEST_REQUIRE (envoy, cgroup, chromium, prometheus, with commas between) makes
# them fail. Of packages that pass, only those lines and Go's own are shown.
.PHONY: test
test: ## run every test, those of real Envoy included (it is installed when missing)
	@if [ -z "$${SAILPLAN_ENVOY:-}" ]; then \
		if envoy=$$($(GO) run ./cmd/sailplan lab install); then export SAILPLAN_ENVOY="$$envoy"; \
		else echo "make test: Envoy could not be installed; tests that need it are skipped" >&2; fi; \
	fi; \
	others=0; $(GO) test -v $(TESTFLAGS) $(OTHERS) 2>&1 | awk -f .ci/test-lines.awk || others=$$?; \
	$(GO) test -v -p 1 $(TESTFLAGS) $(TIMED) 2>&1 | awk -f .ci/test-lines.awk; \
	exit $$others

.PHONY: race
race: ## run the tests under the race detector, but for those that measure
	CGO_ENABLED=1 $(GO) test -race $(TESTFLAGS) $(OTHERS)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+\(f \*testing\.F\)' . | sort | \
	while IFS=: read -r file declaration; do \
		name=$${declaration#func }; name=$${name%%(*}; \
		echo "$$name in $${file%/*}"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null; \
	done

.PHONY: bench
bench: ## run the benchmarks that match BENCH, each for BENCHTIME (1s)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -p 1 ./...

.PHONY: evidence
evidence: build ## repeat quick sizings on real Envoy and the stand-in for docs/sizing.md (a quarter of an hour, on a quiet machine)
	$(GO) run ./cmd/evidence -binary bin/sailplan -out docs/sizing.md

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$($(GOFMT) -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) -checks all ./...

.PHONY: tidy
tidy: ## fail when go.mod or go.sum are not what `go mod tidy` makes of them
	$(GO) mod tidy -diff

.PHONY: clean
clean: ## remove what was built; run directories and the cache stay
	rm -rf bin
