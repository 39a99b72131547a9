"""The server goes through decisions by and by, and a database that is away only puts that off."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from central.review.reviewing import review_some
from central.sync import records, service
from central.sync.service import LinkService

pytestmark = pytest.mark.unit


class ScriptedDatabase:
    """Runs nothing; notes what was asked of it, and fails the first time."""

    def __init__(self) -> None:
        self.asked: list[Callable[..., Any]] = []
        self.reviewed = asyncio.Event()

    async def run(self, work: Callable[..., Any], *_: Any) -> None:
        """Note what is to be done."""
        self.asked.append(work)
        if len(self.asked) == 1:
            raise DatabaseError("away")
        if work is review_some:
            self.reviewed.set()


async def test_decisions_are_made_again_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SWEEP_S", 0.0)
    link, database = LinkService(), ScriptedDatabase()
    monkeypatch.setattr(link, "_database", database)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(link._housekeep())
        async with asyncio.timeout(5):
            await database.reviewed.wait()
        keeping.cancel()
    assert database.asked[:2] == [records.sweep, records.sweep]
    assert database.asked.count(review_some) == 1
