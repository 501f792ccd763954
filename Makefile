# `make` or `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

TOOLS := bin/tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages that are compiled or tested at once. Each integration test starts an API
# server and a database of its own, so more than this only makes them wait.
PARALLEL ?= 2
TEST_TIMEOUT ?= 20m
# Narrow a run down: make test PACKAGES=./pkg/store/... TEST_FLAGS='-run TestClaim -v'
PACKAGES ?= ./...
TEST_FLAGS ?=
# Modules of their own, so that what only they need stays out of the product's go.mod.
TEST_MODULES := test/bench test/monitoring test/browser
# The modules that are tested and checked: all, or the product's alone where PACKAGES is
# narrowed down. For a test module: make test MODULES=test/bench PACKAGES=./threshold
MODULES ?= . $(if $(filter ./...,$(PACKAGES)),$(TEST_MODULES))
# The part of make chaos that is run, such as 2/4; empty is all. A CI runs one each night.
SHARD ?=
# What make bench measures; go -C test/bench run . list prints the names.
SCENARIO ?=
# --small is for a quick look, --rounds=1 for a quicker one.
BENCH_FLAGS ?=
# How long `make fuzz` gives each Fuzz function, and how long `make test` does, which is
# to stay below two minutes for all: as many functions / PARALLEL × (10 s + the build).
FUZZTIME ?= 5m
TEST_FUZZTIME := 10s

# The version control system's stamp costs a git call in each build and fails in a
# tree that git does not trust; VERSION is stamped explicitly instead.
export GOFLAGS := $(filter-out -buildvcs=%,$(GOFLAGS)) -buildvcs=false
# A workspace above this folder must not change what is built.
export GOWORK := off

# $(call each-module,COMMAND) runs it in the folder of each module, up to the first failure.
each-module = for module in $(MODULES); do (cd "$$module" && $(1)) || exit; done
# Not empty where every test of the product is to run.
WHOLE := $(and $(filter .,$(MODULES)),$(filter ./...,$(PACKAGES)))

# The steps of verify read and write the same files.
.NOTPARALLEL:

##@ Start here

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: parts build plugin ## Trigger 50 pipelines on real parts, show three clusters of which one is down, and check every number.
	go run -p $(PARALLEL) ./hack/demo run

.PHONY: demo-up
demo-up: parts build plugin ## Start the same and leave it running to play with.
	go run -p $(PARALLEL) ./hack/demo up

.PHONY: demo-down
demo-down: ## End what demo-up started.
	go run -p $(PARALLEL) ./hack/demo down

.PHONY: test
test: parts helm build plugin bin/penstock-failpoints ## Run every test (unit, integration, end to end) with the race detector, then fuzz shortly.
	CGO_ENABLED=1 go build -race -p $(PARALLEL) -o bin/penstock-race ./cmd/penstock
	$(call each-module,CGO_ENABLED=1 go test -race -p $(PARALLEL) -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) \
	  $(if $(filter ./...,$(PACKAGES)),$$(go list ./... | grep -v '/test/chaos$$'),$(PACKAGES)))
	@# The scenarios measure time, so that nothing runs beside them. make chaos runs them at full length.
	$(if $(WHOLE),CGO_ENABLED=1 go test -race -short -parallel 4 -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./test/chaos)
	CGO_ENABLED=1 go test -race -p $(PARALLEL) -tags failpoints ./pkg/failpoint
	@# Not where the run was narrowed down: go test has tried the kept inputs.
	$(if $(WHOLE),FUZZTIME=$(TEST_FUZZTIME) FUZZ_PARALLEL=$(PARALLEL) hack/fuzz.sh)

