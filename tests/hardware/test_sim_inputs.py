"""The simulated input reports its state at the start, and each change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hardware.base import InputChange, InputRole
from hardware.errors import HardwareError
from hardware.inputs.simulated import SimInput
from tests.fakes.manual_time import settle

pytestmark = pytest.mark.unit


@asynccontextmanager
async def running(part: SimInput) -> AsyncIterator[list[InputChange]]:
    events: list[InputChange] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part.run(events.append))
        await settle()
        yield events
        task.cancel()


def contact() -> SimInput:
    return SimInput("contact", InputRole.CONTACT, mono_ms=lambda: 5)


async def test_state_is_reported_at_the_start_and_then_each_change() -> None:
    part = contact()
    async with running(part) as events:
        part.become(is_active=True)
        part.become(is_active=True)
        part.become(is_active=False)
    assert events == [InputChange("contact", InputRole.CONTACT, state, 5) for state in (False, True, False)]


async def test_touch_is_a_press_and_a_release() -> None:
    part = contact()
    async with running(part) as events:
        part.touch()
        assert not part.is_active
    assert [event.is_active for event in events] == [False, True, False]


async def test_state_outlives_a_restart_of_the_agent() -> None:
    part = contact()
    async with running(part):
        part.become(is_active=True)
    async with running(part) as events:
        pass
    assert [event.is_active for event in events] == [True]


async def test_input_that_does_not_run_is_an_error() -> None:
    part = contact()
    with pytest.raises(HardwareError, match="'contact' is not running; start the agent first"):
        part.become(is_active=True)
    part.close()


async def test_input_runs_once() -> None:
    part = contact()
    async with running(part):
        with pytest.raises(HardwareError, match="already running"):
            await part.run(lambda event: None)
