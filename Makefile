# The commands of this repository. Each installs what it needs and says what it does; the work is in deploy/build/.
# `make` alone lists them.

SCENARIO ?= healthy
TIER ?=
SECONDS ?= 60

.PHONY: help demo test bench fuzz lint images

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the main job on a real cluster; SCENARIO=healthy, broken, flaky, crash or conformance
	@deploy/build/demo $(SCENARIO)

test: ## every test; TIER="unit node" runs only these tiers
	@deploy/build/test $(TIER)

bench: ## the figures of the service on this machine, as a table and as JSON
	@deploy/build/bench

fuzz: ## whatever reads what suites wrote, fed with rubbish; SECONDS=600 for each target, 60 without
	@deploy/build/need rust
	@fuzz/run.sh $(SECONDS)

lint: ## formatting, clippy, shell and Go checks
	@deploy/build/lint

images: ## the container images: node, conformance tests, own suites
	@deploy/build/need rust c docker
	@deploy/build/engine
	@cargo build -p portcullis-suite
	@deploy/build/images node conformance suite
