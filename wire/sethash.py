"""The hash of a set, which follows the set: one text more or less costs the same, however many there are.

LtHash with 1,024 lanes of 16 bits (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997; Lewi,
Kim, Maykov and Weis, "Securing Update Propagation with Homomorphic Hashing", 2019, which puts these parameters above
200 bits of security): each text is spread over all lanes by SHAKE-128 (FIPS 202), lanes are added without carry. The
order of the texts does not count. A sum of 256 bits would not do: by Wagner's generalised birthday attack other sets
with the same sum can be found.
"""

from collections.abc import Iterable
from hashlib import sha256, shake_128
from typing import Final, Self

import msgspec

STATE_BYTES: Final = 2048
_PAIRS: Final = STATE_BYTES // 4
_LOW: Final = int.from_bytes(b"\xff\xff\0\0" * _PAIRS, "little")
"""One lane of each pair; the other 16 bits take the carries."""
_BORROW: Final = int.from_bytes(b"\0\0\1\0" * _PAIRS, "little")
_MASK_EVERY: Final = 0xFFFF
"""So many 16-bit lanes add up within 32 bits."""


class SetHash(msgspec.Struct, frozen=True):
    """The hash of one set of texts; every second lane is in `even`, the others are in `odd`."""

    even: int = 0
    odd: int = 0

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Self:
        """Return the hash of these texts; one that comes twice counts twice."""
        even = odd = 0
        for count, text in enumerate(texts, start=1):
            spread = int.from_bytes(shake_128(text).digest(STATE_BYTES), "little")
            even += spread & _LOW
            odd += (spread >> 16) & _LOW
            if count % _MASK_EVERY == 0:
                even, odd = even & _LOW, odd & _LOW
        return cls(even & _LOW, odd & _LOW)

    @classmethod
    def read(cls, state: bytes) -> Self:
        """Return the hash that `state` holds; raise ValueError where it is none."""
        if len(state) != STATE_BYTES:
            raise ValueError(f"a set's hash has {STATE_BYTES} bytes, this has {len(state)}")
        lanes = int.from_bytes(state, "little")
        return cls(lanes & _LOW, (lanes >> 16) & _LOW)

    @property
    def state(self) -> bytes:
        """The hash as it is kept: 2,048 bytes."""
        return (self.even | self.odd << 16).to_bytes(STATE_BYTES, "little")

    @property
    def digest(self) -> str:
        """The SHA-256 of the state, hex: what is compared and signed."""
        return sha256(self.state).hexdigest()

    def changed(self, added: Iterable[bytes] = (), removed: Iterable[bytes] = ()) -> "SetHash":
        """Return the hash of the set with these texts more and those less."""
        more, less = SetHash.of(added), SetHash.of(removed)
        return SetHash(
            (self.even + more.even + _BORROW - less.even) & _LOW, (self.odd + more.odd + _BORROW - less.odd) & _LOW
        )
