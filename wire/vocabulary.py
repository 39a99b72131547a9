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


class EventKind(StrEnum):
    """What an event in the journal tells."""

    STARTED = "started"
    DECISION = "decision"
    PASSAGE = "passage"
    READ_FAULT = "read_fault"
    COMMAND_BEGUN = "command_begun"
    COMMAND_RESULT = "command_result"
    ALARM = "alarm"


class PassageOutcome(StrEnum):
    """How a grant ended; every grant gets exactly one."""

    PASSED = "passed"
    UNUSED = "unused"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a crash swallowed the answer


class ClockQuality(StrEnum):
    """How far the wall time of an event can be trusted."""

    SYNCED = "synced"
    ESTIMATED = "estimated"
    NONE = "none"


class CommandName(StrEnum):
    """What central can ask a device to do."""

    UNLOCK = "unlock"


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
    SNAPSHOT = "snapshot"


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
