"""The agent's branches of the product's exception tree (`wire.errors.DoorstileError` is the root)."""

from wire.errors import DoorstileError
from wire.vocabulary import DirectoryRefusal


class ConfigError(DoorstileError):
    """Configuration that cannot be used; names the full key, the value and the remedy."""


class IdentityError(DoorstileError):
    """The device's identity is missing or unusable; it has to join (again)."""


class StoreError(DoorstileError):
    """A file of the device's store cannot be used."""


class CommitUnknownError(StoreError):
    """A commit failed and its outcome is unknown: nothing may be granted and nothing more written to that file."""


class StoreFullError(StoreError):
    """There is no room for another event."""


class StoreBusyError(StoreError):
    """Another process holds the state folder."""


class DirectoryRefusedError(StoreError):
    """A snapshot or a change that this device does not take; the directory in use stays."""

    def __init__(self, refusal: DirectoryRefusal, why: str) -> None:
        super().__init__(why)
        self.refusal = refusal
