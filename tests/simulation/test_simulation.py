"""A short run of the simulator: no promise is broken, a seed repeats itself, and the harness bites."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.command import LEAST_FAULTS, LEAST_READS
from tests.simulation.planted import PLANTED
from tests.simulation.scenario import FAULT_KINDS, Scenario, Step, draw
from tests.simulation.shrink import shrink
from tests.simulation.world import play

pytestmark = [pytest.mark.unit, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
CHUNK = 10


@pytest.mark.parametrize("first", range(1, 101, CHUNK))
def test_no_promise_is_broken(first: int) -> None:
    for seed in range(first, first + CHUNK):
        outcome = play(draw(seed))
        assert outcome.violations == (), f"python -m tests.simulation --first {seed} --trace"
        assert outcome.counts["reads"] >= LEAST_READS
        assert sum(outcome.counts.get(f"fault {kind}", 0) for kind in FAULT_KINDS) >= LEAST_FAULTS


def test_a_seed_gives_one_trace_in_any_process() -> None:
    command = (sys.executable, "-m", "tests.simulation", "--first", "3", "--trace")
    traces = [
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    ]
    assert traces[0] == traces[1]
    assert traces[0].splitlines()[-1] == f"hash {play(draw(3)).hash}"


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: object) -> None:
    planted = next(known for known in PLANTED if known is bug)
    with planted.plant():
        assert planted.catch() is not None


def test_a_failing_scenario_is_cut_down_to_what_it_needs() -> None:
    whole = Scenario(1, tuple(Step(i * 1000, "tap", 0, i) for i in range(20)))
    small = shrink(whole, lambda scenario: {3, 11} <= {step.a for step in scenario.steps})
    assert [step.a for step in small.steps] == [3, 11]