.PHONY: chaos
chaos: parts build bin/penstock-failpoints ## Break what Penstock stands on, at full length; SHARD=2/4 is a quarter of it, TEST_FLAGS='-run SIGTERM' picks scenarios.
	CGO_ENABLED=1 go build -race -p $(PARALLEL) -o bin/penstock-race ./cmd/penstock
	$(if $(SHARD),tests=$$(go run ./test/chaos/shard $(SHARD)) && )CGO_ENABLED=1 go test -race -p $(PARALLEL) -parallel 4 -v -timeout 80m \
	  $(if $(SHARD),-run "$$tests") $(TEST_FLAGS) ./test/chaos
	@# Scenario 3: the plan of every query, with a million tasks. The first shard does it.
	$(if $(filter-out 1/%,$(SHARD)),,HISTORY=whole go test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) -run TestNoQueryReadsAllOfHistory ./pkg/store)

.PHONY: fuzz
fuzz: ## Fuzz every Fuzz function for FUZZTIME (5m) each; FUZZ=Pool narrows it down.
	FUZZTIME=$(FUZZTIME) FUZZ_PARALLEL=$(PARALLEL) hack/fuzz.sh

.PHONY: verify
verify: verify-generated verify-modules vet lint vulncheck ## Fail unless generated files, formatting, modules, vet, lint and vulncheck are clean.
	@echo "verify: done"

.PHONY: screenshot
screenshot: parts build ## Take the screenshot of README.md anew: docs/images/dashboard.png.
	go -C test/browser test -p $(PARALLEL) -count=1 -run TestTheScreenshotOfTheReadme . -args -update

##@ Measure

.PHONY: bench
bench: parts build bin/penstock-bench ## Measure all, or SCENARIO="at_limit queue": tables here, JSON in bin/bench.
	bin/penstock-bench run $(BENCH_FLAGS) $(SCENARIO)

.PHONY: figures
figures: bin/penstock-bench ## Copy what make bench measured in full into the documents.
	bin/penstock-bench figures

.PHONY: perf
perf: parts build bin/penstock-bench ## Fail when the ratios that any machine can measure are worse than test/bench/thresholds.yaml.
	bin/penstock-bench gate

##@ Build

.PHONY: build
build: ## Build the controller into bin/penstock.
	CGO_ENABLED=0 go build -p $(PARALLEL) -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/penstock ./cmd/penstock

.PHONY: plugin
plugin: ## Build the kubectl plugin into bin/: put kubectl-penstock and kubectl_complete-penstock in PATH.
	CGO_ENABLED=0 go build -p $(PARALLEL) -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/kubectl-penstock ./cmd/kubectl-penstock
	cp cmd/kubectl-penstock/kubectl_complete-penstock bin/

.PHONY: dist
dist: helm ## Write bin/dist/install.yaml and crds.yaml: what the chart installs with its defaults, for kubectl.
	hack/dist.sh

.PHONY: sbom
sbom: ## Write what is built into bin/penstock and bin/kubectl-penstock to bin/dist, as CycloneDX.
	@hack/build-tools.sh sbom
	mkdir -p bin/dist
	for command in penstock kubectl-penstock; do \
	  CGO_ENABLED=0 $(TOOLS)/cyclonedx-gomod app -json -licenses -noserial -std -main cmd/$$command -output bin/dist/$$command.cdx.json .; \
	done

.PHONY: parts
parts: ## Build or find the local API server, etcd, Argo, kwok, mailpit and Postgres (once).
	hack/build-parts.sh

.PHONY: tools
tools: ## Build controller-gen, sqlc, templ, govulncheck, golangci-lint, helm and cyclonedx-gomod into bin/tools (once).
	hack/build-tools.sh

##@ Generate

.PHONY: generate
generate: generators ## Write the deepcopy methods of the kinds, the Go code of the dashboard's templates, and the reference pages of docs/.
	$(TOOLS)/controller-gen object paths=./api/...
	$(TOOLS)/templ generate -log-level error -path server/dashboard
	@# What the kinds' definitions say is in the pages: they are written first.
	$(TOOLS)/controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	go run -p $(PARALLEL) ./hack/reference

