"""Opening the journal: hold the folder, look for damage, start a run. All of it blocks and precedes the event loop."""

import errno
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import StoreError
from agent.store import db, migrations, reading, salvage, standing, steps
from agent.store.directory import DIRECTORY_NAME
from agent.store.footing import Footing
from agent.store.lock import FolderLock
from agent.store.orders import Position
from agent.store.reserve import Reserve
from agent.store.roll import read_roll, write_roll
from agent.store.types import JournalLimits, OpenReport
from agent.store.verify import damage
from agent.store.witness import Witness, read_mark
from agent.store.writer import mark_path

JOURNAL_NAME: Final = "journal.db"
_WHY_CHARS: Final = 200


@dataclass(slots=True)
class Opened:
    """An open journal, its last line being the run that has just begun."""

    path: Path
    lock: FolderLock
    connection: sqlite3.Connection
    reader: sqlite3.Connection
    witness: Witness
    reserve: Reserve
    footing: Footing
    store: str
    lines: list[reading.RunLine]
    report: OpenReport


def open_journal(folder: Path, device: str, limits: JournalLimits) -> Opened:
    """Open or create the journal in a state folder; raise StoreError, StoreBusyError or SchemaError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        return _open(folder / JOURNAL_NAME, device, limits, lock)
    except (sqlite3.Error, OSError) as fault:
        lock.release()
        raise StoreError(f"{folder / JOURNAL_NAME} cannot be opened ({fault}): check the card and its mount") from fault
    except BaseException:
        lock.release()
        raise


def position_of(opened: Opened, device: str) -> Position:
    """Return where the run that has just begun stands."""
    line = opened.lines[-1]
    return Position(opened.store, line.ord, line.run, 0, reading.genesis_of(device, opened.store, line))


def _open(path: Path, device: str, limits: JournalLimits, lock: FolderLock) -> Opened:
    report = _mend(path, device, limits)
    reserve = Reserve(path, limits.reserve_bytes)
    connection = db.connect_writer(path, page_bytes=limits.page_bytes)
    try:
        try:
            begun = _begin(path, connection, device, report)
        except (sqlite3.Error, OSError) as fault:
            if not (_is_full(fault) and reserve.free_all()):
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            begun = _begin(path, connection, device, report)
        reserve.hold()
        reader, footing = db.connect_reader(path), Footing(path, lock)
        return Opened(path, lock, connection, reader, begun[0], reserve, footing, begun[1], begun[2], report)
    except BaseException:
        connection.close()
        raise


def _begin(
    path: Path, connection: sqlite3.Connection, device: str, report: OpenReport
) -> tuple[Witness, str, list[reading.RunLine]]:
    """Bring the file up to date and begin a run, known to the witness and the roll."""
    migrations.migrate(connection, migrations.JOURNAL, path)
    if report.found:
        connection.execute("BEGIN IMMEDIATE")
        steps.doubt(connection)
        connection.execute("COMMIT")
    store = _identify(connection, device)
    stands = standing.stored(connection)
    connection.execute("BEGIN IMMEDIATE")
    standing.write(connection, stands)
    connection.execute("COMMIT")
    lines = reading.run_lines(connection)
    lines.append(_begin_run(connection, lines, device, store))
    write_roll(roll_path(path), store, device, lines)
    db.flush_folder(path.parent)
    return _witness(path, store, device, lines[-1], stands), store, lines


def _is_full(fault: sqlite3.Error | OSError) -> bool:
    if isinstance(fault, OSError):
        return fault.errno == errno.ENOSPC
    return db.classify(fault) is db.Fault.FULL


def witness_path(path: Path) -> Path:
    """Return where a journal's witness is."""
    return path.with_suffix(".witness")


def roll_path(path: Path) -> Path:
    """Return where a journal's roll of runs is."""
    return path.with_suffix(".runs")


def _mend(path: Path, device: str, limits: JournalLimits) -> OpenReport:
    """Replace a damaged or suspect journal by a new file with the readable rows, and say so."""
    salvage.finish(path)
    mark, roll = read_mark(witness_path(path)), read_roll(roll_path(path))
    found = []
    if mark_path(path).exists():
        found.append(f"{path.name} was marked after a failed write ({_why(mark_path(path))})")
    if path.exists():
        _refuse_stranger(path, device)
        found += damage(path, mark, roll, limits.tail_rows)
    elif mark is not None:
        found.append(f"{path.name} is missing; event {mark.n} of run {mark.run} was the last")
    elif roll is not None or db.wal_of(path).exists():
        found.append(f"{path.name} is missing, though it was there before")
    elif (path.parent / DIRECTORY_NAME).exists():
        found.append(f"{path.name} and what stood beside it are missing, though this device has a directory")
    if found:
        report = salvage.rebuild(path, device, limits, mark, roll, tuple(found))
        mark_path(path).unlink(missing_ok=True)
        return report
    gone = [aside.name for aside, known in ((witness_path(path), mark), (roll_path(path), roll)) if known is None]
    if gone and path.exists():
        return OpenReport((f"{' and '.join(gone)} missing or unreadable; the journal itself is whole",))
    return OpenReport()


def _why(left: Path) -> str:
    try:
        return left.read_text(errors="replace")[:_WHY_CHARS].strip() or "it does not say which"
    except OSError as fault:
        return f"which cannot be read: {fault.strerror}"


def _identify(connection: sqlite3.Connection, device: str) -> str:
    """Return the journal's random id, made when the file is new."""
    known = dict(connection.execute("SELECT name, value FROM meta"))
    store = known.get("store") or secrets.token_hex(8)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('device', ?), ('store', ?)", (device, store))
    connection.execute("COMMIT")
    return store


def _refuse_stranger(path: Path, device: str) -> None:
    """Raise StoreError for the whole journal of another device: joining anew must not send its events as ours."""
    roll = read_roll(roll_path(path))
    if roll is not None and roll.device != device:
        raise StoreError(
            f"{path} belongs to device {roll.device}, not {device}: move everything but identity.json out of "
            f"{path.parent}, and keep it: events in it may wait for central"
        )


def _begin_run(
    connection: sqlite3.Connection, lines: list[reading.RunLine], device: str, store: str
) -> reading.RunLine:
    """Start a run: durable before its first event."""
    ord_, prev_n, prev_head = 1, 0, b""
    if lines:
        before = lines[-1]
        end = reading.head_at(connection, before, before.last, reading.genesis_of(device, store, before))
        ord_, prev_n, prev_head = before.ord + 1, before.last, end[0] if end else b""
    line = reading.RunLine(ord_, secrets.token_hex(8), prev_n, prev_head, 0, b"", 0, 0, b"", 0)
    line.acked_head = line.pruned_head = reading.genesis_of(device, store, line)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO runs (ord, run, prev_n, prev_head, acked, acked_head, acked_bytes, pruned, pruned_head, "
        "pruned_bytes, shed_bytes) VALUES (?, ?, ?, ?, 0, ?, 0, 0, ?, 0, 0)",
        (line.ord, line.run, prev_n, prev_head, line.acked_head, line.pruned_head),
    )
    connection.execute("COMMIT")
    return line


def _witness(path: Path, store: str, device: str, line: reading.RunLine, stands: tuple[str, ...]) -> Witness:
    witness = Witness(witness_path(path))
    witness.write(store, line.ord, line.run, 0, reading.genesis_of(device, store, line), standing.brief(stands))
    witness.flush()
    return witness
