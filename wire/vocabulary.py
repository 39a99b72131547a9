"""The words of the contract: every stable string and number that crosses the link or is stored.

A value is never renamed or reused once released; a new meaning gets a new value.
"""

from enum import IntEnum, StrEnum
from typing import Final

SUBPROTOCOL: Final = "doorstile.v1"
DEVICE_PATH: Final = "/ws/devices/"
TOKEN_TYPE: Final = "doorstile-device+jwt"
"""`typ` of a device's connection token (RFC 8725 section 3.11: explicit typing)."""


class Outcome(StrEnum):
    """What was decided about one presentation."""

    GRANT = "grant"
    DENY = "deny"


class Reason(StrEnum):
    """Why a presentation was granted or denied: one value for each decision."""

    MEMBER_VALID = "member_valid"
    UNREADABLE = "unreadable"
    NO_DIRECTORY = "no_directory"
    UNKNOWN_CREDENTIAL = "unknown_credential"
    CREDENTIAL_REVOKED = "credential_revoked"
    MEMBER_INACTIVE = "member_inactive"
    CLOCK_UNKNOWN = "clock_unknown"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    DEVICE_REVOKED = "device_revoked"
    MISCONFIGURED = "misconfigured"
    WRONG_DIRECTION = "wrong_direction"
    LOCKDOWN = "lockdown"
    MEMBER_BLOCKED = "member_blocked"
    DIRECTORY_STALE = "directory_stale"
    UNPAID = "unpaid"
    NO_PLAN = "no_plan"
    LOW_ASSURANCE = "low_assurance"
    ZONE_NOT_ALLOWED = "zone_not_allowed"
    DOOR_LOCKED = "door_locked"
    MAINTENANCE = "maintenance"
    FIRST_PERSON_MISSING = "first_person_missing"
    OUTSIDE_HOURS = "outside_hours"
    OUTSIDE_GROUP_HOURS = "outside_group_hours"
    NEEDS_LINK = "needs_link"
    GUARDIAN_ABSENT = "guardian_absent"
    HOST_ABSENT = "host_absent"
    PACK_EMPTY = "pack_empty"
    ANTI_PASSBACK = "anti_passback"
    ZONE_FULL = "zone_full"
    FIRE = "fire"
    DOOR_BUSY = "door_busy"
    OTHER_DOOR_OPEN = "other_door_open"
    PASS_MALFORMED = "pass_malformed"
    PASS_UNKNOWN_KEY = "pass_unknown_key"
    PASS_SIGNATURE = "pass_signature"
    PASS_WRONG_SITE = "pass_wrong_site"
    PASS_REVOKED = "pass_revoked"
    PASS_ZONE = "pass_zone"
    PASS_NOT_YET = "pass_not_yet"
    PASS_EXPIRED = "pass_expired"
    PASS_STALE = "pass_stale"  # a rotating pass of another step than the present ones
    PASS_REPLAYED = "pass_replayed"


class Notice(StrEnum):
    """What staff, and nobody else, are told beside a grant."""

    PAYMENT_GRACE = "payment_grace"  # the payment lapsed and the days of grace run
    ANTI_PASSBACK_SOFT = "anti_passback_soft"  # by the record this person is inside already
    PRESENCE_UNCERTAIN = "presence_uncertain"  # hard anti-passback did not hold, as a crash swallowed the last passage
    OVERRIDE = "override"  # a rule objected and the holder's right to override lifted it


class Direction(StrEnum):
    """Which way a reader lets people through; `toggle` is one reader for both."""

    IN = "in"
    OUT = "out"
    TOGGLE = "toggle"


class CredentialKind(StrEnum):
    """The family of a credential. It names what was presented, never the reader that read it."""

    HF_UID = "hf_uid"  # ISO/IEC 14443-3 UID, 13.56 MHz: 4, 7 or 10 bytes
    LF_EM4100 = "lf_em4100"  # 125 kHz, 5 bytes
    LF_HID = "lf_hid"  # 125 kHz HID Prox: facility code and number, as 26, 34 or 37 bits
    QR_STATIC = "qr_static"  # the text of a QR or bar code, UTF-8
    PASS_SIGNED = "pass_signed"  # a signed pass, by its id: 16 bytes
    PASS_ROTATING = "pass_rotating"  # a phone that proves its key, by the public key (Ed25519): 32 bytes


