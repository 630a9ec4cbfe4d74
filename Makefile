# `make help` lists what there is. Whatever is missing on a Debian machine with Rust and Python is installed.

VENV := .venv
PYTHON := $(VENV)/bin/python
# Other versions of MLflow beside the pinned one: those before it, and the one after it.
COMPAT := 3.16.1 3.15.2
NEXT := 3.18.0
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2

.DEFAULT_GOAL := help
.PHONY: help run demo test test-unit test-e2e test-deploy checkov test-compat microbench budgets budgets-record fuzz soak attack bench growth lint deny packages clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.done release ## Run MLflow and the gateway here, with a key and the snippet to paste; Ctrl-C stops both
	@exec $(PYTHON) scripts/stack.py run

demo: $(VENV)/.done release ## The same, then register a model through the gateway with MLflow's own client
	@exec $(PYTHON) scripts/stack.py demo

test: packages test-unit test-e2e test-deploy budgets ## Everything it needs, then all tests

test-unit: ## Unit tests, and the gateway on real sockets between recording fakes
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked; else cargo test --locked; fi

test-e2e: $(VENV)/.done $(NEXT:%=$(VENV)/compat/%/.done) ## MLflow's real client and server, with the gateway between them
	@scripts/packages.sh nginx-light openssl prometheus redis-server
	cargo build --locked
	$(PYTHON) -m pytest tests/e2e

# Nothing of these is needed to run the gateway: where they cannot be installed, the tests that want them are skipped, and
# say so.
DEPLOY_PACKAGES := haproxy buildah podman runc mmdebstrap

test-deploy: $(VENV)/.done checkov ## Images, containers, compose, Kubernetes, Terraform, a rolling restart
	-@scripts/packages.sh $(DEPLOY_PACKAGES)
	cargo build --locked
	$(PYTHON) -m pytest tests/deploy -rs

checkov: $(VENV)/checkov/.done ## The linter of deploy/terraform, in a venv of its own

$(VENV)/checkov/.done: scripts/checkov/requirements.txt
	@scripts/packages.sh python3-venv
	@test -x $(VENV)/checkov/bin/python || python3 -m venv $(VENV)/checkov
	$(VENV)/checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-compat: $(VENV)/.done $(COMPAT:%=$(VENV)/compat/%/.done) ## Whether the routes of the two minor versions of MLflow before this one are known too
	cargo build --locked
	MLFLOW_COMPAT=$(subst $() ,:,$(COMPAT:%=$(CURDIR)/$(VENV)/compat/%)) $(PYTHON) -m pytest tests/e2e/test_routes.py

$(VENV)/compat/%/.done: scripts/compat/mlflow-%.txt | $(VENV)/.done
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target $(VENV)/compat/$* -r $<
	@touch $@

BENCH := cargo bench --quiet --locked --profile measured --features bench --bench

microbench: ## How long each step of a request takes, by criterion
	$(BENCH) time

budgets: ## Whether each step of a request keeps to its instructions (benches/budgets.toml)
	@scripts/packages.sh valgrind
	$(BENCH) instructions

budgets-record: ## Write down the instructions that each step takes now
	@scripts/packages.sh valgrind
	$(BENCH) instructions -- --record

soak: $(VENV)/.done release ## 10 GB up and down with MLflow's client (40 GB of disk)
	HOKUSAI_GATEWAY=target/release/hokusai-gateway SOAK_MIB=10240 \
		$(PYTHON) -m pytest tests/e2e -k gigabytes -s

attack: release ## slowhttptest's attacks, and what they cost good clients
	@scripts/packages.sh slowhttptest nginx-light
	@python3 scripts/attack.py

# ROUNDS=1 for a quick look; benches/side_by_side has more to choose from (--help).
ROUNDS := 5
SECONDS := 2

bench: $(VENV)/.done $(VENV)/bench/.done release ## The gateway beside nginx, HAProxy and others (25 minutes); writes docs/BENCHMARKS.md
	@scripts/packages.sh nginx-light haproxy caddy wrk nghttp2-client curl
	$(PYTHON) -m benches.side_by_side --rounds $(ROUNDS) --seconds $(SECONDS) --document docs/BENCHMARKS.md

growth: $(VENV)/.done release ## What more keys, routes and instances cost (25 minutes); writes docs/GROWTH.md and its pictures
	@scripts/packages.sh nginx-light wrk redis-server
	$(PYTHON) -m benches.growth --rounds $(ROUNDS) --seconds $(SECONDS)

$(VENV)/bench/.done: scripts/bench/requirements.txt scripts/bench/mlflow-auth.txt
	@scripts/packages.sh python3-venv
	@test -x $(VENV)/bench/bin/python || python3 -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r scripts/bench/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target $(VENV)/bench/mlflow-auth -r scripts/bench/mlflow-auth.txt
	@touch $@

FUZZ_SECONDS := 60
FUZZ_TARGETS := target artifact_path credential redis_value auth_answer response_head chunked_body inbound_head

fuzz: target/tools/bin/cargo-fuzz ## A minute for each fuzz target (FUZZ_SECONDS=3600 for more)
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 PATH="$(CURDIR)/target/tools/bin:$$PATH" \
			cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -verbosity=0 \
			|| exit 1; \
	done

target/tools/bin/cargo-fuzz:
	@scripts/packages.sh g++
	cargo install --quiet --locked --root target/tools --target-dir target/tools/build cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@rm -rf target/tools/build

lint: ## Formatting and lints, as CI does them
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --benches --features bench -- -D warnings

deny: target/tools/bin/cargo-deny ## Licences, sources and bans of the dependencies
	target/tools/bin/cargo-deny check --hide-inclusion-graph bans licenses sources

target/tools/bin/cargo-deny:
	cargo install --quiet --locked --root target/tools --target-dir target/tools/build cargo-deny@$(CARGO_DENY_VERSION)
	@rm -rf target/tools/build

.PHONY: release
release:
	cargo build --locked --release

packages:
	@scripts/packages.sh redis-server

$(VENV)/.done: scripts/requirements.txt
	@scripts/packages.sh python3-venv openssl ca-certificates
	@test -x $(PYTHON) || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r scripts/requirements.txt
	@touch $@

clean: ## Remove what was built and what the local stack wrote
	rm -rf target $(VENV) .local
