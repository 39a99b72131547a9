#!/bin/bash
# Every bench in turn, then all target lines together; fails if one is short.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
shopt -s nullglob
for script in bench/[!_]*.py; do
    # Shared modules and servers that benches start are no benches.
    grep -q __main__ "$script" && grep -q read_options "$script" || continue
    name=bench.$(basename "$script" .py)
    echo "== $name"
    .venv/bin/python -m "$name" | tee -a "$log"
    ((PIPESTATUS[0] == 0)) || { status=1; echo "bench: $name failed or fell short" >>"$log"; }
done
echo "== targets"
grep -E '^(target|bench:) ' "$log"
exit "$status"
