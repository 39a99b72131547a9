"""Files of older and newer agents."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.store import migrations
from agent.store.changes import CHANGES_NAME, Changes
from agent.store.directory import Directory
from agent.store.errors import SchemaError
from agent.store.journal import Journal
from tests.store.samples import DEVICE, QUICK, Chain, alarm, pull

if TYPE_CHECKING:
    from sqlite_utils import Database

pytestmark = pytest.mark.unit

OLDER = Path(__file__).with_name("older")


def _add_column(database: "Database") -> None:
    database.execute("ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT ''")


def _newer(schema: migrations.Schema) -> migrations.Schema:
    return replace(schema, steps=(*schema.steps, ("note", _add_column)))


def _built(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.close()


async def test_first_released_journal_opens_with_all_its_events(tmp_path: Path) -> None:
    _built(tmp_path / "journal.db", (OLDER / "journal_1.sql").read_text())
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    old = journal.runs()[0]
    assert (old.run, old.last, old.acked) == ("00000000000000a1", 3, 1)
    chain = Chain.of(journal, old.run)
    assert await pull(journal, old.run, chain) == 3
    assert [promise.key for promise in journal.open_promises()] == ["cmd.old"]
    await journal.close()


async def test_journal_of_an_older_agent_is_brought_forward_and_keeps_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(alarm("old"))
    run = journal.run
    await journal.close()
    monkeypatch.setattr(migrations, "JOURNAL", _newer(migrations.JOURNAL))
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal._opened.connection.execute("SELECT DISTINCT note FROM runs").fetchall() == [("",)]
    assert await pull(journal, run, Chain.of(journal, run)) == 1
    await journal.close()


async def test_journal_of_a_newer_agent_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as future:
        future.setattr(migrations, "JOURNAL", _newer(migrations.JOURNAL))
        await Journal.open(tmp_path, device=DEVICE, limits=QUICK).close()
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(SchemaError, match="schema version 3, this agent knows version 2"):
        Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (tmp_path / "journal.db").read_bytes() == before
    with pytest.raises(SchemaError):  # the refusal let go of the folder
        Journal.open(tmp_path, device=DEVICE, limits=QUICK)


async def test_directory_of_a_newer_agent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add_table(database: "Database") -> None:
        database.execute("CREATE TABLE later (x)")

    with monkeypatch.context() as future:
        newer = replace(migrations.DIRECTORY, steps=(*migrations.DIRECTORY.steps, ("later", add_table)))
        future.setattr(migrations, "DIRECTORY", newer)
        await Directory.open(tmp_path).close()
    with pytest.raises(SchemaError, match=r"directory.db has schema version 4, this agent knows version 3"):
        Directory.open(tmp_path)


async def test_stray_step_is_named_with_file_row_and_remedy(tmp_path: Path) -> None:
    await Journal.open(tmp_path, device=DEVICE, limits=QUICK).close()
    path = tmp_path / "journal.db"
    _built(path, "INSERT INTO _sqlite_migrations (id, migration_set, name) VALUES (41, 'journal', 'str\u00e4y')")
    with pytest.raises(SchemaError) as refused:
        Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    said = str(refused.value)
    assert said.startswith(f"{path} has schema version 3, this agent knows version 2: row 41 of its table")
    assert "'str\\xe4y'" in said
    remedy = said.partition("take the stray row out: sqlite3 ")[2]
    assert remedy == f"{path} 'DELETE FROM _sqlite_migrations WHERE id = 41'"
    _built(path, remedy.removeprefix(f"{path} ").strip("'"))
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    await journal.close()


def test_opening_a_present_file_does_not_import_the_migration_library(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from agent.store.journal import Journal\n"
        f"asyncio.run(Journal.open(Path({str(tmp_path)!r}), device='d').close())\n"
        "print('sqlite_utils' in sys.modules)"
    )
    said = [subprocess.check_output([sys.executable, "-c", script], text=True).strip() for _ in range(2)]
    assert said == ["True", "False"]


FORGOTTEN = {
    "set of the last step altered": "UPDATE _sqlite_migrations SET migration_set = 'journbl' WHERE name = 'steps'",
    "last step deleted": "DELETE FROM _sqlite_migrations WHERE name = 'steps'",
    "last step renamed": "UPDATE _sqlite_migrations SET name = 'stepr' WHERE name = 'steps'",
    "first step deleted": "DELETE FROM _sqlite_migrations WHERE name = 'first'",
    "all steps deleted": "DELETE FROM _sqlite_migrations",
    "no table of steps": "DROP TABLE _sqlite_migrations",
    "steps in place of ours": "UPDATE _sqlite_migrations SET name = name || id",
    "stray step before ours": "INSERT INTO _sqlite_migrations (id, migration_set, name) VALUES (0, 'journal', 'x')",
    "a stray table": "CREATE TABLE stray (x)",
}


@pytest.mark.parametrize("how", FORGOTTEN)
@pytest.mark.parametrize("has_witness", [True, False])
async def test_damaged_record_of_the_steps_costs_no_event_and_no_start(
    tmp_path: Path, how: str, has_witness: bool
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(alarm("kept"))
    run = journal.run
    await journal.close()
    _built(tmp_path / "journal.db", FORGOTTEN[how])
    if not has_witness:
        (tmp_path / "journal.witness").unlink()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.quarantine is not None
    assert (journal.report.lost, await pull(journal, run, Chain.of(journal, run))) == (0, 1)
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    await journal.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE _sqlite_migrations SET migration_set = 'directorz' WHERE name = 'book'",
        "DELETE FROM _sqlite_migrations",
        "UPDATE _sqlite_migrations SET name = 'bool' WHERE name = 'book'",
    ],
)
async def test_directory_with_a_damaged_record_of_its_steps_is_set_aside(tmp_path: Path, sql: str) -> None:
    await Directory.open(tmp_path).close()
    _built(tmp_path / "directory.db", sql)
    directory = Directory.open(tmp_path)
    assert (directory.ref, (tmp_path / "quarantine" / "directory.db").exists()) == (None, True)
    await directory.close()


async def test_changes_with_a_damaged_record_of_their_steps_are_set_aside(tmp_path: Path) -> None:
    Changes.open(tmp_path / CHANGES_NAME).close()
    assert (tmp_path / CHANGES_NAME).exists()
    _built(tmp_path / CHANGES_NAME, "DELETE FROM _sqlite_migrations")
    await Directory.open(tmp_path).close()
    assert (tmp_path / "quarantine" / CHANGES_NAME).exists()
