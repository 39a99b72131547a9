"""Passes for tests, right and wrong ones, and a door that looks at them with the product's own parts."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import Clock
from agent.core.types import Decision, Facts, Now
from agent.presenting import Keys, OneKey, Presenter, StepMemory
from agent.reading import ReaderPlace
from hardware.base import Medium, Scan
from rules.book import Book, load
from rules.policy import decide
from tests.core.builders import DIRECTORY, WALL_MS
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from wire.book import BookItem, Door, Here, PassKey, PassRevocation, Site, Zone
from wire.credentials import credential_key
from wire.passes import PASS_TYPE, SIGNED_PREFIX, Rotating, rotating_message, step_at, write_rotating
from wire.rows import DirectoryRow
from wire.vocabulary import Assurance, ClockQuality, CredentialKind, Direction

KEY: Final = bytes(range(32))
SITE: Final = "019a0000-0000-7000-8000-000000000001"
MEMBER: Final = "019a0000-0000-7000-8000-00000000000a"
KID: Final = "0123456789abcdef"
PASS_ID: Final = "0b" * 16
REVOKED_ID: Final = "0c" * 16
NOW_S: Final = WALL_MS // 1000


def private_key(number: int) -> Ed25519PrivateKey:
    """Return a key that is the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))


ISSUER: Final = private_key(1)


def encoded(part: bytes | Mapping[str, Any]) -> str:
    """Return base64url without padding; a mapping goes as JSON."""
    raw = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(**changes: Any) -> dict[str, Any]:
    """Return the header of a good pass; None takes a member away."""
    members = {"alg": "EdDSA", "typ": PASS_TYPE, "kid": KID, **changes}
    return {name: value for name, value in members.items() if value is not None}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good pass; None takes one away."""
    members = {"aud": SITE, "sub": MEMBER, "jti": PASS_ID, "nbf": NOW_S - 3600, "exp": NOW_S + 3600, **changes}
    return {name: value for name, value in members.items() if value is not None}


def signed(
    said: bytes | Mapping[str, Any] | None = None,
    head: bytes | Mapping[str, Any] | None = None,
    *,
    key: Ed25519PrivateKey = ISSUER,
) -> str:
    """Return a signed pass, written without the product."""
    head_part = encoded(header() if head is None else head)
    said_part = encoded(claims() if said is None else said)
    signature = key.sign(f"{head_part}.{said_part}".encode())
    return f"{SIGNED_PREFIX}{head_part}.{said_part}.{encoded(signature)}"


@dataclass(frozen=True)
class Phone:
    """A phone with its private key."""

    key: Ed25519PrivateKey = field(default_factory=lambda: private_key(2))

    @property
    def public(self) -> bytes:
        """What central knows."""
        return self.key.public_key().public_bytes_raw()

    def code(self, wall_ms: int = WALL_MS, *, by: int = 0) -> str:
        """Return the code that it shows at a moment, `by` steps away from the right one."""
        step = step_at(wall_ms) + by
        return write_rotating(Rotating(self.public, step, self.key.sign(rotating_message(step))))

    def row(self, member: str = MEMBER, **changes: Any) -> DirectoryRow:
        """Return the row of a directory that knows the phone."""
        return DirectoryRow(
            key=credential_key(KEY, CredentialKind.PASS_ROTATING, self.public), kind=CredentialKind.PASS_ROTATING,
            member=member, assurance=Assurance.HIGH, **changes,
        )  # fmt: skip


def items(*more: BookItem) -> list[BookItem]:
    """Return the items of a book: one site, one door into the zone `gym`, one key, one revoked pass."""
    public = ISSUER.public_key().public_bytes_raw().hex()
    return [
        Site(id=SITE, tz="UTC"), Zone(name="gym"), Zone(name="office"), Door(name="north", zone="gym"),
        Here(door="north"), PassKey(kid=KID, public=public), PassRevocation(id=REVOKED_ID), *more,
    ]  # fmt: skip


class PassClock(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.wall_ms = WALL_MS
        self.q = ClockQuality.SYNCED

    def now(self) -> Now:
        """Return the moment that the test set."""
        return Now(1_000, self.wall_ms, self.q)


class PassDoor:
    """One door: looks at codes as the product does, and remembers what a grant used up."""

    def __init__(
        self,
        *rows: DirectoryRow,
        book: Book | None = None,
        steps: StepMemory | None = None,
        doubtful: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self.clock = PassClock()
        self.journal = MemoryJournal()
        self.book = load(items()) if book is None else book
        self.directory = MemoryDirectory(*rows, ref=DIRECTORY)
        self.presenter = Presenter(
            self.directory,
            steps or self.journal,
            self.clock,
            keys or OneKey(KEY),
            book=lambda: self.book,
            is_doubtful=doubtful,
        )

    def facts(self, text: str | bytes, direction: Direction = Direction.IN) -> Facts:
        """Return the facts about a code."""
        raw = text.encode() if isinstance(text, str) else text
        return self.presenter.facts(Scan("in", Medium.QR, raw, 1_000), ReaderPlace("in", direction))

    def decide(self, text: str | bytes, direction: Direction = Direction.IN) -> Decision:
        """Return the decision on a code, and use up what it uses up where it is a grant."""
        facts = self.facts(text, direction)
        decision = decide(facts)
        if decision.is_grant and facts.passed is not None and facts.passed.step:
            self.journal.steps[f"{facts.read.credential.kind}:{facts.read.credential.key}"] = facts.passed.step
        return decision
