"""What readers type and send: keys of a scanner, bytes of a serial line, pulses on two wires."""

from collections.abc import Iterator

from hardware.base import Medium, ReaderEvent, ReaderFault, Scan
from hardware.profiles import GpioInput
from hardware.readers.framing import Characters, Framing, Identity, Terminator
from hardware.readers.keys import KeyMoved
from hardware.readers.layouts import LayoutName
from hardware.readers.osdp_cards import read_card
from hardware.readers.serial_codes import Received, SerialCodes
from hardware.readers.wedge import Wedge
from hardware.readers.wiegand_frames import FRAME_BITS, Edge, Pulses, WiegandFrames
from hardware.replay import replay
from hardware.traces import TraceError, read_trace, write_trace
from tests.fuzz.target import Cursor, Target, holds
from tests.hardware.sessions import FOLDER
from tests.hardware.typist import ENTER, Typist
from wire.wiegand import wiegand_data, wiegand_frame

_MIN, _MAX, _GAP_MS = 4, 32, 100
_IDENTITY = Identity("in", Medium.QR)


def _framing(cursor: Cursor) -> Framing:
    return Framing(
        terminator=cursor.choice(tuple(Terminator)),
        gap_ms=_GAP_MS,
        min_length=_MIN,
        max_length=_MAX,
        characters=cursor.choice(tuple(Characters)),
        per_second=50,
    )


def _type(data: bytes) -> None:
    """Any keys at any pace: no code is longer than what was pressed without a pause, and no fault quotes a code."""
    cursor = Cursor(data)
    framing, layout = _framing(cursor), cursor.choice(tuple(LayoutName))
    wedge = Wedge(_IDENTITY, framing, layout, 0, caps_lock=bool(cursor.number() & 1))
    at_ms, pressed, last_ms = 0, 0, 0
    while not cursor.is_over:
        what, code = cursor.number(), cursor.number()
        at_ms += cursor.number() * 2
        if what % 16 == 15:
            check(wedge.tick(at_ms), framing, pressed)
            continue
        if what % 16 == 14:
            check(wedge.overrun(at_ms), framing, pressed)
            last_ms = at_ms
            continue
        if what % 3 == 1 and at_ms - last_ms > _GAP_MS:
            check(wedge.tick(at_ms), framing, pressed)
            pressed = 0
        if what % 3 == 1:
            last_ms, pressed = at_ms, pressed + 1
        check(wedge.key(code, what % 3, at_ms), framing, pressed)
    check(wedge.abandon(at_ms), framing, pressed)


def check(events: list[ReaderEvent], framing: Framing, given: int) -> None:
    """Hold what is true of everything that a framing lets out, after so many characters without a pause."""
    for event in events:
        if isinstance(event, Scan):
            text = event.data.decode()
            holds(framing.min_length <= len(text) <= framing.max_length, "a code has its length")
            holds(all(framing.characters.has(character) for character in text), "a code has its characters")
            holds(len(text) <= given, "no character is invented, and none comes from before a pause")
        elif isinstance(event, ReaderFault):
            holds(len(event.detail) <= 80, "a fault is short")


def _typed() -> Iterator[bytes]:
    for at, layout in enumerate(LayoutName):
        typist = Typist(layout, at_ms=0)
        keys = [*typist.line("12345678"), *typist.text("Ab-0^"), *typist.stroke(ENTER)]
        yield bytes([0, 2, at, 0]) + _told(keys)
    yield bytes([2, 0, 0, 1]) + _told([*Typist(LayoutName.US, at_ms=0).text("1234")]) + b"\x0f\x00\xff"


