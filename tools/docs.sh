#!/bin/bash
# Build the documentation; a warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --nitpicky --builder html docs docs/_build/html
echo "docs: docs/_build/html/index.html"
