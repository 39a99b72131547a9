"""What a person at the door is shown: state, public code, light and tone, never a name or a card's digits.

The full reason is for staff. The public code says no more than the person needs: everyone who is not valid here reads
the same D2, whatever the cause.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from wire.vocabulary import Direction, Reason


class State(StrEnum):
    """What the kiosk page is in; each has its own words, shape and ground."""

    STARTING = "starting"
    IDLE = "idle"
    READING = "reading"
    GRANTED_IN = "granted_in"
    GRANTED_OUT = "granted_out"
    CHECKED_IN = "checked_in"
    DENIED = "denied"
    ONE_AT_A_TIME = "one_at_a_time"
    STAFF_CALLED = "staff_called"
    STAFF_AWAY = "staff_away"
    CLOSED = "closed"
    HELD_OPEN = "held_open"
    FIRE = "fire"
    DOOR_ALARM = "door_alarm"
    IDENTIFY = "identify"
    DESK = "desk"
    CAPTURE = "capture"
    CARD_READ = "card_read"
    CARD_UNASKED = "card_unasked"
    CARD_UNFIT = "card_unfit"
    OUT_OF_SERVICE = "out_of_service"


class PublicCode(StrEnum):
    """The code under a denial or a fault, the same in every language."""

    TRY_AGAIN = "D1"
    NOT_VALID_HERE = "D2"
    NOT_OPEN_NOW = "D3"
    CODE_EXPIRED = "D4"
    FULL = "D5"
    STAFF_COMING = "D6"
    READER = "E1"
    LOCK = "E2"
    STORAGE = "E3"
    CLOCK = "E4"


class Signal(StrEnum):
    """What the door's light says."""

    OFF = "off"
    READY = "ready"
    GRANTED = "granted"
    DENIED = "denied"
    ATTENTION = "attention"


class Tone(StrEnum):
    """What the door's buzzer says."""

    NONE = "none"
    TICK = "tick"
    GRANTED = "granted"
    DENIED = "denied"
    GOODBYE = "goodbye"
    ATTENTION = "attention"
    ALARM = "alarm"  # once a second, until another picture


class Screen(Struct, frozen=True):
    """One picture at the door; `for_ms` until it gives way to idle, None while it stays."""

    state: State
    signal: Signal = Signal.OFF
    tone: Tone = Tone.NONE
    code: PublicCode | None = None
    for_ms: int | None = None
    support: str = ""


CODES: Final[dict[Reason, PublicCode]] = {
    Reason.UNREADABLE: PublicCode.TRY_AGAIN,
    Reason.NO_DIRECTORY: PublicCode.NOT_VALID_HERE,
    Reason.UNKNOWN_CREDENTIAL: PublicCode.NOT_VALID_HERE,
    Reason.CREDENTIAL_REVOKED: PublicCode.NOT_VALID_HERE,
    Reason.MEMBER_INACTIVE: PublicCode.NOT_VALID_HERE,
    Reason.NOT_YET_VALID: PublicCode.NOT_VALID_HERE,
    Reason.EXPIRED: PublicCode.NOT_VALID_HERE,
    Reason.CLOCK_UNKNOWN: PublicCode.CLOCK,
    Reason.DEVICE_REVOKED: PublicCode.NOT_OPEN_NOW,
    Reason.MISCONFIGURED: PublicCode.NOT_VALID_HERE,
    Reason.WRONG_DIRECTION: PublicCode.NOT_VALID_HERE,
    Reason.LOCKDOWN: PublicCode.NOT_OPEN_NOW,
    Reason.MEMBER_BLOCKED: PublicCode.NOT_VALID_HERE,
    Reason.DIRECTORY_STALE: PublicCode.NOT_VALID_HERE,
    Reason.UNPAID: PublicCode.NOT_VALID_HERE,
    Reason.NO_PLAN: PublicCode.NOT_VALID_HERE,
    Reason.LOW_ASSURANCE: PublicCode.NOT_VALID_HERE,
    Reason.ZONE_NOT_ALLOWED: PublicCode.NOT_VALID_HERE,
    Reason.DOOR_LOCKED: PublicCode.NOT_OPEN_NOW,
    Reason.MAINTENANCE: PublicCode.NOT_OPEN_NOW,
    Reason.FIRST_PERSON_MISSING: PublicCode.NOT_OPEN_NOW,
    Reason.OUTSIDE_HOURS: PublicCode.NOT_OPEN_NOW,
    Reason.OUTSIDE_GROUP_HOURS: PublicCode.NOT_OPEN_NOW,
    Reason.NEEDS_LINK: PublicCode.NOT_VALID_HERE,
    Reason.GUARDIAN_ABSENT: PublicCode.NOT_VALID_HERE,
    Reason.HOST_ABSENT: PublicCode.NOT_VALID_HERE,
    Reason.PACK_EMPTY: PublicCode.NOT_VALID_HERE,
    Reason.ANTI_PASSBACK: PublicCode.NOT_VALID_HERE,
    Reason.ZONE_FULL: PublicCode.FULL,
    Reason.FIRE: PublicCode.NOT_OPEN_NOW,
    Reason.DOOR_BUSY: PublicCode.TRY_AGAIN,
    Reason.OTHER_DOOR_OPEN: PublicCode.TRY_AGAIN,
    Reason.PASS_MALFORMED: PublicCode.TRY_AGAIN,
    Reason.PASS_UNKNOWN_KEY: PublicCode.NOT_VALID_HERE,
    Reason.PASS_SIGNATURE: PublicCode.NOT_VALID_HERE,
    Reason.PASS_WRONG_SITE: PublicCode.NOT_VALID_HERE,
    Reason.PASS_REVOKED: PublicCode.NOT_VALID_HERE,
    Reason.PASS_ZONE: PublicCode.NOT_VALID_HERE,
    Reason.PASS_NOT_YET: PublicCode.NOT_OPEN_NOW,
    Reason.PASS_EXPIRED: PublicCode.CODE_EXPIRED,
    Reason.PASS_STALE: PublicCode.CODE_EXPIRED,
    Reason.PASS_REPLAYED: PublicCode.CODE_EXPIRED,
}

