import pytest

from agent.core.screen import CODES
from rules.facts import Facts
from rules.policy import RULES, VERSION, decide
from tests.core.builders import DIRECTORY, WALL_MS, facts, now, read, row
from wire.vocabulary import ClockQuality, Direction, Outcome, Reason

pytestmark = pytest.mark.unit

UNTRUSTED = now(q=ClockQuality.NONE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (facts(known=row()), Reason.MEMBER_VALID),
        (facts(known=row(valid_from_ms=WALL_MS)), Reason.MEMBER_VALID),
        (facts(known=row(valid_to_ms=WALL_MS + 1)), Reason.MEMBER_VALID),
        (facts(known=row(), at_now=UNTRUSTED), Reason.MEMBER_VALID),
        (facts(known=row(), directory=None), Reason.NO_DIRECTORY),
        (facts(known=None), Reason.UNKNOWN_CREDENTIAL),
        (facts(known=row(is_revoked=True)), Reason.CREDENTIAL_REVOKED),
        (facts(known=row(is_active=False)), Reason.MEMBER_INACTIVE),
        (facts(known=row(valid_from_ms=WALL_MS + 1)), Reason.NOT_YET_VALID),
        (facts(known=row(valid_to_ms=WALL_MS)), Reason.EXPIRED),
        (facts(known=row(valid_to_ms=WALL_MS + 1), at_now=UNTRUSTED), Reason.CLOCK_UNKNOWN),
        (facts(known=row(valid_from_ms=1), at_now=UNTRUSTED), Reason.CLOCK_UNKNOWN),
    ],
)
def test_each_rule_gives_its_reason(given: Facts, reason: Reason) -> None:
    assert decide(given).reason is reason


def test_only_a_valid_member_is_granted() -> None:
    assert decide(facts(known=row())).outcome is Outcome.GRANT
    assert decide(facts(known=row(is_active=False))).outcome is Outcome.DENY


def test_who_fails_several_rules_is_told_the_first_in_the_table() -> None:
    everything = row(is_revoked=True, is_active=False, valid_to_ms=1)
    assert decide(facts(known=everything)).reason is Reason.CREDENTIAL_REVOKED


def test_an_estimated_clock_is_good_enough_for_dates() -> None:
    given = facts(known=row(valid_to_ms=WALL_MS), at_now=now(q=ClockQuality.ESTIMATED))
    assert decide(given).reason is Reason.EXPIRED


def test_a_denial_names_the_member_it_knows() -> None:
    assert decide(facts(known=row("m9", is_active=False))).member == "m9"
    assert decide(facts(known=None)).member is None


def test_the_receipt_names_directory_and_rules() -> None:
    receipt = decide(facts(known=row())).receipt
    assert (receipt.dir_epoch, receipt.dir_ver, receipt.rules) == (DIRECTORY.epoch, DIRECTORY.ver, VERSION)
    assert (decide(facts(directory=None)).receipt.dir_ver, len(receipt.input)) == (0, 32)


@pytest.mark.parametrize(
    "other",
    [
        facts(known=row(), at_now=now(wall_ms=WALL_MS + 1)),
        facts(known=row("m2")),
        facts(read(direction=Direction.OUT), known=row()),
        facts(read(key="1" * 32), known=row()),
    ],
)
def test_the_receipt_tells_other_facts_apart(other: Facts) -> None:
    assert decide(other).receipt.input != decide(facts(known=row())).receipt.input


def test_every_reason_of_a_rule_has_one_rule_and_a_public_code() -> None:
    reasons = [rule.reason for rule in RULES]
    assert len(set(reasons)) == len(reasons)
    assert set(CODES) == set(Reason) - {Reason.MEMBER_VALID}
    assert all(rule.says for rule in RULES)
