"""What comes from the street side: readers, PC/SC answers and states, spellings of credentials."""

from collections.abc import Iterator

from agent.core import station as core
from agent.core.effects import Effect, Misread, Presented, Record, Recorded, Show, Unlock
from agent.core.screen import State as ScreenState
from agent.core.types import EventId, Facts
from agent.reading import ReaderPlace, fault_of, plain_of, read_of
from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Removed, Scan
from hardware.readers.slots import Selector, read_answer
from tests.core.builders import DIRECTORY, now, row
from tests.fuzz.target import Cursor, Target, ViolationError, holds
from wire.credentials import CredentialError, check_canonical, credential_key
from wire.events import DecisionBody, write_tail
from wire.events import Stamp as EventStamp
from wire.forms import FORMS, forms, read_form
from wire.vocabulary import ClockQuality, CredentialKind, Direction, Outcome
from wire.wiegand import wiegand_data

KEY = bytes(range(32))
KNOWN_UID = bytes.fromhex("04A1B2C3D4E5F6")
_PLACES = {"in": ReaderPlace("in", Direction.IN), "out": ReaderPlace("out", Direction.OUT)}
_KNOWN = credential_key(KEY, CredentialKind.HF_UID, KNOWN_UID)
_MAX_TEXT_BYTES = 4096


def _events(cursor: Cursor) -> Iterator[ReaderEvent]:
    at_ms = 0
    while not cursor.is_over:
        at_ms += cursor.number(2)
        reader = cursor.choice(("in", "out", "in.0", "in.7"))
        match cursor.number() % 4:
            case 0:
                yield Scan(reader, Medium.CARD_UID, cursor.text(), at_ms)
            case 1:
                yield Scan(reader, Medium.QR, cursor.text(), at_ms)
            case 2:
                detail = cursor.text().decode("latin-1")
                yield ReaderFault(reader, cursor.choice(tuple(FaultReason)), at_ms, detail)
            case _:
                yield read_answer(reader, cursor.text(), at_ms)


def _present(data: bytes) -> None:
    """Whatever is presented, only the one known card opens, and no event holds what was presented."""
    door = core.Door("North", run="00000000000000aa", pulse_ms=3_000)
    state = core.start(door, frozenset({"in", "out"}))
    for event in _events(Cursor(data)):
        place = _PLACES[event.reader.partition(".")[0]]
        if isinstance(event, Removed):
            continue
        if isinstance(event, ReaderFault):
            state, effects = core.step(state, fault_of(event, place, now(event.at_mono_ms)))
            _check(effects, is_known=False, secret=b"")
            continue
        plain = plain_of(event, now(event.at_mono_ms))
        if isinstance(plain, Misread):
            state, effects = core.step(state, plain)
            _check(effects, is_known=False, secret=event.data)
            continue
        read = read_of(plain, place, KEY)
        known = row(key=_KNOWN) if read.credential.key == _KNOWN else None
        is_known = event.medium is Medium.CARD_UID and event.data == KNOWN_UID
        holds((known is not None) == is_known, "two credentials never share a key")
        facts = Facts(read, now(event.at_mono_ms), DIRECTORY, known)
        state, effects = core.step(state, Presented(facts))
        _check(effects, is_known=is_known, secret=event.data)
        state = _answered(state, effects, event.at_mono_ms)


def _answered(state: core.Station, effects: list[Effect], at_ms: int) -> core.Station:
    for effect in effects:
        if isinstance(effect, Record):
            state, _ = core.step(state, Recorded(effect.then, EventId("00000000000000aa", 1), now(at_ms)))
    return state


def _check(effects: list[Effect], *, is_known: bool, secret: bytes) -> None:
    for effect in effects:
        match effect:
            case Unlock():
                raise ViolationError("nothing opens before the record is durable")
            case Show(screen):
                holds(screen.state is not ScreenState.GRANTED_IN, "nothing turns green before the record is durable")
            case Record(kind=kind, body=body):
                granted = isinstance(body, DecisionBody) and body.outcome is Outcome.GRANT
                holds(is_known or not granted, "an unknown credential is never granted")
                text = write_tail(kind, EventStamp("b" * 32, 1, 1, ClockQuality.SYNCED), body)
                holds(len(secret) < 4 or secret.hex().encode() not in text.lower(), "no event holds card bytes")
            case _:
                pass


