"""Frames to messages and back, within limits.

Each side makes one `Decoder` for the messages that the other side may send. The common case is one pass of msgspec;
only a frame that fails is looked at again to say what is wrong with it.
"""

from typing import Any, Final

import msgspec

from wire.errors import LocalProtocolError, RemoteProtocolError
from wire.limits import MAX_FRAME_BYTES
from wire.message import Message
from wire.messages import FROM_AGENT, FROM_CENTRAL, Events
from wire.vocabulary import CloseCode, ErrorCode

_DETAIL_CHARS: Final = 200


class _Envelope(msgspec.Struct):
    type: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


def _frame_of(message: type[Message]) -> type[msgspec.Struct]:
    name = f"{message.__name__}Frame"
    return msgspec.defstruct(name, [("payload", message)], tag_field="type", tag=message.type, frozen=True)


class Decoder:
    """Turns frames of one direction into messages; immutable after construction, safe to share."""

    def __init__(self, messages: tuple[type[Message], ...], *, frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._frame_bytes = frame_bytes
        self._known = {message.type for message in messages}
        union: Any = _frame_of(messages[0])
        for message in messages[1:]:
            union = union | _frame_of(message)
        self._decoder = msgspec.json.Decoder(union)
        self._envelope = msgspec.json.Decoder(_Envelope)

    def decode(self, frame: bytes) -> Message:
        """Return the message in a frame.

        Raise RemoteProtocolError: `too_large` and `too_deep` close the connection, so does a frame that is no
        envelope; an unknown type or a payload with a wrong field is answered with `error` and the connection stays.
        """
        if len(frame) > self._frame_bytes:
            detail = f"frame of {len(frame)} bytes, the limit is {self._frame_bytes}"
            raise RemoteProtocolError(ErrorCode.TOO_LARGE, detail, close=CloseCode.TOO_LARGE)
        try:
            try:
                decoded: Any = self._decoder.decode(frame)
            except (msgspec.DecodeError, UnicodeDecodeError) as fault:
                raise self._explain(frame, fault) from fault
        except RecursionError as fault:
            raise RemoteProtocolError(ErrorCode.TOO_DEEP, "frame nests too deep", close=CloseCode.PROTOCOL) from fault
        message: Message = decoded.payload
        return message

    def _explain(self, frame: bytes, fault: Exception) -> RemoteProtocolError:
        try:
            envelope = self._envelope.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as broken:
            return RemoteProtocolError(
                ErrorCode.MALFORMED, f"not an envelope: {broken}"[:_DETAIL_CHARS], close=CloseCode.PROTOCOL
            )
        if envelope.type not in self._known:
            shown = ascii(envelope.type[:40])
            return RemoteProtocolError(ErrorCode.UNKNOWN_TYPE, f"message type {shown} is not known here")
        return RemoteProtocolError(ErrorCode.MALFORMED, f"{envelope.type}: {fault}"[:_DETAIL_CHARS])


_encoder: Final = msgspec.json.Encoder()


def encode(message: Message, *, frame_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """Return the frame of a message; raise LocalProtocolError above `frame_bytes`."""
    frame = b'{"type":"%s","payload":%s}' % (message.type.encode(), _encoder.encode(message))
    if len(frame) > frame_bytes:
        raise LocalProtocolError(f"{message.type} of {len(frame)} bytes exceeds the frame limit of {frame_bytes}")
    return frame


def encode_events(run: str, first: int, spliced: list[bytes]) -> bytes:
    """Return an `events` frame around texts made by `chain.splice`, byte for byte as they are stored."""
    return b'{"type":"%s","payload":{"run":"%s","from":%d,"ev":[%s]}}' % (
        Events.type.encode(), run.encode(), first, b",".join(spliced),
    )  # fmt: skip


def for_central() -> Decoder:
    """Return the decoder of what agents send."""
    return Decoder(FROM_AGENT)


def for_agent() -> Decoder:
    """Return the decoder of what central sends."""
    return Decoder(FROM_CENTRAL)
