"""What staff call what devices report: states, reasons, alarms, modes and ends of commands.

Devices may be newer than central: a word that is not known here is shown as it came, without its underscores.
"""

from enum import StrEnum
from typing import Final

from wire.events import AlarmBody, CommandResultBody, ModeBody
from wire.vocabulary import AlarmCode, CommandName, CommandState, DoorMode, ModeCause, Notice, Reason


class Tone(StrEnum):
    """How good or bad a state is, for its colour."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


REASONS: Final[dict[str, str]] = {
    Reason.MEMBER_VALID: "valid here",
    Reason.UNREADABLE: "could not be read",
    Reason.NO_DIRECTORY: "the door has no directory yet",
    Reason.UNKNOWN_CREDENTIAL: "not known here",
    Reason.CREDENTIAL_REVOKED: "the card or code is revoked",
    Reason.MEMBER_INACTIVE: "the member is inactive",
    Reason.CLOCK_UNKNOWN: "the door does not know the time",
    Reason.NOT_YET_VALID: "not valid yet",
    Reason.EXPIRED: "no longer valid",
    Reason.DEVICE_REVOKED: "the device is revoked",
    Reason.MISCONFIGURED: "the site's rules name something that is missing",
    Reason.WRONG_DIRECTION: "wrong direction",
    Reason.LOCKDOWN: "the door is locked down",
    Reason.MEMBER_BLOCKED: "the member is blocked",
    Reason.DIRECTORY_STALE: "the door's directory is too old",
    Reason.UNPAID: "the payment lapsed",
    Reason.NO_PLAN: "no plan at this site",
    Reason.LOW_ASSURANCE: "this kind of card is not enough here",
    Reason.ZONE_NOT_ALLOWED: "not allowed into this zone",
    Reason.DOOR_LOCKED: "the door is locked",
    Reason.MAINTENANCE: "the door is under maintenance",
    Reason.FIRST_PERSON_MISSING: "the door waits for its first person",
    Reason.OUTSIDE_HOURS: "outside the hours",
    Reason.OUTSIDE_GROUP_HOURS: "outside the hours of the group",
    Reason.NEEDS_LINK: "cannot be decided without the link",
    Reason.GUARDIAN_ABSENT: "no guardian is inside",
    Reason.HOST_ABSENT: "the host is not inside",
    Reason.PACK_EMPTY: "no visits left",
    Reason.ANTI_PASSBACK: "inside already",
    Reason.ZONE_FULL: "the zone is full",
    Reason.FIRE: "fire alarm",
    Reason.DOOR_BUSY: "the door was busy",
    Reason.OTHER_DOOR_OPEN: "another door is open",
    Reason.PASS_MALFORMED: "not a whole pass",
    Reason.PASS_UNKNOWN_KEY: "a pass by a key that the door does not know",
    Reason.PASS_SIGNATURE: "a pass that was changed or forged",
    Reason.PASS_WRONG_SITE: "a pass for another site",
    Reason.PASS_REVOKED: "the pass is revoked",
    Reason.PASS_ZONE: "a pass for other zones",
    Reason.PASS_NOT_YET: "the pass begins later",
    Reason.PASS_EXPIRED: "the pass has ended",
    Reason.PASS_STALE: "a phone's code of another time",
    Reason.PASS_REPLAYED: "a pass that was used already",
}
NOTICES: Final[dict[str, str]] = {
    Notice.PAYMENT_GRACE: "the payment lapsed and the days of grace run",
    Notice.ANTI_PASSBACK_SOFT: "by the record they are inside already",
    Notice.PRESENCE_UNCERTAIN: "if they are inside is not certain",
    Notice.OVERRIDE: "a rule objected and their right to override lifted it",
}
_STATES: Final = {
    "starting": ("starting", Tone.WARN),
    "idle": ("ready", Tone.GOOD),
    "reading": ("reading a card", Tone.GOOD),
    "granted_in": ("letting somebody in", Tone.GOOD),
    "granted_out": ("letting somebody out", Tone.GOOD),
    "checked_in": ("checking somebody in", Tone.GOOD),
    "denied": ("denying somebody", Tone.GOOD),
    "one_at_a_time": ("one at a time", Tone.GOOD),
    "staff_called": ("somebody asks for help", Tone.BAD),
    "staff_away": ("nobody answers a call for help", Tone.BAD),
    "closed": ("closed", Tone.WARN),
    "held_open": ("held open", Tone.WARN),
    "fire": ("fire", Tone.BAD),
    "door_alarm": ("door alarm", Tone.BAD),
    "identify": ("showing itself", Tone.GOOD),
    "desk": ("card desk", Tone.GOOD),
    "capture": ("waiting for a card", Tone.GOOD),
    "card_read": ("card read", Tone.GOOD),
    "card_unasked": ("nobody waits for a card", Tone.GOOD),
    "card_unfit": ("not that card", Tone.GOOD),
    "out_of_service": ("out of service", Tone.BAD),
}
"""The pictures of the door's screen, as it reports them."""
_ALARMS: Final[dict[str, str]] = {
    AlarmCode.READER_MISSING: "reader missing",
    AlarmCode.LOCK_FAILED: "the lock failed",
    AlarmCode.JOURNAL_DAMAGED: "the journal was damaged",
    AlarmCode.DIRECTORY_DAMAGED: "the directory was damaged",
    AlarmCode.FORCED: "the door was forced open",
    AlarmCode.HELD_OPEN: "the door is held open",
    AlarmCode.TAMPER: "somebody tampers with the device",
    AlarmCode.FIRE: "fire alarm",
    AlarmCode.FIRE_INPUT_OVER: "the fire input is back; staff end the alarm",
    AlarmCode.MAINS_FAILED: "mains power failed",
    AlarmCode.ASSIST: "somebody asks for help",
    AlarmCode.ASSIST_UNANSWERED: "nobody answers a call for help",
    AlarmCode.WRONG_WAY: "somebody went the wrong way",
    AlarmCode.TWO_PEOPLE: "two people passed at once",
    AlarmCode.LATE_PASSAGE: "somebody passed too late",
    AlarmCode.TURNSTILE_STUCK: "the turnstile is stuck",
}
_GOOD_NEWS: Final[dict[str, str]] = {
    AlarmCode.READER_BACK: "the reader is back",
    AlarmCode.SECURE: "the door is closed again",
    AlarmCode.TAMPER_OVER: "the device is closed again",
    AlarmCode.FIRE_OVER: "the fire alarm is over",
    AlarmCode.MAINS_BACK: "mains power is back",
    AlarmCode.ASSIST_OVER: "the call for help is answered",
    AlarmCode.TURNSTILE_FREE: "the turnstile turns again",
}
_MODES: Final = {
    DoorMode.LOCKED: "locked",
    DoorMode.CARD: "opens by card",
    DoorMode.UNLOCKED: "open to everybody",
    DoorMode.FIRST_PERSON: "waits for its first person",
    DoorMode.OFFICE: "office mode",
    DoorMode.MAINTENANCE: "under maintenance",
}
_CAUSES: Final = {
    ModeCause.SCHEDULE: "by its hours",
    ModeCause.COMMAND: "by command",
    ModeCause.HOLDER: "by somebody at the door",
    ModeCause.FIRST_PERSON: "by its first person",
    ModeCause.TIME: "as its time was over",
    ModeCause.RESTART: "after a restart",
    ModeCause.FIRE: "for a fire",
    ModeCause.REVOCATION: "by revocation",
}
_DONE: Final = {
    CommandName.UNLOCK: "one person let in",
    CommandName.HOLD: "held open",
    CommandName.LOCK: "locked",
    CommandName.LOCKDOWN: "locked down",
    CommandName.RELEASE: "released",
    CommandName.IDENTIFY: "showed itself",
    CommandName.ROTATE_KEY: "key of the card index changed",
    CommandName.CAPTURE: "card read for the desk",
}
_TO_DO: Final = {
    CommandName.UNLOCK: "let one person in",
    CommandName.HOLD: "hold open",
    CommandName.LOCK: "lock",
    CommandName.LOCKDOWN: "lock down",
    CommandName.RELEASE: "release",
    CommandName.IDENTIFY: "show itself",
    CommandName.ROTATE_KEY: "change the key of the card index",
    CommandName.CAPTURE: "read a card for the desk",
}
_CODES: Final[dict[str, str]] = {
    "busy": "it was busy",
    "device_offline": "the door is not connected",
    "not_sent_in_time": "not sent in time",
    "no_result": "the door did not say what came of it",
    "crashed": "the device restarted meanwhile",
    "fire_input_active": "the fire input still says fire",
    "no_lock": "it has no lock",
    "nobody_came": "nobody came",
    "store": "it could not be written down",
    "too_late": "too late",
}


