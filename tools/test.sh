#!/bin/bash
# The test suite. Without arguments: all of it, with coverage (subprocesses too) and the gate; with arguments: just pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
(($#)) && exec .venv/bin/python -m pytest "$@"

rm -f .coverage .coverage.* coverage.json
status=0
.venv/bin/python -m coverage run -m pytest || status=$?
.venv/bin/python -m coverage combine --quiet
.venv/bin/python -m coverage json --quiet -o coverage.json
.venv/bin/python tools/coverage_gate.py coverage.json || status=1
exit "$status"