class HolderKind(StrEnum):
    """Who holds a credential. The last three stand in the muster and make no visits."""

    MEMBER = "member"
    GUEST = "guest"
    STAFF = "staff"
    CLEANER = "cleaner"
    CONTRACTOR = "contractor"


VISITORS: Final = frozenset({HolderKind.MEMBER, HolderKind.GUEST})
"""Those whose passages are visits."""


class Right(StrEnum):
    """What a holder may do beyond passing. Rows carry them as text: a right that is not known grants nothing."""

    OVERRIDE = "override"  # passes in spite of hours, zones, counts and door modes; staff are told
    FIRST_PERSON = "first_person"  # opens a door that waits for its first person
    OFFICE = "office"  # toggles a door in office mode
    MAINTENANCE = "maintenance"  # passes a door under maintenance
    RELEASE_LOCKDOWN = "release_lockdown"  # ends a lockdown at the door, also offline


class Assurance(StrEnum):
    """How hard a credential is to copy."""

    LOW = "low"  # a card's number or a printed code: whoever has seen it has it
    MEDIUM = "medium"  # signed, but a picture of it works as well
    HIGH = "high"  # proves possession


class DoorMode(StrEnum):
    """What a door does with those who come, whoever they are."""

    LOCKED = "locked"
    CARD = "card"
    UNLOCKED = "unlocked"
    FIRST_PERSON = "first_person"  # waits for somebody with that right, then does as the door says
    OFFICE = "office"
    MAINTENANCE = "maintenance"


class AntiPassbackKind(StrEnum):
    """What happens to somebody who is inside already and comes in again."""

    HARD = "hard"  # denied until they have gone out
    SOFT = "soft"  # let in, and staff are told
    TIMED = "timed"  # denied for a time, then let in


class WhenOffline(StrEnum):
    """How a rule that needs the whole site's presence is answered while the link is down."""

    ALLOW = "allow"  # the rule is not asked
    DENY = "deny"
    LOCAL = "local"  # by what this device has seen itself


class WhenUnsure(StrEnum):
    """What holds for credentials that are bound to times while the clock is unknown."""

    ALLOW = "allow"
    DENY = "deny"


class Weekday(StrEnum):
    """The days of a week as RFC 5545, section 3.3.10 names them."""

    MO = "MO"
    TU = "TU"
    WE = "WE"
    TH = "TH"
    FR = "FR"
    SA = "SA"
    SU = "SU"


class EventKind(StrEnum):
    """What an event in the journal tells."""

    STARTED = "started"
    DECISION = "decision"
    PASSAGE = "passage"
    READ_FAULT = "read_fault"
    COMMAND_BEGUN = "command_begun"
    COMMAND_RESULT = "command_result"
    ALARM = "alarm"
    DOOR = "door"
    MODE = "mode"


class PassageOutcome(StrEnum):
    """How a grant ended; every grant gets exactly one."""

    PASSED = "passed"
    UNUSED = "unused"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a crash swallowed the answer


class PassageSense(StrEnum):
    """What told how a grant ended."""

    PULSE = "pulse"  # nothing senses passage here: the completed pulse stands for it
    CONTACT = "contact"  # the door was opened, or was not
    SENSOR = "sensor"  # somebody was seen to pass in that direction, or nobody was
    FREE = "free"  # the way was free for everybody


class DoorChange(StrEnum):
    """What the door's inputs said; none of it was asked for."""

    OPENED = "opened"
    CLOSED = "closed"
    EXIT_REQUEST = "exit_request"
    PASSED_IN = "passed_in"
    PASSED_OUT = "passed_out"


class ModeCause(StrEnum):
    """What changed a door's mode."""

    SCHEDULE = "schedule"
    COMMAND = "command"
    HOLDER = "holder"  # somebody at the door who has the right to
    FIRST_PERSON = "first_person"
    TIME = "time"  # its end came
    RESTART = "restart"
    FIRE = "fire"
    REVOCATION = "revocation"  # central does not let the device work any more, or does again


