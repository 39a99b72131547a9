"""The text of an event: written once, read by kind, refused where it is none."""

import json

import msgspec
import pytest
from hypothesis import given

from tests.wire import samples
from wire import events
from wire.events import BODIES, AlarmBody, Stamp, Stub
from wire.limits import MAX_EVENT_DEPTH
from wire.vocabulary import ClockQuality, EventKind, ShedReason

pytestmark = pytest.mark.unit

AT = Stamp(boot="b", mono_ms=5, wall_ms=6, q=ClockQuality.NONE)


def text_with(**fields: object) -> bytes:
    event = {"n": 1, "kind": "alarm", "boot": "b", "mono_ms": 5, "wall_ms": 6, "q": "none", "body": {"code": "c"}}
    return json.dumps({**event, **fields}).encode()


@given(samples.runs)
def test_an_event_reads_as_it_was_written(texts: list[bytes]) -> None:
    for n, text in enumerate(texts, start=1):
        event = events.read_event(text)
        body = events.read_body(event)
        at = Stamp(event.boot, event.mono_ms, event.wall_ms, event.q, event.err_ms)
        assert body is not None
        assert event.n == n
        assert events.number(n, events.write_tail(EventKind(event.kind), at, body)) == text


def test_every_kind_has_a_body() -> None:
    assert set(BODIES) == set(EventKind)


def test_the_number_comes_first_and_defaults_are_left_out() -> None:
    text = events.number(12, events.write_tail(EventKind.ALARM, AT, AlarmBody(code="c")))
    assert text == b'{"n":12,"kind":"alarm","boot":"b","mono_ms":5,"wall_ms":6,"q":"none","body":{"code":"c"}}'


def test_a_kind_of_a_later_version_has_no_body_here() -> None:
    assert events.read_body(events.read_event(text_with(kind="levitation"))) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[1]",
        b'"text"',
        b"{}",
        b"{}" * 2,
        text_with(n=0),
        text_with(n=-1),
        text_with(n=2**53),
        text_with(n="1"),
        text_with(mono_ms=1.5),
        text_with(wall_ms=-1),
        text_with(q="certain"),
        text_with(boot=None),
        text_with(boot="?").replace(b"?", b"\xff"),
        text_with() + b" {}",
        text_with()[:-1],
    ],
)
def test_a_text_that_is_no_event_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        events.read_event(text)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"code":1}', b'{"code":"\xff"}'])
def test_a_body_that_does_not_fit_its_kind_is_refused(body: bytes) -> None:
    event = events.read_event(text_with(body=0).replace(b'"body": 0', b'"body":' + body))
    with pytest.raises(msgspec.DecodeError):
        events.read_body(event)


def nested(levels: int) -> bytes:
    return text_with(body=0).replace(b'"body": 0', b'"body":{"a":' + b"[" * levels + b"]" * levels + b"}")


def test_an_event_may_nest_up_to_the_limit_and_no_deeper() -> None:
    assert events.read_event(nested(MAX_EVENT_DEPTH - 2)).n == 1
    with pytest.raises(msgspec.ValidationError, match="deeper than 32 levels"):
        events.read_event(nested(MAX_EVENT_DEPTH - 1))
    with pytest.raises(msgspec.ValidationError, match="deeper than 32 levels"):
        events.read_event(nested(60_000))


def test_brackets_in_a_string_are_no_depth() -> None:
    assert events.read_event(text_with(boot='{["\\' * 40)).boot == '{["\\' * 40


def test_a_wide_event_is_not_a_deep_one() -> None:
    assert events.read_event(text_with(body={"code": "c", "later": [[]] * 100})).n == 1


@pytest.mark.parametrize("why", ShedReason)
def test_a_stub_is_known_as_one(why: ShedReason) -> None:
    assert events.read_stub(events.stub(7, why)) == Stub(7, why)


@pytest.mark.parametrize(
    "text",
    [
        text_with(),
        text_with(shed=next(iter(ShedReason))),
        b"[]",
        b'{"n":1,"shed":"\xff"}',
        b'{"n":1,"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        b'{"n":1,"shed":"boredom"}',
    ],
)
def test_nothing_else_passes_for_a_stub(text: bytes) -> None:
    assert events.read_stub(text) is None
