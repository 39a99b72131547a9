"""What staff see happen: events as entries of the live feed, told to the pages after the commit.

One message goes to the channel layer for each batch, to one group for each site. It may be lost; a page that opens or
comes back reads the latest entries from the database.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer, get_channel_layer
from redis.exceptions import RedisError

from central.checkins import words
from central.checkins.models import Event
from central.devices.models import Command
from central.directory.models import Member
from wire.events import AlarmBody, Body, CommandResultBody, DecisionBody, ModeBody, PassageBody, read_body, read_event
from wire.vocabulary import AlarmCode, CommandState, EventKind, Outcome, PassageOutcome

ENTRIES: Final = 50
"""How many entries a page shows."""
LATE_MS: Final = 30_000
"""An event that took longer than this to arrive is marked late and never counts as happening now."""
SHOWN: Final = (EventKind.DECISION, EventKind.PASSAGE, EventKind.ALARM, EventKind.COMMAND_RESULT, EventKind.MODE)
TYPE: Final = "feed.entries"

_READERS: Final = {
    "reader_missing": (
        "is missing", "check its plug and its power; doorstile hardware list on the device says what is found"
    ),
    "reader_stalled": ("does not answer", "unplug it and plug it in again"),
    "service_down": (
        "cannot be asked as its service is down", "restart that on the device: sudo systemctl restart pcscd"
    ),
}  # fmt: skip
"""What is wrong with a reader and what to do, by the reason that the device tells."""
_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """One line of the feed. `what` is stable; `who` and `detail` are data, to be shown and never interpreted."""

    id: str
    at_ms: int
    door: str
    what: str
    is_late: bool
    direction: str = ""
    who: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as the feed needs it; `key` is device, run and n."""

    key: str
    door: str
    corrected_ms: int
    received_ms: int
    body: Body
    member: UUID | None


def group(site_id: UUID) -> str:
    """Return the group of the pages that show a site."""
    return f"doorstile.feed.{site_id.hex}"


def is_shown(body: Body) -> bool:
    """Whether an event of this kind is an entry of the feed."""
    if isinstance(body, PassageBody):
        return body.outcome is not PassageOutcome.PASSED
    return isinstance(body, DecisionBody | AlarmBody | CommandResultBody | ModeBody)


def entries(happenings: Iterable[Happening]) -> list[Entry]:
    """Return the entries of what happened, in the order given, members by name; at most the last ENTRIES."""
    shown = [happening for happening in happenings if is_shown(happening.body)][-ENTRIES:]
    wanted = {happening.member for happening in shown if happening.member is not None}
    names = dict(Member.objects.filter(pk__in=wanted).values_list("pk", "full_name")) if wanted else {}
    asked = _asked(shown)
    return [_entry(happening, names, asked) for happening in shown]


def latest(site_ids: Sequence[UUID]) -> list[Entry]:
    """Return the last ENTRIES entries of the sites, in order of arrival, the newest last."""
    rows = (
        Event.objects.filter(run__device__door__site__in=site_ids, kind__in=[kind.value for kind in SHOWN])
        .order_by("-pk")
        .values_list(
            "run__device_id",
            "run__run",
            "n",
            "run__device__door__name",
            "corrected_ms",
            "received_ms",
            "text",
            "member",
        )[: 2 * ENTRIES]
    )
    found = []
    for device_id, run, n, door, corrected, received, text, member in rows:
        body = read_body(read_event(text.encode()))
        if body is not None:
            found.append(Happening(f"{device_id}/{run}/{n}", door, corrected, received, body, member))
    return entries(reversed(found))


def may_be_seen(site_id: UUID) -> bool:
    """Whether a page may show the site: a layer within this process knows of all that are open, another does not."""
    layer = get_channel_layer()
    return layer is not None and (not isinstance(layer, InMemoryChannelLayer) or bool(layer.groups.get(group(site_id))))


def publish(site_id: UUID, happenings: Sequence[Happening]) -> None:
    """Tell the pages of a site; call it after the commit, from synchronous code. A layer that is away costs nothing."""
    layer = get_channel_layer()
    told = entries(happenings)
    if layer is None or not told:
        return
    text = msgspec.json.encode({"type": "entries", "site": str(site_id), "entries": told}).decode()
    message: dict[str, Any] = {"type": TYPE, "text": text}
    try:
        async_to_sync(layer.group_send)(group(site_id), message)
    except (OSError, RedisError, ChannelFull) as fault:
        _log.warning("feed of site %s not told: %s; pages catch up when they ask again", site_id, fault)


def _asked(happenings: Iterable[Happening]) -> dict[str, str]:
    """Return who asked for it and why, by the command's id."""
    ids = [_id_of(h.body.id) for h in happenings if isinstance(h.body, CommandResultBody)]
    rows = Command.objects.filter(pk__in=[id_ for id_ in ids if id_ is not None]) if ids else []
    return {str(row.pk): f"by {row.actor}: {row.reason}" for row in rows}


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _entry(happening: Happening, names: dict[UUID, str], asked: dict[str, str]) -> Entry:
    told = _told(happening.body)
    assert told is not None, "entries() leaves out what is not shown"
    what, direction, detail = told
    if isinstance(happening.body, CommandResultBody) and happening.body.id in asked:
        is_done = happening.body.state is CommandState.DONE
        detail = f"{detail}, {'' if is_done else 'asked '}{asked[happening.body.id]}"
    member = happening.member
    return Entry(
        id=happening.key,
        at_ms=happening.corrected_ms,
        door=happening.door,
        what=what,
        is_late=happening.received_ms - happening.corrected_ms > LATE_MS,
        direction=direction,
        who="" if member is None else names.get(member, f"unknown member {member}"),
        detail=detail,
    )


def _told(body: Body) -> tuple[str, str, str] | None:
    match body:
        case DecisionBody():
            detail = "" if body.outcome is Outcome.GRANT else words.reason_words(body.reason)
            return body.outcome.value, body.direction.value, detail
        case PassageBody() if body.outcome is not PassageOutcome.PASSED:
            return f"passage_{body.outcome.value}", body.direction.value if body.direction else "", ""
        case AlarmBody(code=AlarmCode.READER_BACK):
            return "good_news", "", f"reader {body.detail.partition(':')[0]} is back"
        case AlarmBody(code=AlarmCode.READER_MISSING):
            return "alarm", "", _missing_reader(body.detail)
        case AlarmBody():
            said, is_good = words.alarm_words(body)
            return "good_news" if is_good else "alarm", "", said
        case CommandResultBody():
            return "command", "", words.result_words(body)
        case ModeBody():
            return "mode", "", words.mode_words(body)
        case _:
            return None


def _missing_reader(detail: str) -> str:
    """Return the alarm in words from `NAME: REASON: WHY`, as the device tells it."""
    name, _, rest = detail.partition(": ")
    reason, _, why = rest.partition(": ")
    state, remedy = _READERS.get(reason, _READERS["reader_missing"])
    said = f" ({why})" if why else ""
    return f"reader {name or 'of this door'} {state}{said}; {remedy}"
