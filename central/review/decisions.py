"""One decision made again. Pure: the event and the directory as it was go in, what to think of it comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rules.book import Book
from rules.facts import Credential, Decision, Facts, Now, Read
from rules.passes import row_of
from rules.policy import RULES, VERSION, decide
from wire.events import DecisionBody, Event
from wire.facts import DoorFacts, PresenceFacts
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import Outcome, Reason

_BY_RULES: Final = {rule.reason for rule in RULES} | {Reason.MEMBER_VALID}


class NotReviewed(StrEnum):
    """Why a decision cannot be made again."""

    OTHER_RULES = "other_rules"  # the door decided by another version of the rules
    NOT_BY_RULES = "not_by_rules"  # the door denied for a reason of its own, such as a fault
    EDITION_UNKNOWN = "edition_unknown"  # that version of the directory is no longer known
    UNREADABLE = "unreadable"  # the event says what this version does not know


@dataclass(frozen=True, slots=True)
class Edition:
    """A site's directory at one version, as one device had it.

    `find` returns the row of an index; the member whose it may be makes that quicker.
    """

    ref: DirectoryRef
    book: Book | None
    find: Callable[[str, str | None], DirectoryRow | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a decision: `again` is central's own; `has_same_facts` where both saw the same."""

    again: Decision
    agrees: bool
    has_same_facts: bool


def not_reviewable(body: DecisionBody) -> NotReviewed | None:
    """Return why a decision cannot be made again, whatever the directory was; None where it can."""
    if body.receipt.rules != VERSION:
        return NotReviewed.OTHER_RULES
    return None if body.reason in _BY_RULES else NotReviewed.NOT_BY_RULES


def review(event: Event, body: DecisionBody, edition: Edition | None) -> Finding:
    """Make a decision again; `edition` is None for one that was made without a directory."""
    again = decide(facts_of(event, body, edition))
    said, found = (body.outcome, body.reason, body.member), (again.outcome, again.reason, again.member)
    return Finding(again, agrees=said == found, has_same_facts=again.receipt.input == body.receipt.input)


def facts_of(event: Event, body: DecisionBody, edition: Edition | None) -> Facts:
    """Return the facts that the receipt leads to."""
    receipt = body.receipt
    row = None if edition is None else edition.find(body.credential, body.member)
    if row is None and receipt.passed is not None:
        row = row_of(receipt.passed, body.credential)
    return Facts(
        read=Read(body.reader, body.direction, Credential(body.kind, body.credential), event.mono_ms),
        now=Now(event.mono_ms, event.wall_ms, event.q),
        directory=None if edition is None else edition.ref,
        row=row,
        book=None if edition is None else edition.book,
        door=receipt.door or DoorFacts(),
        presence=receipt.presence or PresenceFacts(),
        stale_s=receipt.stale_s,
        passed=receipt.passed,
    )


def difference(body: DecisionBody, again: Decision) -> str:
    """Return what differs, for people."""
    return f"the door {_words(body.outcome, body.reason)}, central {_words(again.outcome, again.reason)}"


def _words(outcome: Outcome, reason: Reason) -> str:
    return "granted" if outcome is Outcome.GRANT else f"denied ({reason})"