DENIED_MS: Final = 4_000
ONE_AT_A_TIME_MS: Final = 3_000
IDENTIFY_MS: Final = 10_000
CHECKED_IN_MS: Final = 4_000
CARD_MS: Final = 4_000
IDLE: Final = Screen(State.IDLE, Signal.READY)
STARTING: Final = Screen(State.STARTING)
READING: Final = Screen(State.READING, tone=Tone.TICK)
FIRE: Final = Screen(State.FIRE)
"""Light and sound stay off: nothing about the door may look like an invitation."""
CLOSED: Final = Screen(State.CLOSED)
MAINTENANCE: Final = Screen(State.OUT_OF_SERVICE)
HELD_OPEN: Final = Screen(State.HELD_OPEN, Signal.GRANTED)
STAFF_CALLED: Final = Screen(State.STAFF_CALLED, tone=Tone.ATTENTION, code=PublicCode.STAFF_COMING)
STAFF_AWAY: Final = Screen(State.STAFF_AWAY)
DOOR_ALARM: Final = Screen(State.DOOR_ALARM, Signal.ATTENTION, Tone.ALARM)
IDENTIFY: Final = Screen(State.IDENTIFY, Signal.ATTENTION, Tone.ATTENTION, for_ms=IDENTIFY_MS)
DESK: Final = Screen(State.DESK, Signal.READY)
CAPTURE: Final = Screen(State.CAPTURE, Signal.READY, Tone.ATTENTION)
CARD_READ: Final = Screen(State.CARD_READ, Signal.READY, Tone.TICK, for_ms=CARD_MS)
"""Neither green nor a rising tone: a card that was read is not let in by that."""
CARD_UNASKED: Final = Screen(State.CARD_UNASKED, Signal.READY, for_ms=CARD_MS)
CARD_UNFIT: Final = Screen(State.CARD_UNFIT, Signal.DENIED, Tone.DENIED, for_ms=CARD_MS)
_ONE_AT_A_TIME: Final = frozenset({Reason.DOOR_BUSY, Reason.OTHER_DOOR_OPEN, Reason.ANTI_PASSBACK})


def granted(direction: Direction, *, open_ms: int | None, support: str) -> Screen:
    """Return the picture of a grant; `open_ms` is how long the way is free, None at a kiosk without a lock."""
    if open_ms is None:
        return Screen(State.CHECKED_IN, Signal.GRANTED, Tone.GRANTED, for_ms=CHECKED_IN_MS, support=support)
    if direction is Direction.OUT:
        return Screen(State.GRANTED_OUT, Signal.GRANTED, Tone.GOODBYE, for_ms=open_ms, support=support)
    return Screen(State.GRANTED_IN, Signal.GRANTED, Tone.GRANTED, for_ms=open_ms, support=support)


def denied(reason: Reason, *, support: str) -> Screen:
    """Return the picture of a denial."""
    if reason in _ONE_AT_A_TIME:
        return one_at_a_time(support=support)
    return Screen(State.DENIED, Signal.DENIED, Tone.DENIED, CODES[reason], for_ms=DENIED_MS, support=support)


def one_at_a_time(*, support: str) -> Screen:
    """Return the picture for somebody who has to wait for another."""
    state, signal, tone = State.ONE_AT_A_TIME, Signal.DENIED, Tone.DENIED
    return Screen(state, signal, tone, for_ms=ONE_AT_A_TIME_MS, support=support)


def out_of_service(code: PublicCode) -> Screen:
    """Return the picture of a door that cannot work; it stays until the cause is gone."""
    return Screen(State.OUT_OF_SERVICE, Signal.OFF, Tone.NONE, code)
