"""From a damaged journal to a whole one: what can be read is copied to a new file, the old files are kept aside.

The order makes a cut at any moment harmless: the new file is built beside, flushed, renamed to `.new` once complete;
then the old files move away, the database first; then `.new` takes its place. `finish` completes what a cut left.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from agent.store import db, migrations, notes, outbox, pages, reading, standing, steps
from agent.store.reserve import Reserve
from agent.store.roll import Roll
from agent.store.types import JournalLimits, Loss, OpenReport
from agent.store.witness import Mark
from wire.chain import genesis, link
from wire.vocabulary import TombReason

_KEPT_QUARANTINES: Final = 3
_CHUNK: Final = 2000
_RUN_COLUMNS: Final = (
    "ord, run, prev_n, prev_head, acked, acked_head, acked_bytes, pruned, pruned_head, pruned_bytes, shed_bytes"
)
_INSERT: Final = "INSERT OR IGNORE INTO events (place, prev, digest, bytes, text) VALUES (?, ?, ?, ?, ?)"
_READ: Final = (
    "SELECT place, CAST(prev AS BLOB), CAST(digest AS BLOB), CAST(bytes AS INTEGER), CAST(text AS BLOB) FROM events "
)
_RUN_TYPES: Final = (int, str, int, bytes, int, bytes, int, int, bytes, int, int)


class _BrokeOffError(Exception):
    """SQLite cannot read on."""


@dataclass(slots=True)
class _Old:
    """What the old file's small tables still tell."""

    store: str | None = None
    device: str | None = None
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    promises: list[tuple[Any, ...]] = field(default_factory=list)
    stands: tuple[str, ...] | None = None
    is_listed: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    steps: list[tuple[Any, ...]] = field(default_factory=list)


def finish(path: Path) -> None:
    """Complete a rebuild that was cut short, where the new file has its name; else begin anew.

    A new file that has its name is whole. Of the old ones the log may be gone and the database not, as a file system
    may keep the later of two renames alone: what is left of them is no journal any more.
    """
    _remove(path.with_suffix(".rebuild"))
    if not path.with_suffix(".new").exists():
        return
    if any(old.exists() for old in _trio(path)):
        _set_aside(path, _quarantine(path))
    _adopt(path)


def rebuild(
    path: Path, device: str, limits: JournalLimits, mark: Mark | None, roll: Roll | None, found: tuple[str, ...]
) -> OpenReport:
    """Copy what can be read to a new file, put the old ones in quarantine, and say what is gone."""
    Reserve(path, limits.reserve_bytes).free_all()
    new = path.with_suffix(".rebuild")
    kept, lost = _build(path, new, device, limits, mark, roll)
    new.rename(path.with_suffix(".new"))
    db.flush_folder(path.parent)
    folder = None
    if any(old.exists() for old in _trio(path)):
        folder = _quarantine(path)
        _set_aside(path, folder)
    _adopt(path)
    return OpenReport(found, str(folder) if folder else None, kept, lost)


def _build(
    path: Path, new: Path, device: str, limits: JournalLimits, mark: Mark | None, roll: Roll | None
) -> tuple[int, int]:
    connection = db.connect_writer(new, page_bytes=limits.page_bytes)
    try:
        migrations.migrate(connection, migrations.JOURNAL, new)
        old = _small_tables(path)
        is_ours = old.device in (None, device)
        if not is_ours:
            old = _Old()
        else:
            _remember(old, mark, is_gone=not path.exists())
        if roll is not None:
            _correct(old, roll)
        store = old.store or (mark.store if mark else None)
        connection.execute("BEGIN IMMEDIATE")
        _copy_small(connection, old, device, store)
        if mark is not None:
            _ensure_run(connection, device, mark)
        if is_ours:
            _copy_events(connection, path, mark)
        connection.execute("COMMIT")
        return _settle(connection, device, store or "", mark)
    finally:
        connection.close()
        if new.exists():
            db.flush_file(new)


