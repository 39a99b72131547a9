"""The simulated input reports its state at the start, and each change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hardware.base import InputChange, InputRole
from hardware.errors import HardwareError
from hardware.inputs.simulated import SimInput, SimInputs
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


async def test_inputs_are_worked_by_name_or_by_role() -> None:
    front = SimInput("front", InputRole.CONTACT, mono_ms=lambda: 5)
    inputs = SimInputs([front, SimInput("bell", InputRole.ASSIST)])
    async with running(front) as events:
        inputs.work("front", "on")
        inputs.work("contact", "off")
        inputs.work("contact", "touch")
    assert [event.is_active for event in events] == [False, True, False, True, False]
    assert inputs.roles == (InputRole.CONTACT, InputRole.ASSIST)


@pytest.mark.parametrize(
    ("which", "state", "message"),
    [("fire", "on", "no simulated input 'fire'; the profile has contact"), ("contact", "ajar", "say on, off or touch")],
)
async def test_wrong_request_says_what_would_be_right(which: str, state: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimInputs([contact()]).work(which, state)
    with pytest.raises(ValueError, match="the profile has none"):
        SimInputs([]).work("contact", "on")
