# The verbs of Leat. `make help` lists them; CI runs lint and test and nothing
# else (.ci/run). What they do in more than a line is in tools/.

SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help run build test lint gen clients bench bench-peers fault fmt clean

# What a verb passes on: make run ARGS='--http-addr 127.0.0.1:8080'
ARGS ?=

# -count=1: tests that run bin/leat or a server do not show go test's cache what
# they depend on. -timeout is for each package.
TESTFLAGS ?= -count=1 -timeout=20m

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and start `leat dev`, with ARGS
	exec bin/leat dev $(ARGS)

build: ## build bin/leat, static, for this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/leat ./cmd/leat

test: ## install what the tests need and run them all
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	go test $(TESTFLAGS) $(ARGS) ./...

lint: ## check code, protos, scripts, and that generated code is fresh
	tools/lint.sh

gen: ## generate api/ from proto/
	$(call needs,tools/gen.sh)
	tools/gen.sh

clients: ## generate the Python and TypeScript clients from proto/
	$(call needs,tools/clients.sh)
	tools/clients.sh

bench: build ## run the benchmarks, then `leat bench`, with ARGS
	go test -run '^$$' -bench . -benchmem -timeout=60m ./...
	bin/leat bench $(ARGS)

bench-peers: build ## measure Leat beside Redis Streams and NATS JetStream
	$(call needs,tools/bench-peers.sh)
	tools/debian.sh peers
	tools/bench-peers.sh $(ARGS)

fault: ## run the fault tests and the simulation alone, with ARGS
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	go test -count=1 -timeout=60m ./test/fault/... ./test/sim/... $(ARGS)

fmt: ## format the code and the protos
	PATH="$$(tools/install.sh golangci-lint buf):$$PATH"
	golangci-lint fmt
	buf format --write proto

clean: ## remove what make built in this tree
	rm -rf bin

# A verb whose script has not come yet says so instead of doing nothing.
needs = @[ -x $(1) ] || { echo "make $@: $(1) is missing" >&2; exit 1; }
