"""Some thousand random decisions by rules and reference; `python -m tests.reference 1000000` is the long form."""

import pytest

from rules.policy import RULES
from tests.reference.__main__ import main
from tests.reference.comparing import Tally, compare
from wire.vocabulary import Reason

pytestmark = pytest.mark.unit

_SITES = range(40)


@pytest.fixture(scope="module")
def tally() -> Tally:
    return compare(_SITES)


def test_the_rules_and_the_reference_agree(tally: Tally) -> None:
    assert tally.examples == []
    assert (tally.cases, tally.disagreements) == (4_000, 0)


def test_the_cases_reach_every_rule(tally: Tally) -> None:
    reached = {Reason(reason) for reason in tally.reasons}
    assert {rule.reason for rule in RULES} <= reached
    assert Reason.MEMBER_VALID in reached


def test_the_long_form_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["200"]) == 0
    assert "200 decisions, 0 disagreements" in capsys.readouterr().out
