"""A log of blklogwrites is read as the disk was told; what was cut off in the middle was not told."""

import struct

import pytest

from tests.crashstates.powercut import Entry
from tests.device.disklog import SECTOR, DiskLogError, entries

pytestmark = pytest.mark.unit


def _entry(sector: int, data: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0") + data


_HEAD = bytes(SECTOR)
_BLOCK = b"x" * 2 * SECTOR


def test_writes_and_flushes_come_in_order_with_their_place_in_the_log() -> None:
    log = _HEAD + _entry(8, _BLOCK) + _entry(0, flags=1)
    assert list(entries(log)) == [Entry(8 * SECTOR, _BLOCK, False, 4 * SECTOR), Entry(0, b"", True, 5 * SECTOR)]


def test_a_write_that_carries_a_flush_is_durable_with_all_before_it() -> None:
    found = list(entries(_HEAD + _entry(8, _BLOCK, flags=1)))
    assert [entry.is_flush for entry in found] == [False, True]


@pytest.mark.parametrize("kept", [SECTOR + 1, SECTOR * 2, SECTOR * 3 - 1])
def test_an_entry_that_was_cut_off_is_none(kept: int) -> None:
    assert list(entries((_HEAD + _entry(8, _BLOCK))[: SECTOR + kept])) == []


def test_zeros_end_the_log() -> None:
    assert len(list(entries(_HEAD + _entry(8, _BLOCK) + bytes(4 * SECTOR)))) == 1


@pytest.mark.parametrize("flags", [2, 4, 8])
def test_a_request_of_another_kind_is_refused_by_name(flags: int) -> None:
    with pytest.raises(DiskLogError, match=f"flags 0x{flags}"):
        list(entries(_HEAD + _entry(8, _BLOCK, flags=flags)))
