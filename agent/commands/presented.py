"""What a text at the command line stands for: a credential, or a pass that is looked at as the door would.

A card's number and the text of a pass go no further than this module, into messages neither.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.clock import Clock, SystemTime
from agent.commands.atdoor import Kept
from agent.identity import Identity
from agent.keyring import Keyring
from agent.presenting import Presenter
from agent.reading import ReaderPlace
from agent.store.looking import Look
from agent.store.steps import Steps
from hardware.base import Medium, Scan
from rules.facts import Credential, Now, Read
from wire.credentials import CredentialError, credential_key
from wire.facts import PassFacts
from wire.forms import read_form
from wire.passes import ROTATING_PREFIX, SIGNED_PREFIX, is_pass
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind, Direction

_KEY_DIGITS: Final = 32
_READER: Final = "why"
_FORMS: Final = {CredentialKind.QR_STATIC: "text", CredentialKind.LF_HID: "wiegand"}
_PREFIXES: Final = {CredentialKind.PASS_SIGNED: SIGNED_PREFIX, CredentialKind.PASS_ROTATING: ROTATING_PREFIX}
_IN_CODES: Final = {CredentialKind.QR_STATIC, *_PREFIXES}
"""Kinds whose text a reader takes for a pass where it begins as one."""


class Presented(Struct, frozen=True):
    """What is shown to the door: the read, its row where the directory holds one, and what became of a pass."""

    read: Read
    row: DirectoryRow | None = None
    passed: PassFacts | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """What this device holds, open for reading; `kept` is nothing where the question is not about now."""

    folder: Path
    identity: Identity
    seen: Look
    kept: Kept


class _Used:
    """The steps of passes that the journal tells are used."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def last_step(self, name: str) -> int:
        """Return the highest step of a pass that counts as used, 0 where none does."""
        return self._steps.last(name)


def nothing(direction: Direction) -> Presented:
    """Return what stands for a question about all credentials."""
    return Presented(Read(_READER, direction, Credential(CredentialKind.HF_UID, "0" * _KEY_DIGITS), 0))


def presented(text: str, direction: Direction, door: str, now: Now, device: Device) -> Presented:
    """Return what a text stands for, `-` for a line of standard input; raise CredentialError where it is none.

    While a key is being changed a credential is the one that the directory knows, under either key. `door` is the one
    that a pass is shown at.
    """
    text = sys.stdin.readline().strip() if text == "-" else text
    named, colon, value = text.partition(":")
    is_named = bool(colon) and named in set(CredentialKind)
    kind = CredentialKind(named) if is_named else CredentialKind.HF_UID
    shown = value if is_named and kind in _IN_CODES else text
    if is_pass(shown.encode(errors="replace")):
        return _pass(shown, direction, door, now, device)
    if len(text) == _KEY_DIGITS and all(digit in "0123456789abcdef" for digit in text):
        credential = Credential(CredentialKind.HF_UID, text)
    else:
        credential = _credential(kind, value if is_named else text, device)
    return Presented(Read(_READER, direction, credential, 0), device.seen.find(credential.key))


def _pass(text: str, direction: Direction, door: str, now: Now, device: Device) -> Presented:
    """Look at a pass by the code that looks at one at the door, with the steps that this door has seen used."""
    book = None if device.seen.book is None else replace(device.seen.book, here=door)
    steps = Steps(device.kept.steps)
    presenter = Presenter(
        device.seen,
        _Used(steps),
        Clock(SystemTime(), boot=""),
        Keyring(device.identity, device.folder, lambda: None),
        is_doubtful=steps.is_doubtful,
    )
    scan = Scan(_READER, Medium.QR, text.encode(errors="replace"), 0)
    return Presented(*presenter.seen(scan, ReaderPlace(_READER, direction), now, book))


def _credential(kind: CredentialKind, value: str, device: Device) -> Credential:
    try:
        canonical = read_form(kind, _FORMS.get(kind, "hex"), value)
    except CredentialError:
        if kind in _PREFIXES:
            raise CredentialError(
                f"what follows {kind}: is the text of no pass; it begins with {_PREFIXES[kind]}"
            ) from None  # its own words quote the text
        raise
    newest, *older = (credential_key(bytes.fromhex(key), kind, canonical) for key in device.identity.finding_keys)
    known = (key for key in (newest, *older) if device.seen.find(key) is not None)
    return Credential(kind, next(known, newest))