def _told(keys: list[KeyMoved]) -> bytes:
    told, last_ms = b"", 0
    for key in keys:
        told += bytes([key.value, key.code, min(255, (key.at_mono_ms - last_ms) // 2)])
        last_ms = key.at_mono_ms
    return told


def _send(data: bytes) -> None:
    """Any bytes at any pace: the same holds, and cut otherwise they say the same."""
    cursor = Cursor(data)
    framing = _framing(cursor)
    line = SerialCodes(_IDENTITY, framing, 0)
    at_ms, given, last_ms = 0, 0, 0
    while not cursor.is_over:
        at_ms += cursor.number() * 2
        piece = cursor.take(cursor.number() % 32)
        if at_ms - last_ms > _GAP_MS:
            check(line.tick(at_ms), framing, given)
            given = 0
        if piece:
            last_ms, given = at_ms, given + len(piece)
            check(line.take(Received(piece, at_ms)), framing, given)
    check(line.abandon(at_ms), framing, given)


def _sent() -> Iterator[bytes]:
    for text in ("12345678\r\n", "Grüße 42\n", "1234\x13\x005678\r12345678\r", "\ud7ff\t1234\t"):
        data = text.encode()
        yield bytes([0, 2, 100, len(data) % 32]) + data + b"\xff\x00"
        yield bytes([1, 2, 100, 4]) + data[:4] + bytes([10, len(data) - 4]) + data[4:]


def _pulse(data: bytes) -> None:
    """Any edges at any pace, stragglers among them: what is read has a length of its own and both parities."""
    cursor = Cursor(data)
    by = WiegandFrames(_IDENTITY, Pulses(per_second=50), 0)
    at_us, falls = 0, 0
    while not cursor.is_over:
        what = cursor.number()
        at_us = max(0, at_us + (cursor.number() - (16 if what & 4 else 0)) * (500 if what & 8 else 10))
        falls += what & 1
        events = by.tick(at_us // 1000) if what & 16 else by.take(Edge(what >> 1 & 1, bool(what & 1), at_us))
        for event in events:
            if isinstance(event, Scan):
                bits = event.data.decode()
                holds(wiegand_data(bits)[0] in FRAME_BITS and len(bits) <= falls, "no bit is invented")
        holds(len(by._edges) <= 4 * max(FRAME_BITS), "noise takes no memory")


def _pulsed() -> Iterator[bytes]:
    for bits, number in ((26, 0x760643), (34, 1), (37, 0x123456789)):
        told = b"\x01\xff\x00\x05" * 20
        for bit in wiegand_frame(bits, number):
            told += bytes([int(bit) << 1 | 1, 50, int(bit) << 1, 5])
        yield told + b"\x18\xff" * 2


def _show(data: bytes) -> None:
    """Any bits of any length: a card has one of our lengths and its parities, or whole bytes."""
    cursor = Cursor(data)
    identity = cursor.choice((Identity("in", Medium.HID, "wiegand"), Identity("in", Medium.CARD_UID, "hex"), _IDENTITY))
    count = cursor.number(2)
    event = read_card(identity, FRAME_BITS, cursor.rest(), count, 0)
    if isinstance(event, Scan) and identity.form == "wiegand":
        holds(wiegand_data(event.data.decode())[0] == count, "a frame has its length and its parities")
    elif isinstance(event, Scan):
        spelled = 2 if identity.form == "hex" else 1
        holds(8 * len(event.data) == count * spelled, "no bit is invented")


def _shown() -> Iterator[bytes]:
    for bits, number in ((26, 0x760643), (34, 1), (37, 0x123456789)):
        frame = wiegand_frame(bits, number)
        yield bytes([0, 0, bits]) + int(frame.ljust(-(-bits // 8) * 8, "0"), 2).to_bytes(-(-bits // 8))
    yield bytes([1, 0, 32]) + bytes.fromhex("04A1B2C3")
    yield bytes([2, 0, 64]) + b"12345678"


def _trace(data: bytes) -> None:
    """Any text: a trace that is read is written and read the same, and its replay ends in events or a refusal."""
    try:
        trace = read_trace(data.decode("latin-1"))
        holds(read_trace(write_trace(trace)) == trace, "a trace that is written is read the same")
        if not isinstance(trace.part, GpioInput):
            replay(trace)
    except TraceError as refusal:
        holds(len(str(refusal)) <= 400, "a refusal is short")


def _traces() -> Iterator[bytes]:
    for path in sorted(FOLDER.glob("*.trace")):
        yield path.read_bytes()[:2048].rpartition(b"\n")[0]


TARGETS = (
    Target("keys", "keys that a scanner presses", _type, _typed),
    Target("serial", "bytes that a serial scanner sends", _send, _sent),
    Target("wiegand", "edges on two wires", _pulse, _pulsed),
    Target("shown_bits", "cards that an OSDP reader sends", _show, _shown),
    Target("trace", "recorded sessions", _trace, _traces),
)
