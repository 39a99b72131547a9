"""A lockdown, a locked door and a fire outlast the loss of the row that says so, of its list, and of the whole file."""

import sqlite3
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from agent.store import standing
from agent.store.db import seal
from agent.store.journal import Journal
from agent.store.opening import witness_path
from agent.store.witness import read_mark
from agent.store.writer import leave_mark
from tests.store.samples import DEVICE, QUICK, begun

pytestmark = pytest.mark.unit

STOOD = ["stands-lockdown:2:60000:0:duty officer", "stands-mode:locked:60000:0:x", "stands-fire"]
STANDS = ["stands-fire", "stands-lockdown:2:28800000:0:duty officer", "stands-mode:locked:28800000:0:x"]
BRIEF = ["stands-fire", "stands-lockdown:2:28800000:0:", "stands-mode:locked:28800000:0:"]
GONE = {
    "its row": ("DELETE FROM promises WHERE key LIKE 'stands-%'", STANDS),
    "all rows and the list": ("DELETE FROM promises; DELETE FROM meta WHERE name = 'stands'", BRIEF),
    "all rows, the list damaged": ("DELETE FROM promises; UPDATE meta SET value = 'x' WHERE name = 'stands'", BRIEF),
    "all rows, the list emptied": (
        "DELETE FROM promises; UPDATE meta SET value = '[0,[]]' WHERE name = 'stands'",
        BRIEF,
    ),
}


async def standing_journal(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    for key in STOOD:
        await journal.append(begun(key, opens=key))
    await journal.append(begun("c", opens="cmd.1"))
    await journal.close()


def damage(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
    connection.executescript(sql)
    connection.close()


def leave_only(folder: Path, name: str) -> None:
    for each in folder.iterdir():
        if each.name != name:
            each.unlink()


@pytest.mark.parametrize("gone", GONE)
async def test_what_kept_people_out_stands_though_its_promise_is_gone(tmp_path: Path, gone: str) -> None:
    await standing_journal(tmp_path)
    damage(tmp_path, GONE[gone][0])
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found
    assert sorted(each.key for each in journal.open_promises() if each.key.startswith("stands-")) == GONE[gone][1]
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    assert sorted(each.key for each in journal.open_promises() if each.key.startswith("stands-")) == GONE[gone][1]
    await journal.close()


async def test_what_kept_people_out_outlasts_the_loss_of_the_whole_file(tmp_path: Path) -> None:
    await standing_journal(tmp_path)
    (tmp_path / "journal.db").unlink()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert sorted(each.key for each in journal.open_promises()) == BRIEF
    await journal.close()


@pytest.mark.parametrize("left", ["journal.runs", "directory.db"])
async def test_with_every_file_that_tells_of_it_gone_a_lockdown_stands(tmp_path: Path, left: str) -> None:
    await standing_journal(tmp_path)
    (tmp_path / "directory.db").touch()
    leave_only(tmp_path, left)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert "journal.db" in journal.report.found[0]
    assert [each.key for each in journal.open_promises()] == ["stands-lockdown:1:28800000:0:"]
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    await journal.close()


async def test_device_that_has_just_joined_begins_without_a_lockdown(tmp_path: Path) -> None:
    (tmp_path / "identity.json").touch()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (journal.report.found, journal.open_promises()) == ((), [])
    await journal.close()


@pytest.mark.parametrize(
    ("sql", "stands"),
    [
        ("DELETE FROM promises", STANDS),
        ("DELETE FROM promises; UPDATE meta SET value = 'x' WHERE name = 'stands'", ["stands-lockdown:1:28800000:0:"]),
        ("DELETE FROM promises; DELETE FROM meta WHERE name = 'stands'", []),
    ],
)
async def test_without_the_witness_the_list_alone_tells(tmp_path: Path, sql: str, stands: list[str]) -> None:
    await standing_journal(tmp_path)
    damage(tmp_path, sql)
    witness_path(tmp_path / "journal.db").unlink()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert sorted(each.key for each in journal.open_promises()) == stands
    await journal.close()


async def test_what_was_ended_does_not_come_back_with_a_salvage(tmp_path: Path) -> None:
    await standing_journal(tmp_path)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    for key in STOOD:
        await journal.append(begun("over", settles=key))
    await journal.close()
    leave_mark(tmp_path / "journal.db", "EIO")
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert [each.key for each in journal.open_promises()] == ["cmd.1"]
    await journal.close()


async def test_list_that_an_older_agent_did_not_keep_up_is_not_heeded(tmp_path: Path) -> None:
    await standing_journal(tmp_path)
    damage(tmp_path, "DELETE FROM promises WHERE key LIKE 'stands-%'")
    path = witness_path(tmp_path / "journal.db")
    mark = read_mark(path)
    assert mark is not None
    older = msgspec.json.encode({**msgspec.to_builtins(mark), "stands": None, "seq": mark.seq + 1})
    slot = (b"%08x%s" % (crc32(older), older)).ljust(512, b" ")
    path.write_bytes(slot + path.read_bytes()[512:])
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    assert [each.key for each in journal.open_promises()] == ["cmd.1"]
    await journal.close()


@pytest.mark.parametrize("text", [None, 7, "", "[1]", "[1,[2]]", '{"a":1}', "\ud800", b"[0,[]]"])
def test_what_is_no_list_is_not_believed(text: object) -> None:
    assert standing.read(text) is None


def test_names_of_any_length_fit_into_the_witness() -> None:
    keys = [f"stands-lockdown:2:60000:0:{'ü' * 80}", f"stands-mode:maintenance:60000:0:{'ü' * 80}", "stands-fire"]
    assert sum(map(len, standing.brief(keys))) < 80
    assert standing.read(msgspec.json.encode((seal(*keys), keys)).decode()) == tuple(keys)
