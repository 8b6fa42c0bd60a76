# Two commands do everything: `make demo` and `make test`. Both install what they need into .venv here.

PYTHON ?= python3
BROKER ?= embedded
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check static docs bench soak lock lock-jars clean

demo: $(READY)
	@$(BIN)/safebus demo --broker $(BROKER)

# What is counted: each line of `schemas` and the rules is reached by these.
COUNTED := tests/schemas tests/streams/rules tests/streams/register tests/examples

# Everything: what the code promises by itself, then every test on both brokers, in two processes (ONE=1: in one). What
# is counted first, by itself: in a process that other tests have used, what they left in a cache is not run again.
test: check
	@$(BIN)/python -m pytest tests $(addprefix --ignore=,$(COUNTED)) $(if $(ONE),,--numprocesses 2 --dist loadfile --no-loadscope-reorder)

# The quick part of it, for every save: about three minutes on two cores, and no property has fewer examples than in `make test`.
# Kafka lives for a minute or two of it, in which Java's second compiler costs more than it gains.
check: static
	@JAVA_TOOL_OPTIONS="$$JAVA_TOOL_OPTIONS -XX:TieredStopAtLevel=1" \
		$(BIN)/python -m pytest $(COUNTED) \
		$(if $(ONE),,--numprocesses 2 --dist loadfile --no-loadscope-reorder) --cov --cov-report=term-missing:skip-covered

static: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/safebus schemas check

# The site, in site/: what is made from the code first, then all of docs/.
docs: $(READY)
	@$(BIN)/python -m docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html" >&2

# What docs/measured/ shows; `make bench PARTS="pure flat"` measures a part of it again.
PARTS ?=
bench: $(READY)
	@$(BIN)/safebus bench $(PARTS) --out docs/measured

# What takes hours. 20 000 events and a dozen kills for each of three seeds, each crash point alone, 100 000 hostile records,
# 1 000 withdrawals before an event and 1 000 at every moment of a delivery, 2 000 manipulations of recorded topics and 500
# spans of untouched ones; then half an hour at 70 % load.
soak: $(READY)
	@$(BIN)/python -m pytest tests/faults tests/audit -m soak -s
	@$(BIN)/safebus bench soak --out docs/measured

# Every jar of Apache Kafka with its hash, as kafka_jars/pom.xml names them, fetched anew past every cache.
lock-jars: $(READY)
	@$(BIN)/python -m safebus.deploy.local.brokers.lock_jars

# Every package with its hash, and no registry named: pip asks the one this machine is set up for.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --quiet --custom-compile-command 'make lock' -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"safebus needs Python 3.11 or newer, and $(PYTHON) is {v[0]}.{v[1]}; say which to use: make PYTHON=python3.11 ...")'
	@echo "installing into $(VENV) (once) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@# The lock names all there is, so nothing is left to resolve. Left to it, pip 23 looks at the newest coverage[toml]
	@# before it sees that coverage is pinned, and refuses to go on from the day that a newer one is published.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch $@

clean:
	rm -rf $(VENV) .safebus build site *.egg-info
