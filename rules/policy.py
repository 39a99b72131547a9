"""Who may pass: the rules, in the order in which they are asked.

The first rule that objects decides; a presentation that none objects to is granted. The order is part of the contract:
a person who fails several rules is always told the same thing. Nothing that permits outweighs a rule that objects, but
a holder's right to override, which lifts the rules marked so and tells staff. `docs/rules.md` is made from the table.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from rules import onsite, passes
from rules.case import DAY_MS, Case, case_of, is_unsure
from rules.facts import Decision, Facts
from rules.receipt import receipt_of
from wire.book import EVERYWHERE
from wire.vocabulary import VISITORS, ClockQuality, Direction, DoorMode, Notice, Outcome, Reason, Right

T = TypeVar("T")


class Rule(Struct, Generic[T], frozen=True):
    """One objection: `objects` says whether it holds, `reason` is what is recorded, `says` what it means.

    It is asked of those who come in, and where `is_for_exits` of those who leave as well. A rule that `is_liftable`
    yields to the right to override.
    """

    reason: Reason
    objects: Callable[[T], bool]
    says: str
    is_for_exits: bool = False
    is_liftable: bool = False


def _has_no_directory(facts: Facts) -> bool:
    return facts.directory is None


def _fails_as(fault: Reason, facts: Facts) -> bool:
    return facts.passed is not None and facts.passed.fault is fault


def _is_unknown(facts: Facts) -> bool:
    return facts.row is None


def _is_revoked(case: Case) -> bool:
    return case.row.is_revoked


def _is_against_direction(case: Case) -> bool:
    allowed = case.door.directions if case.door is not None else []
    direction = case.facts.read.direction
    if direction is Direction.TOGGLE and {Direction.IN, Direction.OUT} <= set(allowed):
        return False
    return bool(allowed) and direction not in allowed


def _is_device_revoked(case: Case) -> bool:
    return case.facts.door.is_revoked


def _is_misconfigured(case: Case) -> bool:
    return bool(case.missing)


def _is_locked_down(case: Case) -> bool:
    return case.facts.door.lockdown > case.row.clearance


def _is_inactive(case: Case) -> bool:
    return not case.row.is_active


def _is_blocked(case: Case) -> bool:
    return case.row.is_blocked


def _is_stale(case: Case) -> bool:
    if case.facts.book is None:
        return False
    limit_s = case.cls.stale_after_s
    if limit_s is None:
        limit_s = case.facts.book.site.stale_after_s
    return limit_s is not None and case.facts.stale_s > limit_s


def _needs_a_clock(case: Case) -> bool:
    """A pass whose freshness nobody can tell opens nothing, out neither; other credentials are bound coming in."""
    return _fails_as(Reason.CLOCK_UNKNOWN, case.facts) or (case.is_entry and is_unsure(case))


def _is_early(case: Case) -> bool:
    """What begins is not asked about while the clock is unknown: a wrong clock may not know that it began."""
    begins = case.row.valid_from_ms
    return begins is not None and case.facts.now.q is not ClockQuality.NONE and case.wall_ms < begins


def _is_late(case: Case) -> bool:
    """What has ended stays ended, also by a clock that nobody trusts: it never reads earlier than its floor."""
    ends = case.row.valid_to_ms
    return ends is not None and case.wall_ms >= ends


def _is_unpaid(case: Case) -> bool:
    paid_to = case.row.paid_to_ms
    return paid_to is not None and case.wall_ms >= paid_to + case.row.grace_days * DAY_MS


def _has_no_plan(case: Case) -> bool:
    """A signed pass says for itself what it is good for, and asks for no plan beside it."""
    book, passed = case.facts.book, case.facts.passed
    if book is None or not book.site.needs_plan or (passed is not None and passed.claims is not None):
        return False
    return case.plan is None and case.row.holder in VISITORS


def _is_easily_copied(case: Case) -> bool:
    return not case.is_assured()


def _is_elsewhere(case: Case) -> bool:
    zone = case.zone
    if zone is None:
        return False
    if any(zone.name in group.denied_zones for group in case.groups):
        return True
    zones = case.zones
    return zone.name not in zones and (zone.is_listed_only or EVERYWHERE not in zones)


def _is_locked(case: Case) -> bool:
    return case.mode is DoorMode.LOCKED


def _is_maintained(case: Case) -> bool:
    return case.mode is DoorMode.MAINTENANCE and not case.has(Right.MAINTENANCE)


def _waits_for_first_person(case: Case) -> bool:
    return case.mode is DoorMode.FIRST_PERSON and not case.has(Right.FIRST_PERSON)


def _is_outside_hours(case: Case) -> bool:
    return not case.is_open(case.hours)


def _is_outside_group_hours(case: Case) -> bool:
    return any(group.schedules and not case.is_open(group.schedules) for group in case.groups)


_BEFORE_THE_ROW: Final[tuple[Rule[Facts], ...]] = (
    Rule(Reason.NO_DIRECTORY, _has_no_directory, "the device has never had a directory", is_for_exits=True),
    *(
        Rule(fault, partial(_fails_as, fault), says, is_for_exits=True)
        for fault, says in passes.FAULTS.items()
    ),
    Rule(
        Reason.UNKNOWN_CREDENTIAL, _is_unknown, "the directory does not hold the credential", is_for_exits=True
    ),
)  # fmt: skip
_ABOUT_THE_ROW: Final[tuple[Rule[Case], ...]] = (
    Rule(Reason.CREDENTIAL_REVOKED, _is_revoked, "the credential was revoked", is_for_exits=True),
    Rule(
        Reason.WRONG_DIRECTION, _is_against_direction, "the door does not let people through this way",
        is_for_exits=True,
    ),
    Rule(Reason.DEVICE_REVOKED, _is_device_revoked, "central has revoked the device: it lets nobody in any more"),
    Rule(
        Reason.MISCONFIGURED, _is_misconfigured,
        "the row or the door names what the site's book does not hold, or the book has doors and not this one",
    ),
    Rule(Reason.LOCKDOWN, _is_locked_down, "the lockdown's level is above the holder's clearance"),
    Rule(Reason.MEMBER_INACTIVE, _is_inactive, "the member is not active"),
    Rule(Reason.MEMBER_BLOCKED, _is_blocked, "the member is blocked"),
    Rule(Reason.DIRECTORY_STALE, _is_stale, "central was last heard of longer ago than the credential's class allows"),
    Rule(
        Reason.CLOCK_UNKNOWN, _needs_a_clock, "the answer depends on the time, nobody knows it and the class denies",
        is_for_exits=True,
    ),
    Rule(Reason.NOT_YET_VALID, _is_early, "valid from a later moment"),
    Rule(Reason.EXPIRED, _is_late, "no longer valid; the end itself is outside"),
    Rule(Reason.UNPAID, _is_unpaid, "the payment lapsed, and the days of grace with it"),
    Rule(Reason.NO_PLAN, _has_no_plan, "the site asks visitors for a plan and this one has none"),
    Rule(Reason.LOW_ASSURANCE, _is_easily_copied, "the zone asks for a credential that is harder to copy"),
    Rule(
        Reason.ZONE_NOT_ALLOWED, _is_elsewhere, "the zone is not among the holder's, or a group is kept out of it",
        is_liftable=True,
    ),
    Rule(Reason.DOOR_LOCKED, _is_locked, "the door is locked", is_liftable=True),
    Rule(Reason.MAINTENANCE, _is_maintained, "the door is under maintenance", is_liftable=True),
    Rule(
        Reason.FIRST_PERSON_MISSING, _waits_for_first_person, "the door waits for its first person", is_liftable=True
    ),
    Rule(Reason.OUTSIDE_HOURS, _is_outside_hours, "outside the hours of the plan and of the holder", is_liftable=True),
    Rule(
        Reason.OUTSIDE_GROUP_HOURS, _is_outside_group_hours, "outside the hours of one of the holder's groups",
        is_liftable=True,
    ),
    Rule(
        Reason.NEEDS_LINK, onsite.needs_link, "a rule that looks at the whole site denies while the link is down",
        is_liftable=True,
    ),
    Rule(Reason.GUARDIAN_ABSENT, onsite.is_without_guardian, "none of the minor's guardians is inside",
         is_liftable=True),
    Rule(Reason.HOST_ABSENT, onsite.is_without_host, "the guest's host is not inside", is_liftable=True),
    Rule(Reason.PACK_EMPTY, onsite.has_no_visits_left, "the visits of the pack are used up", is_liftable=True),
    Rule(Reason.ANTI_PASSBACK, onsite.is_inside, "by the record the holder is inside already", is_liftable=True),
    Rule(Reason.ZONE_FULL, onsite.is_full, "as many people as the zone may hold are inside", is_liftable=True),
)  # fmt: skip
RULES: Final[tuple[Rule[Any], ...]] = (*_BEFORE_THE_ROW, *_ABOUT_THE_ROW)
"""The table."""
VERSION: Final = 4
"""Version of the rules, part of every receipt; raised with any change of meaning or order."""


class Answer(Struct, frozen=True):
    """What one rule answered: it was not asked (`is_asked`), it objected, or it did and was lifted."""

    rule: Rule[Any]
    is_asked: bool
    objects: bool
    is_lifted: bool = False


def decide(facts: Facts) -> Decision:
    """Return the decision on one presentation, a pure function of the facts."""
    case = None if facts.row is None else case_of(facts, facts.row)
    lifted = False
    for answer in _answers(facts, case):
        if answer.objects and not answer.is_lifted:
            return _decision(facts, Outcome.DENY, answer.rule.reason, ())
        lifted = lifted or answer.is_lifted
    assert case is not None, "an unknown credential is denied"
    return _decision(facts, Outcome.GRANT, Reason.MEMBER_VALID, _notices(case, is_lifted=lifted))


def answers(facts: Facts) -> Iterator[Answer]:
    """Yield what each rule answers, in order; those about the row are not asked where there is none."""
    yield from _answers(facts, None if facts.row is None else case_of(facts, facts.row))


def _answers(facts: Facts, case: Case | None) -> Iterator[Answer]:
    for first in _BEFORE_THE_ROW:
        yield Answer(first, is_asked=True, objects=first.objects(facts))
    if case is None:
        return
    overrides = case.has(Right.OVERRIDE)
    for rule in _ABOUT_THE_ROW:
        is_asked = rule.is_for_exits or case.is_entry
        objects = is_asked and rule.objects(case)
        yield Answer(rule, is_asked, objects, is_lifted=objects and rule.is_liftable and overrides)


def _decision(facts: Facts, outcome: Outcome, reason: Reason, notices: tuple[Notice, ...]) -> Decision:
    receipt = receipt_of(facts, VERSION)
    if facts.row is None:
        return Decision(outcome, reason, receipt)
    return Decision(outcome, reason, receipt, facts.row.member, facts.row.holder, notices)


def _notices(case: Case, *, is_lifted: bool) -> tuple[Notice, ...]:
    """Return what staff are told beside a grant."""
    if not case.is_entry:
        return ()
    told = (
        (Notice.PAYMENT_GRACE, case.row.paid_to_ms is not None and case.wall_ms >= case.row.paid_to_ms),
        (Notice.ANTI_PASSBACK_SOFT, onsite.is_softly_inside(case)),
        (Notice.PRESENCE_UNCERTAIN, onsite.is_perhaps_inside(case)),
        (Notice.OVERRIDE, is_lifted),
    )
    return tuple(notice for notice, holds in told if holds)
