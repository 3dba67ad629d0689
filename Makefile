# What each target does: make help
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO      ?= go
LDFLAGS := -s -w

.PHONY: help
help: ## Say what each target does.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Build everything, start a local plane, deliver the example fleet, say what to try next.
	bin/sengu up

.PHONY: down
down: ## Stop what `make up` started.
	bin/sengu down

.PHONY: build
build: sengu localplane ## Build bin/sengu and bin/localplane.

.PHONY: sengu
sengu: need-go need-git
	$(GO) build -buildvcs=auto -ldflags '$(LDFLAGS)' -o bin/sengu ./cmd/sengu

.PHONY: localplane
localplane: need-go ## Build bin/localplane: a real Kubernetes control plane in one process (minutes the first time).
	@[ -x bin/localplane ] || echo "building a Kubernetes control plane from source: this takes minutes the first time"
	@$(MAKE) --no-print-directory -C localplane build

.PHONY: gitea
gitea: need-go need-gcc ## Build bin/gitea: a real Gitea for the tests of forges (minutes the first time).
	@[ -x bin/gitea ] || echo "building Gitea from source: this takes minutes the first time"
	@$(MAKE) --no-print-directory -C test/gitea build

.PHONY: test
test: need-go need-git need-gcc build gitea ## Run every test, with the race detector, against a real control plane.
	$(GO) test -race -timeout 40m ./...
	$(MAKE) --no-print-directory -C localplane test

.PHONY: generate
generate: bin/controller-gen ## Make the CRDs and the deep copies again.
	bin/controller-gen object paths=./api/v1alpha1 crd output:crd:dir=./api/crds
	mkdir -p charts/sengu/crds && cp api/crds/*.yaml charts/sengu/crds/

bin/controller-gen: tools/go.mod
	$(GO) -C tools build -o ../bin/controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen

.PHONY: verify
verify: need-go need-git generate ## Fail if generated files are stale, modules are untidy or files are not formatted.
	@test -z "$$(gofmt -l api bench cmd examples internal test *.go localplane)" || { echo "not formatted:"; gofmt -l api bench cmd examples internal test *.go localplane; exit 1; }
	$(GO) mod tidy -diff
	$(GO) -C localplane mod tidy -diff
	$(GO) -C bench/gitread mod tidy -diff
	$(GO) -C test/gitea mod tidy -diff # which has no code of ours: nothing to vet or to lint
	$(GO) vet ./...
	$(GO) -C bench/gitread vet ./...
	@git diff --exit-code -- api charts || { echo "generated files are stale: commit what 'make generate' made"; exit 1; }

.PHONY: lint
lint: need-go bin/golangci-lint ## Run the linters, over every module.
	bin/golangci-lint run ./...
	cd bench/gitread && ../../bin/golangci-lint run --config ../../.golangci.yml ./...
	cd localplane && CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" ../bin/golangci-lint run --config ../.golangci.yml ./...

bin/golangci-lint: tools/lint/go.mod
	$(GO) -C tools/lint build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: bench
bench: build ## Measure F1 to F6 and R1, each beside its floor.
	$(GO) build -o bin/bench ./bench
	bin/bench -workload all

.PHONY: $(addprefix bench-f,1 2 3 4 5 6) bench-r1
bench-f1 bench-f2 bench-f3 bench-f4 bench-f5 bench-f6 bench-r1: build ## Measure one workload.
	$(GO) build -o bin/bench ./bench
	bin/bench -workload $(@:bench-%=%)

.PHONY: need-go need-git need-gcc
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer (https://go.dev/doc/install)"; exit 1; }
need-git:
	@command -v git >/dev/null || { echo "git is missing: apt-get install git"; exit 1; }
need-gcc:
	@command -v gcc >/dev/null || { echo "gcc is missing, which the race detector needs: apt-get install gcc libc6-dev"; exit 1; }
