"""Who this device is: what enrolment gave it, and the private key that never leaves it.

One file, `identity.json` in the state folder, readable by its owner alone and replaced as a whole: after a power cut it
is the old one or the new one (rename(2) is atomic; the folder is flushed after it).
"""

import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agent.errors import IdentityError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

IDENTITY_FILE: Final = "identity.json"
_DEFAULT_FOLDER: Final = Path("/var/lib/doorstile")
_JOIN: Final = "doorstile join --central URL --code CODE"
_REMEDY: Final = f"run `{_JOIN}`"


class Identity(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the device needs to be known at central; `central` is its origin, `https://host[:port]`.

    `private_key` is the Ed25519 key as PKCS #8 PEM (RFC 8410), `credential_key` 64 hex digits. `ca_pem` and `pin` say
    how central's certificate is checked; without both the system's certificates decide. `directory_key` (64 hex digits)
    is central's key for directories; it is empty where central had none when the device joined. `old_key` is that of
    before a rotation, while both are in use; `retired_keys`, newest first, tell passes that were used under them.
    """

    device: str
    central: str
    audience: str
    kid: str
    private_key: str
    credential_key: str
    name: str
    site: str
    time_zone: str
    ca_pem: str | None = None
    pin: str | None = None
    directory_key: str = ""
    old_key: str = ""
    retired_keys: list[str] = []

    @cached_property
    def signing_key(self) -> "Ed25519PrivateKey":
        """The private key, ready to sign; raise IdentityError where it is none."""
        return load_key(self.private_key)

    @property
    def credential_key_bytes(self) -> bytes:
        """The key of the credential index."""
        return bytes.fromhex(self.credential_key)

    @property
    def finding_keys(self) -> tuple[str, ...]:
        """The keys by which a card is looked up, newest first: two while one is being changed."""
        return tuple(key for key in (self.credential_key, self.old_key) if key)

    def __repr__(self) -> str:
        """Name the device; never a key."""
        return f"Identity(device={self.device!r}, central={self.central!r}, kid={self.kid!r})"


def load_identity(folder: Path) -> Identity:
    """Read the identity in a state folder; raise IdentityError with its remedy where there is none to use."""
    path = folder / IDENTITY_FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError as fault:
        raise IdentityError(f"{path} does not exist: this device has not joined a site; {_remedy(folder)}") from fault
    except OSError as fault:
        raise IdentityError(
            f"{path} cannot be read ({fault.strerror}); check its rights, or {_remedy(folder)}"
        ) from fault
    try:
        identity = msgspec.json.decode(raw, type=Identity)
        for key in (identity.credential_key, identity.old_key, *identity.retired_keys):
            bytes.fromhex(key)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as fault:
        raise IdentityError(f"{path} is damaged ({_shape(fault)}); {_remedy(folder)}") from fault
    load_key(identity.private_key)
    return identity


def save_identity(folder: Path, identity: Identity) -> None:
    """Write the identity, durably and as a whole; raise IdentityError where that fails (the old one stands)."""
    replace_file(folder / IDENTITY_FILE, msgspec.json.format(msgspec.json.encode(identity), indent=2))


def load_key(pem: str) -> "Ed25519PrivateKey":
    """Return the key in a PEM; raise IdentityError where it holds no Ed25519 private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as fault:
        raise IdentityError(f"the private key of this device is damaged; {_REMEDY}") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError(f"the private key of this device is no Ed25519 key; {_REMEDY}")
    return key


def replace_file(path: Path, content: bytes) -> None:
    """Replace a private file (mode 0600) durably: the old content or the new, never a mix."""
    new = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
        _flush_folder(path.parent)
    except OSError as fault:
        raise IdentityError(f"{path} cannot be written ({fault.strerror}); free space or check its rights") from fault


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remedy(folder: Path) -> str:
    """Return how to join with this state folder."""
    return _REMEDY if folder == _DEFAULT_FOLDER else f"run `{_JOIN} --state {shlex.quote(str(folder))}`"


def _shape(fault: Exception) -> str:
    """Say what is wrong without quoting a value, which might be a key."""
    return str(fault)[:120] if isinstance(fault, msgspec.DecodeError) else type(fault).__name__
