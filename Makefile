# `make help` lists the targets. They need Rust and Python; other missing Debian packages are installed for root, and named
# for other users.

VENV := .venv
PYTHON := $(VENV)/bin/python
# Other versions of MLflow whose routes are in the table: older than the pinned one, and the newest.
COMPAT := 3.16.1 3.1.4 2.22.5
NEXT := 3.18.0
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2

# Another Python for the venv: make PYTHON3=/path/to/python3.12
PYTHON3 := python3
export PYTHON3

.DEFAULT_GOAL := help
.PHONY: help tools ports demo demo-binary run check test test-unit test-e2e test-deploy lint deny test-compat checkov budgets \
	budgets-record microbench fuzz soak attack bench profile growth clean release packages

help: ## List the targets, in the order of their use
	@grep -hE '^[a-z-][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

tools: ## Look for Rust, Python and a C compiler, and name the fix for each that is missing
	@scripts/tools.sh

# pip waits for the network and cargo for the processor: both at once.
demo: tools ports ## Start MLflow and the gateway, and register a model through it with MLflow's own client
	@$(MAKE) --no-print-directory -j2 $(VENV)/.demo demo-binary
	@exec $(PYTHON) scripts/demo.py demo

run: tools ports ## The same without the model: a key, and the snippet to paste; Ctrl-C stops both
	@$(MAKE) --no-print-directory -j2 $(VENV)/.demo demo-binary
	@exec $(PYTHON) scripts/demo.py run

ports: | tools
	@$(PYTHON3) scripts/demo.py ports

demo-binary: | tools
	cargo build --locked --profile demo

# One after the other: both lock target/.
check: packages ## Lints, unit tests and API tests: minutes, for use while working
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-unit

test: packages test-unit test-e2e test-deploy budgets ## Everything: installs what the tests need, then runs all of them

# Most of the time a test waits, so three run on each processor.
TEST_THREADS = $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN))))

test-unit: | tools ## Unit tests, and the gateway on real sockets between recording fakes
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --test-threads $(TEST_THREADS); \
	else cargo test --locked -- --test-threads $(TEST_THREADS); fi

test-e2e: $(VENV)/.done $(VENV)/oidc/.done $(NEXT:%=$(VENV)/compat/%/.done) ## MLflow's real client and server, with the gateway between them
	@scripts/packages.sh chromium haproxy nginx-light openssl prometheus redis-server
	cargo build --locked
	$(PYTHON) -m pytest tests/e2e

# The OpenID provider of tests/e2e/issuers; package-lock.json has the hash of each package.
$(VENV)/oidc/.done: scripts/oidc/package-lock.json | tools
	@scripts/packages.sh nodejs npm
	@mkdir -p $(@D)
	@cp scripts/oidc/package.json $< $(@D)
	cd $(@D) && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund
	@touch $@

# The gateway itself needs none of these. Where they cannot be installed, their tests are skipped with a reason.
DEPLOY_PACKAGES := haproxy buildah podman runc mmdebstrap

test-deploy: $(VENV)/.done checkov ## Images, containers, compose, Kubernetes, Terraform, a rolling restart
	-@scripts/packages.sh $(DEPLOY_PACKAGES)
	cargo build --locked
	$(PYTHON) -m pytest tests/deploy -rs

lint: ## Formatting and lints, as in CI
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --features bench --bench instructions --bench time -- -D warnings

deny: target/tools/bin/cargo-deny ## Licences, sources and bans of the dependencies
	target/tools/bin/cargo-deny check --hide-inclusion-graph bans licenses sources

target/tools/bin/cargo-deny:
	cargo install --quiet --locked --root target/tools --target-dir target/tools/build cargo-deny@$(CARGO_DENY_VERSION)
	@rm -rf target/tools/build

test-compat: $(VENV)/.done $(NEXT:%=$(VENV)/compat/%/.done) $(COMPAT:%=$(VENV)/compat/%/.done) ## Compare the table of routes with real MLflows, from 2.22 to the newest
	cargo build --locked
	MLFLOW_COMPAT=$(subst $() ,:,$(COMPAT:%=$(CURDIR)/$(VENV)/compat/%)) $(PYTHON) -m pytest tests/e2e/test_routes.py tests/e2e/test_subjects.py

