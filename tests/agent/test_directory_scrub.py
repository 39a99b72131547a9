"""Damage in the directory is looked for while the door works, reported, and the directory is asked for again."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from agent import upkeep
from agent.clock import Clock, SystemTime
from agent.errors import StoreError
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.sync.runner import Link
from tests.fakes.memory_journal import MemoryJournal
from wire.events import AlarmBody
from wire.vocabulary import AlarmCode

pytestmark = pytest.mark.unit


class ScriptedDirectory:
    """Finds what the test says, one look after the other."""

    def __init__(self, *found: str | StoreError | None) -> None:
        self.suspicion = asyncio.Event()
        self.suspicion.set()
        self._found = list(found)

    async def scrub(self) -> str | None:
        found = self._found.pop(0)
        if not self._found:
            self.suspicion.clear()
        if isinstance(found, StoreError):
            raise found
        return found


async def test_damage_is_reported_and_asked_for_again_whatever_else_fails() -> None:
    directory = ScriptedDirectory(None, StoreError("cannot be set aside"), "its rows do not match their seal")
    journal, asked = MemoryJournal(), list[str]()
    link, clock = SimpleNamespace(directory_lost=asked.append), Clock(SystemTime(), boot="b00t")
    scrubbing = upkeep.scrub_directory(cast(Directory, directory), cast(Journal, journal), cast(Link, link), clock)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(scrubbing)
        while not journal.drafts:
            await asyncio.sleep(0)
        running.cancel()
    assert asked == ["its rows do not match their seal"]
    assert [draft.body for draft in journal.drafts] == [AlarmBody(code=AlarmCode.DIRECTORY_DAMAGED, detail=asked[0])]
