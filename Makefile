# The verbs of Leat. `make help` lists them; CI runs lint and test and nothing
# else (.ci/run). What they do in more than a line is in tools/.

SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help run build test lint gen clients bench bench-peers fault soak cluster upgrade mutants release release-check deploy-check first-run fmt clean

# What a verb passes on: make run ARGS='--http-addr 127.0.0.1:8080'
ARGS ?=

# How long make fault, cluster and upgrade break things, and make soak lets them be: make fault FOR=1h
FOR ?= 10m

# -count=1: tests that run bin/leat or a server do not show go test's cache what
# they depend on. -vet=off: make lint vets. -timeout is for each package.
TESTFLAGS ?= -count=1 -vet=off -timeout=30m

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
	go -C test/manifests test $(TESTFLAGS) ./...

lint: ## check code, protos, scripts, and that generated code is fresh
	tools/lint.sh

gen: ## generate api/ from proto/
	tools/gen.sh

clients: ## generate the Python and TypeScript clients from proto/
	tools/debian.sh clients
	tools/clients.sh

bench: build ## run the benchmarks, then `leat bench`, with ARGS
	go test -run '^$$' -bench . -benchmem -timeout=60m ./...
	bin/leat bench $(ARGS)

bench-peers: build ## measure Leat beside Redis Streams and NATS JetStream
	tools/debian.sh peers
	tools/bench-peers.sh $(ARGS)

fault: ## run the fault tests long (FOR=10m), then the engine's crashes and simulation 20 times
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	LEAT_FAULT_FOR=$(FOR) go test -count=1 -timeout=0 -v ./test/fault/... $(ARGS)
	go test -count=20 -timeout=60m -run 'Crash|Simulation' ./shardstore

soak: ## run a cluster and leat dev under steady load (FOR=10m): they must stay flat, and drain
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	LEAT_SOAK_FOR=$(FOR) go test -count=1 -timeout=0 -v -run 'TestSoak' ./test/fault $(ARGS)

cluster: ## test clusters alone: whole processes, then faults for FOR=10m
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	LEAT_TIMED=true go test -count=1 -timeout=20m -v -parallel=1 -run 'Cluster|Node' ./test/e2e $(ARGS)
	LEAT_FAULT_FOR=$(FOR) go test -count=1 -timeout=0 -v -run 'Cluster|Rolling' ./test/fault $(ARGS)

upgrade: ## go from the previous release to this one and back, then faults in a mix of both for FOR=10m
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	LEAT_FAULT_FOR=$(FOR) go test -count=1 -timeout=0 -v -run 'Upgrade|Releases' ./test/fault $(ARGS)

mutants: ## break rules of the data plane on purpose: the fault tests must fail
	tools/debian.sh test
	tools/install.sh minio >/dev/null
	tools/mutants.sh $(ARGS)

release: ## build dist/: binaries for VERSION, their SBOMs and checksums
	tools/release.sh $(VERSION)

release-check: ## build twice in two folders and compare
	tools/release.sh check --check

deploy-check: ## of make test, what checks deploy/: Helm, Kubernetes' types, promtool, haproxy, Terraform
	tools/debian.sh deploy
	go test $(TESTFLAGS) ./test/deploy
	go -C test/manifests test $(TESTFLAGS) ./...

first-run: ## do what README.md says on a new machine, made by debootstrap (as root, 2 GB)
	tools/first-run.sh $(ARGS)

fmt: ## format the code and the protos
	PATH="$$(tools/install.sh golangci-lint buf):$$PATH"
	golangci-lint fmt
	buf format --write proto

clean: ## remove what make built in this tree
	rm -rf bin dist
