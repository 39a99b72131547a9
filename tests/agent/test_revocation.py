"""A revoked device lets nobody in, also after a restart without a link; a welcome ends that."""

import asyncio
import logging

import pytest

from agent.errors import StoreError
from agent.revocation import Revocation

pytestmark = pytest.mark.unit


class Values:
    """Small values; the first `faults` writes fail."""

    def __init__(self, faults: int = 0) -> None:
        self.values: dict[str, str] = {}
        self.faults = faults

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    async def put(self, name: str, value: str) -> None:
        if self.faults:
            self.faults -= 1
            raise StoreError("no room")
        self.values[name] = value


class Beside:
    """Small values beside the events; with `is_full` none is taken."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.values: dict[str, str] = {}
        self.is_full = is_full

    def noted(self, name: str) -> str | None:
        return self.values.get(name)

    def note(self, name: str, value: str) -> None:
        if self.is_full:
            raise StoreError("no room")
        self.values[name] = value


async def _kept(revocation: Revocation, values: Values, value: str) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(revocation.keep())
        while values.get("revoked") != value:
            await asyncio.sleep(0)
        keeping.cancel()


async def test_it_holds_at_once_and_over_a_restart_until_central_says_otherwise() -> None:
    values, beside = Values(), Beside()
    first = Revocation(values, beside)
    held = [first.is_revoked]
    first.told(is_revoked=True)
    held.append(first.is_revoked)
    await _kept(first, values, "yes")
    later = Revocation(values, beside)
    held.append(later.is_revoked)
    later.told(is_revoked=False)
    held.append(later.is_revoked)
    await _kept(later, values, "no")
    held.append(Revocation(values, beside).is_revoked)
    assert held == [False, True, True, False, False]


@pytest.mark.parametrize("lost", ["directory", "journal", "nothing"])
async def test_one_damaged_file_makes_no_revoked_device_work_again(lost: str) -> None:
    values, beside = Values(), Beside()
    first = Revocation(values, beside)
    first.told(is_revoked=True)
    await _kept(first, values, "yes")
    if lost != "nothing":
        (values if lost == "directory" else beside).values.clear()
    later = Revocation(values, beside)
    assert later.is_revoked
    later.told(is_revoked=False)
    await _kept(later, values, "no")
    assert not Revocation(values, beside).is_revoked


async def test_a_disk_that_cannot_take_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.revocation._AGAIN_S", 0.0)
    values = Values(faults=2)
    revocation = Revocation(values, Beside())
    with caplog.at_level(logging.WARNING):
        revocation.told(is_revoked=True)
        await _kept(revocation, values, "yes")
    assert "cannot be kept: no room" in caplog.text


@pytest.mark.parametrize("full", ["beside the directory", "in the journal"])
async def test_a_place_that_takes_nothing_keeps_it_out_of_no_other(full: str) -> None:
    is_beside = full == "in the journal"
    values, beside = Values(faults=0 if is_beside else 1_000), Beside(is_full=is_beside)
    first = Revocation(values, beside)
    first.told(is_revoked=True)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(first.keep())
        for _ in range(10):
            await asyncio.sleep(0)
        keeping.cancel()
    assert Revocation(values, beside).is_revoked


async def test_news_is_kept_at_once_although_the_last_try_failed() -> None:
    values, beside = Values(faults=1), Beside()
    revocation = Revocation(values, beside)
    revocation.told(is_revoked=True)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(revocation.keep())
        while values.faults:
            await asyncio.sleep(0)
        revocation.told(is_revoked=False)
        while values.get("revoked") != "no":
            await asyncio.sleep(0)
        keeping.cancel()


async def test_what_is_known_already_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    revocation = Revocation(Values(), Beside())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            revocation.told(is_revoked=True)
        revocation.told(is_revoked=False)
        revocation.told(is_revoked=False)
    assert len(caplog.records) == 2
