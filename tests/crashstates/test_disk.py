"""The model of what is durable, and the recorder that feeds it."""

import pytest

from tests.crashstates.disk import Disk
from tests.crashstates.states import State, build
from tests.crashstates.trace import Link, Rename, Resize, Sync, SyncFolder, Unlink, Write

pytestmark = pytest.mark.unit


def _states(disk: Disk) -> list[dict[str, bytes]]:
    styles = [("none", 0), ("all", 0), *(("sectors", seed) for seed in range(60))]
    return [{path: bytes(held) for path, held in build(disk, style).files.items()} for style in styles]


def _disk(*ops: Write | Resize | Sync | Link | Rename | Unlink | SyncFolder) -> Disk:
    disk = Disk({"file": b"a" * 1024})
    for number, op in enumerate(ops):
        disk.apply(number, op)
    return disk


def test_unsynced_write_may_reach_the_medium_in_part() -> None:
    found = {state["file"] for state in _states(_disk(Write(0, 0, b"b" * 1024)))}
    assert found == {new + old for new in (b"a" * 512, b"b" * 512) for old in (b"a" * 512, b"b" * 512)}


def test_synced_write_is_there_in_every_state() -> None:
    assert all(state == {"file": b"b" * 1024} for state in _states(_disk(Write(0, 0, b"b" * 1024), Sync(0, True))))


def test_write_whose_sync_failed_stays_in_doubt_through_later_syncs() -> None:
    disk = _disk(Write(0, 0, b"b" * 512), Sync(0, False), Write(0, 8192, b"c"), Sync(0, True))
    assert {state["file"][:1] for state in _states(disk)} == {b"a", b"b"}
    assert all(len(state["file"]) == 8193 for state in _states(disk))


def test_page_that_is_written_again_is_certain_again() -> None:
    disk = _disk(Write(0, 0, b"b" * 512), Sync(0, False), Write(0, 512, b"c"), Sync(0, True))
    assert {state["file"][:1] for state in _states(disk)} == {b"b"}


def test_name_is_in_doubt_until_its_folder_is_synced() -> None:
    ops = (Link("new", 7), Write(7, 0, b"n"), Sync(7, True), Rename("new", "file"))
    assert {state["file"][:1] for state in _states(_disk(*ops))} == {b"a", b"n"}
    assert all(state == {"file": b"n"} for state in _states(_disk(*ops, SyncFolder(""))))


def test_file_may_be_longer_than_the_bytes_that_reached_it() -> None:
    disk = _disk(Write(0, 1024, b"b" * 1024))
    hollow = [build(disk, ("hollow", seed)).files["file"] for seed in range(40)]
    assert all(len(held) == 2048 for held in hollow)
    assert any(held[1024:] == bytes(1024) for held in hollow)


def test_equal_states_have_one_key() -> None:
    assert State({"a": b"1"}, set()).key == State({"a": b"1"}, set()).key != State({"a": b"2"}, set()).key
