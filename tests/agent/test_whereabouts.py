"""Who is where after a restart: what the journal holds says it, whatever happened to the process."""

from pathlib import Path

import pytest

from agent.clock import Clock, KernelTime
from agent.core.floor import HELD_MS, STEP_MS
from agent.core.types import EventId
from agent.store.journal import Journal
from agent.store.types import Draft
from agent.upkeep import whereabouts_of
from agent.whereabouts import Whereabouts
from tests.rules.builders import NOON, book, row
from tests.store.samples import DEVICE, QUICK, Chain, pull
from wire.book import Here, Zone
from wire.directory import Issue
from wire.events import DecisionBody, Event, PassageBody, Receipt, Stamp, number, read_event, write_tail
from wire.facts import PresenceFacts
from wire.rows import Pack
from wire.vocabulary import ClockQuality, CredentialKind, Direction, EventKind, Outcome, PassageOutcome, Reason

pytestmark = pytest.mark.unit

BOOK = book(Here(door="north"), Zone(name="gym", limit=10))


class SetTime:
    def __init__(self, mono_ms: int = 1_000, wall_ms: int = NOON, *, is_synced: bool = True) -> None:
        self.reading = KernelTime(mono_ms, wall_ms, is_synced, 1 if is_synced else None)

    def read(self) -> KernelTime:
        return self.reading


class Shelf:
    """A directory that holds nothing but the book; `issue` is what central signed of it."""

    book = BOOK

    def __init__(self, issued_ms: int | None = None) -> None:
        self.issue = None if issued_ms is None else Issue(epoch="e", ver=1, digest="d", issued_ms=issued_ms)


def granted(at: Stamp, member: str = "m1") -> Draft:
    body = DecisionBody(
        door="north", reader="in", direction=Direction.IN, kind=CredentialKind.HF_UID, credential="0" * 32,
        outcome=Outcome.GRANT, reason=Reason.MEMBER_VALID, member=member,
        receipt=Receipt(dir_epoch="", dir_ver=0, rules=1, input=""),
    )  # fmt: skip
    return Draft(EventKind.DECISION, at, body, opens=f"grant:{member}")


def ended(of: EventId, at: Stamp, outcome: PassageOutcome = PassageOutcome.PASSED, member: str = "m1") -> Draft:
    body = PassageBody(of_run=of.run, of_n=of.n, outcome=outcome)
    return Draft(EventKind.PASSAGE, at, body, settles=f"grant:{member}")


def stamp(
    mono_ms: int = 1_000, *, boot: str = "b", wall_ms: int = NOON, q: ClockQuality = ClockQuality.SYNCED
) -> Stamp:
    return Stamp(boot, mono_ms, wall_ms, q)


def known(journal: Journal, time: SetTime, boot: str = "b", issued_ms: int | None = None) -> Whereabouts:
    clock = Clock(time, boot=boot, floor_ms=0)
    return whereabouts_of(journal, Shelf(issued_ms), clock)  # type: ignore[arg-type]


async def test_what_is_durable_is_known_at_once_and_after_a_restart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    here = known(journal, SetTime(5_000))
    await journal.append(ended(await journal.append(granted(stamp(1_000))), stamp(2_000)))
    before = here.facts(row(pack=Pack("p", 10, 3)))
    assert before == PresenceFacts(zone="gym", age_ms=3_000, used=4, inside=1)
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert known(journal, SetTime(5_000)).facts(row(pack=Pack("p", 10, 3))) == before
    await journal.close()


async def test_a_crash_between_grant_and_end_leaves_somebody_who_may_be_inside(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    of = await journal.append(granted(stamp(1_000)))
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    here = known(journal, SetTime(5_000))
    await journal.append(ended(of, stamp(5_000), PassageOutcome.UNKNOWN))
    seen = here.facts(row(pack=Pack("p", 10, 3)))
    assert seen == PresenceFacts(zone="gym", age_ms=4_000, is_certain=False, inside=1)
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert known(journal, SetTime(5_000)).facts(row(pack=Pack("p", 10, 3))) == seen
    await journal.close()


async def test_visits_that_central_acknowledged_are_in_the_count_of_its_directory(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    chain = Chain.of(journal, journal.run)
    await journal.append(ended(await journal.append(granted(stamp())), stamp()))
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, chain.upto, chain.head)
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    seen = known(journal, SetTime()).facts(row(pack=Pack("p", 10, 3)))
    assert (seen.zone, seen.used) == ("gym", None)
    await journal.close()


@pytest.mark.parametrize(
    ("issued_ms", "q", "used"),
    [
        (NOON - 60_001, ClockQuality.SYNCED, 4),
        (NOON - 60_000, ClockQuality.SYNCED, None),
        (NOON - 60_001, ClockQuality.NONE, None),
    ],
)
async def test_visits_that_central_acknowledged_after_it_signed_the_directory_are_in_no_count_of_it(
    tmp_path: Path, issued_ms: int, q: ClockQuality, used: int | None
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    chain = Chain.of(journal, journal.run)
    await journal.append(ended(await journal.append(granted(stamp(q=q))), stamp(q=q)))
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, chain.upto, chain.head)
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert known(journal, SetTime(), issued_ms=issued_ms).facts(row(pack=Pack("p", 10, 3))).used == used
    await journal.close()


def events(*drafts: Draft) -> list[tuple[EventId, Event]]:
    return [
        (EventId("aa", n), read_event(number(n, write_tail(draft.kind, draft.at, draft.body))))
        for n, draft in enumerate(drafts, 1)
    ]


def after_boot(time: SetTime, *drafts: Draft) -> PresenceFacts:
    here = Whereabouts(Clock(time, boot="now", floor_ms=0), lambda: BOOK)
    here.remember(events(*drafts))
    return here.facts(row())


HOUR_MS = 3_600_000


def came_in(at: Stamp) -> tuple[Draft, Draft]:
    return granted(at), ended(EventId("aa", 1), at)


def test_the_wall_clock_says_how_long_the_power_was_off() -> None:
    seen = after_boot(SetTime(1_000, NOON + HOUR_MS), *came_in(stamp(7_000, boot="before")))
    assert (seen.zone, seen.age_ms) == ("gym", HOUR_MS)


def test_without_a_clock_a_passage_is_no_older_than_is_known() -> None:
    unsure = stamp(7_000, boot="before", q=ClockQuality.NONE)
    later = Draft(
        EventKind.PASSAGE, stamp(9_000, boot="before"), PassageBody(of_run="x", of_n=1, outcome=PassageOutcome.UNUSED)
    )
    seen = after_boot(SetTime(1_000, NOON + HOUR_MS), *came_in(unsure), later)
    assert (seen.zone, seen.age_ms) == ("gym", 3_000)


async def test_time_that_the_journal_shows_has_passed_for_a_synced_clock_that_was_set_back(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    for mono_ms in (1_000, 1_000 + HELD_MS):
        of = await journal.append(granted(stamp(mono_ms, wall_ms=NOON + mono_ms)))
        await journal.append(ended(of, stamp(mono_ms, wall_ms=NOON + mono_ms)))
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    clock = Clock(SetTime(5_000, NOON), boot="b2", floor_ms=0)
    whereabouts_of(journal, Shelf(), clock)  # type: ignore[arg-type]
    now = clock.now()
    assert (now.wall_ms, now.q) == (NOON + 1_000 + HELD_MS - STEP_MS, ClockQuality.NONE)
    await journal.close()
