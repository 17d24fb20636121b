.DEFAULT_GOAL := help
.PHONY: help build demo screens test test-unit race faults alerts lint vuln fuzz bench bench-page bench-parts matrix dashboard cards release release-check release-tools clean mongod mongosh deps

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# Go fetches the release that go.mod names, as a module, where the installed one is older.
export GOTOOLCHAIN ?= auto

# Whole-server tests wait more than they compute: more of them at once than there are processors.
TEST     := go test -timeout 20m -parallel 8
# Random schemas against their declarations, on one version: SCHEMAS (500) of them.
DRIFT    := go test -timeout 3h -count=1 ./test/drift -run TestRandomSchemas -schemas $(or $(SCHEMAS),500)
FUZZTIME ?= 30s
ROUNDS   ?= 20
MATRIX   := 4.4.2 5.0.4 6.0.5 6.0.27

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/ddltail, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ddltail ./cmd/ddltail

demo: build mongod ## start a replica set of three members and ddltail beside it; DEMO_ONCE=1 exits after the tour
	go build -o bin/demo ./internal/tools/demo
	@exec bin/demo -ddltail bin/ddltail

screens: build mongod ## write the example output in docs/history.md from a real run
	@go run ./internal/tools/screens -ddltail bin/ddltail

test: deps ## run all tests against real servers; fetches what it needs
	$(TEST) ./...

test-unit: ## run the tests that need no server; fetches nothing
	go test -short ./cmd/... ./internal/... ./notify/...

race: deps ## run all tests with the race detector; needs a C compiler; about 25 min
	GORACE=halt_on_error=1 go test -race -timeout 1h -parallel 4 ./...

faults: deps ## break everything around ddltail, ROUNDS times (20), and count what was made and reported
	go test -timeout 5h -count=1 -v ./test/faults -rounds $(ROUNDS)
	go test -timeout 5h -count=1 -v ./test/actor -rounds $(ROUNDS) -flood 20s
	DDLTAIL_FAULTS=full go test -timeout 1h -count=1 -v ./test/listen -run 'TestFaults|TestOrder|TestMisconfigured|TestNineReceivers|TestDigest|TestRefusedDigest'

alerts: deps ## trigger every alert with a real Prometheus, the times of the rules divided by FACTOR (12); about 10 min
	go test -timeout 1h -count=1 -v ./test/alerts -run TestAlerts -parallel 20 -factor $(or $(FACTOR),12)

cards: ## render the cards for Teams in chromium, check their texts and write pictures to bin/cards; fetches 140 MB
	go test -count=1 -v ./test/receivers -run TestCardsInChromium -pictures $(CURDIR)/bin/cards

deps: mongod mongosh
	@scripts/node-deps.sh
	@scripts/python-deps.sh
	@scripts/mongod.sh 4.2.6 || echo 'mongod 4.2.6 cannot be had here: the test of a server too old is skipped' >&2
	@scripts/nats.sh
	@scripts/kafka.sh || echo 'Kafka cannot be had here: the tests of the sink kafka are skipped' >&2
	@scripts/logrotate.sh || echo 'logrotate cannot be had here: the test of file rotation by it is skipped' >&2
	@scripts/prometheus.sh promtool && scripts/prometheus.sh prometheus || echo 'Prometheus cannot be had here: the tests of the alerting rules and of the dashboard are skipped' >&2
	@scripts/alertmanager.sh || echo 'no Alertmanager can be had here: the tests with one are skipped' >&2

lint: ## check the Go code with golangci-lint, at the version in tools/go.mod
	go build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	bin/golangci-lint run ./...

vuln: ## check for known vulnerabilities with govulncheck; needs only the Go module proxy
	go build -C tools -o ../bin/ golang.org/x/vuln/cmd/govulncheck ./vulncheck
	bin/vulncheck

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@go list ./... | while read -r pkg; do \
		go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' | while read -r target; do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; \
		done || exit 1; \
	done

bench: build mongod ## measure ddltail beside its peers; BENCH_SCALE=small, moderate (default) or full; results in bin/bench-results
	go build -o bin/bench ./internal/tools/bench
	@bin/bench -ddltail bin/ddltail -out bin/bench-results $(BENCH_FLAGS)

bench-page: BENCH_FLAGS += -page docs/benchmarks.md
bench-page: bench ## run the benchmark and write its tables to docs/benchmarks.md

bench-parts: mongod ## run the Go benchmarks: transactions, history queries, a first start on 10,000 collections
	go test -timeout 60m -run '^$$' -bench . -benchtime 1x ./test/bench

ifdef MONGOD_URI
matrix: build ## run the tests on every server version, on that of MONGOD=/path/to/mongod, or a few on the empty test set at MONGOD_URI
	@scripts/matrix-uri.sh
else
matrix: deps
ifdef MONGOD
	MONGOD=$(MONGOD) $(TEST) -count=1 ./...
	MONGOD=$(MONGOD) $(DRIFT)
else
	@for v in $(MATRIX); do \
		server=$$(scripts/mongod.sh $$v | tail -n 1) || exit 1; \
		echo "mongod $$v"; MONGOD=$$server $(TEST) -count=1 ./... && MONGOD=$$server $(DRIFT) || exit 1; \
	done
endif
endif

mongod: ## print the path of a mongod, fetched if necessary
	@scripts/mongod.sh

mongosh: ## print the path of a mongosh, fetched if necessary
	@scripts/mongosh.sh

dashboard: ## write deploy/grafana/ddltail.json from tools/dashboard
	go run -C tools/dashboard . >deploy/grafana/ddltail.json.new
	mv deploy/grafana/ddltail.json.new deploy/grafana/ddltail.json

release: release-tools ## build the archives, packages, SBOMs and checksums of a release into dist; PLATFORMS="linux/amd64 …" for some alone
	rm -rf dist
	scripts/release.sh $(VERSION) dist

release-check: release-tools ## build the release of the last commit twice, in two folders and from two build caches, and compare
	@scripts/release-check.sh $(VERSION:-dirty=)

release-tools:
	go build -C tools/release -o ../../bin/ github.com/goreleaser/nfpm/v2/cmd/nfpm github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

clean: ## remove bin and dist; keeps .cache
	rm -rf bin dist
