import pytest

from agent.commanding import Commanding, remembered_results
from agent.core.effects import RemoteUnlock
from agent.station import CommandAnswer, Station
from agent.store.types import Promise
from wire.messages import Command, CommandResult
from wire.vocabulary import CommandMode, CommandState

pytestmark = pytest.mark.unit


class FakeStation(Station):
    """Answers every unlock at once, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[RemoteUnlock] = []

    async def execute(self, command: RemoteUnlock) -> CommandAnswer:
        self.asked.append(command)
        return CommandAnswer(CommandState.DONE, "pulsed")


class FakeKeeper:
    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def forget(self, key: str) -> None:
        self.forgotten.append(key)


def command(name: str = "unlock", **args: str) -> Command:
    return Command(id="c1", name=name, mode=CommandMode.ONCE, ttl_ms=10_000, age_ms=0, server_ms=0, args=args)


async def test_an_unlock_goes_through_the_station_with_its_deadline_and_actor() -> None:
    station = FakeStation()
    result = await Commanding(station, FakeKeeper()).execute(command(actor="Ann" * 99), 7_000)
    assert result == CommandResult(id="c1", state=CommandState.DONE, code="pulsed")
    (asked,) = station.asked
    assert (asked.begin_before_mono_ms, asked.promise, len(asked.actor)) == (7_000, "unlock:c1", 80)


async def test_a_command_that_this_device_does_not_know_does_nothing() -> None:
    station = FakeStation()
    result = await Commanding(station, FakeKeeper()).execute(command("self_destruct"), 7_000)
    assert (result.state, result.code, station.asked) == (CommandState.FAILED, "unknown_command", [])


async def test_a_confirmed_command_is_forgotten() -> None:
    keeper = FakeKeeper()
    await Commanding(FakeStation(), keeper).forget("c1")
    assert keeper.forgotten == ["unlock:c1"]


def test_results_that_central_has_not_confirmed_are_remembered() -> None:
    promises = (Promise("unlock:c1", "aa", 1, "done"), Promise("unlock:c2", "aa", 2, None))
    assert remembered_results(promises) == (CommandResult(id="c1", state=CommandState.DONE),)
