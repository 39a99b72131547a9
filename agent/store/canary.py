"""Decisions tried from a new version of the directory before it is declared good. Raises, or stays silent.

Digest and signature say that the version is central's; the canary says that this device can decide from it: its book
makes sense, what it holds is found and read, what it does not hold is unknown, and nobody who is out gets in.
"""

import logging
import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from agent.errors import DirectoryRefusedError
from agent.store.edition import Edition
from rules.book import Book, load
from rules.facts import Credential, Facts, Now, Read
from rules.policy import decide
from wire.book import read_item
from wire.directory import DirectoryTextError
from wire.errors import DoorstileError
from wire.rows import DirectoryRow
from wire.vocabulary import ClockQuality, CredentialKind, Direction, DirectoryRefusal, Reason

log = logging.getLogger(__name__)

_STRANGER: Final = "doorstile canary"


def sing(edition: Edition, present: Iterable[bytes], absent: Iterable[bytes]) -> Book | None:
    """Return the edition's book, ready to be asked; raise DirectoryRefusedError where a decision from it is wrong.

    The keys `present` must be found and `absent` must not; neither must one that nobody holds.
    """
    try:
        book = read_book(edition)
        wrong = _wrong(edition, book, present, absent)
    except (sqlite3.Error, DirectoryTextError) as fault:
        wrong = str(fault)
    except Exception as fault:
        # It came signed and would come again: whatever trying it brings up must not end the agent each time.
        log.exception("a decision from %s failed", edition.ref)
        wrong = f"{type(fault).__name__}: {fault}"
    if wrong is not None:
        raise DirectoryRefusedError(DirectoryRefusal.CANARY, f"a decision was tried and is wrong: {wrong}")
    return book


def read_book(edition: Edition) -> Book | None:
    """Return the book of an edition, None where it has no items; raise DirectoryTextError where it makes no sense."""
    try:
        return load(map(read_item, edition.book.values())) if edition.book else None
    except (msgspec.DecodeError, DoorstileError) as fault:
        raise DirectoryTextError(f"the book cannot be read: {fault}") from fault


def _wrong(edition: Edition, book: Book | None, present: Iterable[bytes], absent: Iterable[bytes]) -> str | None:
    for key in present:
        row = edition.row(key)
        if row is None or row.key != key.hex():
            return f"the credential {key.hex()[:8]}… is not found"
        decision = decide(_facts(edition, book, key, row))
        if decision.is_grant and (row.is_revoked or not row.is_active):
            return f"the credential {key.hex()[:8]}…, which is out, is granted"
    stranger = sha256(f"{_STRANGER}{edition.ref}".encode()).digest()[:16]
    for key in (*absent, stranger):
        row = edition.row(key)
        if decide(_facts(edition, book, key, row)).reason is not Reason.UNKNOWN_CREDENTIAL:
            return f"the credential {key.hex()[:8]}…, which is not in it, is known"
    return None


def _facts(edition: Edition, book: Book | None, key: bytes, row: DirectoryRow | None) -> Facts:
    kind = CredentialKind.HF_UID if row is None else row.kind
    issued_ms = 0 if edition.issue is None else edition.issue.issued_ms
    read = Read("canary", Direction.IN, Credential(kind, key.hex()), at_mono_ms=0)
    return Facts(read, Now(0, issued_ms, ClockQuality.SYNCED), edition.ref, row, book=book)