def _small_tables(path: Path) -> _Old:
    old = _Old()
    if not path.exists():
        return old
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error:
        return old
    try:
        meta: dict[str, Any] = dict(reading.readable(connection, "SELECT name, value FROM meta"))
        old.store, old.device = meta.get("store"), meta.get("device")
        old.stands, old.is_listed = standing.read(meta.get(standing.LIST)), standing.LIST in meta
        old.notes = notes.among(meta)
        found = reading.readable(connection, f"SELECT {_RUN_COLUMNS} FROM runs ORDER BY ord")  # noqa: S608
        old.runs = [run for run in found if tuple(map(type, run)) == _RUN_TYPES]
        old.promises = standing.trusted(connection)
        used = reading.readable(connection, "SELECT name, step, seal FROM steps")
        old.steps = [row for row in used if db.seal(*row[:-1]) == row[-1]]
        for *fields, sealed in reading.readable(connection, "SELECT run, first, last, why, head, seal FROM losses"):
            if db.seal(*fields) == sealed:
                run, first, last, why, head = fields
                old.losses.append(Loss(run, first, last, TombReason(why), head))
    except ValueError:
        pass
    finally:
        connection.close()
    return old


def _remember(old: _Old, mark: Mark | None, *, is_gone: bool) -> None:
    """Put back what keeps people out and is gone, by its lists; an older agent's witness says not to heed them."""
    told = None if mark is None else mark.stands
    if told is not None or (mark is None and (old.is_listed or is_gone)):
        old.promises += standing.remembered(old.promises, old.stands, told)


def _correct(old: _Old, roll: Roll) -> None:
    """Take from the roll the runs that the tables lost, and the ids of those that they kept."""
    if old.store not in (None, roll.store) and {run[1] for run in old.runs}.isdisjoint(run.run for run in roll.runs):
        return
    old.store = roll.store
    kept = {run[0]: run for run in old.runs}
    for run in roll.runs:
        head = bytes.fromhex(run.acked_head)
        cursors = (run.acked, head, run.acked_bytes, run.acked, head, run.acked_bytes, 0)
        if run.ord in kept:
            cursors = kept[run.ord][4:]
        elif kept and run.ord < min(kept):
            continue
        kept[run.ord] = (run.ord, run.run, run.prev_n, bytes.fromhex(run.prev_head), *cursors)
    old.runs = [kept[ord_] for ord_ in sorted(kept)]


def _copy_small(connection: sqlite3.Connection, old: _Old, device: str, store: str | None) -> None:
    connection.execute("INSERT INTO meta (name, value) VALUES ('device', ?)", (device,))
    if store:
        connection.execute("INSERT INTO meta (name, value) VALUES ('store', ?)", (store,))
    marks = ", ".join("?" * 11)
    connection.executemany(f"INSERT OR IGNORE INTO runs ({_RUN_COLUMNS}) VALUES ({marks})", old.runs)  # noqa: S608
    connection.executemany(
        "INSERT OR IGNORE INTO promises (key, run, n, outcome, seal) VALUES (?, ?, ?, ?, ?)", old.promises
    )
    connection.executemany("INSERT OR IGNORE INTO steps (name, step, seal) VALUES (?, ?, ?)", old.steps)
    standing.write(connection, standing.among(row[0] for row in old.promises if row[3] is None))
    connection.executemany(notes.PUT, [(name, notes.sealed(value)) for name, value in old.notes.items()])
    steps.doubt(connection)
    for loss in old.losses:
        outbox.declare(connection, loss)


def _ensure_run(connection: sqlite3.Connection, device: str, mark: Mark) -> None:
    """Make sure of a row for the run that the witness saw, so that what it lost can be declared."""
    if connection.execute("SELECT 1 FROM runs WHERE run = ?", (mark.run,)).fetchone():
        return
    ord_, prev_n, prev_head = mark.ord, 0, b""
    newest = connection.execute("SELECT max(ord) FROM runs").fetchone()[0]
    if newest is not None and newest >= ord_:
        ord_ = newest + 1
    head = genesis(device, mark.store, mark.run, ord_, prev_n, prev_head)
    marks = ", ".join("?" * 11)
    connection.execute(
        f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES ({marks})",  # noqa: S608
        (ord_, mark.run, prev_n, prev_head, 0, head, 0, 0, head, 0, 0),
    )


