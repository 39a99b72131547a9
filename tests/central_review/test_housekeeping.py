"""What the server does beside its devices, and that a database that is away only puts it off."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connections

from central.devices import commands
from central.devices.models import Command, Device
from central.review.reviewing import review_some
from central.sync import records, service
from central.sync.service import LinkService
from tests.central_link.minting import NOW, make_identity
from wire.vocabulary import CommandName

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


async def test_start_ends_commands_of_before_though_the_database_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    link, database = LinkService(), ScriptedDatabase()
    monkeypatch.setattr(link, "_database", database)
    await link._end_outlived()
    assert database.asked == [records.end_outlived]


@pytest.mark.django_db(transaction=True)
async def test_no_device_comes_in_before_the_commands_of_before_are_ended(caplog: pytest.LogCaptureFixture) -> None:
    command = await asyncio.to_thread(_and_close, _asked_before_the_power_cut)
    link, told = LinkService(), asyncio.Queue[str]()
    over = asyncio.Event()
    received = iter((None, over))

    async def receive() -> None:
        event = next(received)
        if event is not None:
            await event.wait()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            state = await asyncio.to_thread(_and_close, lambda: Command.objects.get(pk=command.pk).state)
            told.put_nowait(state)
            over.set()

    async with asyncio.timeout(10):
        await link.lifespan(receive, send)
    assert told.get_nowait() == Command.State.EXPIRED
    assert "commands of before the start: 1 ended" in caplog.text


def _and_close(work: Callable[[], Any]) -> Any:
    """Leave no connection to this thread: PostgreSQL drops no database that somebody uses."""
    try:
        return work()
    finally:
        connections.close_all()


def _asked_before_the_power_cut() -> Command:
    held = Device.objects.get(pk=make_identity().device)
    held.connected_at = held.last_seen_at = NOW
    held.save()
    command = commands.issue(held, CommandName.UNLOCK, actor="ann", reason="forgot card", now=NOW)
    Command.objects.update(boot="before the power cut")
    return command
