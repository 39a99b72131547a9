"""The hash chain over a run's events, and the text that it covers.

`digest(n)` is SHA-256 (FIPS 180-4) of the event's stored JSON text. `h(n) = SHA-256(h(n-1) || digest(n))`, and `h(0)`
binds the run to its device, its journal file, its place among the runs and the end of the run before. The text goes
over the link unchanged with one member, `digest`, spliced in front, so the receiver hashes the very bytes that the
sender stored.
"""

from hashlib import sha256
from typing import Final

DIGEST_BYTES: Final = 32
_PREFIX: Final = b'{"digest":"'
_TEXT_AT: Final = len(_PREFIX) + 2 * DIGEST_BYTES + 2


def genesis(device: str, store: str, run: str, ord_: int, prev_n: int, prev_head: bytes) -> bytes:
    """Return h(0) of a run; `prev_n` 0 and `prev_head` b"" for the first run of a journal file."""
    fields = ("doorstile.chain.v1", device, store, run, str(ord_), str(prev_n), prev_head.hex())
    return sha256("|".join(fields).encode()).digest()


def digest(text: bytes) -> bytes:
    """Return the 32-byte digest of an event's stored text."""
    return sha256(text).digest()


def link(head: bytes, event_digest: bytes) -> bytes:
    """Return h(n) from h(n-1) and the digest of event n."""
    return sha256(head + event_digest).digest()


def splice(text: bytes, event_digest: bytes) -> bytes:
    """Return the event as it goes over the link: its stored text with `digest` as the first member."""
    return b"".join((_PREFIX, event_digest.hex().encode(), b'",', text[1:]))


def unsplice(sent: bytes) -> tuple[bytes, bytes] | None:
    """Return (claimed digest, stored text) of a spliced event, or None where it was not made by `splice`."""
    if not sent.startswith(_PREFIX) or sent[_TEXT_AT - 2 : _TEXT_AT] != b'",':
        return None
    try:
        claimed = bytes.fromhex(sent[len(_PREFIX) : _TEXT_AT - 2].decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None
    if len(claimed) != DIGEST_BYTES:
        return None
    return claimed, b"{" + sent[_TEXT_AT:]