def _copy_events(connection: sqlite3.Connection, path: Path, mark: Mark | None) -> None:
    """Copy each row whose text matches its digest: as SQLite reads them, and where that fails from the bare pages."""
    is_smooth = _insert(connection, _through_sqlite(path, "ORDER BY place"))
    if not (is_smooth and _reaches(connection, mark)):
        _insert(connection, _through_sqlite(path, "ORDER BY place DESC"))
        _insert(connection, pages.rows(path))
    connection.execute("DELETE FROM events WHERE place >> 40 NOT IN (SELECT ord FROM runs)")


def _insert(connection: sqlite3.Connection, source: Iterator[tuple[Any, ...]]) -> bool:
    """Insert the genuine ones among some rows; False where one was not, or the source broke off."""
    is_smooth = True
    chunk: list[tuple[Any, ...]] = []
    try:
        for row in source:
            if not pages.is_genuine(row):
                is_smooth = False
                continue
            chunk.append(row)
            if len(chunk) >= _CHUNK:
                connection.executemany(_INSERT, chunk)
                chunk.clear()
    except _BrokeOffError:
        is_smooth = False
    connection.executemany(_INSERT, chunk)
    return is_smooth


def _reaches(connection: sqlite3.Connection, mark: Mark | None) -> bool:
    """True where the rows go as far as the witness saw."""
    if mark is None:
        return False
    row = connection.execute("SELECT ord FROM runs WHERE run = ?", (mark.run,)).fetchone()
    return row is not None and reading.last_row(connection, row[0], 0, 0)[0] >= mark.n


