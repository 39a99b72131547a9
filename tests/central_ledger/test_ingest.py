"""What a device sends is kept exactly once, whatever it is and however often it comes."""

import pytest
from msgspec.structs import replace

from central.checkins import ingest
from central.checkins.ingest import GapError, UnknownRunError
from central.checkins.models import Alert, Event, Loss, Movement, Run, Visit
from central.checkins.visits import EndedBy
from central.devices.fencing import FencedError, RevokedError
from central.devices.ids import uuid7
from central.devices.models import Device, Site
from central.directory.models import Member
from tests.central_ledger.delivery import HOUR_MS, MINUTE_MS, greet, send, send_raws, visits_of
from tests.fakes.journal_script import START_MS, JournalScript, decision
from wire.errors import RemoteProtocolError
from wire.events import PassageBody
from wire.messages import Anchor, Tomb
from wire.vocabulary import (
    VISITORS,
    ClockQuality,
    Direction,
    EventKind,
    HolderKind,
    PassageOutcome,
    RejectCode,
    TombReason,
)

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


def test_batch_is_kept_byte_for_byte_and_moves_the_cursor(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    done = send(journal)
    assert (done.upto, done.head, done.fresh, done.duplicates, done.rejections) == (2, journal.heads[2], 2, 0, [])
    assert [event.text.encode() for event in Event.objects.order_by("n")] == journal.texts
    assert Run.objects.get().head == journal.heads[2].hex()


def test_entry_and_exit_become_a_visit(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk, 0, Direction.IN)
    journal.visit(member.pk, 45 * MINUTE_MS, Direction.OUT)
    greet(journal)
    send(journal)
    visit = Visit.objects.get()
    assert (visit.opened_ms, visit.closed_ms) == (START_MS + 1000, START_MS + 45 * MINUTE_MS + 1000)
    assert (visit.ended_by, visit.member_id, visit.n, visit.closed_n) == (EndedBy.OUT, member.pk, 1, 3)


@pytest.mark.parametrize("holder", list(HolderKind))
def test_only_members_and_guests_make_visits(journal: JournalScript, member: Member, holder: HolderKind) -> None:
    body = replace(decision(member.pk), holder=holder)
    of_n = journal.record(EventKind.DECISION, body, 0)
    end = PassageBody(
        of_run=journal.run, of_n=of_n, outcome=PassageOutcome.PASSED, member=str(member.pk), direction=Direction.IN
    )
    journal.record(EventKind.PASSAGE, end, 1_000)
    greet(journal)
    assert send(journal, 1, 1).rejections == []
    assert send(journal, 2).rejections == []
    assert Visit.objects.exists() is (holder in VISITORS)
    assert Event.objects.filter(member=member.pk).exists()


def test_batches_of_one_give_the_same_as_one_batch(journal: JournalScript, member: Member) -> None:
    for tap in range(6):
        journal.visit(member.pk, tap * 30 * MINUTE_MS, Direction.TOGGLE)
    greet(journal)
    send(journal)
    whole = visits_of(member)
    Movement.objects.all().delete()
    Event.objects.all().delete()
    Run.objects.all().delete()
    greet(journal)
    for n in range(1, journal.last + 1):
        assert send(journal, n, n).upto == n
    assert visits_of(member) == whole
    assert len(whole) == 3


def test_unused_grant_makes_no_visit_even_when_its_end_comes_later(journal: JournalScript, member: Member) -> None:
    n = journal.grant(member.pk)
    journal.passage(n, 5000, PassageOutcome.UNUSED)
    greet(journal)
    send(journal, 1, 1)
    assert Visit.objects.count() == 1
    send(journal, 2, 2)
    assert Visit.objects.count() == 0


def test_grant_that_a_crash_swallowed_is_flagged_by_the_next_run(journal: JournalScript, member: Member) -> None:
    n = journal.grant(member.pk)
    later = journal.next_run("00000000000000bb")
    later.passage(n, HOUR_MS, PassageOutcome.UNKNOWN, of_run=journal.run)
    greet(journal)
    greet(later)
    send(journal)
    send(later)
    visit = Visit.objects.get()
    assert (visit.opened_ms, visit.is_flagged) == (START_MS, True)


def test_replay_of_any_part_changes_nothing(journal: JournalScript, member: Member) -> None:
    for tap in range(5):
        journal.visit(member.pk, tap * 20 * MINUTE_MS, Direction.TOGGLE)
    greet(journal)
    send(journal)
    before = (visits_of(member), Event.objects.count(), Run.objects.get().head)
    for first in range(1, journal.last + 1):
        for last in range(first, journal.last + 1):
            done = send(journal, first, last)
            assert (done.upto, done.duplicates, done.fresh) == (journal.last, last - first + 1, 0)
    assert (visits_of(member), Event.objects.count(), Run.objects.get().head) == before
    assert Alert.objects.count() == 0


def test_batch_that_overlaps_what_is_held_adds_only_the_rest(journal: JournalScript, member: Member) -> None:
    for tap in range(3):
        journal.visit(member.pk, tap * MINUTE_MS)
    greet(journal)
    send(journal, 1, 4)
    done = send(journal, 2, 6)
    assert (done.upto, done.duplicates, done.fresh, done.head) == (6, 3, 2, journal.heads[6])


def test_gap_is_refused_and_keeps_nothing(journal: JournalScript, member: Member) -> None:
    for _ in range(2):
        journal.visit(member.pk)
    greet(journal)
    with pytest.raises(GapError, match="number 1 comes next") as caught:
        send(journal, 3, 4)
    assert caught.value.expect == 1
    assert Event.objects.count() == 0


@pytest.mark.parametrize("first", [0, -3])
def test_numbers_begin_at_one(journal: JournalScript, member: Member, first: int) -> None:
    journal.visit(member.pk)
    greet(journal)
    with pytest.raises(GapError):
        send_raws(journal, journal.raws(), first)


def test_run_that_no_hello_named_is_refused(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    with pytest.raises(UnknownRunError, match="name it in hello"):
        send(journal)


def test_superseded_session_writes_nothing(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    Device.objects.update(session=2)
    with pytest.raises(FencedError):
        send(journal)
    tomb = Tomb(run=journal.run, first=1, to=1, why=TombReason.CORRUPT, count=1)
    with pytest.raises(FencedError):
        ingest.ingest_tomb(journal.device, 1, tomb)
    with pytest.raises(FencedError):
        ingest.ingest_anchor(journal.device, 1, Anchor(boot="b", mono_ms=0, wall_ms=0, err_ms=0))
    with pytest.raises(FencedError):
        greet(journal)
    assert Event.objects.count() == Loss.objects.count() == 0


def test_revoked_device_writes_nothing(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    Device.objects.update(state=Device.State.REVOKED)
    with pytest.raises(RevokedError):
        send(journal)


def test_another_event_under_a_held_number_raises_an_alarm_and_changes_nothing(
    journal: JournalScript, member: Member, device: Device
) -> None:
    journal.visit(member.pk)
    greet(journal)
    send(journal)
    other = JournalScript(device.pk)
    other.visit(member.pk, HOUR_MS)
    done = send(other)
    assert {rejection.code for rejection in done.rejections} == {RejectCode.DIGEST_CONFLICT}
    assert done.head == journal.heads[2]
    send(other)
    assert Alert.objects.filter(kind=Alert.Kind.DIGEST_CONFLICT).count() == 2
    assert [event.text.encode() for event in Event.objects.order_by("n")] == journal.texts


def test_declared_loss_moves_the_cursor_and_the_chain(journal: JournalScript, member: Member) -> None:
    for _ in range(3):
        journal.visit(member.pk)
    greet(journal)
    send(journal, 1, 1)
    tomb = Tomb(run=journal.run, first=2, to=4, why=TombReason.CORRUPT, count=3, head=journal.heads[4].hex())
    done = ingest.ingest_tomb(journal.device, 1, tomb)
    assert (done.upto, done.head, done.fresh) == (4, journal.heads[4], 3)
    assert send(journal, 5).head == journal.heads[6]
    again = ingest.ingest_tomb(journal.device, 1, tomb)
    assert (again.upto, again.fresh, again.duplicates) == (6, 0, 3)
    assert [alert.kind for alert in Alert.objects.all()] == [Alert.Kind.LOST_RANGE]


@pytest.mark.parametrize("head", [None, "zz", "aa"])
def test_loss_without_a_head_anchors_the_chain_anew(journal: JournalScript, head: str | None) -> None:
    greet(journal)
    tomb = Tomb(run=journal.run, first=1, to=2, why=TombReason.PRUNED, count=2, head=head)
    assert ingest.ingest_tomb(journal.device, 1, tomb).upto == 2
    kinds = set(Alert.objects.values_list("kind", flat=True))
    assert kinds == {Alert.Kind.LOST_RANGE, Alert.Kind.CHAIN_ANCHORED_ANEW}


def test_what_waits_at_the_device_falls_with_each_batch(journal: JournalScript, member: Member) -> None:
    for tap in range(3):
        journal.visit(member.pk, tap * MINUTE_MS)
    greet(journal)
    Device.objects.update(backlog=6)
    send(journal, 1, 2)
    assert Device.objects.get().backlog == 4
    send(journal, 1, 2)
    assert Device.objects.get().backlog == 4, "what came twice was counted once"
    tomb = Tomb(run=journal.run, first=3, to=4, why=TombReason.PRUNED, count=2, head=journal.heads[4].hex())
    ingest.ingest_tomb(journal.device, 1, tomb)
    assert Device.objects.get().backlog == 2


def test_more_than_was_said_to_wait_leaves_nothing_waiting(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    Device.objects.update(backlog=1)
    send(journal)
    assert Device.objects.get().backlog == 0


def test_loss_beyond_a_gap_is_refused(journal: JournalScript) -> None:
    greet(journal)
    with pytest.raises(GapError):
        ingest.ingest_tomb(journal.device, 1, Tomb(run=journal.run, first=2, to=3, why=TombReason.PRUNED, count=2))


@pytest.mark.parametrize(("first", "to"), [(0, 1), (3, 2), (1, 1 << 60)])
def test_impossible_loss_is_refused(journal: JournalScript, first: int, to: int) -> None:
    greet(journal)
    with pytest.raises(RemoteProtocolError):
        ingest.ingest_tomb(journal.device, 1, Tomb(run=journal.run, first=first, to=to, why=TombReason.PRUNED, count=1))


def test_anchor_corrects_the_time_of_events_and_visits(journal: JournalScript, member: Member) -> None:
    n = journal.grant(member.pk, 10_000, q=ClockQuality.NONE)
    journal.passage(n, 11_000, q=ClockQuality.NONE)
    greet(journal)
    send(journal)
    assert Visit.objects.get().opened_ms == 11_000
    before = Visit.objects.get().uid
    anchor = Anchor(boot=journal.boot, mono_ms=60_000, wall_ms=START_MS + 60_000, err_ms=5)
    for _ in range(2):
        ingest.ingest_anchor(journal.device, 1, anchor)
    visit = Visit.objects.get()
    assert (visit.uid, visit.opened_ms) == (before, START_MS + 11_000)
    event = Event.objects.get(n=1)
    assert (event.corrected_ms, event.wall_ms) == (START_MS + 10_000, 10_000)


def test_anchor_before_its_events_corrects_them_as_they_come(journal: JournalScript, member: Member) -> None:
    journal.grant(member.pk, 10_000, q=ClockQuality.NONE)
    greet(journal)
    ingest.ingest_anchor(journal.device, 1, Anchor(boot=journal.boot, mono_ms=0, wall_ms=START_MS, err_ms=5))
    send(journal)
    assert Visit.objects.get().opened_ms == START_MS + 10_000


def test_synchronised_events_need_no_anchor(journal: JournalScript, member: Member) -> None:
    journal.grant(member.pk, 10_000)
    greet(journal)
    send(journal)
    ingest.ingest_anchor(journal.device, 1, Anchor(boot=journal.boot, mono_ms=0, wall_ms=5, err_ms=5))
    assert Visit.objects.get().opened_ms == START_MS + 10_000


@pytest.mark.parametrize(
    "anchor",
    [
        Anchor(boot="b", mono_ms=-1, wall_ms=0, err_ms=0),
        Anchor(boot="b", mono_ms=0, wall_ms=1 << 70, err_ms=0),
        Anchor(boot="b" * 65, mono_ms=0, wall_ms=0, err_ms=0),
    ],
)
def test_impossible_anchor_is_refused(journal: JournalScript, anchor: Anchor) -> None:
    with pytest.raises(RemoteProtocolError):
        ingest.ingest_anchor(journal.device, 1, anchor)


def test_grant_to_a_member_that_central_does_not_know_is_kept(journal: JournalScript) -> None:
    stranger = uuid7()
    journal.visit(stranger)
    greet(journal)
    assert send(journal).rejections == []
    assert Visit.objects.get().member_id == stranger


def test_visit_that_nobody_ends_is_over_at_the_sites_closing_time(
    journal: JournalScript, member: Member, site: Site
) -> None:
    Site.objects.update(time_zone="UTC", closing_time="23:30")
    journal.visit(member.pk)
    greet(journal)
    send(journal)
    closed_at = Visit.objects.get().closed_at
    assert (closed_at.hour, closed_at.minute) == (23, 30)
