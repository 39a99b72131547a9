"""Frames of both directions, and the events inside them."""

from collections.abc import Iterator

import msgspec

from central.checkins.admission import Admitted, admit, claimed_digest
from tests.fuzz.target import Target, holds
from tests.wire.samples import event_texts, message, spliced
from wire import chain
from wire.codec import Decoder, encode, for_agent, for_central
from wire.errors import LocalProtocolError, RemoteProtocolError
from wire.events import number, read_body, read_event, read_stub, stub
from wire.limits import MAX_FRAME_BYTES
from wire.message import Message
from wire.messages import FROM_AGENT, FROM_CENTRAL
from wire.vocabulary import ShedReason

_MAX_DETAIL = 300
_to_agent, _to_central = for_agent(), for_central()


def _decoded(decoder: Decoder, frame: bytes) -> None:
    try:
        found = decoder.decode(frame)
    except RemoteProtocolError as refusal:
        holds(len(refusal.detail) <= _MAX_DETAIL, "a refusal is short")
        return
    holds(len(frame) <= MAX_FRAME_BYTES, "an oversize frame is refused")
    try:
        again = encode(found)
    except LocalProtocolError:
        return  # another spelling of the same message may be longer than a frame
    holds(decoder.decode(again) == found, "what was decoded is encoded to the same message")


def _seeds(kinds: tuple[type[Message], ...]) -> Iterator[bytes]:
    for kind in kinds:
        for seed in range(2):
            yield encode(message(kind, seed))


def _read_event(data: bytes) -> None:
    """The first byte says which number was expected; the rest is what stands in the frame."""
    n, raw = data[0] if data else 0, data[1:]
    found = admit(n, raw)
    holds(found.n == n, "an event keeps its place, whatever it is")
    holds(len(found.digest) == chain.DIGEST_BYTES, "the chain goes on with a whole digest")
    holds(found.digest == claimed_digest(raw), "a bad event is chained as the device chained it")
    parts = chain.unsplice(raw)
    if parts is not None:
        claimed, text = parts
        holds(chain.splice(text, claimed).lower() == raw.lower(), "splicing gives back what was unspliced")
        _read_text(text)
    if isinstance(found, Admitted):
        found.text.encode()
        if found.event is not None:
            holds(chain.digest(found.text.encode()) == found.digest, "an applied event is what its digest says")


def _read_text(text: bytes) -> None:
    read_stub(text)
    try:
        event = read_event(text)
        read_body(event)
    except msgspec.DecodeError:
        return


def _event_seeds() -> Iterator[bytes]:
    for seed in range(3):
        for n, text in enumerate(event_texts(seed, 7), 1):
            yield bytes([n]) + spliced(text)
    yield b"\x05" + chain.splice(stub(5, ShedReason.QUOTA), chain.digest(b"gone"))
    deep = number(6, b'"kind":"alarm","body":' + b"[" * 40 + b"]" * 40 + b"}")
    yield b"\x06" + spliced(deep)


TARGETS = (
    Target(
        "frames_from_agent",
        "frames that central reads",
        lambda data: _decoded(_to_central, data),
        lambda: _seeds(FROM_AGENT),
    ),
    Target(
        "frames_from_central",
        "frames that an agent reads",
        lambda data: _decoded(_to_agent, data),
        lambda: _seeds(FROM_CENTRAL),
    ),
    Target(
        "events",
        "events inside a frame: splice, text, body, stub",
        _read_event,
        _event_seeds,
    ),
)
