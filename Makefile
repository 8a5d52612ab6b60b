# Every target does one thing. "make check" is all that a change must pass,
# and what .ci/run and the GitHub workflow call.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# In this order, the quick ones first. Each is a target below.
CHECKS := text fmt modules generate lint build playground test-race test-bench fuzz vulnerabilities

.PHONY: help
help: ## show this help
	@echo 'make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##
.PHONY: run
run: ## start the whole system; data in ./data
	go run ./cmd/veranda

.PHONY: test
test: ## install what tests need, and run them
	scripts/test

.PHONY: image
image: ## build the container image veranda
	docker build -t veranda .

.PHONY: clean
clean: ## remove what was built (not ./data)
	rm -rf bin playground/web/node_modules clients/node_modules

## What "make check" runs; each may be run alone.

.PHONY: check
check: ## run every check below, as CI does
	@.ci/each $(CHECKS)

.PHONY: text
text: ## README's commands, links, no host or path of a machine
	@.ci/text

.PHONY: fmt
fmt: ## Go files are formatted
	@unformatted=$$(gofmt -s -l $$(git ls-files --cached --others --exclude-standard '*.go' | while read -r f; do [ -e "$$f" ] && echo "$$f"; done)); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -s -w on:"; echo "$$unformatted"; exit 1; fi

.PHONY: modules
modules: ## go.mod and go.sum are complete, and the modules unchanged
	go mod verify
	go mod tidy -diff

.PHONY: generate
generate: ## rebuild the generated code from the schemas
	go run github.com/99designs/gqlgen generate
	go generate ./graph/...

.PHONY: lint
lint: ## golangci-lint, as .golangci.yml configures it
	cd tools && go build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	bin/golangci-lint run ./...

.PHONY: build
build: ## build bin/veranda, static, without cgo
	CGO_ENABLED=0 go build -trimpath -o bin/veranda ./cmd/veranda
	@if ldd bin/veranda >/dev/null 2>&1; then echo "bin/veranda is not static:"; ldd bin/veranda; exit 1; fi
	@bin/veranda --help >/dev/null && ls -l bin/veranda

.PHONY: playground
playground: ## rebuild playground/dist from playground/web (needs Node 20.19 or newer)
	cd playground/web && npm ci --no-audit --no-fund && npm run build

.PHONY: test-race
test-race: ## run all tests with the race detector, nothing skipped, and print the coverage
	@mkdir -p bin
	@export NO_SKIP=1 GOFLAGS="$${GOFLAGS-} -race -count=1 -covermode=atomic -coverprofile=bin/coverage.out -coverpkg=$$(.ci/coverage packages)"; \
	echo 'NO_SKIP=1 scripts/test    # with -race and -cover in GOFLAGS'; \
	scripts/test | sed -E '/^\tgithub.com\/.*\tcoverage: /d; s/\tcoverage: .*//; /^coverage: .* of statements in /d'
	@.ci/coverage report bin/coverage.out

.PHONY: test-bench
test-bench: ## vet and test the module bench
	go -C bench vet ./...
	go -C bench test ./...

# A count, since a fuzzer whose time is up may take its own end for a failure
# ("context deadline exceeded", and no input). What it finds interesting it
# would shrink for a minute, which says no more.
FUZZTIME ?= 100000x

.PHONY: fuzz
fuzz: ## feed random input to what reads input, each for FUZZTIME
	@fuzz() { echo "$$2"; go test "$$1" -run '^$$' -fuzz "^$$2\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; }; \
	fuzz ./graph FuzzQuery; fuzz ./backend/listings FuzzParseCursor; \
	fuzz ./internal/http1 FuzzParse; fuzz ./internal/fastjson FuzzScan; \
	for f in FuzzForm FuzzJSON FuzzObject; do fuzz ./internal/httpapi $$f; done

.PHONY: vulnerabilities
vulnerabilities: ## ask the vulnerability databases, where they are in reach
	@.ci/vulnerabilities

## Speed. Not part of "make check": it takes a quarter of an hour, and needs wrk.

.PHONY: bench
bench: ## measure beside other gateways; BENCH='-help' shows the flags
	go run -C bench ./load $(BENCH)
