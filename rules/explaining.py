"""A decision explained rule by rule, and what would still open without the link: for people, here or at central."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from rules.facts import Decision, Facts
from rules.policy import Answer, answers, decide
from wire.facts import PassFacts, PresenceFacts
from wire.rows import DirectoryRow
from wire.vocabulary import ClockQuality, CredentialKind, Reason


class Verdict(StrEnum):
    """What one rule said."""

    PASSES = "passes"
    OBJECTS = "objects"
    LIFTED = "lifted"  # it objected, and the right to override lifted it
    NOT_ASKED = "not_asked"  # whoever leaves is not asked


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


def explain(facts: Facts) -> Explanation:
    """Return the decision on these facts and what each rule said."""
    facts = as_shown(facts)
    steps, is_decided = [], False
    for answer in answers(facts):
        verdict = _verdict(answer)
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


def _verdict(answer: Answer) -> Verdict:
    if not answer.is_asked:
        return Verdict.NOT_ASKED
    if answer.is_lifted:
        return Verdict.LIFTED
    return Verdict.OBJECTS if answer.objects else Verdict.PASSES
