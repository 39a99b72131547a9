"""What events say of grants, kept as movements, with the visits that follow; no more is derived anew than may differ.

Rows travel as plain values: ids as 32 hex digits, which both databases take.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from central.checkins import bulk, visits
from central.checkins.deriving import COLUMNS, columns_of, derive
from central.checkins.visits import EventKey, Grant, Movement, Passage, Visit
from central.devices.models import Site
from wire.events import Body, DecisionBody, PassageBody
from wire.vocabulary import VISITORS, Direction, Outcome, PassageOutcome

_SETTLED: Final = {
    "member_id": "uuid", "grant_ms": "bigint", "grant_direction": "text", "end_run": "text", "end_n": "bigint",
    "end_ms": "bigint", "end_outcome": "text", "end_direction": "text", "at_ms": "bigint", "direction": "text",
    "is_certain": "boolean", "counts": "boolean", **COLUMNS,
}  # fmt: skip
_MOVEMENTS: Final = bulk.Table(
    "checkins_movement",
    {"device_id": "uuid", "run": "text", "n": "bigint", "site_id": "uuid", **_SETTLED},
    unique=("device_id", "run", "n"),
    updates=tuple(_SETTLED),
)
_KNOWN: Final = """
    SELECT m.run, m.n, m.member_id, m.grant_ms, m.grant_direction, m.end_run, m.end_n, m.end_ms, m.end_outcome,
           m.end_direction
    FROM {given} JOIN checkins_movement m ON m.device_id = given.device AND m.run = given.run AND m.n = given.n
"""
_KEY: Final = {"device": "uuid", "run": "text", "n": "bigint"}


class Fact(NamedTuple):
    """What one event says of the grant `of`: that it was given, or how it ended.

    A grant without a member is of somebody who makes no visits, whatever its end says of who that was.
    """

    of: EventKey
    member: str | None
    said: Grant | Passage


class _Known(NamedTuple):
    """What is known of one grant."""

    member: str | None = None
    grant: Grant | None = None
    end: Passage | None = None

    def told(self, fact: Fact) -> "_Known":
        """Return what is known once `fact` is known too; telling it again, with a corrected time, replaces it."""
        said = fact.said
        if isinstance(said, Grant):
            return _Known(fact.member, said, self.end)
        is_stronger = self.end is None or visits.rank(said) <= visits.rank(self.end)
        member = fact.member if self.grant is None else self.member
        return _Known(member, self.grant, said if is_stronger else self.end)


_NOTHING: Final = _Known()


def fact_of(key: EventKey, at_ms: int, body: Body | None, member: str | None) -> Fact | None:
    """Return what event `key`, which happened at `at_ms`, says of a grant; None where it says nothing.

    Staff, cleaners and contractors make no visits: nothing of theirs counts here.
    """
    if isinstance(body, DecisionBody):
        if body.outcome is not Outcome.GRANT or member is None:
            return None
        return Fact(key, member if body.holder in VISITORS else None, Grant(key, at_ms, body.direction))
    if isinstance(body, PassageBody):
        of = EventKey(key.device, body.of_run, body.of_n)
        return Fact(of, member, Passage(key, at_ms, body.outcome, body.direction))
    return None


def apply(site: Site, facts: Iterable[Fact]) -> None:
    """Take in what events of one device say, and derive the visits of the members concerned from there on.

    Call it inside the transaction that stored the events, with the site's row locked: two devices of a site may tell
    of the same member at once.
    """
    told: dict[EventKey, list[Fact]] = defaultdict(list)
    for fact in facts:
        told[fact.of].append(fact)
    known = _load(told.keys())
    touched: dict[str, int] = {}
    rows: dict[EventKey, tuple[_Known, Movement | None]] = {}
    for key, of_key in told.items():
        before = after = known.get(key, _NOTHING)
        for fact in of_key:
            after = after.told(fact)
        if after != before:
            rows[key] = after, _touch(touched, key, after)
            if before is not _NOTHING:
                _touch(touched, key, before)
    opened = derive(site, touched, {key: (after.member, moved) for key, (after, moved) in rows.items()})
    site_id = site.pk.hex
    bulk.write(_MOVEMENTS, [_row(key, site_id, *row, opened.get(key)) for key, row in rows.items()])


def _touch(touched: dict[str, int], key: EventKey, known: _Known) -> Movement | None:
    """Note from when on the member's visits may differ; return what the grant amounts to."""
    member, grant, end = known
    moved = visits.settle(key, grant, () if end is None else (end,))
    if moved is not None and member is not None:
        touched[member] = min(touched.get(member, moved.at_ms), moved.at_ms)
    return moved


def _load(keys: Collection[EventKey]) -> dict[EventKey, _Known]:
    found: dict[EventKey, _Known] = {}
    for run, n, *stored in bulk.read(_KNOWN, _KEY, list(keys)):
        key = EventKey(next(iter(keys)).device, run, n)
        found[key] = _known(key, *stored)
    return found


def _known(key: EventKey, member: Any, grant_ms: int | None, grant_direction: str, *ended: Any) -> _Known:
    end_run, end_n, end_ms, end_outcome, end_direction = ended
    grant = None if grant_ms is None else Grant(key, grant_ms, Direction(grant_direction))
    end = None
    if end_n is not None:
        sensed = Direction(end_direction) if end_direction else None
        end = Passage(EventKey(key.device, end_run, end_n), end_ms, PassageOutcome(end_outcome), sensed)
    return _Known(None if member is None else bulk.hex_of(member), grant, end)


def _row(key: EventKey, site_id: str, known: _Known, moved: Movement | None, visit: Visit | None) -> tuple[Any, ...]:
    member, grant, end = known
    said = grant or end
    assert said is not None, "a movement row needs an event"
    granted = (grant.at_ms, grant.direction.value) if grant else (None, "")
    ended: tuple[Any, ...] = ("", None, None, "", "")
    if end is not None:
        sensed = end.direction.value if end.direction else ""
        ended = (end.key.run, end.key.n, end.at_ms, end.outcome.value, sensed)
    settled: tuple[Any, ...] = (said.at_ms, "", True, False)
    if moved is not None:
        settled = (moved.at_ms, moved.direction.value, moved.is_certain, member is not None)
    return (*key, site_id, member, *granted, *ended, *settled, *columns_of(visit))