$(VENV)/compat/%/.done: scripts/compat/mlflow-%.txt | $(VENV)/.done
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target $(VENV)/compat/$* -r $<
	@touch $@

checkov: $(VENV)/checkov/.done ## Install the linter of deploy/terraform, in its own venv

$(VENV)/checkov/.done: scripts/checkov/requirements.txt
	@scripts/packages.sh python3-venv
	@test -x $(VENV)/checkov/bin/python || $(PYTHON3) -m venv $(VENV)/checkov
	$(VENV)/checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

BENCH := cargo bench --quiet --locked --profile measured --features bench --bench

budgets: ## Compare the instructions of each step of a request with benches/budgets.toml
	@scripts/packages.sh valgrind
	$(BENCH) instructions

budgets-record: ## Record the instructions that each step takes now, for this toolchain
	@scripts/packages.sh valgrind
	$(BENCH) instructions -- --record

microbench: ## Time of each step of a request, by criterion
	$(BENCH) time

FUZZ_SECONDS := 60
FUZZ_TARGETS := target artifact_path credential redis_value auth_answer response_head chunked_body inbound_head spans

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

soak: $(VENV)/.done release ## 10 GB up and down with MLflow's client (40 GB of disk)
	HOKUSAI_GATEWAY=target/release/hokusai-gateway SOAK_MIB=10240 \
		$(PYTHON) -m pytest tests/e2e -k gigabytes -s

attack: release ## slowhttptest's attacks, and their cost for good clients
	@scripts/packages.sh slowhttptest nginx-light
	@python3 scripts/attack.py

# ROUNDS=1 for a quick look; `python -m benches.side_by_side --help` lists more options. BEFORE=PATH measures another build of
# the gateway in the same run.
ROUNDS := 5
SECONDS := 2

bench: $(VENV)/.done $(VENV)/bench/.done release ## The gateway beside nginx, HAProxy and others (25 minutes); writes docs/BENCHMARKS.md
	@scripts/packages.sh nginx-light haproxy caddy wrk nghttp2-client curl
	$(PYTHON) -m benches.side_by_side --rounds $(ROUNDS) --seconds $(SECONDS) $(BEFORE:%=--before %) --document docs/BENCHMARKS.md

PROFILE_REQUESTS := 2000

profile: $(VENV)/.done ## Instructions of a cached GET by crate and function, under callgrind
	@scripts/packages.sh valgrind nginx-light
	cargo build --locked --profile measured
	$(PYTHON) -m benches.profile --requests $(PROFILE_REQUESTS)

growth: $(VENV)/.done release ## Cost of more keys, routes and instances (25 minutes); writes docs/GROWTH.md and its pictures
	@scripts/packages.sh nginx-light wrk redis-server
	$(PYTHON) -m benches.growth --rounds $(ROUNDS) --seconds $(SECONDS)

$(VENV)/bench/.done: scripts/bench/requirements.txt scripts/bench/mlflow-auth.txt
	@scripts/packages.sh python3-venv
	@test -x $(VENV)/bench/bin/python || $(PYTHON3) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r scripts/bench/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target $(VENV)/bench/mlflow-auth -r scripts/bench/mlflow-auth.txt
	@touch $@

release: | tools
	cargo build --locked --release

packages: | tools
	@scripts/packages.sh openssl redis-server

# Python compiles modules at their first import; pip would compile all of them, which takes longer than installing.
PIP_INSTALL := $(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-compile

# For the demo; requirements.txt has all of it too.
$(VENV)/.demo: scripts/demo.txt | tools
	@echo "installing MLflow into $(VENV) (650 MB) …"
	@test -x $(PYTHON) || $(PYTHON3) -m venv $(VENV)
	@$(PIP_INSTALL) -r $<
	@touch $@

$(VENV)/.done: scripts/requirements.txt | tools
	@scripts/packages.sh openssl
	@echo "installing MLflow and what the tests need into $(VENV) (1.1 GB) …"
	@test -x $(PYTHON) || $(PYTHON3) -m venv $(VENV)
	@$(PIP_INSTALL) -r $<
	@touch $@ $(VENV)/.demo

clean: ## Remove build results and the files of the local stack
	rm -rf target $(VENV) .local
