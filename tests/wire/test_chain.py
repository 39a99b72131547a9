"""The hash chain: what it covers, and that nothing in it can change unseen."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import samples
from wire import chain

pytestmark = pytest.mark.unit

GENESIS = ("device", "store", "run", 3, 41, b"\x01" * 32)


def head_of(texts: list[bytes]) -> bytes:
    head = chain.genesis(*GENESIS)
    for text in texts:
        head = chain.link(head, chain.digest(text))
    return head


def test_the_chain_is_what_the_protocol_says() -> None:
    first = sha256(b"doorstile.chain.v1|device|store|run|3|41|" + b"01" * 32).digest()
    assert chain.genesis(*GENESIS) == first
    text = b'{"n":1,"kind":"alarm"}'
    assert head_of([text]) == sha256(first + sha256(text).digest()).digest()


@pytest.mark.parametrize(
    "other",
    [
        ("devicf", "store", "run", 3, 41, b"\x01" * 32),
        ("device", "storf", "run", 3, 41, b"\x01" * 32),
        ("device", "store", "rum", 3, 41, b"\x01" * 32),
        ("device", "store", "run", 4, 41, b"\x01" * 32),
        ("device", "store", "run", 3, 42, b"\x01" * 32),
        ("device", "store", "run", 3, 41, b"\x02" * 32),
        ("device", "store", "run", 3, 0, b""),
    ],
)
def test_the_beginning_covers_where_the_run_belongs(other: tuple[str, str, str, int, int, bytes]) -> None:
    assert chain.genesis(*other) != chain.genesis(*GENESIS)


@given(samples.runs)
def test_a_spliced_event_comes_apart_again(texts: list[bytes]) -> None:
    for text in texts:
        assert chain.unsplice(samples.spliced(text)) == (chain.digest(text), text)


@given(samples.runs, st.integers(0), st.integers(0), st.integers(1, 255))
def test_any_altered_byte_of_a_text_is_seen(texts: list[bytes], which: int, at: int, flip: int) -> None:
    index = which % len(texts)
    altered = bytearray(texts[index])
    altered[at % len(altered)] ^= flip
    assert head_of([*texts[:index], bytes(altered), *texts[index + 1 :]]) != head_of(texts)


@given(samples.runs, st.integers(0), st.integers(0))
def test_a_lost_or_moved_event_is_seen(texts: list[bytes], which: int, to: int) -> None:
    index = which % len(texts)
    left = [*texts[:index], *texts[index + 1 :]]
    assert head_of(left) != head_of(texts)
    to %= len(texts)
    moved = [*left[:to], texts[index], *left[to:]]
    assert (head_of(moved) == head_of(texts)) == (to == index)


def test_any_altered_byte_of_a_spliced_event_is_seen() -> None:
    text = samples.event_texts(7, 1)[0]
    sent = samples.spliced(text)
    for at in range(len(sent)):
        altered = bytearray(sent)
        altered[at] ^= 0x01
        parts = chain.unsplice(bytes(altered))
        assert parts is None or chain.digest(parts[1]) != parts[0], at


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{}",
        b'{"n":1}',
        b'{"digest":"',
        b'{"digest":"' + b"0" * 64,
        b'{"digest":"' + b"0" * 64 + b'"}',
        b'{"digest":"' + b"0" * 63 + b'g","n":1}',
        b'{"digest":"' + b"0" * 62 + b'\xc3\xa9","n":1}',
        b'{"digest":"' + b"0" * 62 + b'  ","n":1}',
        b'{ "digest":"' + b"0" * 64 + b'","n":1}',
    ],
)
def test_what_splice_did_not_make_does_not_come_apart(sent: bytes) -> None:
    assert chain.unsplice(sent) is None
