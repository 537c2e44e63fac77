# Every target works in a fresh clone with Go, git and gcc; the linter is built into .bin when it
# is missing. "make" alone shows what there is.

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)

# Tests of a package at a time: many of them wait for servers, so that two for each processor keep it busy.
PARALLEL := $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# A process with the race detector sleeps for a second before it ends, and the scripts alone start some hundreds.
RACED := GORACE=atexit_sleep_ms=50

# Tests that take long with the race detector and start no goroutine: it has nothing to find in them.
ALONE := ^(TestLinksOfDocumentsLeadSomewhere|TestNamesSayWhatTheFieldSays|TestFilesAreReadToABound|TestFilesAndFunctionsFitOnAScreen|TestListsInTextsAreLists|TestSyntaxRefusesWhatNoFormatCouldRead|TestABrokenFormatFileIsRefusedNamingThePlace|TestTheSchemaOfFormatFilesTakesAllThatThereAre|TestEverySendersEnvelopeIsTakenOff)$$

.PHONY: help test check lint cover fuzz boxes week hours build bench integration chart page image sbom vulnerabilities deadcode minute demo tools clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

test: ## every test, shuffled; RACE=-race with the race detector, which takes four times as long, but for those that it finds nothing in
	$(if $(RACE),$(RACED)) go test $(RACE) $(if $(RACE),-skip '$(ALONE)') -shuffle=on -parallel $(PARALLEL) -timeout 25m ./...

check: lint ## everything that must be green: vet, linters, tests with the race detector, and without it those that it spoils or cuts short
	$(MAKE) test RACE=-race
	go test -shuffle=on -run '$(ALONE)' ./cmd/worker ./enrich/detection
	go test -shuffle=on ./hive ./enrich/apply ./enrich/claim
	go test -run Past ./cmd/worker/service

lint: $(GOLANGCI) ## go vet and golangci-lint
	go vet ./...
	$(GOLANGCI) run

cover: ## coverage of each package
	go test -cover ./...

fuzz: ## ten seconds of every fuzz target
	.ci/fuzz 10s

boxes: ## a minute of random middle boxes between the worker and TheHive
	go test -count=1 -run '^TestMiddleBoxesAtRandom$$' -v ./cmd/worker/service -boxes 60s

week: ## a week of good and hostile senders in a minute, and 5000 events over HTTP while everything is killed
	go vet -tags week ./cmd/worker
	go test -tags week -count=1 -run '^TestAWeek' -v ./cmd/worker
	cd deploy/bench && go test -tags bench -count=1 -timeout 5m -run '^TestIntakeLosesNothing$$' -soaked 5000 -v

hours: ## a minute of hours of a SOC, in virtual time, through the whole worker; the commit is the seed
	go test -count=1 -run '^TestHoursOfASOC$$' -v ./cmd/worker/simulation -simulation.for 60s -simulation.shifts 2 -simulation.from $$((0x$$(git rev-parse --short=7 HEAD) + 1))

build: ## the worker, into dist/
	go build -trimpath -o dist/worker ./cmd/worker

bench: ## the speed table, in less than six minutes; ROWS=… a part, PROFILE=folder profiles
	cd deploy/bench && go test -tags bench -count=1 -timeout 15m -run '$(or $(ROWS),Speed)' $(if $(PROFILE),-profiles $(abspath $(PROFILE)))

integration: ## real forwarders, and several hosts in containers while everything breaks, in about five minutes; what cannot be had is skipped
	env $$(.ci/forwarders) go test -count=1 -timeout 5m -v ./deploy/forwarders
	go vet -tags integration ./deploy/integration ./deploy/image
	go test -tags integration -count=1 -timeout 15m -v ./deploy/integration
	go test -tags integration -count=1 -timeout 5m -v ./deploy/image

chart: ## lint, render and validate the Helm chart, its rules and its dashboard, and the workflows; builds Helm the first time
	cd deploy/test && go vet ./... && go test -count=1 -timeout 15m ./...

page: ## the page of the demonstration in a browser; PICTURES=-update writes docs/pictures/page-*.png anew
	cd deploy/browser && go vet ./... && go test -count=1 -timeout 5m ./... $(PICTURES)

image: ## the container image forager:latest, compiled here
	deploy/image/compile dist/image/worker
	SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" docker build -f deploy/Dockerfile --target prebuilt -t forager:latest \
	  --build-arg VERSION="$$(git describe --tags --always)" --build-arg REVISION="$$(git rev-parse HEAD)" dist/image

sbom: ## dist/sbom.cdx.json, every part of the image's binary (CycloneDX 1.6), and dist/SHA256SUMS
	deploy/image/compile dist/image/worker
	cd deploy/sbom && go vet ./... && go test ./... && go run . -licences ../licences/licences.txt ../../dist/image/worker > ../../dist/sbom.cdx.json
	cp -p dist/image/worker "dist/worker-linux-$$(go env GOARCH)"
	cd dist && sha256sum worker-linux-* sbom.cdx.json > SHA256SUMS

vulnerabilities: ## known vulnerabilities in what is called; skipped where their database cannot be reached
	.ci/vulnerabilities

deadcode: ## functions that nothing reaches
	.ci/deadcode

minute: ## from the unpacked program to the first case, timed: nats-server, simulate, init, run, publish
	.ci/first-minute

demo: ## a real alert becomes a case
	go run ./cmd/worker demo --once

tools: $(GOLANGCI) ## build the linter

$(GOLANGCI):
	mkdir -p .bin
	GOBIN=$(CURDIR)/.bin GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

clean: ## remove what the targets made
	rm -rf .bin dist
