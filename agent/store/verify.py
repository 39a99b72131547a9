"""Is the journal what was written? The tail at every start, the whole chain on demand. Reads only."""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from agent.store import db, migrations, reading, standing
from agent.store.errors import SchemaError
from agent.store.roll import Roll
from agent.store.witness import Mark

_QUICK_CHECK_BYTES: Final = 4 << 20


def damage(path: Path, mark: Mark | None, roll: Roll | None, tail_rows: int) -> list[str]:
    """Return what is wrong with a journal file, in plain words; raise SchemaError where it is from a newer agent.

    Looks at the last `tail_rows` rows, at how the runs follow one another, at the witness and the roll.
    """
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error as fault:
        return [f"{path.name} cannot be read ({fault})"]
    try:
        if migrations.check(connection, migrations.JOURNAL, path) < 1:
            return _tables(connection, path) or _empty(path, mark)
        found = _pages(connection, path) or _shape(connection, path)
        return found or list(findings(connection, mark, roll, tail_rows))
    except SchemaError:
        raise
    except (sqlite3.Error, TypeError, ValueError, AttributeError) as fault:
        return [f"{path.name} cannot be read ({fault})"]
    finally:
        connection.close()


def chain(
    connection: sqlite3.Connection,
    line: reading.RunLine,
    genesis_head: bytes,
    after: int,
    upto: int = db.MAX_N,
) -> Iterator[str]:
    """Yield each break in a run's chain from event `after` + 1 to `upto`; declared losses are not breaks."""
    lost = [loss for loss in reading.losses(connection) if loss.run == line.run]
    known = reading.head_at(connection, line, after, genesis_head)
    head, expect = known[0] if known else None, after + 1
    for row in reading.rows(connection, line.ord, after, upto):
        while row.n != expect and (loss := next((one for one in lost if one.first <= expect <= one.to), None)):
            head, expect = loss.head, loss.to + 1
        if row.n != expect:
            head = None
            if row.n - 1 > line.acked:
                yield f"run {line.run}: events {expect} to {row.n - 1} are missing"
        if not row.is_intact:
            yield f"run {line.run}: event {row.n} does not match its digest"
        if head is not None and row.prev != head:
            yield f"run {line.run}: event {row.n} does not follow event {row.n - 1}"
        head, expect = row.head, row.n + 1


def findings(connection: sqlite3.Connection, mark: Mark | None, roll: Roll | None, tail_rows: int) -> Iterator[str]:
    """Yield what disagrees: witness, roll, succession of runs, cursors, and the chain of the last `tail_rows` rows."""
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    store, device = meta.get("store", ""), meta.get("device", "")
    lines = reading.run_lines(connection)
    if mark is not None:
        yield from _against(connection, device, store, lines, mark)
    if standing.LIST in meta if mark is None else mark.stands is not None:
        yield from standing.findings(connection, meta.get(standing.LIST))
    if roll is not None:
        yield from _against_roll(store, device, lines, roll)
    yield from _succession(connection, device, store, lines)
    yield from reading.unsealed(connection)
    for line in lines:
        yield from _beginning(connection, line, reading.genesis_of(device, store, line))
        yield from _cursor(connection, line, is_newest=line is lines[-1])
    left = tail_rows
    for line in reversed(lines):
        after = max(line.pruned, line.last - left)
        yield from chain(connection, line, reading.genesis_of(device, store, line), after)
        left -= line.last - after
        if left <= 0:
            break


def _pages(connection: sqlite3.Connection, path: Path) -> list[str]:
    if path.stat().st_size > _QUICK_CHECK_BYTES:
        return []
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return [] if answer == "ok" else [f"{path.name}: {answer}"]


def _shape(connection: sqlite3.Connection, path: Path) -> list[str]:
    """The tables' descriptions, and the header's two format versions (sqlite.org/fileformat2.html, 1.3.3)."""
    with path.open("rb") as file:
        versions = file.read(20)[18:]
    if versions not in (b"\1\1", b"\2\2", b""):
        return [f"{path.name} has format versions {versions.hex()}"]
    return _tables(connection, path)


def _tables(connection: sqlite3.Connection, path: Path) -> list[str]:
    is_shaped = migrations.is_shaped(connection, migrations.JOURNAL)
    return [] if is_shaped else [f"{path.name}: its tables are not as they were made"]


