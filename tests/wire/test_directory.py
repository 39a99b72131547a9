"""The digest by which both sides know that they hold the same directory."""

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import samples
from wire.directory import directory_digest, row_text
from wire.messages import DirectoryRow
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

ROW = DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m")
directories = st.builds(samples.directory_rows, samples.seeds, st.integers(1, 6))


def test_the_digest_is_what_the_protocol_says() -> None:
    text = b'{"key":"%s","kind":"hf_uid","member":"m"}' % (b"00" * 16)
    assert row_text(ROW) == text
    assert directory_digest([ROW, ROW]) == sha256((text + b"\n") * 2).hexdigest()


def test_an_empty_directory_has_a_digest() -> None:
    assert directory_digest([]) == sha256(b"").hexdigest()


@given(directories)
def test_the_digest_survives_the_link(rows: list[DirectoryRow]) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(rows), type=list[DirectoryRow])
    assert directory_digest(sent) == directory_digest(rows)


@given(directories, st.integers(0))
def test_a_row_more_or_less_or_elsewhere_is_another_directory(rows: list[DirectoryRow], which: int) -> None:
    index = which % len(rows)
    left = [*rows[:index], *rows[index + 1 :]]
    assert directory_digest(left) != directory_digest(rows)
    assert directory_digest([*rows, rows[index]]) != directory_digest(rows)
    if rows[::-1] != rows:
        assert directory_digest(rows[::-1]) != directory_digest(rows)


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
