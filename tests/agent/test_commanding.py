import pytest

from agent.commanding import Commanding, remembered_results
from agent.core.effects import AnyCommand, Order, RemoteUnlock
from agent.station import CommandAnswer, Station
from agent.store.types import Promise
from wire.messages import Command, CommandResult
from wire.vocabulary import CommandMode, CommandName, CommandState

pytestmark = pytest.mark.unit


class FakeStation(Station):
    """Answers every unlock at once, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[AnyCommand] = []

    async def execute(self, command: AnyCommand) -> CommandAnswer:
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
    assert isinstance(asked, RemoteUnlock)
    assert (asked.begin_before_mono_ms, asked.promise, len(asked.actor)) == (7_000, "unlock:c1", 80)


async def test_a_command_that_this_device_does_not_know_does_nothing() -> None:
    station = FakeStation()
    result = await Commanding(station, FakeKeeper()).execute(command("self_destruct"), 7_000)
    assert (result.state, result.code, station.asked) == (CommandState.FAILED, "unknown_command", [])


async def test_a_confirmed_command_is_forgotten() -> None:
    keeper = FakeKeeper()
    await Commanding(FakeStation(), keeper).forget("c1")
    assert "unlock:c1" in keeper.forgotten


def test_results_that_central_has_not_confirmed_are_remembered() -> None:
    promises = (Promise("unlock:c1", "aa", 1, "done"), Promise("unlock:c2", "aa", 2, None))
    assert remembered_results(promises) == (CommandResult(id="c1", state=CommandState.DONE),)


async def test_a_command_that_changes_the_door_keeps_its_arguments() -> None:
    station = FakeStation()
    wanted = command("lockdown", actor="Ann", level="2", for_s="600", what="")
    await Commanding(station, FakeKeeper()).execute(wanted, 7_000)
    assert station.asked == [Order("c1", CommandName.LOCKDOWN, "Ann", 7_000, "lockdown:c1", level=2, for_ms=600_000)]


async def test_a_command_without_arguments_lasts_as_long_as_the_door_says() -> None:
    station = FakeStation()
    await Commanding(station, FakeKeeper()).execute(command("hold"), 7_000)
    assert station.asked == [Order("c1", CommandName.HOLD, "", 7_000, "hold:c1")]


@pytest.mark.parametrize(
    "wrong",
    [{"level": "0"}, {"level": "two"}, {"for_s": "-1"}, {"for_s": "²"}, {"for_s": "9" * 10}, {"what": "x" * 21}],
)
async def test_an_argument_that_makes_no_sense_is_not_guessed(wrong: dict[str, str]) -> None:
    station = FakeStation()
    result = await Commanding(station, FakeKeeper()).execute(command("lockdown", **wrong), 7_000)
    assert (result.state, result.code, station.asked) == (CommandState.FAILED, "bad_argument", [])


@pytest.mark.parametrize("name", ["capture", "rotate_key"])
async def test_an_order_about_cards_or_keys_is_refused_where_nothing_could_carry_it_out(name: str) -> None:
    station = FakeStation()
    result = await Commanding(station, FakeKeeper()).execute(command(name), 7_000)
    assert (result.state, station.asked) == (CommandState.FAILED, [])
    assert result.code in {"no_reader", "no_keys"}
