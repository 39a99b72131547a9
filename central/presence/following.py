"""Follows the events of a site's doors, so that every door knows who is where and which codes were used.

After the acknowledgement, from a cursor of its own and in transactions of its own, so that taking events in waits for
nothing here. Each run is followed in order; what is told twice changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F, Q

from central.checkins.models import Event, Run
from central.directory.models import Credential, Member, VisitPack
from central.presence import findings, packs
from central.presence.history import Closing, Move, Past, stay_of, told
from central.presence.models import FollowedRun, SitePresence, StepUsed, Whereabouts
from central.presence.place import Place
from central.presence.versions import locked, publish, write
from central.rotation.keys import keys_of
from rules.whereabouts import OUTSIDE
from wire.credentials import credential_key
from wire.events import Body, DecisionBody, PassageBody, read_body, read_event
from wire.vocabulary import VISITORS, CredentialKind, EventKind, Outcome, PassageOutcome

SOME: Final = 400
"""Events of a run that are followed in one transaction: some tens of milliseconds."""
OLD_MS: Final = 72 * 3_600_000
"""What happened longer ago says nothing of who is where now."""
STEPS_MS: Final = 600_000
"""For so long a used code is told to doors; none is accepted after 45 s."""
_KINDS: Final = (EventKind.DECISION.value, EventKind.PASSAGE.value)


def follow(site_id: UUID, now_ms: int) -> bool:
    """Follow some events of a site; True where more wait."""
    with transaction.atomic():
        presence = locked(site_id)
        read, is_more = _read(site_id, now_ms)
        if not read:
            return is_more
        place = Place.of(site_id)
        rows = _rows(place, read)
        changed, quiet, found = _moved(place, rows, read, now_ms)
        _note_steps(presence, place, read, now_ms)
        write(presence, changed, quiet)
        if not changed:
            # Its door has to hear that this is known, or would go by it for ever.
            presence.ver += 1
            publish(presence)
        findings.raise_twice(place, found)
        findings.raise_overfull(place, changed)
    with_packs = VisitPack.objects.filter(member__in=[row.member_id for row in (*changed, *quiet)])
    packs.tell(set(with_packs.values_list("member_id", flat=True)))
    return is_more


def again(device_id: UUID, boot: str) -> None:
    """Follow the events of a boot once more: their time is known better now. Part of the caller's transaction."""
    runs = Event.objects.filter(run__device_id=device_id, boot=boot, kind__in=_KINDS).values("run_id").distinct()
    FollowedRun.objects.filter(run__in=runs).update(n=0)


def waiting() -> list[UUID]:
    """Return the sites of which events wait to be followed."""
    behind = Run.objects.filter(Q(followed=None, upto__gt=0) | Q(upto__gt=F("followed__n")))
    return list(behind.values_list("device__door__site_id", flat=True).distinct())


@dataclass(frozen=True, slots=True)
class _Read:
    """One event: `member` is whom it is about."""

    device: UUID
    run: str
    n: int
    at_ms: int
    member: UUID
    body: Body


def _read(site_id: UUID, now_ms: int) -> tuple[list[_Read], bool]:
    """Return events that were not followed yet, and whether there are more; moves the cursors."""
    behind = Run.objects.filter(device__door__site_id=site_id)
    behind = behind.filter(Q(followed=None, upto__gt=0) | Q(upto__gt=F("followed__n")))
    found: list[_Read] = []
    unfinished: set[UUID] = set()
    for run in behind.select_related("followed").order_by("device", "pk"):
        if run.device_id in unfinished:
            continue  # an end is told after its grant, perhaps in a later run
        cursor = run.followed.n if hasattr(run, "followed") else 0
        events = Event.objects.filter(run=run, n__gt=cursor, n__lte=run.upto, kind__in=_KINDS)
        rows = list(events.order_by("n").values_list("n", "corrected_ms", "member", "text")[:SOME])
        is_whole = len(rows) < SOME
        if not is_whole:
            unfinished.add(run.device_id)
        upto = run.upto if is_whole else rows[-1][0]
        FollowedRun.objects.update_or_create(run=run, defaults={"n": upto})
        found += _about(run, [row for row in rows if row[1] >= now_ms - OLD_MS])
    return found, bool(unfinished)


def _about(run: Run, rows: Iterable[tuple[int, int, UUID | None, str]]) -> Iterator[_Read]:
    for n, at_ms, member, text in rows:
        body = read_body(read_event(text.encode()))
        if body is None:
            continue
        about = member
        if about is None and isinstance(body, PassageBody):
            grants = Event.objects.filter(run__device_id=run.device_id, run__run=body.of_run, n=body.of_n)
            about = grants.values_list("member", flat=True).first()
        if about is not None:
            yield _Read(run.device_id, run.run, n, at_ms, about, body)


