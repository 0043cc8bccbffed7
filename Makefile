# The targets of the project. "make help" lists them.

GOLANGCI_LINT := v2.15.0
TOOLS := $(CURDIR)/.tools
PROGRAMS := $(TOOLS)/programs
LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
FUZZTIME ?= 60s
COUNT ?= 6
ROOMBUS_SOAK ?= 10m
TRACE ?= ../shared/traces/w3c-irc-2008-2009.csv.gz

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the binary ./roombus
	go build -o roombus ./cmd/roombus

# The race detector's second of sleep at the exit of each program is left out. Most tests wait for servers
# and timeouts more than they compute: six at a time in each of two packages use two cores.
# Programs without debug information take half the time to link.
GO_TEST := GORACE="atexit_sleep_ms=0 suppressions=$(CURDIR)/internal/harness/race.supp" go test -race -ldflags=-w -parallel 6

.PHONY: test
test: ## run the tests under the race detector, but for test-faults
	go build -race -ldflags=-w -o $(PROGRAMS)/ ./cmd/roombus ./examples/...
	ROOMBUS_TEST_PROGRAMS=$(PROGRAMS) $(GO_TEST) -timeout 8m $$(go list ./... | grep -v /internal/fault$$)

.PHONY: test-faults
test-faults: ## kill, stop and cut off what runs, for seconds; make soak does for minutes
	$(GO_TEST) -timeout 8m ./internal/fault

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME (60s)
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -parallel 2 $$package || exit 1; \
		done; \
	done

.PHONY: soak
soak: ## run each fault test for ROOMBUS_SOAK (10m), one after the other
	ROOMBUS_SOAK=$(ROOMBUS_SOAK) go test -race -count=1 -parallel 1 -timeout 6h -v ./internal/fault

.PHONY: bench
bench: ## run the Go benchmarks of pure packages COUNT (6) times, for benchstat
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./room/... ./internal/expression ./internal/bench

.PHONY: lint
lint: $(LINT) words ## check formatting, the module file, the code and the words
	go mod tidy -diff
	$(LINT) run ./...
	$(LINT) fmt --diff ./...

.PHONY: words
words: ## check the words of comments, messages and docs, and the line lengths of docs
	.ci/words

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

.PHONY: golden
golden: ## rewrite the golden JSON of the wire types, for review
	go test ./room -run TestGolden -update

.PHONY: trace
trace: build ## replay the whole two-year trace on new services, once with a kill -9
	ROOMBUS_TRACE=$(abspath $(TRACE)) go test -count=1 -timeout 30m -v -run TestWholeTrace ./internal/e2e/state

.PHONY: memory
memory: ## measure the memory of a million memberships
	go test ./roomsvc/projection -run ^$$ -bench Memory -benchtime 1x -timeout 20m

.PHONY: peers
peers: ## measure roombus beside webhooks, plugins and other designs
	cd bench/peers && go run .

.PHONY: growth
growth: ## measure a service with a million rooms and five million memberships
	go test ./roomsvc -run ^$$ -bench Growth -benchtime 1x -timeout 1h

.PHONY: demo
demo: ## show apps that veto, extend, modify and react
	go run ./cmd/roombus demo

$(LINT):
	mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(TOOLS)/golangci-lint $@
