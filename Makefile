# Two commands matter: `make run` (see and hear it) and `make test`.  Each does all its own set-up.

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# More than processors, since many tests wait for servers and calls; each imports everything, so not many more.
JOBS := 6
# Tests and the demo start Python hundreds of times: without its compiled files, each start would compile everything.
unexport PYTHONDONTWRITEBYTECODE
# As Accord's own processes do: threads that wait for one another's share of a small matrix take the processor.
export OPENBLAS_NUM_THREADS = 1
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes

.PHONY: run test test-long test-hours check bench deb lock tools packaging clean
.DEFAULT_GOAL := help

help:
	@echo "make run        four calls through the real path, and the panel to hear them in"
	@echo "make test       unit, contract, scenario, crash, fault and browser tests; the real switch where installed"
	@echo "make test-long  what takes longer: half an hour"
	@echo "make test-hours the same with the sizes of docs/results"
	@echo "make check      ruff, mypy, import rules and the quick unit tests, in seconds"
	@echo "make bench      one table beside the rivals"
	@echo "make deb        a Debian package of it, in dist/"
	@echo "make lock       resolve the dependencies again"

# The panel's translations, compiled.
MO := $(patsubst %.po,%.mo,$(wildcard web/translations/*/LC_MESSAGES/messages.po))

run: $(VENV)/.run $(MO)
	$(BIN)/python -m demo

# What is about time limits, and the real switch, apart: there a busy machine would tell, not the code.
TIMED := tests/integration/switch tests/integration/test_practice_room.py tests/integration/test_first_week.py tests/integration/test_scenarios_practice.py tests/integration/test_scenarios_practice_switch.py tests/integration/test_scenarios_transcripts.py tests/chaos tests/fuzz/test_sip.py tests/fuzz/test_switch_reads.py tests/freeswitch
# What fails (status 1) beside others runs once more alone, so that a busy machine fails nobody; both are printed.
tests = $(BIN)/python -m pytest $(1) $(2) $(PYTEST) || { [ $$? = 1 ] && \
	TEST_DEADLINE=inf $(BIN)/python -m pytest $(2) --last-failed --last-failed-no-failures none $(PYTEST); }
# In the order of the folders: what takes long for one test would come last otherwise, and be waited for.
test: $(VENV)/.test $(MO) tools
	$(call tests,-n $(JOBS) --dist loadfile --no-loadscope-reorder,-m "not long" $(TIMED:%=--ignore %))
	$(call tests,-n 2 --dist loadfile,-m "not long" $(TIMED))

# In the same two parts, for the same reason; the machines that install the package take the longest, so they are first.
APART := tests/deploy $(TIMED) tests/browser/test_room_recovery.py
test-long: $(VENV)/.test $(MO) tools packaging
	$(call tests,-n 4 --dist loadfile --no-loadscope-reorder,-m long --timeout 3600 $(APART:%=--ignore %))
	$(call tests,-n 2 --dist loadfile --no-loadscope-reorder,-m long --timeout 3600 $(APART))

test-hours: export TEST_CHAOS_FAULTS = 1000
test-hours: export TEST_CHAOS_REAL_FAULTS = 200
test-hours: export TEST_CHAOS_DATABASE_FAULTS = 200
test-hours: export TEST_FUZZ_PERCENT = 100
test-hours: export TEST_EXAMPLES_PERCENT = 100
test-hours: export TEST_SIP_DATAGRAMS = 30000
test-hours: export TEST_TAKES = 10000
test-hours: export TEST_REBUILD_RECORDINGS = 20000
test-hours: export TEST_REBUILD_IN_SEAWEEDFS = 2000
test-hours: test-long

# The unit tests of the packages without database, disk and server, so that it is a matter of seconds: they never
# wait, so there is a process for each processor only. The state machine's tests alone take as long as all others,
# and are part of `make test`; the whole table, of `make test-long`.
SLOW := tests/unit/call/test_states.py
QUICK := architecture bench call config practice_switch seal store switch
check: $(VENV)/.test $(MO)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n auto --dist load -q -m "not long" $(QUICK:%=tests/unit/%) $(SLOW:%=--ignore %)

# The package is for the system's python3, whichever Python the tests run with.
PACKAGER := build/packager
deb: $(PACKAGER)/.tools
	$(PACKAGER)/bin/python deploy/debian/build_package.py

$(PACKAGER)/.tools: requirements-package.lock
	@/usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || $(SYSTEM) install python3-venv
	/usr/bin/python3 -m venv --clear $(PACKAGER)
	$(PACKAGER)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements-package.lock
	@touch $@

bench: $(VENV)/.test $(MO)
	@command -v ffmpeg >/dev/null 2>&1 || $(SYSTEM) install ffmpeg
	@command -v aws >/dev/null 2>&1 || $(SYSTEM) install awscli
	$(BIN)/python -m bench $(BENCH)

%.mo: %.po $(VENV)/.run
	$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

# A virtual environment from the lock file, every wheel checked by its hash.
$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Accord needs Python 3.11 or newer: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || $(SYSTEM) install python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/pyvenv.cfg requirements.lock setup.cfg
	$(PIP) --requirement requirements.lock
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-test.lock
	$(PIP) --requirement requirements-test.lock
	@# Compile everything once; otherwise each worker of the first run would. The tests themselves report what fails.
	@$(BIN)/python -m pytest --collect-only -q >/dev/null 2>&1 || true
	@touch $@

# What the tests use of the system: a browser, and the servers and tools that Accord is run with, without
# which their tests are reported as skipped.
SYSTEM := sh deploy/system-packages
HAS := has() { command -v "$$1" >/dev/null 2>&1 || [ -x "$$1" ]; };
# Without windows, Chromium takes a third less of the processor; not every distribution has it by itself.
BROWSER = $(shell $(HAS) has chromium-headless-shell || echo chromium-headless-shell fonts-dejavu-core)
SERVERS = $(shell $(HAS) \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || has initdb || echo postgresql; \
	has promtool || echo prometheus; \
	has /usr/sbin/logrotate || echo logrotate; \
	has systemd-analyze || echo systemd; \
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || echo libfaketime)
# The Debian package and the container's files are tested with these. Each is installed by itself: where a
# distribution lacks one, only its own tests are skipped.
PACKAGING = debootstrap:debootstrap lintian:lintian docker-compose:docker-compose buildah:buildah,crun,netavark nginx:nginx-light
packaging:
	@$(HAS) for each in $(PACKAGING); do tool=$${each%%:*}; has $$tool || has /usr/sbin/$$tool \
		|| $(SYSTEM) install $$(echo $${each#*:} | tr , ' ') \
		|| echo "Going on without $$tool: its tests are skipped." >&2; done
tools:
	@[ -z "$(BROWSER)" ] || $(SYSTEM) install $(BROWSER) 2>/dev/null || { $(HAS) has chromium || has chromium-browser; } \
		|| $(SYSTEM) install chromium fonts-dejavu-core
	@[ -z "$(SERVERS)" ] || $(SYSTEM) install $(SERVERS) || echo "Going on without: their tests are skipped." >&2

lock: $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host \
		--extra embedded --extra postgresql --output-file requirements.lock setup.cfg requirements-build.in
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host \
		--extra embedded --extra test --extra check --constraint requirements.lock \
		--output-file requirements-test.lock setup.cfg
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host \
		--constraint requirements.lock --output-file requirements-package.lock requirements-package.in

clean:
	rm -rf $(VENV) .accord build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