def _through_sqlite(path: Path, order: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that SQLite reads; raise _BrokeOffError, what was yielded being good, at the first it cannot."""
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error as fault:
        raise _BrokeOffError from fault
    try:
        yield from connection.execute(_READ + order)
    except (sqlite3.Error, UnicodeDecodeError) as fault:
        raise _BrokeOffError from fault
    finally:
        connection.close()


def _settle(connection: sqlite3.Connection, device: str, store: str, mark: Mark | None) -> tuple[int, int]:
    """Declare what is missing among the unacknowledged events, close up what is missing among the others."""
    connection.execute("BEGIN IMMEDIATE")
    lines = reading.run_lines(connection)
    lost = 0
    for line, after in zip_longest(lines, lines[1:]):
        end = _known_end(connection, line, after, mark)
        connection.execute("DELETE FROM losses WHERE run = ? AND last > ?", (line.run, end[0]))
        if not _is_trusted(connection, line, end[0]):
            _reset(connection, device, store, line)
        lost += sum(loss.to - loss.first + 1 for loss in _gaps(connection, line, end))
        _close_up(connection, line)
    kept: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.execute("COMMIT")
    return kept, lost


def _known_end(
    connection: sqlite3.Connection, line: reading.RunLine, after: reading.RunLine | None, mark: Mark | None
) -> tuple[int, bytes | None]:
    """Return the highest number that a run is known to have had, its cursors aside, and its head where known."""
    end: tuple[int, bytes | None] = (reading.last_row(connection, line.ord, 0, 0)[0], None)
    if after is not None and after.ord == line.ord + 1 and after.prev_n > end[0]:
        end = (after.prev_n, after.prev_head or None)
    if mark is not None and mark.run == line.run and mark.n > end[0]:
        end = (mark.n, bytes.fromhex(mark.head))
    return end


def _is_trusted(connection: sqlite3.Connection, line: reading.RunLine, end: int) -> bool:
    """True where a run's acknowledged number fits the rows around it."""
    is_empty = line.acked == line.pruned and line.acked_head == line.pruned_head
    if not 0 <= line.pruned <= line.acked or (line.acked > end and not is_empty):
        return False
    for row in reading.rows(connection, line.ord, line.acked - 1, line.acked + 1):
        return line.acked_head == (row.head if row.n == line.acked else row.prev)
    return True


def _reset(connection: sqlite3.Connection, device: str, store: str, line: reading.RunLine) -> None:
    """Take a run's cursor back to where its rows begin: central says how far it really is."""
    first = next(reading.rows(connection, line.ord, 0), None)
    if first is None:
        line.acked, line.acked_head, line.acked_bytes = 0, reading.genesis_of(device, store, line), 0
    else:
        before = first.total_bytes - len(first.text or b"")
        line.acked, line.acked_head, line.acked_bytes = first.n - 1, first.prev, before
    line.pruned, line.pruned_head, line.pruned_bytes = line.acked, line.acked_head, line.acked_bytes
    connection.execute(
        "UPDATE runs SET acked = ?, acked_head = ?, acked_bytes = ? WHERE ord = ?",
        (line.acked, line.acked_head, line.acked_bytes, line.ord),
    )


def _gaps(connection: sqlite3.Connection, line: reading.RunLine, end: tuple[int, bytes | None]) -> list[Loss]:
    """Declare what is missing after the cursor, and mend links that do not fit: the texts themselves are genuine."""
    declared = {loss.first for loss in reading.losses(connection) if loss.run == line.run}
    gaps: list[Loss] = []
    expect, head = line.acked + 1, line.acked_head
    mends: list[tuple[bytes, int]] = []
    for row in reading.rows(connection, line.ord, line.acked):
        if row.n > expect:
            gaps.append(Loss(line.run, expect, row.n - 1, TombReason.CORRUPT, row.prev))
        elif row.prev != head:
            mends.append((head, db.place(line.ord, row.n)))
        head = link(row.prev if row.n > expect else head, row.digest)
        expect = row.n + 1
    connection.executemany("UPDATE events SET prev = ? WHERE place = ?", mends)
    if end[0] >= expect:
        gaps.append(Loss(line.run, expect, end[0], TombReason.CORRUPT, end[1]))
    fresh = [gap for gap in gaps if gap.first not in declared]
    for gap in fresh:
        outbox.declare(connection, gap)
    return fresh


def _close_up(connection: sqlite3.Connection, line: reading.RunLine) -> None:
    """Keep of the acknowledged rows only those that reach the cursor without a gap."""
    found = list(reading.rows(connection, line.ord, 0, line.acked))
    first = line.acked + 1
    head, total = line.acked_head, line.acked_bytes
    for row in reversed(found):
        if row.n != first - 1 or row.head != head:
            break
        first, head, total = row.n, row.prev, row.total_bytes - len(row.text or b"")
    connection.execute(
        "DELETE FROM events WHERE place > ? AND place < ?", (db.place(line.ord, 0), db.place(line.ord, first))
    )
    connection.execute(
        "UPDATE runs SET pruned = ?, pruned_head = ?, pruned_bytes = ? WHERE ord = ?",
        (first - 1, head, total, line.ord),
    )


def _trio(path: Path) -> tuple[Path, Path, Path]:
    """The database first: without it a log says nothing, but a log left behind would be replayed into a new file."""
    return path, db.wal_of(path), db.shm_of(path)


def _quarantine(path: Path) -> Path:
    """Make the next numbered folder for damaged files, and drop all but the newest few."""
    parent = path.parent / "quarantine"
    parent.mkdir(exist_ok=True)
    numbers = sorted(int(entry.name) for entry in parent.iterdir() if entry.name.isdigit())
    for number in numbers[: max(0, len(numbers) - _KEPT_QUARANTINES + 1)]:
        shutil.rmtree(parent / str(number))
    folder = parent / str(numbers[-1] + 1 if numbers else 1)
    folder.mkdir()
    return folder


def _set_aside(path: Path, folder: Path) -> None:
    for old in _trio(path):
        if old.exists():
            old.rename(folder / old.name)
    db.flush_folder(folder)
    db.flush_folder(path.parent)


def _adopt(path: Path) -> None:
    path.with_suffix(".new").rename(path)
    db.flush_folder(path.parent)


def _remove(path: Path) -> None:
    for old in _trio(path):
        old.unlink(missing_ok=True)