def _presentations() -> Iterator[bytes]:
    for data in (KNOWN_UID, bytes(4), bytes.fromhex("04A1B2C3"), bytes(range(40))):
        yield b"\x10\x00\x00\x00" + len(data).to_bytes(2) + data
    yield b"\x10\x00\x01\x01\x00\x09unlock(1)" + b"\x01\x00\x02\x02\x00\x03abc\x04"
    yield b"\x10\x00\x00\x03\x00\x09" + KNOWN_UID + b"\x90\x00" + b"\x20\x00\x00\x03\x00\x02\x6a\x81"


def _choose(data: bytes) -> None:
    """Names of plugged readers, NUL between, a line for each look: a bound reader never turns into its neighbour."""
    cursor = Cursor(data)
    index = cursor.choice((None, 0, 1))
    selector = Selector("in", "ACR", index)
    bound: set[str] = set()
    for line in cursor.rest().decode("latin-1").split("\n")[:50]:
        names = line.split("\0")[:32]
        chosen = selector.choose(names)
        holds(set(chosen) <= set(names), "only what is plugged in is chosen")
        holds(all("ACR" in name for name in chosen), "only what matches is chosen")
        if index is None:
            holds(len(set(chosen.values())) == len(chosen), "every slot has its own name")
        else:
            holds(len(chosen) <= 1, "one reader is one reader")
            bound |= set(chosen)


def _looks() -> Iterator[bytes]:
    yield b"\x00ACR122U 0\0ACR122U 1\nACR122U 1\n\nOther\0ACR122U 0\0ACR122U 1"
    yield b"\x01ACR122U 0\0ACR122U 1\nACR122U 1\nACR122U 0"
    yield b"\x02ACR122U 0\nACR122U 0\0ACR122U 1"


def _spell(data: bytes) -> None:
    """The first bytes choose a kind and a form, or a Wiegand length; the rest is a spelling."""
    cursor = Cursor(data)
    kind = cursor.choice(tuple(CredentialKind))
    form = cursor.choice(FORMS[kind])
    text = cursor.rest().decode("latin-1")
    try:
        canonical = read_form(kind, form.name, text)
    except CredentialError as refusal:
        holds(len(str(refusal)) <= 400, "a refusal is short")
    else:
        spelled = forms(kind, canonical)
        holds(read_form(kind, form.name, spelled[form.name]) == canonical, "one spelling is one card")
        _reread(kind, spelled, canonical)
    _frame(text)
    _canonical(kind, data[2:])


def _reread(kind: CredentialKind, spelled: dict[str, str], canonical: bytes) -> None:
    for form in FORMS[kind]:
        if form.read is not None:
            holds(form.read(spelled[form.name]) == canonical, "every whole form names the same card")


def _frame(text: str) -> None:
    try:
        bits, data = wiegand_data(text)
    except CredentialError:
        return
    holds(0 <= data < 1 << bits - 2, "a frame holds no more than its data bits")


def _canonical(kind: CredentialKind, data: bytes) -> None:
    try:
        check_canonical(kind, data)
    except CredentialError as refusal:
        holds(len(str(refusal)) <= _MAX_TEXT_BYTES * 10, "a refusal is bounded")
        return
    _reread(kind, forms(kind, data), data)


def _spellings() -> Iterator[bytes]:
    examples = {
        CredentialKind.HF_UID: KNOWN_UID,
        CredentialKind.LF_EM4100: bytes.fromhex("0102030405"),
        CredentialKind.LF_HID: bytes.fromhex("1A123456"),
        CredentialKind.PASS_SIGNED: bytes(range(16)),
        CredentialKind.PASS_ROTATING: bytes(range(32)),
        CredentialKind.QR_STATIC: "Grüße 42".encode(),
    }
    for at, kind in enumerate(CredentialKind):
        for place, form in enumerate(FORMS[kind]):
            yield bytes([at, place]) + form.write(examples[kind]).encode("latin-1", "replace")


TARGETS = (
    Target("presentation", "what readers report", _present, _presentations),
    Target("reader_names", "names that the PC/SC daemon gives", _choose, _looks),
    Target("credential", "spellings of credentials, Wiegand frames", _spell, _spellings),
)
