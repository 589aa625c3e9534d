# Everything a contributor runs. `make` alone prints this list.

GO       ?= go
# Interop tests start real peers (SIPp, Kamailio, baresip, linphone, sipsak); a peer that is not installed is skipped by name.
TAGS     ?= interop
PACKAGES ?= ./...
PEERS     = trunkline/internal/peers
FUZZTIME ?= 30s
# A whole run of the tests, the cgo build of SQLite included.
TIMEOUT  ?= 25m
BENCH    ?=
# How long `make soak` keeps its load up.
SOAK     ?= 2h
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help run test interop check bench soak fuzz build format

help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Serve with sipgo.yaml of this folder
	$(GO) run ./cmd/trunkline serve --config sipgo.yaml

build: ## Build the static binary bin/trunkline
	CGO_ENABLED=1 $(GO) build -trimpath -tags 'osusergo netgo sqlite_omit_load_extension' \
		-ldflags '-s -w -linkmode external -extldflags "-static" -X main.version=$(VERSION) -X main.commit=$(COMMIT)' \
		-o bin/trunkline ./cmd/trunkline

format:
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

# The system tests measure time against real peers: they come last and have the machine to themselves. Those that may run side by side
# mostly wait for phones to talk.
test: format ## Format, vet, and every test, with real peers where they are installed
	$(GO) vet -tags '$(TAGS)' $(PACKAGES)
	@status=0; \
	$(GO) test -tags '$(TAGS)' -timeout $(TIMEOUT) $$($(GO) list $(PACKAGES) | grep -v '^$(PEERS)$$') || status=1; \
	$(GO) test -tags '$(TAGS)' -timeout $(TIMEOUT) -parallel 4 $(PEERS) || status=1; \
	exit $$status

interop: ## The interop tests alone, and docs/interop.md made from them; every peer must be installed
	CI=true $(GO) test -tags '$(TAGS)' -count 1 -timeout $(TIMEOUT) -parallel 4 -run '^TestLab' $(PEERS) -update

check: format ## What a commit must pass: gofmt, vet, staticcheck, go fix, tests with -race
	$(GO) vet -tags '$(TAGS)' $(PACKAGES)
	$(GO) tool staticcheck -tags '$(TAGS)' $(PACKAGES)
	$(GO) fix -diff $(PACKAGES)
	$(GO) test -race -timeout $(TIMEOUT) $(PACKAGES)

bench: ## Go benchmarks, SIPp through the edge and through Kamailio, probes beside sipsak, registrations, RTP through the relay and through rtpengine (BENCH='-quick' for a short one)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 1s $(PACKAGES) | grep -v -e 'no test files' -e '^ok' -e '^PASS'
	$(GO) run ./bench/call $(BENCH)
	$(GO) run ./bench/call $(BENCH) -only trunkline -api
	$(GO) run ./bench/probe $(filter -quick,$(BENCH))
	$(GO) run ./bench/register $(filter -quick,$(BENCH))
	$(GO) run ./bench/relay $(if $(filter -quick,$(BENCH)),-rounds 1 -for 3s)

soak: ## A hundred calls of every kind a second for two hours (SOAK=10m for less): all good, and nothing grows
	$(GO) test -tags interop -timeout 0 -run '^TestSoak$$' -v $(PEERS) -soak $(SOAK)

fuzz: ## Every fuzz target for FUZZTIME (30s) each
	@set -e; for package in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(PACKAGES)); do \
		folder=$$($(GO) list -f '{{.Dir}}' $$package); \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$folder/*_test.go | cut -d' ' -f2); do \
			echo "== $$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done
