"""A change of keys: recorded before it begins, ended as it ended on the disk, and nothing at the door moves."""

import pytest

from agent.core.effects import Commanded, CommandEnd, Effect, Record, Recorded, Rekey, Rekeyed
from agent.core.station import step
from agent.core.types import EventId
from tests.core.builders import now, station
from tests.core.orders import order
from wire.vocabulary import CommandName, CommandState

pytestmark = pytest.mark.unit

WANTED = order(CommandName.ROTATE_KEY)


def record_in(effects: list[Effect]) -> Record:
    (record,) = [effect for effect in effects if isinstance(effect, Record)]
    return record


@pytest.mark.parametrize(
    ("code", "ended", "said"), [("", CommandState.DONE, "kept"), ("storage", CommandState.FAILED, "storage")]
)
def test_it_ends_as_it_ended_on_the_disk(code: str, ended: CommandState, said: str) -> None:
    state, effects = step(station(), Commanded(WANTED, now()))
    begun = record_in(effects)
    assert not any(isinstance(effect, Rekey) for effect in effects)
    state, effects = step(state, Recorded(begun.then, EventId("aa", 1), now()))
    assert effects == [Rekey(WANTED)]
    _, effects = step(state, Rekeyed(WANTED, code, now()))
    end = record_in(effects)
    assert end.then == CommandEnd("c1", ended, said, CommandName.ROTATE_KEY)
    assert end.settles == WANTED.promise
