"""The shape of the store's files, and how an older file becomes a newer one.

sqlite-utils keeps the table of applied migrations. It is imported only when one is due: its import costs more than the
rest of the start.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from agent.store.errors import MisshapenError, SchemaError

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLE: Final = "_sqlite_migrations"

_JOURNAL_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    ord INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    prev_n INTEGER NOT NULL,
    prev_head BLOB NOT NULL,
    acked INTEGER NOT NULL,
    acked_head BLOB NOT NULL,
    acked_bytes INTEGER NOT NULL,
    pruned INTEGER NOT NULL,
    pruned_head BLOB NOT NULL,
    pruned_bytes INTEGER NOT NULL,
    shed_bytes INTEGER NOT NULL
);
CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    prev BLOB NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    text BLOB
);
CREATE TABLE promises (
    key TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    n INTEGER NOT NULL,
    outcome TEXT,
    seal INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE losses (
    run TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    why TEXT NOT NULL,
    head BLOB,
    seal INTEGER NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;
"""

_JOURNAL_STEPS: Final = """
CREATE TABLE steps (
    name TEXT PRIMARY KEY,
    step INTEGER NOT NULL,
    seal INTEGER NOT NULL
) WITHOUT ROWID;
"""

_DIRECTORY_TABLES: Final = """
CREATE TABLE credentials (
    key BLOB PRIMARY KEY,
    row BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_BOOK_TABLE: Final = "CREATE TABLE book (key TEXT PRIMARY KEY, item BLOB NOT NULL) WITHOUT ROWID;"

_DIRECTORY_SEALS: Final = "ALTER TABLE credentials ADD COLUMN seal INTEGER;"
"""None in the rows that an older agent wrote."""

_CHANGES_TABLES: Final = """
CREATE TABLE credentials (key BLOB PRIMARY KEY, row BLOB, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE book (key TEXT PRIMARY KEY, item BLOB, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
"""

Step = Callable[["Database"], None]


def _script(sql: str) -> Step:
    def run(db: "Database") -> None:
        for statement in sql.split(";"):
            if statement.strip():
                db.execute(statement)

    return run


@dataclass(frozen=True, slots=True)
class Schema:
    """The named steps that lead from an empty file to the present shape, oldest first; the version is their number."""

    name: str
    steps: tuple[tuple[str, Step], ...]

    @property
    def version(self) -> int:
        """The schema version that this agent writes."""
        return len(self.steps)


JOURNAL: Final = Schema("journal", (("first", _script(_JOURNAL_TABLES)), ("steps", _script(_JOURNAL_STEPS))))
DIRECTORY: Final = Schema(
    "directory",
    (("first", _script(_DIRECTORY_TABLES)), ("book", _script(_BOOK_TABLE)), ("seals", _script(_DIRECTORY_SEALS))),
)
CHANGES: Final = Schema("changes", (("first", _script(_CHANGES_TABLES)),))


def version_of(connection: sqlite3.Connection, schema: Schema) -> int:
    """Return the version that a file has: 0 for a new one. Raise MisshapenError where it took no steps of ours."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_TABLE,)).fetchone():
        return 0
    query = f"SELECT name FROM {_TABLE} WHERE migration_set = ? ORDER BY id"  # noqa: S608
    taken = [name for (name,) in connection.execute(query, (schema.name,))]
    if any(name != known for name, (known, _) in zip(taken, schema.steps, strict=False)):
        raise MisshapenError(f"the steps that it says it took are not those of a {schema.name}")
    return len(taken)


def check(connection: sqlite3.Connection, schema: Schema, path: Path) -> int:
    """Return a file's version, having written nothing.

    Raise SchemaError where it is newer than this agent knows, MisshapenError where no agent can have left it so.
    """
    found = version_of(connection, schema)
    if found > schema.version:
        raise SchemaError(_newer(connection, schema, path, found))
    return found


def _newer(connection: sqlite3.Connection, schema: Schema, path: Path, found: int) -> str:
    """Say which step is not known here, and how to tell a newer agent's from a stray row."""
    query = f"SELECT id, name FROM {_TABLE} WHERE migration_set = ? ORDER BY id LIMIT 1 OFFSET ?"  # noqa: S608
    row, name = connection.execute(query, (schema.name, schema.version)).fetchone()
    taken_out = f"sqlite3 {path} 'DELETE FROM {_TABLE} WHERE id = {row}'"  # noqa: S608 - for people
    return (
        f"{path} has schema version {found}, this agent knows version {schema.version}: row {row} of its table "
        f"{_TABLE} names the step {name!a}; install the newer agent again, or, where none ever ran here, take the "
        f"stray row out: {taken_out}"
    )


def is_shaped(connection: sqlite3.Connection, schema: Schema) -> bool:
    """True where a file has the tables, and no others, that the steps it has taken describe.

    A table too many is one whose step was forgotten: to take that step again would fail at every start.
    """
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name <> ? AND name NOT GLOB 'sqlite_*'"
    with closing(sqlite3.connect(":memory:")) as model:
        for _, step in schema.steps[: version_of(connection, schema)]:
            step(cast("Database", model))  # a step only executes statements
        return set(connection.execute(query, (_TABLE,))) == set(model.execute(query, (_TABLE,)))


def migrate(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    """Bring a file to the present shape, each step in a transaction of its own; raises as `check` does.

    Raise MisshapenError, with nothing written, also where the steps to take do not fit the tables that are there.
    """
    if check(connection, schema, path) == schema.version:
        return
    if not is_shaped(connection, schema):
        raise MisshapenError("its tables are not as they were made")
    from sqlite_utils import Database, Migrations

    migrations = Migrations(schema.name)
    for name, step in schema.steps:
        migrations(name=name)(step)
    migrations.apply(Database(connection))
