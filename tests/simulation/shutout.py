"""Which devices central has shut out, by what reached them over the wire: a second opinion, without the agent's flag.

Whoever was told a moment ago may answer either way, and so may a device that died before it could have kept it.
"""

from dataclasses import dataclass, field
from typing import Final

TAKEN_IN_MS: Final = 1_000
"""Within this time a device has taken in what it was told, and has it on its disk where that takes writes."""
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
        if self.word(card).is_shut_out is not True:
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
        """A word that shuts out is flushed at once, one that ends it with the next event."""
        word = self.word(card)
        least_ms = word.since_ms + TAKEN_IN_MS
        if word.is_shut_out or word.since_ms == _LONG_AGO:
            return now_ms >= least_ms
        return self.written_ms.get(card, _LONG_AGO) >= least_ms