def _empty(path: Path, mark: Mark | None) -> list[str]:
    return [] if mark is None else [f"{path.name} is empty, yet event {mark.n} of run {mark.run} was written"]


def _against(
    connection: sqlite3.Connection, device: str, store: str, lines: list[reading.RunLine], mark: Mark
) -> Iterator[str]:
    """The file must hold at least what the witness saw."""
    if mark.store != store:
        yield f"the file is journal {store or 'unknown'}, the witness saw {mark.store}: it was swapped"
        return
    line = next((line for line in lines if line.run == mark.run), None)
    if line is None:
        yield f"run {mark.run}, which the witness saw, is missing: an older copy was put back, or rows are lost"
    elif line.last < mark.n:
        yield f"run {mark.run} ends at event {line.last}, the witness saw event {mark.n}"
    else:
        known = reading.head_at(connection, line, mark.n, reading.genesis_of(device, store, line))
        if known is not None and known[0].hex() != mark.head:
            yield f"run {mark.run}: event {mark.n} is not the one that the witness saw"


def _succession(connection: sqlite3.Connection, device: str, store: str, lines: list[reading.RunLine]) -> Iterator[str]:
    """Each run's h(0) covers the end of the run before."""
    for before, line in pairwise(lines):
        if line.ord != before.ord + 1:
            continue
        if before.last != line.prev_n:
            yield f"run {before.run} ends at event {before.last}, the next run began after event {line.prev_n}"
            continue
        known = reading.head_at(connection, before, line.prev_n, reading.genesis_of(device, store, before))
        if known is not None and line.prev_head and known[0] != line.prev_head:
            yield f"run {before.run}: event {line.prev_n} is not the one that the next run began after"


def _against_roll(store: str, device: str, lines: list[reading.RunLine], roll: Roll) -> Iterator[str]:
    """The runs must be those that were there at the last start; deleted ones may be missing."""
    if (store, device) != (roll.store, roll.device):
        yield f"the file is journal {store or 'unknown'} of device {device or 'unknown'}, the roll names another"
        return
    listed = {run.ord: (run.run, run.prev_n, run.prev_head) for run in roll.runs}
    for line in lines:
        if listed.get(line.ord, (line.run, line.prev_n, line.prev_head.hex())) != (
            line.run, line.prev_n, line.prev_head.hex(),
        ):  # fmt: skip
            yield f"run {line.run} of ordinal {line.ord} is not the one that the roll names"


def _beginning(connection: sqlite3.Connection, line: reading.RunLine, genesis_head: bytes) -> Iterator[str]:
    """What is deleted ends where the rows begin; with nothing deleted that is h(0)."""
    if not 0 <= line.pruned <= line.acked <= line.last:
        yield f"run {line.run}: its cursors {line.pruned}, {line.acked} and {line.last} are out of order"
    if line.pruned == 0 and line.pruned_head != genesis_head:
        yield f"run {line.run} does not begin as its id, ordinal and the run before it say"
    first = next(reading.rows(connection, line.ord, line.pruned), None)
    if first is not None and first.n == line.pruned + 1 and first.prev != line.pruned_head:
        yield f"run {line.run}: event {first.n} does not follow what was deleted before it"


def _cursor(connection: sqlite3.Connection, line: reading.RunLine, *, is_newest: bool) -> Iterator[str]:
    """What is acknowledged last is a row, or the end of what was deleted, or of a declared loss."""
    if line.acked == line.pruned:
        if line.acked_head != line.pruned_head:
            yield f"run {line.run}: its heads at event {line.acked} differ"
        return
    acked = next(reading.rows(connection, line.ord, line.acked - 1, line.acked), None)
    if acked is not None and acked.head != line.acked_head:
        yield f"run {line.run}: event {line.acked} is not the one that was acknowledged"
    elif acked is None and not _is_lost(connection, line, is_newest):
        yield f"run {line.run}: event {line.acked}, which was acknowledged, is missing"


def _is_lost(connection: sqlite3.Connection, line: reading.RunLine, is_newest: bool) -> bool:
    """True where the acknowledged event was declared lost: then the next row, or the next run, follows its head."""
    following = next(reading.rows(connection, line.ord, line.acked), None)
    if following is not None:
        return following.prev == line.acked_head
    return not is_newest or any(loss.run == line.run for loss in reading.losses(connection))