def _rows(place: Place, read: Iterable[_Read]) -> dict[UUID, Whereabouts]:
    """Return the rows of the members concerned, new ones for those who have none; those deleted since are left out."""
    members = {event.member for event in read}
    rows = {row.member_id: row for row in Whereabouts.objects.filter(site=place.site, member__in=members)}
    for member in Member.objects.filter(pk__in=members - rows.keys()).values_list("pk", flat=True):
        rows[member] = Whereabouts(site=place.site, member_id=member, ver=0)
    return rows


def _moved(
    place: Place, rows: dict[UUID, Whereabouts], read: Iterable[_Read], now_ms: int
) -> tuple[list[Whereabouts], list[Whereabouts], list[tuple[UUID, Past]]]:
    """Let the rows follow; return those that say something new to devices, the others, and pasts to look at."""
    pasts = {member: msgspec.convert(row.past, Past) for member, row in rows.items()}
    for event in read:
        if event.member in pasts:
            pasts[event.member] = _told(pasts[event.member], event, place)
    changed: list[Whereabouts] = []
    quiet: list[Whereabouts] = []
    for member, row in rows.items():
        row.past = msgspec.to_builtins(pasts[member])
        (changed if settle(row, pasts[member], place.closing, now_ms) else quiet).append(row)
    return changed, quiet, list(pasts.items())


def _told(past: Past, event: _Read, place: Place) -> Past:
    door, ways = place.doors[event.device]
    match event.body:
        case DecisionBody(outcome=Outcome.GRANT) as body:
            key = (event.device.hex, event.run, event.n)
            known = past.of(key)
            is_ended = known is not None and known.end is PassageOutcome.PASSED
            move = Move(
                *key,
                at_ms=known.at_ms if known is not None and is_ended else event.at_ms,
                direction=body.direction,
                door=door,
                ways=ways,
                end=None if known is None else known.end,
                is_alone=body.receipt.scope != "site",
                is_visitor=body.holder in VISITORS,
            )
            return told(past, move, place.closing)
        case PassageBody() as body:
            granted = past.of((event.device.hex, body.of_run, body.of_n))
            if granted is None:
                return past
            passed = body.outcome is PassageOutcome.PASSED
            direction = granted.direction if body.direction is None else body.direction
            at_ms = event.at_ms if passed else granted.at_ms
            return told(
                past,
                msgspec.structs.replace(granted, end=body.outcome, at_ms=at_ms, direction=direction),
                place.closing,
            )
        case _:
            return past


def settle(row: Whereabouts, past: Past, closing: Closing, now_ms: int) -> bool:
    """Write into a row where its member is by the past; True where devices have to be told."""
    stay = stay_of(past, closing)
    before = _visible(row)
    if stay is None or (stay.zone != OUTSIDE and closing(stay.since_ms) <= now_ms):
        row.zone, row.closes_ms, row.is_certain = OUTSIDE, None, True
    else:
        row.zone, row.since_ms, row.is_certain = stay.zone, max(0, stay.since_ms), stay.is_certain
        row.closes_ms = None if stay.zone == OUTSIDE else closing(stay.since_ms)
    if past.moves:
        row.is_visitor = past.moves[-1].is_visitor
    return _visible(row) != before


def _visible(row: Whereabouts) -> tuple[Any, ...]:
    since_ms = row.since_ms if row.zone else 0
    return row.zone, since_ms, row.is_certain, row.is_visitor, row.is_forgiven if row.zone else False


def _note_steps(presence: SitePresence, place: Place, read: Iterable[_Read], now_ms: int) -> None:
    """Note the codes of rotating passes that were used: other doors refuse them from now on."""
    StepUsed.objects.filter(site=place.site, noted_ms__lt=now_ms - STEPS_MS).delete()
    used: list[StepUsed] = []
    for event in read:
        body = event.body
        if not isinstance(body, DecisionBody) or body.outcome is not Outcome.GRANT:
            continue
        passed = body.receipt.passed
        if body.kind is not CredentialKind.PASS_ROTATING or passed is None or not passed.step:
            continue
        sealed = _sealed(event.device, event.member, body.credential)
        if sealed is not None:
            presence.ver += 1
            used.append(
                StepUsed(
                    site=place.site, ver=presence.ver, device_id=event.device, kind=body.kind.value, sealed=sealed,
                    step=passed.step, noted_ms=now_ms,
                )
            )  # fmt: skip
    StepUsed.objects.bulk_create(used)
    if used:
        publish(presence)


def _sealed(device_id: UUID, member: UUID, index: str) -> bytes | None:
    """Return the credential of a member that a device knows under an index."""
    keys = keys_of(device_id)  # the event may be of before a change of keys
    for credential in Credential.objects.filter(member_id=member, kind=CredentialKind.PASS_ROTATING.value):
        if index in (credential_key(key, CredentialKind.PASS_ROTATING, credential.canonical) for key in keys):
            return bytes(credential.sealed)
    return None
