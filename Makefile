# "make check" is all that a change must pass. .ci/run and the GitHub workflow call it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The checks, the quick ones first. Each is a target.
CHECKS := text fmt modules generate lint build playground test-race fuzz vulnerabilities

GOLANGCI := tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run --config=$(CURDIR)/.golangci.yml

.PHONY: help
help: ## show this help
	@echo 'make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^##/ { sub(/^## ?/, ""); print "\n" $$0 } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Every day

.PHONY: run
run: ## start all three services, with their data in ./data
	go run ./cmd/veranda

.PHONY: test
test: ## install what the tests need, and run all tests
	scripts/test

.PHONY: tidy
tidy: ## format the code, and complete go.mod and go.sum of every module
	gofmt -s -w $$(git ls-files '*.go')
	for module in . bench tools; do go -C $$module mod tidy; done

.PHONY: bench
bench: ## compare with other gateways; needs wrk; BENCH='-help' shows the flags
	go run -C bench ./load $(BENCH)

.PHONY: image
image: ## build the container image veranda
	docker build -t veranda .

.PHONY: clean
clean: ## remove build results, but not ./data
	rm -rf bin playground/web/node_modules clients/node_modules

## Checks

.PHONY: check
check: ## run all checks below
	@.ci/each $(CHECKS)

.PHONY: text
text: ## check the README's commands, links between files, and paths and hosts in files
	@.ci/text

.PHONY: fmt
fmt: ## check the format of Go files
	@unformatted=$$(gofmt -s -l $$(git ls-files --cached --others --exclude-standard '*.go' | while read -r f; do [ -e "$$f" ] && echo "$$f"; done)); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make tidy:"; echo "$$unformatted"; exit 1; fi

.PHONY: modules
modules: ## check go.mod and go.sum of every module
	go mod verify
	for module in . bench tools; do go -C $$module mod tidy -diff; done

.PHONY: generate
generate: ## rebuild the generated Go files
	go generate ./...
	go run github.com/99designs/gqlgen generate
	go -C bench generate ./...

.PHONY: lint
lint: ## run the linters of .golangci.yml
	go $(GOLANGCI) ./...
	cd bench && go $(GOLANGCI) ./...

.PHONY: build
build: ## build bin/veranda, statically linked
	CGO_ENABLED=0 go build -trimpath -o bin/veranda ./cmd/veranda
	@if ldd bin/veranda >/dev/null 2>&1; then echo "bin/veranda is not static:"; ldd bin/veranda; exit 1; fi
	@bin/veranda --help >/dev/null && ls -l bin/veranda

.PHONY: playground
playground: ## rebuild playground/dist from playground/web; needs Node 20.19 or newer
	cd playground/web && npm ci --no-audit --no-fund && npm run build

.PHONY: test-race
test-race: ## run all tests with the race detector, skip none, and report the coverage
	@mkdir -p bin
	@export NO_SKIP=1 GOFLAGS="$${GOFLAGS-} -race -count=1 -covermode=atomic -coverprofile=bin/coverage.out -coverpkg=$$(.ci/coverage packages)"; \
	echo 'NO_SKIP=1 scripts/test    # with -race and -cover in GOFLAGS'; \
	scripts/test | sed -E '/^\tgithub.com\/.*\tcoverage: /d; s/\tcoverage: .*//; /^coverage: .* of statements in /d'
	@.ci/coverage report bin/coverage.out
	go -C bench test ./...

# A number of inputs, not a time: a fuzz test whose time is up sometimes fails with
# "context deadline exceeded". Minimizing takes up to a minute, and finds nothing.
FUZZTIME ?= 100000x

.PHONY: fuzz
fuzz: ## run each fuzz test with FUZZTIME random inputs
	@git grep -E '^func Fuzz' -- '*_test.go' | sed -E 's#^(.*)/[^/]*:func (Fuzz\w+).*#\1 \2#' | while read -r package name; do \
		echo "$$package $$name"; \
		go test "./$$package" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x </dev/null; \
	done

.PHONY: vulnerabilities
vulnerabilities: ## check dependencies against the vulnerability databases, if they can be reached
	@.ci/vulnerabilities
