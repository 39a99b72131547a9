"""What a device sends is kept exactly once, whatever it is and however often it comes."""

import json
from itertools import permutations
from random import Random
from uuid import UUID

import pytest

from central.checkins import ingest, runs
from central.checkins.ingest import GapError, Ingested, UnknownRunError
from central.checkins.models import Alert, DeadLetter, Event, Loss, Movement, Run, Visit
from central.checkins.visits import EndedBy
from central.devices.fencing import FencedError, RevokedError
from central.devices.ids import uuid7
from central.devices.models import Device, Site
from central.directory.models import Member
from tests.central_ledger.conftest import make_device, make_member
from tests.fakes.journal_script import START_MS, JournalScript, hello
from wire import chain
from wire.errors import RemoteProtocolError
from wire.events import stub
from wire.messages import Anchor, Tomb
from wire.vocabulary import (
    ClockQuality,
    Direction,
    PassageOutcome,
    RejectCode,
    ShedReason,
    TombReason,
)

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def greet(journal: JournalScript, session: int = 1) -> None:
    runs.register(journal.device, session, hello(journal.device, [journal.state()]))


def send(journal: JournalScript, first: int = 1, last: int | None = None, session: int = 1) -> Ingested:
    return ingest.ingest_events(journal.device, session, journal.run, first, journal.raws(first, last))


def send_raws(journal: JournalScript, raws: list[bytes], first: int = 1) -> Ingested:
    return ingest.ingest_events(journal.device, 1, journal.run, first, raws)


def visits_of(member: Member) -> list[tuple[UUID, int, int | None, str]]:
    found = Visit.objects.filter(member=member).order_by("at_ms", "closed_ms")
    return [(visit.uid, visit.opened_ms, visit.closed_ms, visit.ended_by) for visit in found]


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


def test_text_that_is_not_what_its_digest_says_is_a_dead_letter_and_blocks_nothing(
    journal: JournalScript, member: Member
) -> None:
    for tap in range(3):
        journal.visit(member.pk, tap * HOUR_MS)
    greet(journal)
    raws = journal.raws()
    raws[1] = raws[1].replace(b"passed", b"unused")
    done = send_raws(journal, raws)
    assert [(item.n, item.code) for item in done.rejections] == [(2, RejectCode.DIGEST_MISMATCH)]
    assert (done.upto, done.head) == (6, journal.heads[6])
    assert (Event.objects.count(), DeadLetter.objects.get().n) == (5, 2)


def bad_texts() -> dict[str, tuple[bytes, RejectCode]]:
    def event(body: str, *, n: str = "1", kind: str = "alarm", wall_ms: str = "5") -> bytes:
        head = f'{{"n":{n},"kind":"{kind}","boot":"b","mono_ms":5,"wall_ms":{wall_ms},"q":"synced","body":'
        return (head + body + "}").encode()

    deep = "[" * 40 + "]" * 40
    member = '{"of_run":"aa","of_n":1,"outcome":"passed","member":"%s"}'
    malformed = {
        "wrong number": event('{"code":"a"}', n="2"),
        "huge number": event('{"code":"a"}', n="9" * 40),
        "escaped NUL": event('{"code":"a\\u0000"}'),
        "escaped NUL in a name": event('{"code":"a","x\\u0000":1}'),
        "escaped NUL in an unknown field": event('{"code":"a","x":["\\u0000"]}'),
        "bare NUL": event('{"code":"a"}').replace(b'"b"', b'"b\0"'),
        "half a surrogate pair": event('{"code":"a","x":"\\ud800 \\udc00"}'),
        "bad UTF-8": event('{"code":"a","x":"?"}').replace(b"?", b"\xff\xfe"),
        "deep": event('{"code":"a","x":' + deep + "}"),
        "wrong body": event('{"code":5}'),
        "negative time": event('{"code":"a"}', wall_ms="-1"),
        "time that is no date": event('{"code":"a"}', wall_ms="9" * 18),
        "time after the year 9999": event('{"code":"a"}', wall_ms="253402300800000"),
        "passage of a run that cannot be": event(member[:-14].replace("aa", "a" * 33) + "}", kind="passage"),
        "long boot": event('{"code":"a"}').replace(b'"b"', b'"%s"' % (b"b" * 65)),
        "member that is no id": event(member % "jo' OR 1=1", kind="passage"),
        "passage of nothing": event('{"of_run":"aa","of_n":0,"outcome":"passed"}', kind="passage"),
        "no event": b'{"x":1}',
        "empty": b"{}",
    }
    cases = {name: (text, RejectCode.MALFORMED) for name, text in malformed.items()}
    cases["unknown kind"] = (event("{}", kind="hologram"), RejectCode.UNKNOWN_KIND)
    return cases


@pytest.mark.parametrize("name", bad_texts())
def test_bad_event_is_acknowledged_kept_and_blocks_nothing(journal: JournalScript, member: Member, name: str) -> None:
    text, code = bad_texts()[name]
    journal.store_text(text)
    journal.visit(member.pk)
    greet(journal)
    done = send(journal)
    assert [(item.n, item.code) for item in done.rejections] == [(1, code)]
    assert (done.upto, done.head) == (3, journal.heads[3])
    letter = DeadLetter.objects.get()
    assert (bytes(letter.raw), letter.code) == (journal.raws()[0], code)
    assert Visit.objects.count() == 1


