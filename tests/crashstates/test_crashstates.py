"""Short forms of the crash states: 5,000 states, damage at rest, power cuts of a real ext4, planted bugs, controls."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.crashstates import atrest, powercut, recording
from tests.crashstates.caught import states_of
from tests.crashstates.explore import Tally, explore_all, split
from tests.crashstates.planted import BUGS
from tests.crashstates.recording import record

pytestmark = [pytest.mark.service, pytest.mark.slow]

SEED = 2026


def _needs_tracing() -> None:
    _skip_or_fail(recording.why_not())


def _needs_power() -> None:
    _skip_or_fail(powercut.why_not())


def _skip_or_fail(reason: str | None) -> None:
    if reason is None:
        return
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "per_point", "at_least"),
    [
        ("journal", 1, 900),
        ("plain", 3, 1300),
        ("failing", 2, 1700),
        ("directory", 8, 700),
        ("changes", 3, 400),
        ("identity", 40, 60),
    ],
)
def test_no_power_cut_breaks_a_promise(tmp_path: Path, name: str, per_point: int, at_least: int) -> None:
    _needs_tracing()
    path = tmp_path / name
    trace = record(name, path)
    total = Tally()
    for _, tally in explore_all(split(name, path, len(trace.ops), per_point, SEED, 2), 2):
        total.add(tally)
    assert total.wrong == []
    assert total.states >= at_least
    assert {told.partition(" (")[0] for told in total.told} <= {"journal.db was marked after a failed write"}


@pytest.mark.timeout(120)
def test_no_damage_at_rest_goes_unnoticed() -> None:
    jobs = [atrest.Job(name, 150, SEED) for name in ("log", "file", "closed")]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        tallies = list(pool.map(atrest.explore, jobs))
    assert [tally.wrong for tally in tallies] == [[], [], []]
    assert all(tally.told["noticed"] > 20 for tally in tallies)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", powercut.SHARES)
def test_no_power_cut_of_a_real_file_system_breaks_a_promise(name: str) -> None:
    _needs_power()
    tally = powercut.cut_power(powercut.log_workload(name), 15, SEED)
    assert tally.wrong == []
    assert tally.states == 15


@pytest.mark.timeout(120)
def test_unflushed_commits_are_lost_on_a_real_file_system() -> None:
    _needs_power()
    tally = powercut.cut_power(powercut.log_workload("journal", bug="normal-sync"), 25, SEED)
    assert tally.violations > 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_caught(name: str) -> None:
    _needs_tracing()
    assert states_of(BUGS[name], name, SEED).violations > 0


@pytest.mark.timeout(120)
def test_nothing_is_caught_where_nothing_is_planted() -> None:
    _needs_tracing()
    assert states_of(BUGS["sync-retried"], "", SEED).wrong == []
