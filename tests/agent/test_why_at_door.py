"""`doorstile why` about now: what was set at the door, and who is where, by the device's own journal."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import doorstile
from agent.clock import SystemTime, boot_id
from agent.commands.atdoor import at_door, kept_in
from agent.core import modes
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import Now
from agent.identity import save_identity
from agent.store.journal import Journal
from agent.store.types import Draft
from tests.agent.test_whereabouts import ended, granted, stamp
from tests.agent.test_why import IDENTITY, KEY, UID, FakeLook, put
from tests.rules.builders import HARD, book, row
from tests.store.samples import DEVICE, QUICK, begun
from wire.book import Here, Zone
from wire.directory import Issue
from wire.events import Stamp
from wire.rows import Pack
from wire.vocabulary import ClockQuality, DoorMode, ModeCause, PassageOutcome

pytestmark = pytest.mark.unit

BOOK = book(Here(door="north"), Zone(name="gym", limit=10, anti_passback=HARD))
MINUTES_AGO_MS = 5 * 60_000


class Shelf(FakeLook):
    def __init__(self, *, is_revoked: bool = False) -> None:
        super().__init__(BOOK, row(key=KEY, plan="gold"))
        self.kept = Marks("yes" if is_revoked else "no")  # type: ignore[assignment]


class Marks:
    def __init__(self, revoked: str) -> None:
        self._revoked = revoked

    def get(self, name: str) -> str | None:
        return {"revoked": self._revoked, "contact": f'{{"boot":"{boot_id()}","mono_ms":0,"age_ms":0}}'}.get(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_identity(tmp_path, IDENTITY)
    put(monkeypatch, Shelf())
    return tmp_path


def now() -> Now:
    read = SystemTime().read()
    return Now(read.mono_ms, read.wall_ms, ClockQuality.SYNCED)


def ago(ms: int) -> Stamp:
    at = now()
    return stamp(at.mono_ms - ms, boot=boot_id(), wall_ms=at.wall_ms - ms)


async def written(folder: Path, *drafts: Draft) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    await journal.append_many(drafts)
    await journal.close()


async def came_in(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    grant = await journal.append(granted(ago(MINUTES_AGO_MS)))
    await journal.append(ended(grant, ago(MINUTES_AGO_MS - 2_000)))
    await journal.close()


def ask(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(doorstile, ["why", UID, "--offline-h", "0", *words, "--state", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def asked(folder: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(folder, *words, "--json"))
    return found


async def test_whoever_came_in_by_this_door_is_not_let_in_twice(folder: Path) -> None:
    await came_in(folder)
    out = ask(folder)
    assert out.startswith("DENY: anti_passback\n")
    assert "came into gym 4 min ago, by the passages at this door\n" in out
    assert asked(folder)["zone"] == "gym"


async def test_another_time_or_door_is_asked_about_as_if_nothing_had_happened(folder: Path) -> None:
    await came_in(folder)
    for words in (("--at", "2027-01-13T12:00"), ("--door", "north")):
        assert asked(folder, *words)["reason"] == "member_valid"
        assert "by the passages" not in ask(folder, *words)


async def test_whoever_was_not_seen_is_said_to_be_anywhere(folder: Path) -> None:
    await written(folder)
    assert "has not passed this door lately" in ask(folder)


async def test_a_lockdown_in_force_denies_unless_the_question_says_another(folder: Path) -> None:
    lockdown = modes.lockdown(2, ModeCause.COMMAND, "desk", None, now())
    await written(folder, begun("x", opens=lockdown.promise))
    assert asked(folder)["reason"] == "lockdown"
    assert "a lockdown of level 2 is in force" in ask(folder)
    assert asked(folder, "--lockdown", "0")["reason"] == "member_valid"


async def test_a_locked_door_denies(folder: Path) -> None:
    locked = modes.override(DoorMode.LOCKED, ModeCause.COMMAND, "desk", None, now())
    await written(folder, begun("x", opens=locked.promise))
    assert asked(folder)["reason"] == "door_locked"
    assert "somebody set the door to locked" in ask(folder)


async def test_what_has_ended_does_not_stand_any_more(folder: Path) -> None:
    lockdown = modes.lockdown(2, ModeCause.COMMAND, "desk", None, now())
    await written(folder, begun("x", opens=lockdown.promise), begun("y", settles=lockdown.promise, outcome="released"))
    assert asked(folder)["reason"] == "member_valid"


async def test_a_fire_is_said(folder: Path) -> None:
    await written(folder, begun("x", opens=FIRE_PROMISE))
    assert "fire: nobody is let in, whatever the rules say" in ask(folder)


async def test_a_revoked_device_lets_nobody_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(folder)
    put(monkeypatch, Shelf(is_revoked=True))
    assert asked(folder)["reason"] == "device_revoked"
    assert "central has revoked this device" in ask(folder)


async def test_a_visit_that_central_acknowledged_after_it_signed_the_directory_is_charged(folder: Path) -> None:
    await came_in(folder)
    kept, shelf = kept_in(folder), Shelf()
    member = row(key=KEY, plan="gold", pack=Pack("p", 3, 2))
    heard = replace(kept, heard=dict.fromkeys(kept.heard, 2))
    assert at_door(heard, shelf, member).presence.used is None  # type: ignore[arg-type]
    shelf.issue = Issue(epoch="e1", ver=7, digest="d", issued_ms=now().wall_ms - 3_600_000)
    assert at_door(heard, shelf, member).presence.used == 3  # type: ignore[arg-type]


async def test_a_revocation_that_only_the_journal_still_tells_of_counts(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    journal.note("revoked", "yes")
    await journal.close()
    assert asked(folder)["reason"] == "device_revoked"


def test_without_a_journal_the_rest_is_explained_all_the_same(folder: Path) -> None:
    out = ask(folder)
    assert out.startswith("GRANT: member_valid\n")
    assert "what was set here, who is where and which passes were used is not looked at:" in out


async def test_a_passage_that_a_crash_hid_is_told_as_such(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    grant = await journal.append(granted(ago(MINUTES_AGO_MS)))
    await journal.append(ended(grant, ago(0), PassageOutcome.UNKNOWN))
    await journal.close()
    assert "came into gym 5 min ago, by the passages at this door, if that passage happened" in ask(folder)
