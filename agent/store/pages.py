"""Rows of the journal found in bare pages, where SQLite itself gives up.

Source: sqlite.org/fileformat2.html, sections 1.6 (B-tree pages), 2.1 (records) and 4 (the write-ahead log). A row is
believed only where its text matches its SHA-256, so it does not matter what else is wrong with a page. Rows that spill
into overflow pages are left to SQLite.
"""

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent.store.db import MAX_N, wal_of
from wire.chain import DIGEST_BYTES, digest
from wire.events import is_text_of

Found = tuple[int, bytes, bytes, int, bytes | None]

_LEAF: Final = 0x0D
_HASH_TYPE: Final = 12 + 2 * DIGEST_BYTES
_INT_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24


def is_genuine(row: tuple[Any, ...]) -> bool:
    """True for a row of the right shape whose text, where it has one, matches its digest and number."""
    row_id, prev, event_digest, size, text = row
    if not (isinstance(row_id, int) and isinstance(size, int) and isinstance(prev, bytes)):
        return False
    if not isinstance(event_digest, bytes) or len(event_digest) != DIGEST_BYTES or len(prev) != DIGEST_BYTES:
        return False
    if text is None:
        return True
    return isinstance(text, bytes) and is_text_of(row_id & MAX_N, text) and digest(text) == event_digest


def rows(path: Path) -> Iterator[Found]:
    """Yield the genuine rows in the pages of a log and its database file, newest version first; texts only."""
    log = _mapped(wal_of(path))
    if log is not None:
        yield from _in_log(log)
    file = _mapped(path)
    if file is not None:
        page_bytes = _page_bytes(file[16:18])
        for at in range(0, len(file) - page_bytes + 1, page_bytes):
            yield from _in_page(file[at : at + page_bytes], 100 if at == 0 else 0)


def _mapped(path: Path) -> bytes | mmap.mmap | None:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None


def _page_bytes(field: bytes) -> int:
    size = int.from_bytes(field, "big")
    if size == 1:
        return 65536
    return size if size >= 512 and size & (size - 1) == 0 else 2048


def _in_log(log: bytes | mmap.mmap) -> Iterator[Found]:
    """Frames of the log's present generation (most share its salt), up to the last commit, newest first."""
    size = int.from_bytes(log[8:12], "big")
    page_bytes = size if 512 <= size <= 65536 and size & (size - 1) == 0 else 2048
    frames = range(_WAL_HEADER, len(log) - _FRAME_HEADER - page_bytes + 1, _FRAME_HEADER + page_bytes)
    salts = Counter(bytes(log[at + 8 : at + 16]) for at in frames)
    header = bytes(log[16:24])
    salt = header if salts.get(header) else max(salts, key=lambda one: salts[one], default=b"")
    is_committed = False
    for at in reversed(frames):
        if bytes(log[at + 8 : at + 16]) != salt:
            continue
        is_committed = is_committed or log[at + 4 : at + 8] != b"\0\0\0\0"
        if is_committed:
            page = log[at + _FRAME_HEADER : at + _FRAME_HEADER + page_bytes]
            yield from _in_page(page, 100 if log[at : at + 4] == b"\0\0\0\1" else 0)


def _in_page(page: bytes, start: int) -> Iterator[Found]:
    if page[start] != _LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for index in range(min(count, (len(page) - start - 8) // 2)):
        pointer = start + 8 + 2 * index
        try:
            row = _cell(page, int.from_bytes(page[pointer : pointer + 2], "big"))
        except IndexError:
            continue
        if row is not None and row[4] is not None and is_genuine(row):
            yield row


def _cell(page: bytes, at: int) -> Found | None:
    size, at = _varint(page, at)
    row_id, at = _varint(page, at)
    if size > len(page) - 35:
        return None
    types: list[int] = []
    header_end, cursor = _varint(page, at)
    header_end += at
    while cursor < header_end:
        kind, cursor = _varint(page, cursor)
        types.append(kind)
    if len(types) != 5 or types[0] != 0 or types[1] != _HASH_TYPE or types[2] != _HASH_TYPE:
        return None
    if types[3] not in _INT_BYTES or types[4] < 12 or types[4] % 2:
        return None
    return _columns(page, cursor, row_id, types)


def _columns(page: bytes, at: int, row_id: int, types: list[int]) -> Found:
    prev = page[at : at + DIGEST_BYTES]
    at += DIGEST_BYTES
    event_digest = page[at : at + DIGEST_BYTES]
    at += DIGEST_BYTES
    width = _INT_BYTES[types[3]]
    total = int.from_bytes(page[at : at + width], "big") if width else types[3] - 8
    at += width
    return row_id, prev, event_digest, total, page[at : at + (types[4] - 12) // 2]


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for step in range(9):
        byte = page[at + step]
        if step == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + step + 1
    raise AssertionError(at)
