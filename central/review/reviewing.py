"""Goes through what devices decided, run by run, from a cursor of its own: only what is acknowledged, never while it is
being delivered. A difference is an alert; the same difference at one version of the directory is one alert.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec
from django.db.models import F, Q

from central.checkins.alerts import raise_alert
from central.checkins.models import Alert, Event, Run, moment
from central.devices.sealing import SealError
from central.review.decisions import Edition, NotReviewed, difference, not_reviewable, review
from central.review.models import ReviewedRun
from central.review.past import Past
from rules.book import BookError
from wire.events import DecisionBody, read_body, read_event
from wire.events import Event as EventRead
from wire.vocabulary import EventKind

SOME: Final = 100
"""Decisions made again in one go: a fraction of a second."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What came of some decisions."""

    agreed: int = 0
    differed: int = 0
    other_facts: int = 0
    not_reviewed: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many decisions were looked at."""
        return self.agreed + self.differed + self.not_reviewed.total()

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.agreed += other.agreed
        self.differed += other.differed
        self.other_facts += other.other_facts
        self.not_reviewed += other.not_reviewed


def review_some(most: int = SOME) -> Tally:
    """Make up to so many decisions again that were not yet; return what came of them, none where all were."""
    total = Tally()
    waiting = Run.objects.filter(Q(review=None, upto__gt=0) | Q(upto__gt=F("review__n")))
    for run in waiting.order_by("pk").iterator():
        if total.total >= most:
            break
        total.add(_review_run(run, most - total.total))
    return total


def _review_run(run: Run, most: int) -> Tally:
    """Go on with a run. Where another process was quicker, what came of it is not counted twice."""
    cursor, _ = ReviewedRun.objects.get_or_create(run=run)
    waiting = Event.objects.filter(run=run, kind=EventKind.DECISION.value, n__gt=cursor.n, n__lte=run.upto)
    events = list(waiting.order_by("n")[:most])
    tally = _reviewed(run, events)
    counted = ReviewedRun.objects.filter(run=run, n=cursor.n).update(
        n=events[-1].n if len(events) == most else run.upto,
        agreed=F("agreed") + tally.agreed,
        differed=F("differed") + tally.differed,
        other_facts=F("other_facts") + tally.other_facts,
        not_reviewed=dict(Counter(cursor.not_reviewed) + tally.not_reviewed),
    )
    return tally if counted else Tally()


def _reviewed(run: Run, events: list[Event]) -> Tally:
    tally = Tally()
    past = _past(run.device_id) if events else None
    for event in events:
        try:
            read = read_event(event.text.encode())
            body = read_body(read)
        except msgspec.DecodeError:
            tally.not_reviewed[NotReviewed.UNREADABLE.value] += 1
            continue
        assert isinstance(body, DecisionBody), "its kind says so"
        _one(run, read, body, past, tally)
    return tally


def _past(device_id: UUID) -> Past | None:
    try:
        return Past(device_id)
    except SealError as fault:
        _log.warning("decisions of device %s cannot be made again: %s", device_id, fault)
        return None


def _one(run: Run, event: EventRead, body: DecisionBody, past: Past | None, tally: Tally) -> None:
    reason = not_reviewable(body)
    edition = None if reason else _edition(past, body)
    if reason is None and edition is None and body.receipt.dir_epoch:
        reason = NotReviewed.EDITION_UNKNOWN
    if reason is not None:
        tally.not_reviewed[reason.value] += 1
        return
    finding = review(event, body, edition)
    if finding.agrees:
        tally.agreed += 1
        tally.other_facts += not finding.has_same_facts
        return
    tally.differed += 1
    said, receipt = difference(body, finding.again), body.receipt
    detail = f"{said}: event {event.n} of run {run.run}, {moment(event.wall_ms):%Y-%m-%d %H:%M:%S} by its clock"
    key = f"{receipt.dir_epoch}/{receipt.dir_ver}: {body.reason}, {finding.again.reason}"
    raise_alert(run.device_id, Alert.Kind.DECISION_DIFFERS, key, detail)
    _log.warning("device %s: %s", run.device_id, detail)


def _edition(past: Past | None, body: DecisionBody) -> Edition | None:
    """Return the directory of a decision; None where it had none, or it cannot be made again."""
    if past is None or not body.receipt.dir_epoch:
        return None
    try:
        return past.edition(body.receipt.dir_epoch, body.receipt.dir_ver)
    except (SealError, BookError, msgspec.DecodeError) as fault:
        _log.warning("version %d cannot be made again: %s", body.receipt.dir_ver, fault)
        return None
