# Everything works from a fresh clone: each target makes .venv first, with the locked dependencies.
PYTHON ?= python3
VENV := .venv/.ready
BIN := .venv/bin

.PHONY: help setup demo test check bench lock clean e2e java-runtime clients clients-flink browser
.DEFAULT_GOAL := help

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headrace needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

setup: $(VENV) ## make .venv with the program headrace

demo: $(VENV) ## run the bank example: transactions in, mails and warehouse rows out (ARGS=--kill: with SIGKILL)
	@$(BIN)/headrace demo $(ARGS)

check: $(VENV) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src

test: $(VENV) check ## all tests
	@$(BIN)/python -m compileall -q src
	$(BIN)/pytest -n 2 --dist loadfile --ignore=tests/e2e --ignore=tests/clients --ignore=tests/browser $(ARGS)

build/sam/.ready: tests/e2e/requirements.txt
	@$(PYTHON) -m venv --clear build/sam
	@build/sam/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

e2e: $(VENV) build/sam/.ready ## deploy the bank with AWS's SAM CLI, in a venv of its own
	$(BIN)/pytest tests/e2e --ignore=tests/e2e/functions $(ARGS)

# What browsers run: taken as packages, without what those would bring along.
build/browser/.ready: tests/browser/packages.sha256
	@mkdir -p build/browser
	@cd build/browser && npm pack --silent $$(sed -E 's/^[0-9a-f]+  (.*)-([0-9.]+)\.tgz/\1@\2/' ../../$<) >/dev/null
	@cd build/browser && sha256sum --quiet -c ../../$<
	@cd build/browser && for one in *.tgz; do mkdir -p $${one%-*} && tar -xzf $$one -C $${one%-*} --strip-components=1; done
	@touch $@

browser: $(VENV) build/browser/.ready ## play video and connect WebRTC peers in a real Chromium
	$(BIN)/pytest tests/browser $(ARGS)

CLIENTS := build/clients
JAVA := tests/clients/java
JAVASCRIPT := tests/clients/javascript