class AlarmCode(StrEnum):
    """What staff should look at; a second value says when it is as it should be again."""

    READER_MISSING = "reader_missing"
    READER_BACK = "reader_back"
    LOCK_FAILED = "lock_failed"
    JOURNAL_DAMAGED = "journal_damaged"
    DIRECTORY_DAMAGED = "directory_damaged"
    FORCED = "door_forced"
    HELD_OPEN = "door_held_open"
    SECURE = "door_secure"
    TAMPER = "tamper"
    TAMPER_OVER = "tamper_over"
    FIRE = "fire"
    FIRE_INPUT_OVER = "fire_input_over"
    FIRE_OVER = "fire_over"
    MAINS_FAILED = "mains_failed"
    MAINS_BACK = "mains_back"
    ASSIST = "assist"
    ASSIST_UNANSWERED = "assist_unanswered"
    ASSIST_OVER = "assist_over"
    WRONG_WAY = "wrong_way"
    TWO_PEOPLE = "two_people"
    LATE_PASSAGE = "late_passage"
    TURNSTILE_STUCK = "turnstile_stuck"
    TURNSTILE_FREE = "turnstile_free"


class ClockQuality(StrEnum):
    """How far the wall time of an event can be trusted."""

    SYNCED = "synced"
    ESTIMATED = "estimated"
    NONE = "none"


class CommandName(StrEnum):
    """What central can ask a device to do."""

    UNLOCK = "unlock"
    HOLD = "hold"
    LOCK = "lock"
    LOCKDOWN = "lockdown"
    RELEASE = "release"
    IDENTIFY = "identify"
    ROTATE_KEY = "rotate_key"  # brings the next key of the credential index, or ends the one before
    CAPTURE = "capture"  # hands the next card to central, sealed, and decides nothing about it


class CommandMode(StrEnum):
    """Whether a command may run again after its outcome was lost."""

    IDEMPOTENT = "idem"
    ONCE = "once"


class CommandState(StrEnum):
    """Where a command stands on the device; the last four are final."""

    QUEUED = "queued"
    DUPLICATE = "dup"
    REFUSED = "refused"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class DirectoryMode(StrEnum):
    """What central will do about the directory of a device that has just said hello."""

    CURRENT = "current"
    DELTA = "delta"
    SNAPSHOT = "snapshot"


class DirectoryRefusal(StrEnum):
    """Why a device keeps the directory that it has."""

    UNSIGNED = "unsigned"  # no signature, or not by the key that the device knows
    OLDER = "older"  # a lower version of the epoch, or an earlier issue
    GAP = "gap"  # a change of another version than the device has
    NOT_UNDERSTOOD = "not_understood"  # it demands what this agent does not know
    INCOMPLETE = "incomplete"  # parts missing, twice or out of order
    DIGEST = "digest"  # other rows than were signed
    CANARY = "canary"  # decisions from it are wrong
    STORE = "store"  # it could not be written


class TombReason(StrEnum):
    """Why a range of events can no longer be sent."""

    CORRUPT = "corrupt"
    PRUNED = "pruned"


class ShedReason(StrEnum):
    """Why an event goes over the link without its text."""

    QUOTA = "quota"
    TOO_LARGE = "too_large"


class RejectCode(StrEnum):
    """Why central put one event among the dead letters."""

    MALFORMED = "malformed"
    UNKNOWN_KIND = "unknown_kind"
    DIGEST_MISMATCH = "digest_mismatch"
    DIGEST_CONFLICT = "digest_conflict"


class ErrorCode(StrEnum):
    """Machine-readable cause in an `error` message."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    UNEXPECTED = "unexpected"
    UNSUPPORTED_VERSION = "unsupported_version"
    BAD_TOKEN = "bad_token"
    CHAIN_BROKEN = "chain_broken"
    ACK_AHEAD = "ack_ahead"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """WebSocket close codes of this application (RFC 6455 section 7.4.2: 4000 to 4999 are private)."""

    PROTOCOL = 4400
    TOKEN = 4401
    REVOKED = 4403
    OVERDUE = 4408
    SUPERSEDED = 4409
    TOO_LARGE = 4413
    UPGRADE = 4426
    BUSY = 4429
    UNAVAILABLE = 4503