.PHONY: manifests
manifests: generators ## Write the CRDs and the RBAC roles from the markers in the code, the PrometheusRule, and the chart's copies.
	rm -f config/crd/bases/*.yaml
	$(TOOLS)/controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	$(TOOLS)/controller-gen rbac:roleName=penstock paths='./cmd/...;./controllers/...;./pkg/...' output:rbac:dir=config/rbac
	$(TOOLS)/controller-gen rbac:roleName=penstock-server paths='./server/...' output:rbac:dir=config/server
	{ printf '%s\n' 'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' 'metadata:' '  name: penstock' 'spec:'; \
	  sed 's/^\(.\)/  \1/' config/monitoring/alerts.yaml; } >config/monitoring/prometheusrule.yaml
	rm -rf charts/penstock/files
	mkdir -p charts/penstock/files/{crds,server,admission,roles,monitoring}
	cp config/crd/bases/*.yaml charts/penstock/files/crds/
	cp config/rbac/role.yaml charts/penstock/files/role.yaml
	cp config/server/role.yaml config/server/people.yaml charts/penstock/files/server/
	cp config/notifications/role.yaml charts/penstock/files/notifications.yaml
	cp config/base-images/role.yaml charts/penstock/files/base-images.yaml
	cp config/webhooks/role.yaml charts/penstock/files/webhooks.yaml
	cp config/requests/role.yaml charts/penstock/files/requests.yaml
	mkdir -p charts/penstock/files/admission
	cp config/admission/policy.yaml config/admission/builds.yaml config/admission/holds.yaml config/admission/people.yaml charts/penstock/files/admission/
	cp config/roles/view.yaml config/roles/edit.yaml config/roles/admin.yaml config/roles/ci-reporter.yaml charts/penstock/files/roles/
	cp config/monitoring/prometheusrule.yaml config/monitoring/dashboard.json charts/penstock/files/monitoring/

.PHONY: sqlc
sqlc: generators ## Write the Go code of the SQL queries.
	$(TOOLS)/sqlc generate --file pkg/store/sqlc.yaml
	@# sqlc leaves the code of a deleted query file behind.
	@for code in pkg/store/dbsqlc/*.sql.go; do \
	  name=$${code##*/}; \
	  if [[ ! -f pkg/store/queries/$${name%.go} ]]; then rm -v "$$code"; fi; \
	done

##@ Check

.PHONY: fmt
fmt: linter ## Format the Go code.
	$(TOOLS)/golangci-lint fmt

.PHONY: tidy
tidy: ## Tidy go.mod and go.sum of every module.
	$(call each-module,go mod tidy)

.PHONY: vet
vet: ## Run go vet.
	$(call each-module,go vet -p $(PARALLEL) ./...)

.PHONY: lint
lint: linter ## Run the linters of .golangci.yml.
	$(call each-module,$(CURDIR)/$(TOOLS)/golangci-lint run --allow-serial-runners --concurrency $(PARALLEL))

.PHONY: vulncheck
vulncheck: generators ## Look for known vulnerabilities (see hack/vulncheck.sh for offline use).
	hack/vulncheck.sh $(MODULES)

# Steps of the above that nobody calls by hand.

.PHONY: verify-generated
verify-generated:
	hack/verify.sh

.PHONY: verify-modules
verify-modules:
	@$(call each-module,go mod tidy -diff || { echo "verify: go.mod or go.sum of $$module is not tidy: run make tidy" >&2; exit 1; })

# The controller that breaks where PENSTOCK_FAILPOINTS says, for the tests alone. Go
# itself knows whether it must be built again.
.PHONY: bin/penstock-failpoints
bin/penstock-failpoints: c-compiler
	CGO_ENABLED=1 go build -race -tags failpoints -p $(PARALLEL) -o $@ ./cmd/penstock

# The benchmarks' command, which runs in this folder.
.PHONY: bin/penstock-bench
bin/penstock-bench:
	go -C test/bench build -p $(PARALLEL) -o $(CURDIR)/$@ .

.PHONY: c-compiler
c-compiler:
	@hack/ensure-c-compiler.sh

.PHONY: generators
generators:
	@hack/build-tools.sh tools

# Both versions, which the chart is for.
.PHONY: helm
helm:
	@hack/build-tools.sh helm helm3

.PHONY: linter
linter:
	@hack/build-tools.sh lint
