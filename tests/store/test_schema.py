"""Files of older and newer agents."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.store import migrations
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
    with pytest.raises(SchemaError, match=r"directory.db has schema version 3, this agent knows version 2"):
        Directory.open(tmp_path)


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
