"""Hostile inputs from good ones: parts cut, doubled, swapped for what parsers are known to dislike."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from tests.fuzz.target import MAX_INPUT_BYTES, Target

_DISLIKED: Final[tuple[bytes, ...]] = (
    b"", b"\0", b"\n", b"\r", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", "\u202e١２".encode(),
    b"[" * 2000, b'{"a":' * 1000, b"{a=" * 1500,
    b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b"-1", b"-0", b"NaN", b"inf",
    b"9007199254740992", b"18446744073709551616", b"null", b"true", b'""', b"{}", b"[]", b"'", b'"', b"A" * 9000,
    b"%s", b"!15", b"!99", b'{"x":1}', b"1970-01-01T00:00:00Z", b"../../etc/passwd",
)  # fmt: skip


def mutated(random: Random, good: Sequence[bytes]) -> bytes:
    """Return a good input with one to five changes."""
    data = random.choice(good)
    for _ in range(random.randint(1, 5)):
        data = random.choice(_CHANGES)(random, data, good)
    return data[:MAX_INPUT_BYTES]


def kept(target: Target) -> list[bytes]:
    """Return the inputs of a target's corpus, by file name."""
    if not target.corpus.is_dir():
        return []
    return [path.read_bytes() for path in sorted(target.corpus.iterdir())]


def good_inputs(target: Target) -> list[bytes]:
    """Return what there is to begin with: seeds, then the corpus."""
    return list(_unique([*target.seeds(), *kept(target)]))


def _unique(inputs: Iterable[bytes]) -> Iterable[bytes]:
    return dict.fromkeys(inputs)


def _span(random: Random, data: bytes) -> slice:
    start = random.randint(0, len(data))
    return slice(start, min(len(data), start + random.choice((1, 2, 4, 16, 64, 512))))


def _cut(random: Random, data: bytes, _good: Sequence[bytes]) -> bytes:
    span = _span(random, data)
    return data[: span.start] + data[span.stop :]


def _doubled(random: Random, data: bytes, _good: Sequence[bytes]) -> bytes:
    span = _span(random, data)
    return data[: span.stop] + data[span.start :]


def _disliked(random: Random, data: bytes, _good: Sequence[bytes]) -> bytes:
    span = _span(random, data)
    end = random.choice((span.start, span.stop))
    return data[: span.start] + random.choice(_DISLIKED) + data[end:]


def _flipped(random: Random, data: bytes, _good: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _mixed(random: Random, data: bytes, good: Sequence[bytes]) -> bytes:
    other = random.choice(good)
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _truncated(random: Random, data: bytes, _good: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, len(data))]


_CHANGES: Final = (_cut, _doubled, _disliked, _disliked, _flipped, _flipped, _mixed, _truncated)
