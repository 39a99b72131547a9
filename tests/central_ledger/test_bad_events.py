"""An event that cannot be applied is acknowledged, kept as it came, and blocks nothing behind it."""

import json

import pytest

from central.checkins.models import DeadLetter, Event, Visit
from central.directory.models import Member
from tests.central_ledger.delivery import HOUR_MS, greet, send, send_raws
from tests.fakes.journal_script import JournalScript
from wire import chain
from wire.events import stub
from wire.vocabulary import (
    RejectCode,
    ShedReason,
)

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


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
