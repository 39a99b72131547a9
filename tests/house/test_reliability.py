"""The page on reliability names only tests and commands that exist, and forgets no fault, bug or target."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.names import NAMES
from tests.planted.__main__ import row
from tests.planted.registry import every_bug
from tests.processes.faults import rows

pytestmark = pytest.mark.unit

_ROOT = Path(__file__).parent.parent.parent
_PAGE = (_ROOT / "docs" / "reliability.md").read_text()
_TESTS = sorted(set(re.findall(r"`(tests/[^`]*)`", _PAGE)))
_MODULES = sorted(set(re.findall(r"`(?:python -m )?(tests\.[a-z_.]+)", _PAGE)))


@pytest.mark.parametrize("named", _TESTS)
def test_every_test_that_the_page_names_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert (_ROOT / path).exists()
    assert not name or re.search(rf"def {name}\b", (_ROOT / path).read_text())


@pytest.mark.parametrize("module", _MODULES)
def test_every_module_that_the_page_names_can_be_run_or_imported(module: str) -> None:
    assert find_spec(module) is not None


def test_no_planted_bug_is_forgotten_or_made_up() -> None:
    listed = [line for line in _section("Planted bugs").splitlines() if line.startswith("| `")]
    assert listed == [row(bug) for bug in every_bug().values()], "take the rows of: python -m tests.planted --list"


def test_every_planted_bug_that_the_page_cites_exists() -> None:
    cited = re.findall(r"planted bugs? `([a-z-]+)`(?: and `([a-z-]+)`)?", _PAGE)
    assert {name for pair in cited for name in pair if name} <= every_bug().keys()


def test_no_fuzz_target_is_forgotten_or_made_up() -> None:
    section = _section("Fuzz targets")
    assert set(re.findall(r"`([a-z_]+)`(?=[,| ])", section)) == set(NAMES)


def test_no_row_of_the_fault_table_is_forgotten() -> None:
    listed = set(re.findall(r"F\d\d", _section("Faults")))
    assert {f"F{number:02}" for number in range(1, 65)} == listed
    tried = {row.id[:3] for row in rows()}
    assert tried <= listed


def test_every_promise_is_listed_once() -> None:
    ids = re.findall(r"^\| ([ISL]\d+) \|", _PAGE, re.MULTILINE)
    wanted = (
        [f"I{n}" for n in range(1, 11)] + [f"S{n}" for n in range(1, 17) if n != 15] + [f"L{n}" for n in range(1, 8)]
    )
    assert ids == wanted


def _section(title: str) -> str:
    return _PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
