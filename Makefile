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
TIMED := ./analysis/models/skew ./cmd/internal/experiment ./cmd/internal/cli ./cmd/sailplan
OTHERS = $(filter-out $(TIMED),$(patsubst $(shell $(GO) list -m)%,.%,$(shell $(GO) list ./...)))

TESTFLAGS ?= -timeout 30m
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
# SAILPLAN_TEST_REQUIRE (envoy, cgroup, chromium, prometheus, nghttpd, nginx, caddy, git, with
# commas between) makes them fail. Of packages that pass, only those lines and Go's own
# are shown.
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
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x "$${file%/*}" </dev/null; \
	done

.PHONY: bench
bench: ## run the benchmarks that match BENCH, each for BENCHTIME (1s)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -p 1 ./...

.PHONY: evidence
evidence: build ## repeat quick sizings of many labs for docs/accuracy.md and docs/sizing.md (an hour, on a quiet machine)
	$(GO) run ./cmd/evidence -binary bin/sailplan -accuracy docs/accuracy.md -sizing docs/sizing.md

# It goes on from the comparisons that are in the raw results, and can be called with
# a TIME, so that it can be made in pieces.
TIME ?= 1h
.PHONY: evidence-regressions
evidence-regressions: build ## find 5 % in CPU, 10 % in latency, and nothing in nothing, for docs/regressions.md (50 minutes, on a quiet machine)
	@mkdir -p bin; $(GO) build -o bin/evidence ./cmd/evidence
	bin/evidence -binary bin/sailplan -regressions docs/regressions.md -raw cmd/evidence/results/regressions.jsonl -at-most $(TIME) \
		-envoy "$${SAILPLAN_ENVOY:-$$(bin/sailplan lab install)}" \
		-older "$$(bin/sailplan lab install --release 1.39.3),$$(bin/sailplan lab install --release 1.36.4)"

# What Debian packages comes from there, the rest through the package managers of
# their languages; a peer that can't be had is left out, and the page says so.
PEERS := $(CURDIR)/bin/peers
.PHONY: bench-peers
bench-peers: ## what a request costs here and with other load generators, for docs/performance.md (ten minutes, on a quiet machine)
	@command -v h2load nghttpd >/dev/null || apt-get install -y nghttp2-client nghttp2-server || echo "bench-peers: install nghttp2-client and nghttp2-server"
	@mkdir -p $(PEERS)
	@for module in fortio.org/fortio@v1.66.5 github.com/tsenart/vegeta/v12@v12.13.0 go.k6.io/k6@v1.8.1; do \
		name=$${module%@*}; name=$${name%/v[0-9]*}; name=$${name##*/}; \
		[ -x "$(PEERS)/$$name" ] || GOBIN=$(PEERS) $(GO) install "$$module" || echo "bench-peers: no $$name"; done
	@[ -x "$(PEERS)/oha" ] || ! command -v cargo >/dev/null || { cargo install --locked --root $(PEERS)/cargo oha && cp $(PEERS)/cargo/bin/oha $(PEERS)/; } || echo "bench-peers: no oha"
	$(GO) build -o bin/bench-peers ./cmd/peers
	PATH="$(PEERS):$$PATH" bin/bench-peers -out docs/performance.md

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
