"""The keys of the credential index on this device: the present one, the one before it while both are in use, and those
that no longer find a card.

A rotation has two orders of central's, both signed and bound to this device. `new` brings the next key, sealed under
one that the device has: from then on a card is looked up by the new key first, then by the old, so it opens whichever
of the two the directory is under. `retire` ends that, once the device has confirmed a directory under the new key. A
retired key is kept for one purpose: steps of passes that were used stand under it in the journal, and have to stay
used. The file of the identity is replaced as a whole, so a crash leaves the keys of before or of after.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.errors import IdentityError
from agent.identity import Identity, save_identity
from agent.sync.signature import is_trusted
from wire.credentials import key_id
from wire.messages import Command
from wire.sealing import SealedError, signed_order, unwrap_key
from wire.vocabulary import CommandName

NEW: Final = "new"
RETIRE: Final = "retire"
MAX_RETIRED: Final = 16
"""Rotations of one device's life; beyond, it joins again."""
_PENDING: Final = 4


class Keyring:
    """The keys of one device; `trusted` returns the public key (Ed25519) that signs central's orders."""

    def __init__(self, identity: Identity, folder: Path, trusted: Callable[[], bytes | None]) -> None:
        self._identity = identity
        self._folder = folder
        self._trusted = trusted
        self._pending: dict[str, Identity] = {}

    @property
    def finding(self) -> tuple[bytes, ...]:
        """The keys by which a card is looked up, newest first."""
        return tuple(map(bytes.fromhex, self._identity.finding_keys))

    @property
    def naming(self) -> tuple[bytes, ...]:
        """Every key under which steps of passes may stand, newest first."""
        return (*self.finding, *(bytes.fromhex(key) for key in self._identity.retired_keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the keys by which cards are looked up, as central is told them."""
        return tuple(map(key_id, self.finding))

    def begin(self, command: Command) -> str:
        """Take an order; return why it cannot be carried out, empty where it can."""
        what, key, under = (command.args.get(name, "") for name in ("what", "key", "under"))
        signed = signed_order(self._identity.device, command.id, CommandName.ROTATE_KEY.value, f"{what}|{key}|{under}")
        if not is_trusted(signed, command.args.get("sig", ""), self._trusted()):
            return "unsigned"
        if what == RETIRE:
            changed = self._retired(under)
        elif what == NEW:
            changed = self._renewed(command.id, key, under)
        else:
            return "bad_argument"
        if isinstance(changed, str):
            return changed
        self._pending = dict([*self._pending.items(), (command.id, changed)][-_PENDING:])
        return ""

    async def change(self, command_id: str) -> str:
        """Carry out an order that was taken, durably; return why it failed, empty where it did not."""
        wanted = self._pending.pop(command_id, None)
        if wanted is None:
            return "bad_argument"
        if wanted != self._identity:
            try:
                await asyncio.to_thread(save_identity, self._folder, wanted)
            except IdentityError:
                return "storage"
        self._identity = wanted
        self._pending.clear()  # they were made of the keys of before
        return ""

    def _renewed(self, command_id: str, wrapped: str, under: str) -> Identity | str:
        known = {key_id(key): key for key in self.finding}
        if under not in known:
            return "unknown_key"
        try:
            new = unwrap_key(wrapped, known[under], f"{self._identity.device}|{command_id}")
        except SealedError:
            return "bad_argument"
        if new == self.finding[0]:
            return self._identity
        if self._identity.old_key:
            return "busy"
        if len(self._identity.retired_keys) >= MAX_RETIRED:
            return "too_many_keys"
        return replace(self._identity, credential_key=new.hex(), old_key=self._identity.credential_key)

    def _retired(self, id_: str) -> Identity | str:
        if id_ == self.ids[0]:
            return "in_use"
        if id_ not in self.ids:
            return self._identity
        old = self._identity.old_key
        return replace(self._identity, old_key="", retired_keys=[old, *self._identity.retired_keys])