$(CLIENTS)/java/.ready: $(JAVA)/pom.xml $(wildcard $(JAVA)/src/main/java/headrace/*.java)
	@echo "Building the Java clients ..."
	@rm -rf $(@D)/lib
	@mvn --quiet --batch-mode -f $(JAVA)/pom.xml process-classes
	@touch $@

# Other versions of the SDK than the others', so in a folder of its own.
$(CLIENTS)/video/.ready: tests/clients/video/pom.xml $(wildcard tests/clients/video/src/main/java/headrace/*.java)
	@echo "Building the Java clients of video ..."
	@rm -rf $(@D)/lib
	@mvn --quiet --batch-mode -f tests/clients/video/pom.xml process-classes
	@touch $@

$(CLIENTS)/beam/.ready: tests/clients/beam/pom.xml $(wildcard tests/clients/beam/src/main/java/headrace/*.java)
	@rm -rf $(@D)/lib
	@mvn --quiet --batch-mode -f tests/clients/beam/pom.xml process-classes
	@touch $@

$(CLIENTS)/javascript/.ready: $(wildcard $(JAVASCRIPT)/*)
	@mkdir -p $(@D)
	@cp $(JAVASCRIPT)/* $(@D)
	@cd $(@D) && npm ci --silent --no-audit --no-fund
	@touch $@

$(CLIENTS)/go/kinesis: $(wildcard tests/clients/go/*)
	@go build -C tests/clients/go -o $(CURDIR)/$@ .

$(CLIENTS)/go/dynamodb: $(wildcard tests/clients/go/* tests/clients/go/dynamodb/*)
	@go build -C tests/clients/go -o $(CURDIR)/$@ ./dynamodb

$(CLIENTS)/pynamodb/.ready: tests/clients/pynamodb/requirements.txt
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

$(CLIENTS)/kclpy/.ready: tests/clients/kclpy/requirements.txt
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

clients: $(VENV) $(CLIENTS)/java/.ready $(CLIENTS)/video/.ready $(CLIENTS)/beam/.ready $(CLIENTS)/kclpy/.ready $(CLIENTS)/javascript/.ready $(CLIENTS)/go/kinesis $(CLIENTS)/go/dynamodb $(CLIENTS)/pynamodb/.ready ## real clients: SDKs, PynamoDB, KCL, KPL, Beam (RECORDS=200000: more of them)
	HEADRACE_CLIENTS_RECORDS=$(or $(RECORDS),20000) $(BIN)/pytest tests/clients --ignore=tests/clients/test_flink.py --ignore=tests/clients/test_flink_applications.py $(ARGS)

build/functions/.ready: tests/e2e/functions/requirements.txt tests/e2e/functions/package.json
	@rm -rf build/functions && mkdir -p build/functions/python/python build/functions/node/nodejs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/functions/python/python -r $<
	@rm -rf build/functions/python/python/botocore* build/functions/python/python/boto3*
	@cp tests/e2e/functions/package.json build/functions/node/nodejs/
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix build/functions/node/nodejs; fi
	@touch $@

FUNCTION := tests/e2e/functions/java
build/functions/java/.ready: $(FUNCTION)/pom.xml $(FUNCTION)/src/main/java/bank/Payments.java | build/functions/.ready
	@if command -v mvn >/dev/null; then echo "Building the Java function ..."; $(MAKE) --silent java-runtime && \
	  mvn --quiet --batch-mode -f $(FUNCTION)/pom.xml process-classes; else mkdir -p $(@D); fi
	@touch $@

build/functions/go/watcher: $(wildcard tests/e2e/functions/go/*) | build/functions/.ready
	@if command -v go >/dev/null; then CGO_ENABLED=0 go build -C tests/e2e/functions/go -o $(CURDIR)/$@ .; fi

functions: $(VENV) build/functions/.ready build/functions/java/.ready build/functions/go/watcher ## run functions that others wrote: Powertools, middy, FastAPI, Java, an extension in Go
	$(BIN)/pytest tests/e2e/functions $(ARGS)

java-runtime: ## fetch AWS's client for Java functions into the cache (once; needs Maven)
	@cp src/headrace/services/lambda_/engine/java_runtime.xml build-java.xml && mvn -q -f build-java.xml dependency:copy-dependencies \
	  -DoutputDirectory=$${XDG_CACHE_HOME:-$$HOME/.cache}/headrace/java-runtime; status=$$?; rm -f build-java.xml; exit $$status

# Flink without Python: its jars come as a package of PyPI, its connector from Maven.
$(CLIENTS)/flink/.ready: tests/clients/flink/requirements.txt tests/clients/flink/pom.xml
	@echo "Installing Flink (300 MB) ..."
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)/python
	@$(@D)/python/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(@D) -r $<
	@mvn --quiet --batch-mode -f tests/clients/flink/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)/connector
	@touch $@

# PyFlink wants a Python for itself: it pins the versions of what it needs.
$(CLIENTS)/pyflink/.ready: tests/clients/flink/requirements-python.txt
	@echo "Installing PyFlink (700 MB) ..."
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clients-flink: $(VENV) $(CLIENTS)/flink/.ready $(CLIENTS)/pyflink/.ready ## Apache Flink: a SQL job over streams, and Flink applications, with kills
	$(BIN)/pytest tests/clients/test_flink.py tests/clients/test_flink_applications.py $(ARGS)

bench: $(VENV) ## measure, against peers and physical limits; writes build/bench.json
	@$(BIN)/python -m compileall -q src
	@$(BIN)/python bench/run.py $(ARGS)

lock: ## lock the dependencies again, with hashes
	@$(PYTHON) -m venv build/lock-venv && build/lock-venv/bin/pip install --quiet uv
	@build/lock-venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --extra dev --no-header -o requirements.lock pyproject.toml
	@build/lock-venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header -o tests/e2e/requirements.txt tests/e2e/requirements.in

clean: ## remove .venv and what was built
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache
