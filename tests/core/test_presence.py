"""Who is where by this device: what it saw, what central told, and which of the two holds."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.presence import BEHIND_MS, CONFIRMED_MS, DELAY_MS, SITE_KEPT, STAY_MS, Presence
from agent.core.sightings import KEPT, At
from agent.core.types import EventId
from rules.facts import Now
from rules.whereabouts import HOLD_OFF_MS, OUTSIDE, Ways
from tests.rules.builders import row
from wire.book import Zone
from wire.events import DecisionBody, PassageBody, Receipt, StartedBody
from wire.facts import PresenceFacts
from wire.presence import Heard, PresDelta, Present
from wire.rows import Pack
from wire.vocabulary import (
    ClockQuality,
    CredentialKind,
    Direction,
    HolderKind,
    Outcome,
    PassageOutcome,
    Reason,
)

pytestmark = pytest.mark.unit

GYM = Ways("gym", OUTSIDE)
ZONE = Zone(name="gym", limit=10)
RUN = "aa"
T = 1_000_000
SERVER = 1_800_000_000_000


def granted(member: str, way: Direction = Direction.IN, holder: HolderKind = HolderKind.MEMBER) -> DecisionBody:
    return DecisionBody(
        door="north", reader="in", direction=way, kind=CredentialKind.HF_UID, credential="0" * 32,
        outcome=Outcome.GRANT, reason=Reason.MEMBER_VALID, member=member, holder=holder,
        receipt=Receipt(dir_epoch="", dir_ver=0, rules=1, input=""),
    )  # fmt: skip


class Door:
    """One device's presence, and events as its journal would hold them."""

    def __init__(self) -> None:
        self.known = Presence()
        self.n = 0

    def grant(
        self, member: str, at_ms: int, way: Direction = Direction.IN, holder: HolderKind = HolderKind.MEMBER
    ) -> EventId:
        return self._saw(granted(member, way, holder), at_ms)

    def end(self, of: EventId, at_ms: int, outcome: PassageOutcome = PassageOutcome.PASSED) -> EventId:
        return self._saw(PassageBody(of_run=of.run, of_n=of.n, outcome=outcome), at_ms)

    def passes(self, member: str, at_ms: int, way: Direction = Direction.IN) -> EventId:
        return self.end(self.grant(member, at_ms, way), at_ms)

    def _saw(self, body: DecisionBody | PassageBody | StartedBody, at_ms: int, wall_ms: int | None = None) -> EventId:
        self.n += 1
        event = EventId(RUN, self.n)
        self.known.saw(event, body, At(GYM, at_ms, wall_ms))
        return event

    def facts(self, member: str = "m1", at_ms: int = T, pack: Pack | None = None, **said: object) -> PresenceFacts:
        asked = replace(row(member=member, pack=pack), **said)
        return self.known.facts(asked, ZONE, Now(at_ms, SERVER, ClockQuality.SYNCED))

    def told(
        self, *put: Present, first: int = 0, to: int = 1, heard: int = 0, at_ms: int = T, last: bool = True
    ) -> None:
        known = [Heard(RUN, heard)] if heard else []
        delta = PresDelta(epoch="e", first=first, to=to, server_ms=SERVER, put=list(put), heard=known, is_last=last)
        self.known.take(delta, at_ms)


def inside(member: str, *, ago_ms: int = 0, zone: str = "gym", used: int | None = None) -> Present:
    return Present(member=member, zone=zone, since_ms=SERVER - ago_ms, used=used)


def test_nobody_knows_where_a_stranger_is() -> None:
    assert Door().facts() == PresenceFacts(inside=0)


def test_whoever_came_in_is_inside_since_then() -> None:
    door = Door()
    door.passes("m1", T - 5_000)
    assert door.facts() == PresenceFacts(zone="gym", age_ms=5_000, inside=1)


def test_whoever_left_is_outside() -> None:
    door = Door()
    door.passes("m1", T - 5_000)
    door.passes("m1", T - 1_000, Direction.OUT)
    assert door.facts() == PresenceFacts(zone=OUTSIDE, inside=0)


def test_a_grant_counts_until_its_end_says_otherwise() -> None:
    door = Door()
    granted = door.grant("m1", T)
    assert (door.facts().zone, door.facts().inside) == ("gym", 1)
    door.end(granted, T + 1, PassageOutcome.UNUSED)
    assert door.facts() == PresenceFacts(inside=0)


def test_a_grant_that_came_to_nothing_leaves_what_was_before() -> None:
    door = Door()
    door.passes("m1", T - 500_000)
    door.end(door.grant("m1", T - 1, Direction.OUT), T, PassageOutcome.FAILED)
    assert (door.facts().zone, door.facts().age_ms) == ("gym", 500_000)


def test_a_passage_whose_end_a_crash_swallowed_is_no_newer_than_its_grant() -> None:
    door = Door()
    never_ended = door.grant("m1", T)
    door.passes("m1", T + 300_000, Direction.OUT)
    door.end(never_ended, T + 600_000, PassageOutcome.UNKNOWN)
    facts = door.facts(at_ms=T + 600_001)
    assert (facts.zone, facts.is_certain, facts.inside) == (OUTSIDE, True, 0)


def test_a_passage_that_a_crash_swallowed_is_uncertain_and_charges_no_pack() -> None:
    door = Door()
    door.end(door.grant("m1", T), T + 1, PassageOutcome.UNKNOWN)
    seen = door.facts(pack=Pack("p", 10, 3))
    assert (seen.zone, seen.is_certain, seen.used) == ("gym", False, None)


def test_an_end_without_its_grant_says_nothing() -> None:
    door = Door()
    door.end(EventId("bb", 7), T)
    assert door.facts() == PresenceFacts(inside=0)


def test_staff_are_inside_and_not_counted() -> None:
    door = Door()
    door.end(door.grant("boss", T, holder=HolderKind.STAFF), T)
    assert door.facts("boss") == PresenceFacts(zone="gym", inside=0)
    assert door.facts("guest", host="boss").is_host_inside


def test_a_guardian_inside_is_known() -> None:
    door = Door()
    door.passes("mother", T)
    assert door.facts("kid", guardians=["father", "mother"]).is_guardian_inside
    assert not door.facts("kid", guardians=["father"]).is_guardian_inside


def test_visits_of_a_pack_are_counted_on_top_of_the_directory() -> None:
    door = Door()
    door.passes("m1", T - 10 * HOLD_OFF_MS)
    door.passes("m1", T - 5 * HOLD_OFF_MS)
    assert door.facts(pack=Pack("p", 10, 3)).used == 5
    door.grant("m1", T)
    assert door.facts(pack=Pack("p", 10, 3)).used == 6


def test_a_visit_by_a_day_pass_is_no_visit_of_a_pack() -> None:
    door, by_pass = Door(), replace(granted("m1"), kind=CredentialKind.PASS_SIGNED)
    door.end(door._saw(by_pass, T - 5 * HOLD_OFF_MS), T - 5 * HOLD_OFF_MS)
    door._saw(by_pass, T)
    assert (door.facts(pack=Pack("p", 10, 3)).used, door.facts().inside) == (None, 1)


def test_staff_use_up_no_pack() -> None:
    door = Door()
    door.end(door.grant("m1", T - 5 * HOLD_OFF_MS, holder=HolderKind.STAFF), T - 5 * HOLD_OFF_MS)
    door.grant("m1", T, holder=HolderKind.STAFF)
    assert door.facts(pack=Pack("p", 10, 3)).used is None


def test_what_was_told_holds_while_more_is_coming() -> None:
    door = Door()
    door.told(inside("m1"))
    door.told(inside("m2"), first=1, to=2, last=False)
    assert (door.facts("m1").zone, door.facts("m1").inside) == ("gym", 2)


def test_an_end_is_that_of_its_own_grant() -> None:
    door = Door()
    first = door.grant("m1", T - 5 * HOLD_OFF_MS)
    door.grant("m1", T)
    door.end(first, T, PassageOutcome.UNUSED)
    assert (door.facts().zone, door.facts(pack=Pack("p", 10, 3)).used) == ("gym", 4)


def test_what_central_had_acknowledged_at_the_start_is_in_its_counts() -> None:
    door = Door()
    door.known = Presence({RUN: 2})
    door.passes("m1", T - 10 * HOLD_OFF_MS)
    door.passes("m1", T - 5 * HOLD_OFF_MS)
    assert door.facts(pack=Pack("p", 10, 3)).used == 4


def test_central_counts_a_visit_once_that_this_door_saw() -> None:
    door = Door()
    passage = door.passes("m1", T - 10 * HOLD_OFF_MS)
    door.told(inside("m1", used=8))
    assert door.facts(pack=Pack("p", 10, 3)).used == 9
    door.told(first=1, to=2, heard=passage.n)
    assert door.facts(pack=Pack("p", 10, 3)).used == 8


def test_visits_used_are_told_of_those_outside_as_well() -> None:
    door = Door()
    door.told(Present(member="m1", used=8), Present(member="m2"))
    told = door.facts(pack=Pack("p", 10, 3))
    assert (told.zone, told.used, told.inside) == (OUTSIDE, 8, 0)
    assert list(door.known._site) == ["m1"]


def test_whoever_came_in_by_another_door_is_inside() -> None:
    door = Door()
    door.told(inside("m1", ago_ms=7_000))
    assert door.facts() == PresenceFacts(is_site_wide=True, zone="gym", age_ms=7_000, inside=1)


def test_whom_central_names_nowhere_is_outside() -> None:
    door = Door()
    door.told()
    assert door.facts() == PresenceFacts(is_site_wide=True, zone=OUTSIDE, inside=0)


def test_a_passage_here_that_central_has_not_heard_of_holds() -> None:
    door = Door()
    door.told()
    passage = door.passes("m1", T)
    door.told(first=1, to=2)
    assert (door.facts().zone, door.facts().inside) == ("gym", 1)
    door.told(first=2, to=3, heard=passage.n)
    assert (door.facts().zone, door.facts().inside) == (OUTSIDE, 0)


def test_a_later_passage_elsewhere_holds_over_one_here() -> None:
    door = Door()
    door.passes("m1", T - DELAY_MS - 9_000, Direction.OUT)
    door.told(inside("m1", ago_ms=9_000))
    assert door.facts().zone == OUTSIDE, "it may have been under way for long"
    door.told(inside("m1", ago_ms=8_999))
    assert door.facts().zone == "gym"


def test_staff_let_somebody_in_once_more() -> None:
    door = Door()
    passage = door.passes("m1", T - 9_000)
    door.told(replace(inside("m1", ago_ms=9_000), is_forgiven=True), heard=passage.n)
    assert door.facts().is_forgiven
    door.passes("m1", T)
    assert not door.facts().is_forgiven


def test_without_the_link_what_was_told_last_is_all_that_is_known() -> None:
    door = Door()
    door.told(inside("m1", ago_ms=7_000))
    door.known.cut()
    assert door.facts() == PresenceFacts(zone="gym", age_ms=7_000, inside=1)


def test_without_word_from_central_nothing_is_current() -> None:
    door = Door()
    door.told()
    assert door.facts(at_ms=T + CONFIRMED_MS - 1).is_site_wide
    assert not door.facts(at_ms=T + CONFIRMED_MS).is_site_wide
    door.known.told(T + CONFIRMED_MS, is_current=True)
    assert door.facts(at_ms=T + CONFIRMED_MS).is_site_wide


def test_a_version_that_does_not_come_makes_what_is_here_old() -> None:
    door = Door()
    door.told()
    door.known.told(T, is_current=False)
    door.known.told(T + 1_000, is_current=False)
    assert door.facts(at_ms=T + BEHIND_MS - 1).is_site_wide
    assert not door.facts(at_ms=T + BEHIND_MS).is_site_wide
    door.told(first=1, to=2, at_ms=T + BEHIND_MS)
    assert door.facts(at_ms=T + BEHIND_MS).is_site_wide


def test_half_of_a_whole_is_not_used() -> None:
    door = Door()
    door.told(inside("m1"), inside("m2"))
    door.told(inside("m2"), last=False)
    assert door.facts() == PresenceFacts(inside=0)
    door.told(inside("m3"), first=1, to=2)
    assert (door.facts("m1").zone, door.facts("m3").zone, door.facts().inside) == (OUTSIDE, "gym", 2)


def test_more_people_than_can_be_kept_are_not_the_whole_site() -> None:
    door = Door()
    door.told(*(inside(f"m{i}") for i in range(SITE_KEPT + 1)))
    assert not door.facts().is_site_wide
    assert len(door.known._site) == SITE_KEPT


def test_memory_of_passages_is_bounded() -> None:
    door = Door()
    for i in range(KEPT + 10):
        door.passes(f"m{i}", T + i)
    assert door.facts("m0").zone is None
    assert door.facts("m10").inside == KEPT == len(list(door.known._seen))


def now(mono_ms: int, wall_ms: int = SERVER) -> Now:
    return Now(mono_ms, wall_ms, ClockQuality.SYNCED)


def test_whoever_came_days_ago_is_forgotten() -> None:
    door = Door()
    door.passes("m1", T)
    door.known.lapse(now(T + STAY_MS - 1))
    assert door.facts().inside == 1
    door.known.lapse(now(T + STAY_MS))
    assert door.facts() == PresenceFacts(inside=0)


def test_days_without_power_count_where_the_clock_tells_them() -> None:
    door = Door()
    door._saw(granted("m1"), -T, SERVER)
    door.end(EventId(RUN, 1), -T)
    door.known.lapse(now(T, SERVER + STAY_MS - 1))
    assert door.facts().inside == 1
    door.known.lapse(now(T, SERVER + STAY_MS))
    assert door.facts().inside == 0


def test_visits_of_a_pack_count_for_as_long_as_central_does_not_know_of_them() -> None:
    """A door alone for weeks must not give the last visit of a pack away anew every three days."""
    door = Door()
    for visit in range(3):
        door.passes("m1", T + visit * STAY_MS)
        door.known.lapse(now(T + (visit + 1) * STAY_MS))
        door.known.lapse(now(T + (visit + 1) * STAY_MS))
        assert door.facts(pack=Pack("p", 10, 7)).used == 8 + visit
    assert door.facts().inside == 0
    door.told(heard=door.n)
    door.known.lapse(now(T + 4 * STAY_MS))
    assert door.facts(pack=Pack("p", 10, 7), at_ms=T).used is None
    assert not list(door.known._seen)


def test_whoever_was_inside_when_the_link_died_days_ago_has_left() -> None:
    """A guardian who went by another door lets no minor in for ever, and nobody is kept out by a stay that is over."""
    door = Door()
    door.told(inside("m1", ago_ms=HOLD_OFF_MS, used=4), inside("m2", ago_ms=HOLD_OFF_MS), inside("m3"))
    door.known.cut()
    later = T + STAY_MS - HOLD_OFF_MS
    door.known.lapse(now(later - 1))
    assert door.facts(at_ms=later).inside == 3
    door.known.lapse(now(later))
    assert door.facts("kid", guardians=["m1", "m2"]).is_guardian_inside is False
    assert door.facts("kid", guardians=["m3"]).is_guardian_inside
    assert (door.facts("m2").zone, door.facts("m2").inside) == (OUTSIDE, 1)
    told = door.facts("m1", pack=Pack("p", 10, 3))
    assert (told.zone, told.used) == (OUTSIDE, 4)


def test_an_event_about_nobody_changes_nothing() -> None:
    door = Door()
    door._saw(StartedBody(agent="1"), T)
    assert door.facts() == PresenceFacts(inside=0)


MEMBERS = st.sampled_from(["m1", "m2", "m3"])
WAYS = st.sampled_from([Direction.IN, Direction.OUT, Direction.TOGGLE])
ENDS = st.sampled_from([*PassageOutcome, None])


@given(st.lists(st.tuples(MEMBERS, WAYS, ENDS), max_size=30), st.data())
def test_central_and_the_door_come_to_the_same_in_whatever_order_they_hear(
    happened: list[tuple[str, Direction, PassageOutcome | None]], data: st.DataObject
) -> None:
    """Once central has heard all that happened here, its word alone stands, and the counts are those of its word."""
    door = Door()
    told_at = data.draw(st.sets(st.integers(0, 30)))
    ver = 0
    for i, (member, way, outcome) in enumerate(happened):
        if i in told_at:
            door.told(inside("m1", ago_ms=1), first=ver, to=ver + 1, at_ms=T + i)
            ver += 1
        granted = door.grant(member, T + i, way)
        if outcome is not None:
            door.end(granted, T + i, outcome)
        _counts_fit(door)
    door.told(inside("m1"), inside("m2", zone="sauna"), heard=door.n + 1, to=ver + 1, at_ms=T + 31)
    assert [door.facts(member).zone for member in ("m1", "m2", "m3")] == ["gym", "sauna", OUTSIDE]
    assert door.facts().inside == 1
    _counts_fit(door)


def _counts_fit(door: Door) -> None:
    members: Iterable[str] = ("m1", "m2", "m3")
    assert door.facts().inside == sum(door.facts(member).zone == "gym" for member in members)
    assert [door.known.is_inside(member) for member in members] == [bool(door.facts(member).zone) for member in members]