@pytest.mark.parametrize("raw", [b"{}", b"17", b'"text"', b'{"n":1}', b'{"digest":"zz","n":1}', b'{"digest":5}'])
def test_element_without_a_digest_is_a_dead_letter(journal: JournalScript, raw: bytes) -> None:
    greet(journal)
    done = send_raws(journal, [raw])
    assert (done.upto, done.rejections[0].code) == (1, RejectCode.MALFORMED)
    assert done.head == chain.link(journal.heads[0], chain.digest(raw))
    assert send_raws(journal, [raw]).rejections[0].code == RejectCode.MALFORMED


def test_digest_in_another_place_is_malformed_but_keeps_the_chain(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    raws = journal.raws()
    sent = json.loads(raws[0])
    raws[0] = json.dumps({"n": 1, **sent}).encode()
    done = send_raws(journal, raws)
    assert [(item.n, item.code) for item in done.rejections] == [(1, RejectCode.MALFORMED)]
    assert done.head == journal.heads[2]


def test_rejection_is_told_again_when_the_event_comes_again(journal: JournalScript) -> None:
    journal.store_text(b'{"n":1,"kind":"hologram","boot":"b","mono_ms":1,"wall_ms":1,"q":"none","body":{}}')
    greet(journal)
    assert send(journal).rejections == send(journal).rejections != []


def test_huge_body_is_kept_whole(journal: JournalScript) -> None:
    detail = "x" * 90_000
    journal.store_text(
        b'{"n":1,"kind":"alarm","boot":"b","mono_ms":1,"wall_ms":1,"q":"none","body":{"code":"a","detail":"%s"}}'
        % detail.encode()
    )
    greet(journal)
    assert send(journal).rejections == []
    assert len(Event.objects.get().text) > 90_000


def test_shed_event_keeps_its_place(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    greet(journal)
    raws = journal.raws()
    raws[0] = chain.splice(stub(1, ShedReason.TOO_LARGE), chain.digest(journal.texts[0]))
    done = send_raws(journal, raws)
    assert (done.rejections, done.head) == ([], journal.heads[2])
    assert Event.objects.get(n=1).kind == "shed"


def test_stub_under_a_wrong_number_is_malformed(journal: JournalScript) -> None:
    greet(journal)
    done = send_raws(journal, [chain.splice(stub(7, ShedReason.QUOTA), b"\0" * 32)])
    assert [item.code for item in done.rejections] == [RejectCode.MALFORMED]


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


def two_doors(site: Site, device: Device, members: list[Member], seed: int) -> list[JournalScript]:
    """Return the journals of an entrance and an exit that members use in turn, with unused and lost ends."""
    random = Random(seed)
    journals = [JournalScript(device.pk), JournalScript(make_device(site, "South door").pk, "00000000000000cc")]
    at_ms = 0
    for _ in range(24):
        at_ms += random.choice([1000, 90_000, 20 * MINUTE_MS, 7 * HOUR_MS])
        journal = random.choice(journals)
        n = journal.grant(random.choice(members).pk, at_ms, random.choice(list(Direction)))
        journal.passage(n, at_ms + 500, random.choice(list(PassageOutcome)))
    return journals


VISIT = [field.attname for field in Visit._meta.concrete_fields if not field.primary_key]


def delivered(journals: list[JournalScript], order: list[tuple[int, int]]) -> list[object]:
    """Deliver batches in an order and return the visits, then forget it all."""
    for journal in journals:
        greet(journal)
    for which, first in order:
        send(journals[which], first, first + 4)
    rows: list[object] = list(Visit.objects.order_by("device", "run", "n").values_list(*VISIT))
    for model in (Movement, Event, Run):
        model._default_manager.all().delete()
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_visits_do_not_depend_on_the_order_in_which_doors_deliver(site: Site, device: Device, seed: int) -> None:
    members = [make_member(site, name) for name in ("Ann", "Bob")]
    journals = two_doors(site, device, members, seed)
    batches = [(which, first) for which, journal in enumerate(journals) for first in range(1, journal.last + 1, 5)]
    expected = delivered(journals, batches)
    assert expected
    random = Random(seed)
    for _ in range(3):
        doors = random.sample([which for which, _ in batches], len(batches))
        ranges = [iter([batch for batch in batches if batch[0] == which]) for which in (0, 1)]
        assert delivered(journals, [next(ranges[which]) for which in doors]) == expected


def test_visits_do_not_depend_on_the_order_of_runs(device: Device, site: Site) -> None:
    member = make_member(site, "Ann")
    first = JournalScript(device.pk)
    n = first.grant(member.pk, 0, Direction.TOGGLE)
    second = first.next_run("00000000000000bb")
    second.passage(n, 5000, PassageOutcome.UNKNOWN, of_run=first.run)
    swallowed = second.grant(member.pk, HOUR_MS, Direction.TOGGLE)
    third = second.next_run("00000000000000cc")
    third.passage(swallowed, 2 * HOUR_MS, PassageOutcome.UNUSED, of_run=second.run)
    third.grant(member.pk, 3 * HOUR_MS, Direction.OUT)
    results = []
    for order in permutations(range(3)):
        results.append(delivered([first, second, third], [(which, 1) for which in order]))
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 1
