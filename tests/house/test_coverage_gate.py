"""The coverage gate: who is held to how much, and what it says when somebody is short."""

from typing import Any

import pytest

from tools.coverage_gate import GAPS, find_short, read_gaps, unit_of

pytestmark = pytest.mark.unit


def report(ran: int, total: int, branches: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    return {
        "summary": {
            "covered_lines": ran,
            "num_statements": total,
            "covered_branches": branches[0],
            "num_branches": branches[1],
        },
        "missing_lines": list(range(1, total - ran + 1)),
        "missing_branches": [[7, -1]] if branches[0] < branches[1] else [],
    }


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("wire/codec.py", ("wire/codec.py", 98.0)),
        ("agent/core/screen.py", ("agent/core/screen.py", 98.0)),
        ("rules/policy.py", ("rules/policy.py", 98.0)),
        ("agent/sync/session.py", ("agent/sync/session.py", 98.0)),
        ("central/sync/session.py", ("central/sync/session.py", 98.0)),
        ("agent/sync/runner.py", ("agent/sync/", 90.0)),
        ("agent/clock.py", ("agent/", 90.0)),
        ("hardware/readers/pcsc.py", ("hardware/readers/", 90.0)),
        ("central/checkins/management/commands/ledger.py", ("central/checkins/", 90.0)),
    ],
)
def test_pure_modules_are_judged_alone_and_others_by_package(path: str, unit: tuple[str, float]) -> None:
    assert unit_of(path) == unit


def test_enough_is_enough() -> None:
    files = {"wire/a.py": report(98, 100), "agent/b.py": report(80, 100), "agent/c.py": report(100, 100)}
    assert find_short(files, {}) == []


def test_an_empty_module_is_complete() -> None:
    assert find_short({"wire/__init__.py": report(0, 0)}, {}) == []


def test_branches_count() -> None:
    [short] = find_short({"wire/a.py": report(10, 10, branches=(9, 10))}, {})
    assert (short.name, short.percent, short.limit) == ("wire/a.py", 95.0, 98.0)
    assert short.missing == ("wire/a.py: 7->exit",)


def test_the_worst_comes_first_and_long_lists_are_cut() -> None:
    first, second = find_short({"agent/b.py": report(80, 100), "wire/a.py": report(50, 100)}, {})
    assert (first.name, second.name) == ("wire/a.py", "agent/")
    assert first.missing[0].endswith("12 ...")


def test_a_justified_gap_is_judged_by_its_own_limit_and_apart() -> None:
    files = {"agent/b.py": report(50, 100), "agent/c.py": report(100, 100)}
    assert find_short(files, {"agent/b.py": 50.0}) == []
    assert [short.name for short in find_short(files, {"agent/b.py": 51.0})] == ["agent/b.py"]


def test_a_gap_needs_a_reason_and_a_module() -> None:
    entry = '[[gap]]\nmodule = "agent/b.py"\nlimit = 50\nwhy = "{}"\n'
    assert read_gaps(entry.format("no such kernel here"), ["agent/b.py"]) == {"agent/b.py": 50.0}
    with pytest.raises(ValueError, match="has no `why`"):
        read_gaps(entry.format(" "), ["agent/b.py"])
    with pytest.raises(ValueError, match="is not in the report"):
        read_gaps(entry.format("reason"), [])


def test_the_list_of_gaps_can_be_read() -> None:
    text = GAPS.read_text()
    assert all(0 < limit < 100 for limit in read_gaps(text, _Everything()).values())


class _Everything(list[str]):
    def __iter__(self) -> Any:
        return iter([line.split('"')[1] for line in GAPS.read_text().splitlines() if line.startswith("module")])
