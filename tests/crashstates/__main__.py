"""The crash states, at any length: `python -m tests.crashstates --states 200000`; exits 1 where a promise is broken."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from tests.crashstates import atrest, planted, powercut
from tests.crashstates.caught import states_of
from tests.crashstates.explore import Tally, explore_all, one, split
from tests.crashstates.recording import record, why_not
from tests.crashstates.trace import Trace

SHARES = {"journal": 0.40, "plain": 0.25, "failing": 0.25, "directory": 0.06, "changes": 0.039, "identity": 0.001}
"""Which part of the wanted states each workload gets."""
_IMAGES = ("log", "file", "closed")


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for and print a table."""
    wanted = _parsed(arguments)
    if wanted.state:
        return _again(wanted.state, wanted.traces)
    reason = why_not()
    if reason:
        print(f"crash states: not run: {reason}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    tallies: dict[str, Tally] = {}
    wanted.traces.mkdir(parents=True, exist_ok=True)
    for name, share in SHARES.items():
        tallies[name] = _replayed(name, int(wanted.states * share), wanted)
        _show(name, tallies[name])
    for name in _IMAGES:
        tallies[f"at rest: {name}"] = _at_rest(name, wanted)
        _show(f"at rest: {name}", tallies[f"at rest: {name}"])
    for title, tally in powercut.run_all(wanted.cuts, wanted.seed):
        tallies[title] = tally
        _show(title, tally)
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    _show("total", total)
    escaped = [] if wanted.no_planted else list(_escaped(wanted.seed))
    return 1 if total.violations or escaped else 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crashstates", description=__doc__)
    parser.add_argument("--states", type=int, default=5000, help="states rebuilt from recorded file operations")
    parser.add_argument("--damages", type=int, default=600, help="damages at rest")
    parser.add_argument("--cuts", type=int, default=40, help="power cuts of a real ext4 (root only)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--no-planted", action="store_true", help="leave out the planted bugs")
    parser.add_argument("--state", help="check one state again, as a violation names it, and keep its files")
    parser.add_argument("--traces", type=Path, default=Path(tempfile.gettempdir(), "doorstile-traces"))
    return parser.parse_args(arguments)


def _replayed(name: str, states: int, wanted: argparse.Namespace) -> Tally:
    """Record a workload again and again, each time with other timing, until there were enough distinct states."""
    total, turn = Tally(), 0
    while total.states < states:
        path = wanted.traces / f"{name}.{wanted.seed + turn}"
        trace = record(name, path)
        operations = len(trace.ops)
        per_point = max(2, min(60, (states - total.states) * 2 // operations))
        jobs = split(name, path, operations, per_point, wanted.seed + turn, wanted.jobs * 4)
        for _, tally in explore_all(jobs, wanted.jobs):
            total.add(tally)
        turn += 1
        if total.violations:
            break
    return total


def _at_rest(name: str, wanted: argparse.Namespace) -> Tally:
    total = Tally()
    each = max(1, wanted.damages // len(_IMAGES) // (wanted.jobs * 2))
    jobs = [atrest.Job(name, each, wanted.seed * 100 + part) for part in range(wanted.jobs * 2)]
    with ProcessPoolExecutor(wanted.jobs, mp_context=get_context("spawn")) as pool:
        for tally in pool.map(atrest.explore, jobs):
            total.add(tally)
    return total


def _escaped(seed: int) -> Iterator[str]:
    """Print the table of planted bugs; yield those that no state shows."""
    print(f"\n{'planted bug':24} {'caught by':28} after")
    for name, bug in planted.BUGS.items():
        tally = states_of(bug, name, seed)
        result = f"{tally.states} states" if tally.violations else "ESCAPED"
        print(f"{name:24} {'crash states: ' + bug.workload:28} {result}", flush=True)
        if not tally.violations:
            yield name


def _again(state: str, traces: Path) -> int:
    """Check one state of a kept trace: `name.seed:operation:kind:value`."""
    name, point, kind, value = state.split(":")
    folder = Path(tempfile.mkdtemp(prefix="doorstile-state-"), "state")
    folder.mkdir()
    tally = one(Trace.load(traces / name), name.partition(".")[0], int(point), (kind, int(value)), folder)
    print(f"files as the power cut left them: {folder}.cut, after the check: {folder}")
    print("\n".join(tally.wrong) or "nothing is wrong", *tally.told, sep="\n")
    return 1 if tally.wrong else 0


def _show(title: str, tally: Tally) -> None:
    rate = tally.states / tally.seconds if tally.seconds else 0
    line = f"{title:24} {tally.states:8} states {tally.violations:5} violations {rate:7.0f} states/s per process"
    print(line + (f"  {json.dumps(tally.told)}" if tally.told else ""), flush=True)
    for wrong in tally.wrong:
        print(f"    {wrong}")


if __name__ == "__main__":
    began = perf_counter()
    status = main(sys.argv[1:])
    print(f"{perf_counter() - began:.0f} s")
    sys.exit(status)
