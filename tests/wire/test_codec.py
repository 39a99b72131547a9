"""Frames to messages and back, and what becomes of frames that are none."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import samples
from wire import codec
from wire.errors import LocalProtocolError, RemoteProtocolError
from wire.limits import MAX_FRAME_BYTES, MAX_INTEGER
from wire.message import Message
from wire.messages import FROM_AGENT, FROM_CENTRAL, Ack, Bye, Error, Events, Heartbeat
from wire.transfer import DirGot
from wire.vocabulary import ClockQuality, CloseCode, ErrorCode

pytestmark = pytest.mark.unit

FOR_CENTRAL = codec.for_central()
FOR_AGENT = codec.for_agent()


def refusal(decoder: codec.Decoder, frame: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(frame)
    return caught.value


@given(samples.from_agent)
def test_what_an_agent_sends_arrives_unchanged(message: Message) -> None:
    assert FOR_CENTRAL.decode(codec.encode(message)) == message


@given(samples.from_central)
def test_what_central_sends_arrives_unchanged(message: Message) -> None:
    assert FOR_AGENT.decode(codec.encode(message)) == message


@pytest.mark.parametrize("kind", dict.fromkeys(FROM_AGENT + FROM_CENTRAL), ids=lambda kind: str(kind.type))
def test_every_type_of_message_survives_the_link(kind: type[Message]) -> None:
    decoder = FOR_CENTRAL if kind in FROM_AGENT else FOR_AGENT
    for seed in range(5):
        message = samples.message(kind, seed)
        assert decoder.decode(codec.encode(message)) == message


@given(samples.runs, st.integers(1, MAX_INTEGER))
def test_events_arrive_byte_for_byte_as_they_were_spliced(found: list[bytes], first: int) -> None:
    sent = [samples.spliced(text) for text in found]
    message = FOR_CENTRAL.decode(codec.encode_events("5f0c", first, sent))
    assert isinstance(message, Events)
    assert (message.run, message.first, [bytes(raw) for raw in message.ev]) == ("5f0c", first, sent)


def test_unknown_fields_are_ignored() -> None:
    frame = b'{"v":9,"type":"dir.got","payload":{"snap":"s","i":3,"later":{"a":[1]}}}'
    assert FOR_CENTRAL.decode(frame) == DirGot(snap="s", i=3)


def test_the_order_of_type_and_payload_does_not_matter() -> None:
    assert FOR_AGENT.decode(b'{"payload":{"code":1012},"type":"bye"}') == Bye(code=1012)


def test_the_last_of_two_equal_fields_counts() -> None:
    assert FOR_AGENT.decode(b'{"type":"bye","payload":{"code":1,"code":2}}') == Bye(code=2)


def test_two_types_in_one_frame_are_refused() -> None:
    frame = b'{"type":"dir.got","type":"bye","payload":{"snap":"","i":1}}'
    assert refusal(FOR_CENTRAL, frame).code == ErrorCode.MALFORMED


@pytest.mark.parametrize("decoder", [FOR_CENTRAL, FOR_AGENT])
def test_an_unknown_type_is_named_and_the_connection_stays(decoder: codec.Decoder) -> None:
    refused = refusal(decoder, b'{"type":"pres.guess","payload":{}}')
    assert (refused.code, refused.close) == (ErrorCode.UNKNOWN_TYPE, None)
    assert "'pres.guess'" in refused.detail


def test_an_unknown_type_is_shown_short_and_escaped() -> None:
    refused = refusal(FOR_CENTRAL, json.dumps({"type": "\x1b[2J" + "x" * 500, "payload": {}}).encode())
    assert refused.code == ErrorCode.UNKNOWN_TYPE
    assert len(refused.detail) < 120
    assert refused.detail.isprintable()


def test_messages_of_the_other_direction_are_unknown() -> None:
    ack = Ack(run="r", upto=1, head="", window=1)
    assert refusal(FOR_CENTRAL, codec.encode(ack)).code == ErrorCode.UNKNOWN_TYPE


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"snap":1,"i":1}',
        b'{"snap":"s","i":"1"}',
        b'{"snap":"s","i":-1}',
        b'{"snap":"s","i":1.5}',
        b'{"snap":"s","i":1e400}',
        b'{"snap":"s","i":9007199254740992}',
        b'{"snap":"s","i":' + b"9" * 5000 + b"}",
        b'{"snap":"\xff","i":1}',
        b'{"snap":"\\ud800\\u0041","i":1}',
    ],
)
def test_a_wrong_payload_is_refused_by_name_or_closes(payload: bytes) -> None:
    refused = refusal(FOR_CENTRAL, b'{"type":"dir.got","payload":' + payload + b"}")
    assert refused.code == ErrorCode.MALFORMED
    assert refused.close in (None, CloseCode.PROTOCOL)
    assert len(refused.detail) <= 200


def test_a_wrong_field_is_named_and_the_connection_stays() -> None:
    refused = refusal(FOR_CENTRAL, b'{"type":"dir.got","payload":{"snap":"s","i":"1"}}')
    assert refused.close is None
    assert "dir.got" in refused.detail
    assert "$.payload.i" in refused.detail


def test_a_missing_payload_is_refused() -> None:
    assert refusal(FOR_CENTRAL, b'{"type":"dir.got"}').code == ErrorCode.MALFORMED


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"payload":{}}',
        b'{"type":1}',
        b'{"type":"\xff"}',
        b'{"type":"bye","payload":{"code":1}}{}',
        b'{"type":"bye","payload":NaN}',
        b'\xef\xbb\xbf{"type":"bye","payload":{"code":1}}',
    ],
)
def test_what_is_no_envelope_closes(frame: bytes) -> None:
    refused = refusal(FOR_CENTRAL, frame)
    assert (refused.code, refused.close) == (ErrorCode.MALFORMED, CloseCode.PROTOCOL)


@pytest.mark.parametrize(
    "where", ['{"type":"events","payload":{"run":"r","from":1,"ev":[%s]}}', '{"type":"x","payload":%s}', '{"later":%s}']
)
def test_a_frame_that_nests_too_deep_closes(where: str) -> None:
    refused = refusal(FOR_CENTRAL, (where % ("[" * 50_000 + "]" * 50_000)).encode())
    assert (refused.code, refused.close) == (ErrorCode.TOO_DEEP, CloseCode.PROTOCOL)


def test_a_frame_above_the_limit_closes_unparsed() -> None:
    frame = codec.encode(Error(code=ErrorCode.INTERNAL)).ljust(MAX_FRAME_BYTES)
    assert FOR_CENTRAL.decode(frame) == Error(code=ErrorCode.INTERNAL)
    refused = refusal(FOR_CENTRAL, frame + b" ")
    assert (refused.code, refused.close) == (ErrorCode.TOO_LARGE, CloseCode.TOO_LARGE)
    assert str(MAX_FRAME_BYTES + 1) in refused.detail


def test_a_decoder_may_have_a_limit_of_its_own() -> None:
    small = codec.Decoder(FROM_AGENT, frame_bytes=10)
    assert refusal(small, b'{"type":"bye"}').code == ErrorCode.TOO_LARGE


def test_we_do_not_send_a_frame_above_the_limit() -> None:
    with pytest.raises(LocalProtocolError, match=r"error of \d+ bytes exceeds the frame limit of 131072"):
        codec.encode(Error(code=ErrorCode.INTERNAL, detail="x" * MAX_FRAME_BYTES))


def test_defaults_are_left_out_of_a_frame() -> None:
    beat = Heartbeat(mono_ms=1, wall_ms=2, q=ClockQuality.SYNCED, backlog=0)
    frame = json.loads(codec.encode(beat))
    assert frame == {"type": "heartbeat", "payload": {"mono_ms": 1, "wall_ms": 2, "q": "synced", "backlog": 0}}


def is_message_or_refusal(frame: bytes) -> bool:
    try:
        FOR_CENTRAL.decode(frame)
    except RemoteProtocolError as refused:
        return refused.code in (ErrorCode.MALFORMED, ErrorCode.UNKNOWN_TYPE)
    return True


@given(samples.from_agent, samples.seeds)
def test_a_message_with_other_values_in_it_is_a_message_or_a_refusal(message: Message, seed: int) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(message))
    for name in payload:
        payload[name] = samples.json_value(seed + len(name))
    assert is_message_or_refusal(msgspec.json.encode({"type": message.type, "payload": payload}))


@given(samples.from_agent, st.integers(0), st.integers(0, 255))
def test_a_damaged_frame_is_a_message_or_a_refusal(message: Message, at: int, byte: int) -> None:
    frame = bytearray(codec.encode(message))
    frame[at % len(frame)] = byte
    assert is_message_or_refusal(bytes(frame))


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_a_refusal(frame: bytes) -> None:
    assert is_message_or_refusal(frame)
