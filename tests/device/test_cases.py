"""The table of the device test and its page name the same cases."""

import re
from pathlib import Path

import pytest

from tests.device.__main__ import cases

pytestmark = pytest.mark.unit

_PAGE = (Path(__file__).parents[2] / "docs" / "device-test.md").read_text(encoding="utf-8")
_TABLE = _PAGE.split("\n## Cases\n")[1].split("\n## ")[0]


def test_every_case_has_its_own_id_and_its_row_on_the_page() -> None:
    ids = [case.id for case in cases()]
    assert len(set(ids)) == len(ids)
    assert re.findall(r"^\| `([a-z-]+)` \|", _TABLE, flags=re.MULTILINE) == ids


def test_cases_can_be_chosen_by_the_beginning_of_their_ids() -> None:
    assert {case.id.partition("-")[0] for case in cases(("door",))} == {"door"}
