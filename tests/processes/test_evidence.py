"""What the crash harness calls wrong."""

from typing import Any

import pytest

from tests.processes.door_process import Edge
from tests.processes.evidence import Record, wrong_commands, wrong_edges, wrong_passages

pytestmark = pytest.mark.unit


def record(*events: tuple[str, int, dict[str, Any]]) -> Record:
    held = {("r", n): {"kind": kind, "mono_ms": at, "body": body} for n, (kind, at, body) in enumerate(events, 1)}
    return Record(held)


GRANT = ("decision", 1_000, {"outcome": "grant"})
PASSED = ("passage", 1_400, {"of_run": "r", "of_n": 1, "outcome": "passed"})


def pulse(at_ms: int, length_ms: int = 300) -> list[Edge]:
    return [Edge(is_on=True, at_ms=at_ms, pid=1), Edge(is_on=False, at_ms=at_ms + length_ms, pid=1)]


def test_a_grant_with_its_pulse_and_its_passage_is_right() -> None:
    good = record(GRANT, PASSED)
    assert wrong_passages(good) + wrong_edges(good, pulse(1_010)) + wrong_commands(good) == []


def test_a_grant_needs_exactly_one_passage() -> None:
    assert wrong_passages(record(GRANT)) == ["grant ('r', 1) has 0 passages"]
    assert wrong_passages(record(GRANT, PASSED, PASSED)) == ["grant ('r', 1) has 2 passages"]


def test_a_passage_needs_its_grant() -> None:
    denial = ("decision", 1_000, {"outcome": "deny"})
    assert wrong_passages(record(denial, PASSED)) == ["passage without a grant: ('r', 1)"]


@pytest.mark.parametrize("line", [pulse(900), pulse(1_010) + pulse(1_500), pulse(14_000)])
def test_a_pulse_needs_a_durable_opening_of_its_own_before_it(line: list[Edge]) -> None:
    assert any("durable openings" in each for each in wrong_edges(record(GRANT, PASSED), line))


def test_a_pulse_may_not_outlast_its_ceiling() -> None:
    assert wrong_edges(record(GRANT), pulse(1_010, 1_600)) == ["line on for 1600 ms"]


def test_a_line_that_is_still_on_is_wrong() -> None:
    assert wrong_edges(record(GRANT), pulse(1_010)[:1]) == ["the line is still on"]


def test_a_command_begins_and_ends_once() -> None:
    begun = ("command_begun", 1_000, {"id": "c"})
    assert wrong_commands(record(begun)) == []
    assert wrong_commands(record(begun, begun)) == ["command c has 2 of command_begun"]
