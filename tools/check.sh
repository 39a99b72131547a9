#!/bin/bash
# Lint, format, types, import arrows, generated pages and docs; all run, so that one round shows every fault.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()

run() { # run NAME COMMAND...
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        printf 'check: %-8s ok\n' "$name"
    else
        printf 'check: %-8s FAILED: %s\n%s\n' "$name" "$*" "$out"
        failed+=("$name")
    fi
}

run lint .venv/bin/ruff check --quiet .
run format .venv/bin/ruff format --check --quiet .
run types .venv/bin/mypy
run arrows .venv/bin/lint-imports --no-logo
run pages .venv/bin/python -m tools.generate --check
run docs tools/docs.sh
if ((${#failed[@]})); then
    echo "check: failed: ${failed[*]}"
    exit 1
fi
