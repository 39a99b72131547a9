"""SIGKILL at any moment: what was reported durable is there, in order, once."""

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.store.inspect import inspect
from agent.store.journal import Journal
from tests.store.samples import DEVICE, QUICK

pytestmark = [pytest.mark.service, pytest.mark.slow]

KILLS = 20


def _killed_run(folder: Path, lines_before_kill: int) -> list[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.appender", str(folder)], stdout=subprocess.PIPE, text=True
    )
    guard = threading.Timer(20, process.kill)
    guard.start()
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines_before_kill)]
    process.kill()
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    guard.cancel()
    return [line for line in said if line.endswith("\n")]


@pytest.mark.timeout(120)
async def test_killed_writer_loses_nothing_that_was_durable(tmp_path: Path) -> None:
    chance = random.Random(7)
    durable: dict[str, int] = {}
    for _ in range(KILLS):
        for line in _killed_run(tmp_path, chance.randrange(1, 60)):
            assert not line.startswith("found"), line
            run, n = line.split()
            durable[run] = max(durable.get(run, 0), int(n))
    assert len(durable) == KILLS
    with inspect(tmp_path) as inspector:
        verdict = inspector.verify()
        numbers: dict[str, list[int]] = {}
        for event in inspector.export():
            numbers.setdefault(event.run, []).append(event.n)
    assert verdict.faults == ()
    for run, last in durable.items():
        assert numbers[run] == list(range(1, len(numbers[run]) + 1))
        assert len(numbers[run]) >= last
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert len(journal.runs()) == KILLS + 1
    await journal.close()
