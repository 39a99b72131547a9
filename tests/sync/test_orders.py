"""Commands: run at most once, never late, never forgotten before central has the result."""

import pytest
from msgspec.structs import replace

from agent.sync import exchange as ex
from agent.sync.orders import MAX_UNCONFIRMED
from tests.fakes.model_central import SERVER_MS
from tests.sync.talk import START_MS, Talk, of, said, unlock
from wire.messages import CommandAck, CommandDone, CommandResult, HeartbeatAck
from wire.vocabulary import CommandMode, CommandState

pytestmark = pytest.mark.unit


def _states(effects: list[ex.Effect]) -> list[CommandState]:
    return [ack.state for ack in said(effects, CommandAck)]


def test_command_is_acknowledged_and_run() -> None:
    talk = Talk(0).live()
    effects = talk.receive(unlock())
    assert _states(effects) == [CommandState.QUEUED]
    assert of(effects, ex.RunCommand) == [ex.RunCommand(unlock(), START_MS + 10_000)]


def test_same_command_again_is_a_duplicate_and_is_not_run_again() -> None:
    talk = Talk(0).live()
    talk.receive(unlock())
    effects = talk.receive(unlock())
    assert _states(effects) == [CommandState.DUPLICATE]
    assert of(effects, ex.RunCommand) == []


def test_duplicate_of_a_finished_command_brings_its_result_again() -> None:
    talk = Talk(0).live()
    talk.receive(unlock())
    result = CommandResult(id="c1", state=CommandState.DONE)
    assert said(talk.feed(ex.CommandFinished(talk.now_ms, result)), CommandResult) == [result]
    assert said(talk.receive(unlock()), CommandResult) == [result]


def test_command_stays_known_after_central_confirmed_its_result() -> None:
    talk = Talk(0).live()
    talk.receive(unlock())
    talk.feed(ex.CommandFinished(talk.now_ms, CommandResult(id="c1", state=CommandState.DONE)))
    assert of(talk.receive(CommandDone(id="c1")), ex.ForgetCommand) == [ex.ForgetCommand("c1")]
    effects = talk.receive(unlock())
    assert _states(effects) == [CommandState.DUPLICATE]
    assert of(effects, ex.RunCommand) == []


def test_confirmation_of_a_command_that_still_runs_forgets_nothing() -> None:
    talk = Talk(0).live()
    talk.receive(unlock())
    assert talk.receive(CommandDone(id="c1")) == []


def test_confirmation_of_an_unknown_command_is_ignored() -> None:
    assert Talk(0).live().receive(CommandDone(id="never")) == []


def test_age_at_central_counts() -> None:
    talk = Talk(0).live()
    (run,) = of(talk.receive(unlock(age_ms=4_000)), ex.RunCommand)
    assert run.begin_before_ms == START_MS + 6_000


def test_command_that_was_too_old_when_it_was_sent_expires() -> None:
    effects = Talk(0).live().receive(unlock(age_ms=10_000))
    assert _states(effects) == [CommandState.EXPIRED]
    assert of(effects, ex.RunCommand) == []


def test_command_that_tcp_held_up_expires() -> None:
    talk = Talk(0).live()
    talk.now_ms += 12_000
    effects = talk.receive(unlock(server_ms=SERVER_MS))
    assert _states(effects) == [CommandState.EXPIRED]


def test_time_under_way_is_taken_from_what_is_left() -> None:
    talk = Talk(0).live()
    talk.now_ms += 3_000
    (run,) = of(talk.receive(unlock(server_ms=SERVER_MS)), ex.RunCommand)
    assert run.begin_before_ms == talk.now_ms + 7_000


def test_echo_older_than_thirty_seconds_dates_nothing() -> None:
    talk = Talk(0).live()
    talk.now_ms += 30_001
    assert _states(talk.receive(unlock(server_ms=SERVER_MS + 30_001))) == [CommandState.EXPIRED]


def test_fresh_echo_dates_a_command_again() -> None:
    talk = Talk(0).live(ack_timeout_s=300.0)
    talk.tick(30_001)
    talk.receive(HeartbeatAck(echo_mono_ms=talk.now_ms, server_ms=SERVER_MS + 30_001, dir_ver=0))
    assert _states(talk.receive(unlock(server_ms=SERVER_MS + 30_001))) == [CommandState.QUEUED]


def test_negative_ages_and_stamps_from_the_future_give_no_extra_time() -> None:
    talk = Talk(0).live()
    (run,) = of(talk.receive(unlock(age_ms=-50_000, server_ms=SERVER_MS + 900)), ex.RunCommand)
    assert run.begin_before_ms == START_MS + 10_000


def test_command_cannot_be_dated_once_central_s_clock_was_set_forward() -> None:
    talk = Talk(0).live()
    talk.now_ms += 12_000
    late = unlock(server_ms=SERVER_MS + 3_600_000)
    assert _states(talk.receive(late)) == [CommandState.EXPIRED]


def test_what_keeps_people_out_is_not_held_up_by_central_s_clock() -> None:
    lockdown = replace(unlock(name="lockdown"), mode=CommandMode.IDEMPOTENT, server_ms=SERVER_MS + 3_600_000)
    assert _states(Talk(0).live().receive(lockdown)) == [CommandState.QUEUED]


def test_unknown_command_is_refused() -> None:
    effects = Talk(0).live().receive(unlock(name="self_destruct"))
    assert _states(effects) == [CommandState.REFUSED]
    assert of(effects, ex.RunCommand) == []


def test_commands_beyond_the_bound_are_refused() -> None:
    talk = Talk(0).live()
    for index in range(MAX_UNCONFIRMED):
        talk.receive(unlock(f"c{index}"))
    assert _states(talk.receive(unlock("one-more"))) == [CommandState.REFUSED]
