#!/bin/bash
# The test suite. Without arguments: all of it, with coverage (subprocesses too) and the gate; with arguments: just pytest.
# Two workers, as most tests wait for processes. The harnesses that explore states by the thousand run first and without
# coverage, which would make them several times slower and tell nothing that the others do not.
set -euo pipefail
cd "$(dirname "$0")/.."
(($#)) && exec .venv/bin/python -m pytest "$@"

harnesses=(tests/simulation tests/crashstates tests/planted)
rm -f .coverage .coverage.* coverage.json
status=0
.venv/bin/python -m pytest -n 2 --dist worksteal "${harnesses[@]}" || status=$?
.venv/bin/python -m coverage run -m pytest -n 2 --dist worksteal "${harnesses[@]/#/--ignore=}" || status=$?
.venv/bin/python -m coverage combine --quiet
.venv/bin/python -m coverage json --quiet -o coverage.json
.venv/bin/python tools/coverage_gate.py coverage.json || status=1
exit "$status"
