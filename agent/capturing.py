"""Cards for enrolment: sealed to central's key the moment they are read, so that nothing else here ever holds one.

The key comes with the command, signed by the key that the device pinned when it joined; without that nothing is read
for anybody.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.core.effects import Captured
from agent.reading import KINDS, ReaderPlace, is_shown_pass
from agent.sync.signature import is_trusted
from hardware.base import Scan
from wire.credentials import CredentialError
from wire.forms import is_partial, read_form
from wire.messages import Command
from wire.sealing import KEY_BYTES, CapturedCard, SealedError, seal_card, signed_order
from wire.vocabulary import CommandName, CredentialKind

_KEPT: Final = 4
"""Commands whose key is remembered; one at a time waits for a card, the others are on their way to be refused."""


class Captures:
    """Whom to seal a card to, by command; `trusted` returns the public key (Ed25519) that signs central's orders."""

    def __init__(self, device: str, trusted: Callable[[], bytes | None], random: Callable[[int], bytes] = os.urandom):
        self._device = device
        self._trusted = trusted
        self._random = random
        self._keys: dict[str, bytes] = {}

    def begin(self, command: Command) -> str:
        """Take central's key from a command; return why it cannot be trusted, empty where it can."""
        key, sig = command.args.get("key", ""), command.args.get("sig", "")
        signed = signed_order(self._device, command.id, CommandName.CAPTURE.value, key)
        if not is_trusted(signed, sig, self._trusted()):
            return "unsigned"
        try:
            raw = bytes.fromhex(key)
        except ValueError:
            return "bad_argument"
        if len(raw) != KEY_BYTES:
            return "bad_argument"
        self._keys = dict([*self._keys.items(), (command.id, raw)][-_KEPT:])
        return ""

    def taken(self, command_id: str, scan: Scan, place: ReaderPlace) -> Captured:
        """Return what a reader saw, sealed for a command, or why it cannot be enrolled."""
        to = self._keys.get(command_id)
        if to is None:
            return Captured(code="unsigned")
        if is_shown_pass(scan):
            return Captured(code="a_pass")
        whole = _whole(scan, place)
        if len(whole) != 1:
            return Captured(code="ambiguous" if whole else "partial_form")
        ((kind, value),) = whole
        card = CapturedCard(kind=kind, value=value, card=scan.detail.encode("ascii", "ignore").decode())
        try:
            sealed = seal_card(card, to, f"{self._device}|{command_id}", self._random(KEY_BYTES))
        except SealedError:
            return Captured(code="too_long")
        return Captured(sealed)


def _whole(scan: Scan, place: ReaderPlace) -> list[tuple[CredentialKind, bytes]]:
    """Return every whole credential that a scan may be; forms that drop bits name none."""
    if not scan.form:
        return [(KINDS[scan.medium], scan.data)]
    text = scan.data.decode(errors="replace")
    found = []
    for kind, form in ((KINDS[scan.medium], scan.form), *place.also):
        if not is_partial(kind, form):
            with suppress(CredentialError):
                found.append((kind, read_form(kind, form, text)))
    return found
