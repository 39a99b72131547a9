"""The digest by which both sides know that they hold the same directory, and what central signs."""

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.issuing import begin_of, delta_of
from tests.wire import samples
from wire import sethash
from wire.directory import (
    DirectoryTextError,
    Issue,
    directory_digest,
    directory_hash,
    issue_of,
    key_in,
    read_row,
    row_text,
)
from wire.rows import DirectoryRow
from wire.sethash import STATE_BYTES, SetHash
from wire.transfer import BookEntry
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

ROW = DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m")
ITEM = BookEntry(key="zone/pool", item=msgspec.Raw(b'{"item":"zone","name":"pool"}'))
ISSUE = Issue(device="d", epoch="e", ver=3, digest="ab", issued_ms=5, feat=("rules",))
directories = st.builds(samples.directory_rows, samples.seeds, st.integers(1, 6))
texts = st.lists(st.binary(max_size=40), max_size=8)


def test_the_text_of_a_row_begins_with_its_key() -> None:
    assert row_text(ROW) == b'{"key":"%s","kind":"hf_uid","member":"m"}' % (b"00" * 16)
    assert key_in(row_text(ROW)) == bytes(16)


def test_an_empty_directory_has_a_digest() -> None:
    assert directory_digest([]) == sha256(bytes(STATE_BYTES)).hexdigest()


def test_the_hash_of_one_text_is_what_the_protocol_says() -> None:
    """SHAKE-128 of the text, 2,048 bytes: with one text every lane is what it gives."""
    from hashlib import shake_128

    assert SetHash.of([b"text"]).state == shake_128(b"text").digest(STATE_BYTES)


def test_lanes_add_up_without_carry() -> None:
    from hashlib import shake_128

    lanes = [
        (int.from_bytes(shake_128(b"a").digest(STATE_BYTES)[at : at + 2], "little")
         + int.from_bytes(shake_128(b"b").digest(STATE_BYTES)[at : at + 2], "little")) & 0xFFFF
        for at in range(0, STATE_BYTES, 2)
    ]  # fmt: skip
    assert SetHash.of([b"a", b"b"]).state == b"".join(lane.to_bytes(2, "little") for lane in lanes)


@given(texts, texts)
def test_the_hash_follows_the_set_whatever_the_order(some: list[bytes], others: list[bytes]) -> None:
    both = SetHash.of(some + others)
    assert both == SetHash.of(others + some) == SetHash.of(some).changed(others)
    assert both.changed((), others) == SetHash.of(some)
    assert SetHash.read(both.state) == both


def test_sum_of_very_many_texts_does_not_run_over(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [bytes([number]) for number in range(7)]
    whole = SetHash.of(texts)
    monkeypatch.setattr(sethash, "_MASK_EVERY", 3)
    assert SetHash.of(texts) == whole


def test_a_state_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2048 bytes"):
        SetHash.read(b"short")


@given(directories)
def test_the_digest_survives_the_link(rows: list[DirectoryRow]) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(rows), type=list[DirectoryRow])
    assert directory_digest(sent) == directory_digest(rows) == directory_digest(rows[::-1])


@given(directories, st.integers(0))
def test_a_row_more_or_less_is_another_directory(rows: list[DirectoryRow], which: int) -> None:
    index = which % len(rows)
    left = [*rows[:index], *rows[index + 1 :]]
    assert directory_digest(left) != directory_digest(rows)
    assert directory_digest([*rows, rows[index]]) != directory_digest(rows)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "01" * 16},
        {"kind": CredentialKind.LF_HID},
        {"member": "n"},
        {"is_active": False},
        {"is_revoked": True},
        {"valid_from_ms": 0},
        {"valid_to_ms": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_a_row_is_covered(change: dict[str, object]) -> None:
    assert directory_digest([msgspec.structs.replace(ROW, **change)]) != directory_digest([ROW])


def test_key_and_text_of_every_item_are_covered() -> None:
    digests = {
        directory_digest([ROW]),
        directory_digest([ROW], [ITEM]),
        directory_digest([ROW], [msgspec.structs.replace(ITEM, key="zone/gym")]),
        directory_digest([ROW], [msgspec.structs.replace(ITEM, item=msgspec.Raw(b"{}"))]),
    }
    assert len(digests) == 4


def test_a_field_that_is_not_known_is_part_of_the_directory() -> None:
    text = row_text(ROW)[:-1] + b',"from_the_future":1}'
    assert read_row(text) == ROW
    assert directory_hash([text]) != directory_hash([row_text(ROW)])


@pytest.mark.parametrize(
    "text", [b"{}", b'{"key":"00"}', b' {"key":"%s",' % (b"0" * 32), b'{"key":"%s",' % (b"A" * 32)]
)
def test_text_without_a_key_in_front_is_refused(text: bytes) -> None:
    with pytest.raises(DirectoryTextError, match="is no row"):
        key_in(text)


@pytest.mark.parametrize("text", [b'{"key":1}', b"\xff", b'{"key":"00","kind":"tooth","member":"m"}'])
def test_unreadable_row_is_refused(text: bytes) -> None:
    with pytest.raises(DirectoryTextError, match="cannot be read"):
        read_row(text)


@pytest.mark.parametrize(
    "change",
    [{"device": "x"}, {"epoch": "x"}, {"ver": 4}, {"digest": "x"}, {"issued_ms": 6}, {"feat": ()}],
    ids=lambda change: next(iter(change)),
)
def test_the_signature_covers_every_field(change: dict[str, object]) -> None:
    assert msgspec.structs.replace(ISSUE, **change).signed != ISSUE.signed


def test_a_snapshot_and_a_change_say_what_is_signed_of_them() -> None:
    begin = begin_of([ROW], epoch="e", ver=3, device="d")
    assert issue_of(begin, "d").ref == issue_of(delta_of((), [ROW], epoch="e", first=2, to=3, device="d"), "d").ref
