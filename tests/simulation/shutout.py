"""Which devices central has shut out, by what reached them over the wire: a second opinion, without the agent's flag.

Whoever was told a moment ago may answer either way, and so may a device that died before it could have kept it.
"""

from dataclasses import dataclass, field
from typing import Final

TAKEN_IN_MS: Final = 1_000
"""Within this time a device has taken in what it was told, and has it on its disk where that takes writes."""
TRIED_AGAIN_MS: Final = 62_000
"""Within this time after a full disk has room again a device has on it what it could not keep."""
_LONG_AGO: Final = -(1 << 62)


@dataclass(frozen=True, slots=True)
class Word:
    """What a device has last heard of central: whether it is shut out (None: nobody knows), and since when."""

    is_shut_out: bool | None
    since_ms: int


_NEVER: Final = Word(is_shut_out=False, since_ms=_LONG_AGO)


@dataclass
class ShutOut:
    """By card. All moments are true ones, in ms."""

    words: dict[str, Word] = field(default_factory=dict)
    written_ms: dict[str, int] = field(default_factory=dict)
    """When an event was last made durable, and with it whatever waited to be kept."""

    full_until_ms: dict[str, int] = field(default_factory=dict)

    def full(self, card: str, until_ms: int) -> None:
        """The disk of a card takes nothing until then."""
        self.full_until_ms[card] = max(until_ms, self.full_until_ms.get(card, _LONG_AGO))

    def heard(self, card: str, now_ms: int, *, is_shut_out: bool) -> bool:
        """A device reads central's word; return whether it is news."""
        is_news = self.word(card).is_shut_out is not is_shut_out
        if is_news:
            self.words[card] = Word(is_shut_out, now_ms)
        return is_news

    def died(self, card: str, now_ms: int) -> None:
        """The process of a card is gone: what was not kept yet may be forgotten."""
        if not self._is_kept(card, now_ms):
            self.words[card] = Word(None, now_ms)

    def reverted(self, card: str, now_ms: int) -> None:
        """The journal shows an older state; a word that shuts out stands beside the directory as well."""
        if not (self.word(card).is_shut_out and self._is_beside(card, now_ms)):
            self.words[card] = Word(None, now_ms)

    def cloned(self, card: str, clone: str, now_ms: int) -> None:
        """A card was copied."""
        self.words[clone] = self.word(card) if self._is_kept(card, now_ms) else Word(None, now_ms)

    def holds(self, card: str, at_ms: int, *, for_ms: int = TAKEN_IN_MS) -> bool | None:
        """Say whether a device was shut out at a moment, and had been for `for_ms`; None where it may be either."""
        word = self.word(card)
        return word.is_shut_out if at_ms - word.since_ms >= for_ms else None

    def word(self, card: str) -> Word:
        """Return what a device has heard; one that never heard anything works."""
        return self.words.get(card, _NEVER)

    def _is_kept(self, card: str, now_ms: int) -> bool:
        """Say whether a word stands on the disk: at once beside the directory, and in the journal with the next event.

        One that shuts out holds by either, one that ends it by both.
        """
        word = self.word(card)
        if word.since_ms == _LONG_AGO:
            return True
        is_beside = self._is_beside(card, now_ms)
        is_in_journal = self.written_ms.get(card, _LONG_AGO) >= word.since_ms + TAKEN_IN_MS
        return is_beside or is_in_journal if word.is_shut_out else is_beside and is_in_journal

    def _is_beside(self, card: str, now_ms: int) -> bool:
        since_ms, full_until_ms = self.word(card).since_ms, self.full_until_ms.get(card, _LONG_AGO)
        return now_ms >= (full_until_ms + TRIED_AGAIN_MS if full_until_ms > since_ms else since_ms + TAKEN_IN_MS)
