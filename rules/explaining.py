"""A decision explained rule by rule, and what would still open without the link: for people, here or at central."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from rules import passes
from rules.case import Case, case_of
from rules.facts import Decision, Facts
from rules.policy import Answer, answers, decide
from wire.facts import PassFacts, PresenceFacts
from wire.rows import DirectoryRow
from wire.vocabulary import VISITORS, ClockQuality, CredentialKind, Reason


class Verdict(StrEnum):
    """What one rule said."""

    PASSES = "passes"
    OBJECTS = "objects"
    LIFTED = "lifted"  # it objected, and the right to override lifted it
    NOT_ASKED = "not_asked"  # whoever leaves is not asked, and a pass nothing after what is wrong with it
    DOES_NOT_APPLY = "does_not_apply"  # nothing that it looks at is there: no pass, no guardians, no dates


class Step(Struct, frozen=True):
    """One rule of the table: its reason, what it says, and what it said here."""

    reason: Reason
    says: str
    verdict: Verdict
    is_decisive: bool = False
    """This is the rule that denied."""


class Explanation(Struct, frozen=True):
    """A decision and every rule behind it, in order, those after the decisive one included."""

    decision: Decision
    steps: tuple[Step, ...]


class Survey(Struct, frozen=True):
    """How many credentials open a door at a moment, and how many would without the link; `lost` names the reasons."""

    asked: int
    open_linked: int
    open_alone: int
    lost: dict[Reason, int]


_ASKED_OF_PASSES: Final = {
    CredentialKind.PASS_SIGNED: (
        Reason.PASS_MALFORMED, Reason.PASS_UNKNOWN_KEY, Reason.PASS_SIGNATURE, Reason.PASS_WRONG_SITE,
        Reason.PASS_REVOKED, Reason.PASS_ZONE, Reason.CLOCK_UNKNOWN, Reason.PASS_EXPIRED, Reason.PASS_NOT_YET,
        Reason.PASS_REPLAYED,
    ),
    CredentialKind.PASS_ROTATING: (
        Reason.PASS_MALFORMED, Reason.PASS_SIGNATURE, Reason.CLOCK_UNKNOWN, Reason.PASS_STALE, Reason.PASS_REPLAYED,
    ),
}  # fmt: skip
"""What a pass of each kind is asked, in order (`rules.passes`); the first that is wrong ends the questions."""
_CONCERNS: Final[dict[Reason, Callable[[Case], bool]]] = {
    Reason.NOT_YET_VALID: lambda case: case.row.valid_from_ms is not None,
    Reason.EXPIRED: lambda case: case.row.valid_to_ms is not None,
    Reason.UNPAID: lambda case: case.row.paid_to_ms is not None,
    Reason.OUTSIDE_GROUP_HOURS: lambda case: any(group.schedules for group in case.groups),
    Reason.GUARDIAN_ABSENT: lambda case: bool(case.row.guardians),
    Reason.HOST_ABSENT: lambda case: bool(case.row.host),
    Reason.PACK_EMPTY: lambda case: case.row.pack is not None,
    Reason.ANTI_PASSBACK: lambda case: case.zone is not None and case.zone.anti_passback is not None,
    Reason.ZONE_FULL: lambda case: (
        case.zone is not None and case.zone.limit is not None and case.row.holder in VISITORS
    ),
}
"""Whom a rule concerns, where that is not everybody."""


def explain(facts: Facts) -> Explanation:
    """Return the decision on these facts and what each rule said."""
    facts = as_shown(facts)
    case = None if facts.row is None else case_of(facts, facts.row)
    steps, is_decided = [], False
    for answer in answers(facts):
        verdict = _verdict(answer, facts, case)
        is_decisive = verdict is Verdict.OBJECTS and not is_decided
        is_decided = is_decided or is_decisive
        steps.append(Step(answer.rule.reason, answer.rule.says, verdict, is_decisive))
    return Explanation(decide(facts), tuple(steps))


def as_shown(facts: Facts) -> Facts:
    """Return facts about a row as they would be if its credential were shown: where the clock is unknown, no phone's
    code proves that it is of now."""
    is_phone = facts.row is not None and facts.row.kind is CredentialKind.PASS_ROTATING
    if not is_phone or facts.passed is not None or facts.now.q is not ClockQuality.NONE:
        return facts
    return replace(facts, passed=PassFacts(Reason.CLOCK_UNKNOWN))


def without_link(facts: Facts, *, stale_s: int | None = None, q: ClockQuality | None = None) -> Facts:
    """Return the same facts as they would be with the link down: nothing is known of the site but by this device.

    `stale_s` and `q` say how long it has been down by then, and what has become of the clock.
    """
    return replace(
        facts,
        presence=replace(facts.presence, is_site_wide=False),
        stale_s=facts.stale_s if stale_s is None else stale_s,
        now=facts.now if q is None else replace(facts.now, q=q),
    )


def survey(facts: Facts, rows: Iterable[DirectoryRow], *, stale_s: int = 0, q: ClockQuality | None = None) -> Survey:
    """Ask about every row of a directory, with the link and without it; `facts` say where and when.

    With the link central was heard of just now and the clock is right; without it `stale_s` and `q` hold. Nobody's
    whereabouts are known here, so each is taken to be outside, with the companions that they need inside.
    """
    nowhere = PresenceFacts(is_site_wide=True, zone="", is_guardian_inside=True, is_host_inside=True)
    linked_now = replace(facts.now, q=ClockQuality.SYNCED)
    asked = linked = alone = 0
    lost: dict[Reason, int] = {}
    for row in rows:
        asked += 1
        with_link = replace(facts, row=row, presence=nowhere, stale_s=0, now=linked_now)
        is_open = decide(with_link).is_grant
        then = decide(as_shown(without_link(with_link, stale_s=stale_s, q=q)))
        linked, alone = linked + is_open, alone + then.is_grant
        if is_open and not then.is_grant:
            lost[then.reason] = lost.get(then.reason, 0) + 1
    return Survey(asked, linked, alone, lost)


def _verdict(answer: Answer, facts: Facts, case: Case | None) -> Verdict:
    reason = answer.rule.reason
    if reason is Reason.UNKNOWN_CREDENTIAL and facts.passed is not None and facts.passed.fault in passes.FAULTS:
        return Verdict.NOT_ASKED  # a pass that does not hold stands for no row
    if answer.objects:
        return Verdict.LIFTED if answer.is_lifted else Verdict.OBJECTS
    if reason in passes.FAULTS:
        return _verdict_on_pass(reason, facts)
    concerns = _CONCERNS.get(reason)
    if concerns is not None and case is not None and not concerns(case):
        return Verdict.DOES_NOT_APPLY
    return Verdict.PASSES if answer.is_asked else Verdict.NOT_ASKED


def _verdict_on_pass(reason: Reason, facts: Facts) -> Verdict:
    """Say what became of a question about a pass that found nothing wrong."""
    asked = _ASKED_OF_PASSES.get(facts.read.credential.kind, ())
    if facts.passed is None or reason not in asked:
        return Verdict.DOES_NOT_APPLY
    fault = facts.passed.fault
    is_after = fault in asked and asked.index(reason) > asked.index(fault)
    return Verdict.NOT_ASKED if is_after else Verdict.PASSES