def bare(word: str) -> str:
    """Return a word of a contract without its underscores."""
    return word.replace("_", " ")


def reason_words(reason: str) -> str:
    """Return why somebody was let in or not."""
    return REASONS.get(reason, bare(reason))


def state_words(state: str) -> tuple[str, Tone]:
    """Return what a door that is connected does, and how good that is; WARN where its word is not known."""
    return _STATES.get(state, (bare(state), Tone.WARN if state else Tone.GOOD))


def alarm_words(body: AlarmBody) -> tuple[str, bool]:
    """Return what an alarm says, and if that is good news; an input's name that the code says already is left out."""
    is_good = body.code in _GOOD_NEWS
    said = (_GOOD_NEWS if is_good else _ALARMS).get(body.code, bare(body.code))
    adds_nothing = not body.detail or body.detail in body.code.split("_")
    return (said if adds_nothing else f"{said}: {body.detail}"), is_good


def mode_words(body: ModeBody) -> str:
    """Return what a door does from here on, and by what."""
    mode = f"locked down, level {body.lockdown}" if body.lockdown else _MODES[body.mode]
    by = f" of {body.actor}" if body.actor else ""
    return f"{mode}, {_CAUSES[body.cause]}{by}"


def code_words(code: str) -> str:
    """Return why a command ended as it did."""
    return _CODES.get(code) or reason_words(code)


def result_words(body: CommandResultBody) -> str:
    """Return what came of a command."""
    if body.state is CommandState.DONE:
        return _DONE[body.name]
    why = code_words(body.code)
    state = "outcome unknown" if body.state is CommandState.UNKNOWN else bare(body.state.value)
    return f"{_TO_DO[body.name]}: {state}{', ' if why else ''}{why}"
