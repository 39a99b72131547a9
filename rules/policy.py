"""Who may pass: the rules, in the order in which they are asked.

The first rule that objects decides; a presentation that none objects to is granted. The order is part of the contract:
a person who fails several rules is always told the same thing.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from rules import passes
from rules.facts import Decision, Facts
from wire.events import Receipt
from wire.vocabulary import ClockQuality, Outcome, Reason

VERSION: Final = 1
"""Version of the rules, part of every receipt; raised with any change of meaning or order."""


class Rule(Struct, frozen=True):
    """One objection: `objects` says whether it holds against the facts, `reason` is what is recorded."""

    reason: Reason
    objects: Callable[[Facts], bool]
    says: str


def _has_no_directory(facts: Facts) -> bool:
    return facts.directory is None


def _fails_as(fault: Reason, facts: Facts) -> bool:
    return facts.passed is not None and facts.passed.fault is fault


def _is_unknown(facts: Facts) -> bool:
    return facts.row is None


def _is_revoked(facts: Facts) -> bool:
    return facts.row is not None and facts.row.is_revoked


def _is_inactive(facts: Facts) -> bool:
    return facts.row is not None and not facts.row.is_active


def _is_time_bound(facts: Facts) -> bool:
    row = facts.row
    return row is not None and (row.valid_from_ms is not None or row.valid_to_ms is not None)


def _needs_a_clock(facts: Facts) -> bool:
    if _fails_as(Reason.CLOCK_UNKNOWN, facts):
        return True
    return _is_time_bound(facts) and facts.now.q is ClockQuality.NONE


def _is_early(facts: Facts) -> bool:
    row = facts.row
    return row is not None and row.valid_from_ms is not None and facts.now.wall_ms < row.valid_from_ms


def _is_late(facts: Facts) -> bool:
    row = facts.row
    return row is not None and row.valid_to_ms is not None and facts.now.wall_ms >= row.valid_to_ms


RULES: Final[tuple[Rule, ...]] = (
    Rule(Reason.NO_DIRECTORY, _has_no_directory, "the device has never had a directory"),
    *(Rule(fault, partial(_fails_as, fault), says) for fault, says in passes.FAULTS.items()),
    Rule(Reason.UNKNOWN_CREDENTIAL, _is_unknown, "the directory does not hold the credential"),
    Rule(Reason.CREDENTIAL_REVOKED, _is_revoked, "the credential was revoked"),
    Rule(Reason.MEMBER_INACTIVE, _is_inactive, "the member is not active"),
    Rule(Reason.CLOCK_UNKNOWN, _needs_a_clock, "the credential is bound to dates and the clock is unknown"),
    Rule(Reason.NOT_YET_VALID, _is_early, "valid from a later moment"),
    Rule(Reason.EXPIRED, _is_late, "no longer valid; the end itself is outside"),
)


def decide(facts: Facts) -> Decision:
    """Return the decision on one presentation, a pure function of the facts."""
    member = facts.row.member if facts.row is not None else None
    receipt = _receipt(facts)
    for rule in RULES:
        if rule.objects(facts):
            return Decision(Outcome.DENY, rule.reason, receipt, member)
    return Decision(Outcome.GRANT, Reason.MEMBER_VALID, receipt, member)


def _receipt(facts: Facts) -> Receipt:
    directory = facts.directory
    return Receipt(
        dir_epoch=directory.epoch if directory else "",
        dir_ver=directory.ver if directory else 0,
        rules=VERSION,
        input=_input_digest(facts),
        passed=facts.passed,
    )


def _input_digest(facts: Facts) -> str:
    """Return 32 hex digits over what the rules looked at: a second decision can tell whether it saw the same."""
    seen = (
        facts.read.credential.kind,
        facts.read.credential.key,
        facts.read.direction,
        facts.now.wall_ms,
        facts.now.q,
        facts.directory,
        facts.row,
        facts.passed,
    )
    return sha256(msgspec.json.encode(seen)).hexdigest()[:32]
