# make test   install what is missing, then run every test, the live ones on private hosts
# make test-matrix   run the tests that tell libvirts apart on several: Debian 12, 13 and testing;
#                    MATRIX="trixie" takes one of them (bookworm trixie forky)
# make dist   build sdist and wheel, into dist/
# make deb    build the Debian package of this machine's suite, into dist/
# make test-packages   install both on an empty Debian 12 and 13, and try them there; minutes
# make demo   install what is missing, then show the tool on a throw-away machine
# make bench  install what is missing, then measure, in some eight minutes: starts beside bare
#             Python, creates beside a script that does the same, and how long live creates let a
#             guest stand still beside libvirt's bare call; ROUNDS=100 gives a better p99 there,
#             BENCH='startup --starts 101' takes one table alone (see tests/live/bench.py --help)
# make pages  write anew what is made from the program and the tests: completions/, man/ and the
#             tables of docs/
# make pictures   draw docs/pictures/ anew: what real runs show on a terminal
# make torture  install what is missing, then kill every verb at every step and fsync, for SECONDS=600;
#             SEED=… ONLY='…' plays a failure again, PAGE=docs/reliability.md takes the tables over
# make lint   formatting, style, types, imports and spelling alone
# make clean  remove what these made: .venv, caches, the test guest (packages of apt stay)
#
# For Debian 12 and later, as root: test and demo start a libvirt of their own.

.PHONY: test test-matrix dist deb test-packages demo bench pages pictures torture lint clean

test:
	tests/live/install.sh test
	.venv/bin/python tests/run.py

# Each other suite is a folder in /var/cache/vmsnap-test/suites, 1.3 GB, made at the first run.
test-matrix:
	tests/live/install.sh test
	.venv/bin/python tests/live/matrix/matrix.py

dist:
	tests/live/install.sh test
	.venv/bin/python -m build

deb:
	packaging/build-deb.sh

# Roots of 150 MB each, and what apt downloads, stay in /var/cache/vmsnap-test/suites/empty.
test-packages:
	tests/live/install.sh test
	.venv/bin/pytest -m suites tests/packages

demo:
	@tests/live/install.sh demo
	@tests/live/private-host.sh .venv/bin/python tests/live/demo.py

ROUNDS = 30
BENCH =
bench:
	tests/live/install.sh bench
	@tests/live/private-host.sh .venv/bin/python tests/live/bench.py \
		--programs .venv/bench/bin --rounds $(ROUNDS) $(BENCH)

pages:
	tests/live/install.sh test
	.venv/bin/python tests/hazard_table.py
	.venv/bin/python -m vmsnap.cli.manual .

pictures:
	tests/live/install.sh test
	tests/live/private-host.sh .venv/bin/python tests/live/pictures.py

SECONDS = 600
torture:
	tests/live/install.sh test
	@.venv/bin/python tests/torture/run.py --seconds $(SECONDS) --only '$(ONLY)' \
		$(if $(SEED),--seed $(SEED)) $(if $(PAGE),--page $(PAGE))

lint:
	tests/live/install.sh test
	.venv/bin/pytest tests/test_linters.py tests/test_tree.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	rm -rf *.egg-info /var/cache/vmsnap-test
	find tests vmsnap -name __pycache__ -prune -exec rm -rf {} +
