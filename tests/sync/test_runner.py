"""The whole link against real servers: well behaved, badly behaved, silent."""

import asyncio
import logging
from typing import Any

import jwt
import pytest
from websockets.asyncio.server import ServerConnection

from agent.errors import StoreError
from agent.sync.errands import RECONNECT_KEY
from tests.fakes.link_parts import SettableClock
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.model_central import ModelCentral
from tests.fakes.scripted_central import ScriptedCentral, answer, scripted_central
from tests.sync.rig import QUICK, running_link
from tests.sync.talk import unlock
from wire.codec import encode, for_central
from wire.directory import directory_digest
from wire.limits import Limits
from wire.message import Message
from wire.messages import Ack, Anchor, AuthRefresh, Bye, CommandAck, CommandResult, Error, Heartbeat
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef, DirState
from wire.vocabulary import ClockQuality, CloseCode, CommandState, CredentialKind, ErrorCode

pytestmark = pytest.mark.service


def _model(**fields: Any) -> ModelCentral:
    return ModelCentral(reconnect=QUICK, **fields)


def _heard(central: ScriptedCentral, kind: type[Message]) -> list[Any]:
    return [message for message in central.model.heard if isinstance(message, kind)]


async def test_backlog_of_several_runs_arrives_exactly_once() -> None:
    outbox = MemoryOutbox()
    outbox.append(700)
    outbox.restart()
    async with scripted_central(model=_model()) as central, running_link(central.url, events=800, outbox=outbox) as rig:
        await rig.until(lambda: outbox.is_drained)
        assert central.model.digests() == outbox.digests()
        assert set(central.model.applied.values()) == {1}


async def test_new_event_arrives_while_connected() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        rig.outbox.append(1)
        await rig.until(lambda: rig.outbox.is_drained)
        assert len(central.model.digests()) == 1


async def test_cut_link_comes_back_and_brings_what_happened_meanwhile() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url, events=5) as rig:
        await rig.until(lambda: rig.outbox.is_drained)
        rig.link.gate.cut()
        await rig.until(lambda: not rig.link.status.is_up)
        rig.outbox.append(5)
        await rig.until(lambda: rig.link.stats.attempts >= 3)
        rig.link.gate.heal()
        await rig.until(lambda: rig.outbox.is_drained)
        assert central.model.digests() == rig.outbox.digests()
        assert [status.is_up for status in rig.statuses if status.words == ""] == [True, True]


async def test_server_that_accepts_and_closes_is_not_hammered() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1000)

    async with scripted_central() as central:
        central.talk = leave
        async with running_link(central.url) as rig:
            await rig.until(lambda: rig.link.stats.attempts >= 3)
            began, attempts = asyncio.get_running_loop().time(), rig.link.stats.attempts
            await rig.until(lambda: rig.link.stats.attempts >= attempts + 3)
            assert asyncio.get_running_loop().time() - began >= 3 * QUICK.min_ms / 1000
            assert rig.link.stats.welcomes == 0


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4400, 4401, 4403, 4408, 4409, 4413, 4426, 4429, 4503])
async def test_no_close_code_ends_the_link(code: int, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted_central(model=_model()) as central:

        async def close(connection: ServerConnection) -> None:
            await central.greet(connection)
            await connection.close(code)

        central.talk = close
        async with running_link(central.url) as rig:
            await rig.until(lambda: len(rig.statuses) >= 2)
            assert [status.is_up for status in rig.statuses[:2]] == [True, False]
            central.talk = None
            rig.link.nudge()
            await asyncio.sleep(0.05)
            rig.link.nudge()
            await rig.until(lambda: rig.link.status.is_up)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 429, 500, 503])
async def test_no_status_ends_the_link(status: int) -> None:
    async with scripted_central(model=_model()) as central:
        central.gatekeeper = lambda _request: answer(status, Location="http://127.0.0.1:1/")
        async with running_link(central.url) as rig:
            await rig.until(lambda: rig.link.stats.attempts >= 1 and rig.statuses != [])
            assert not rig.link.status.is_up
            central.gatekeeper = None
            await asyncio.sleep(0.05)
            rig.link.nudge()
            await rig.until(lambda: rig.link.status.is_up)


async def test_a_refusal_in_centrals_own_words_revokes_and_a_welcome_ends_that() -> None:
    async with scripted_central(model=_model()) as central:
        central.gatekeeper = lambda _request: answer(403)
        async with running_link(central.url) as rig:
            told: list[bool] = []
            rig.link.on_revoked.append(told.append)
            await rig.until(lambda: rig.link.stats.attempts >= 1 and rig.statuses != [])
            assert told == []
            central.gatekeeper = lambda _request: answer(403, WWW_Authenticate='Doorstile error="revoked"')
            await asyncio.sleep(0.05)
            rig.link.nudge()
            await rig.until(lambda: told == [True])
            central.gatekeeper = None
            await asyncio.sleep(0.05)
            rig.link.nudge()
            await rig.until(lambda: told == [True, False])


async def test_clock_refusal_is_answered_with_its_nonce_once() -> None:
    async with scripted_central(model=_model()) as central:
        challenge = 'Doorstile error="clock", nonce="abcdef0123456789"'
        central.gatekeeper = lambda _request: (
            answer(401, WWW_Authenticate=challenge) if len(central.tokens) == 1 else None
        )
        async with running_link(central.url) as rig:
            await rig.until(lambda: rig.link.status.is_up)
            rig.link.gate.cut()
            rig.link.gate.heal()
            await rig.until(lambda: rig.link.stats.welcomes == 2)
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in central.tokens]
    assert [claim.get("nonce") for claim in claims] == [None, "abcdef0123456789", None]
    assert len({claim["jti"] for claim in claims}) == 3


async def test_nonce_is_kept_for_the_attempt_that_gets_through() -> None:
    async with scripted_central(model=_model()) as central:
        challenge = 'Doorstile error="clock", nonce="abcdef0123456789"'
        answers = {1: answer(401, WWW_Authenticate=challenge), 2: answer(503)}
        central.gatekeeper = lambda _request: answers.get(len(central.tokens))
        async with running_link(central.url) as rig:
            await rig.until(lambda: rig.link.status.is_up)
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in central.tokens]
    assert [claim.get("nonce") for claim in claims] == [None, "abcdef0123456789", "abcdef0123456789"]


@pytest.mark.parametrize(
    "frame",
    [b"not json", b'{"type":7}', b'"text"', b"[" * 50_000, b'{"type":"ack","payload":"' + b"x" * 200_000 + b'"}'],
)
async def test_frame_that_is_no_message_costs_the_connection_only(frame: bytes) -> None:
    async with scripted_central(model=_model()) as central:

        async def babble(connection: ServerConnection) -> None:
            await central.greet(connection)
            await connection.send(frame, text=True)
            await connection.wait_closed()

        central.talk = babble
        async with running_link(central.url, events=3) as rig:
            await rig.until(lambda: rig.link.stats.welcomes >= 1 and not rig.link.status.is_up)
            central.talk = None
            await rig.until(lambda: rig.outbox.is_drained)


async def test_unknown_message_is_answered_and_the_connection_stays() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        await central.say(b'{"type":"future","payload":{}}')
        await central.until(lambda: _heard(central, Error) != [])
        assert _heard(central, Error)[0].code is ErrorCode.UNKNOWN_TYPE
        rig.outbox.append(1)
        await rig.until(lambda: rig.outbox.is_drained)
        assert rig.link.stats.welcomes == 1


async def test_acknowledgement_of_events_never_sent_deletes_nothing() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        await central.say(Ack(run=rig.outbox.current.run, upto=1, head="00" * 32, window=100))
        await central.until(lambda: _heard(central, Error) != [])
        assert _heard(central, Error)[0].code is ErrorCode.ACK_AHEAD
        assert rig.outbox.current.acked == 0


async def test_acknowledgement_with_a_wrong_head_stops_that_run_alone(caplog: pytest.LogCaptureFixture) -> None:
    outbox = MemoryOutbox()
    outbox.append(2)
    old = outbox.current
    outbox.restart()
    async with scripted_central(model=_model()) as central:

        async def lie(connection: ServerConnection) -> None:
            await central.greet(connection)
            decoder = for_central()
            while True:
                for reply in central.model.handle(decoder.decode(await connection.recv(decode=False))):
                    is_old = isinstance(reply, Ack) and reply.run == old.run
                    lied = Ack(run=old.run, upto=2, head="00" * 32, window=9) if is_old else reply
                    await connection.send(encode(lied), text=True)

        central.talk = lie
        async with running_link(central.url, events=3, outbox=outbox) as rig:
            await rig.until(lambda: outbox.current.acked == 3)
            await rig.until(lambda: "wrong_head" in caplog.text)
            assert old.acked == 0
            assert rig.link.stats.welcomes == 1


async def test_silent_central_is_left_after_the_deadline() -> None:
    async with scripted_central(model=_model(ack_timeout_s=0.2)) as central:

        async def fall_silent(connection: ServerConnection) -> None:
            await central.greet(connection)
            while True:
                await connection.recv()

        central.talk = fall_silent
        async with running_link(central.url, events=3) as rig:
            await central.until(lambda: CloseCode.OVERDUE in central.close_codes)
            assert rig.outbox.current.acked == 0
            central.talk = None
            await rig.until(lambda: rig.outbox.is_drained)


async def test_central_that_stops_reading_is_left_although_frames_wait() -> None:
    limits = Limits(window=1024, batch_events=200)
    async with scripted_central(model=_model(ack_timeout_s=0.5, limits=limits)) as central:

        async def deaf(connection: ServerConnection) -> None:
            await central.greet(connection)
            connection.transport.pause_reading()
            await connection.connection_lost_waiter

        central.talk = deaf
        outbox = MemoryOutbox()
        outbox.append(1000, size=4_000)
        async with running_link(central.url, outbox=outbox) as rig:
            await rig.until(lambda: rig.link.stats.welcomes >= 1 and not rig.link.status.is_up)
            central.talk = None
            await rig.until(lambda: outbox.is_drained, within_s=20.0)
            assert central.model.digests() == outbox.digests()


async def test_snapshot_becomes_the_directory_and_is_told() -> None:
    rows = (DirectoryRow(key="ab" * 16, kind=CredentialKind.HF_UID, member="m1"),)
    ref = DirectoryRef("epoch", 4, directory_digest(rows))
    model = _model(directory=ref, rows=rows)
    async with scripted_central(model=model) as central, running_link(central.url) as rig:
        told: list[DirectoryRef] = []
        rig.link.on_directory.append(told.append)
        await central.until(lambda: _heard(central, DirState) != [])
        assert (rig.directory.ref, rig.directory.rows, told) == (ref, list(rows), [ref])


async def test_snapshot_with_a_wrong_digest_changes_nothing() -> None:
    ref = DirectoryRef("epoch", 4, "00" * 32)
    async with scripted_central(model=_model(directory=ref)) as central, running_link(central.url, events=1) as rig:
        await rig.until(lambda: rig.link.stats.reports >= 1 and rig.outbox.is_drained)
        assert rig.directory.ref is None


async def test_command_is_run_and_its_result_confirmed() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        await central.say(unlock("c1", server_ms=central.model.now_ms))
        await rig.until(lambda: rig.commands.forgotten == ["c1"])
        assert [ack.state for ack in _heard(central, CommandAck)] == [CommandState.QUEUED]
        assert central.model.results["c1"].state is CommandState.DONE
        assert len(rig.commands.executed) == 1


async def test_command_that_the_store_refuses_ends_failed() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        rig.commands.faults.append(StoreError("no room"))
        await central.say(unlock("c1", server_ms=central.model.now_ms))
        await central.until(lambda: "c1" in central.model.results)
        assert central.model.results["c1"].state is CommandState.FAILED


async def test_remembered_result_is_told_and_forgotten_after_its_confirmation() -> None:
    result = CommandResult(id="c0", state=CommandState.UNKNOWN)
    async with scripted_central(model=_model()) as central, running_link(central.url, remembered=(result,)) as rig:
        await rig.until(lambda: rig.commands.forgotten == ["c0"])
        assert central.model.results == {"c0": result}


async def test_store_that_cannot_read_stops_the_run_until_the_next_connection() -> None:
    outbox = MemoryOutbox()
    outbox.faults.append(StoreError("row 1 is damaged"))
    async with scripted_central(model=_model()) as central, running_link(central.url, events=3, outbox=outbox) as rig:
        await rig.until(lambda: rig.link.stats.reports == 1)
        assert not outbox.is_drained
        rig.link.gate.cut()
        rig.link.gate.heal()
        await rig.until(lambda: outbox.is_drained)


async def test_anchor_reaches_central() -> None:
    async with scripted_central(model=_model()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.link.status.is_up)
        rig.link.anchor(Anchor(boot="b" * 32, mono_ms=1, wall_ms=2, err_ms=3))
        await central.until(lambda: _heard(central, Anchor) != [])


async def test_lease_is_renewed_inside_the_connection() -> None:
    async with scripted_central(model=_model(lease_s=1)) as central, running_link(central.url) as rig:
        await central.until(lambda: len(_heard(central, AuthRefresh)) >= 2)
        assert rig.link.stats.welcomes == 1


async def test_heartbeats_bring_the_time_of_central() -> None:
    async with scripted_central(model=_model(hb_s=0.05)) as central, running_link(central.url) as rig:
        learned: list[int] = []
        rig.link.on_server_time.append(lambda told: learned.append(told.server_ms))
        await rig.until(lambda: len(learned) >= 3)
        assert set(learned) == {central.model.now_ms}
        assert len(_heard(central, Heartbeat)) >= 2


async def test_bye_is_remembered_when_the_connection_breaks() -> None:
    async with scripted_central(model=_model()) as central:

        async def say_bye(connection: ServerConnection) -> None:
            await central.greet(connection)
            await connection.send(encode(Bye(code=CloseCode.UNAVAILABLE, retry_after_ms=0)), text=True)
            connection.transport.abort()

        central.talk = say_bye
        async with running_link(central.url) as rig:
            await rig.until(lambda: rig.link.stats.welcomes >= 1 and not rig.link.status.is_up)
            assert rig.link.status.words == "central is unavailable"


async def test_wishes_of_central_outlive_the_connection() -> None:
    async with scripted_central(model=ModelCentral()) as central, running_link(central.url) as rig:
        await rig.until(lambda: rig.directory.kept[RECONNECT_KEY] == '{"min_ms":250,"spread_ms":0,"cap_ms":4000}')


async def test_unknown_clock_without_a_pin_says_so_and_dials_nobody() -> None:
    clock = SettableClock(q=ClockQuality.NONE)
    async with running_link("https://127.0.0.1:1", clock=clock) as rig:
        await rig.until(lambda: rig.link.status.words.startswith("E4"))


async def test_repeated_failure_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agent.sync")
    async with running_link("http://127.0.0.1:1") as rig:
        await rig.until(lambda: rig.link.stats.attempts >= 4)
    levels = [record.levelname for record in caplog.records if "not connected" in record.message]
    assert levels[:3] == ["WARNING", "DEBUG", "DEBUG"]


async def test_token_and_key_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agent")
    async with scripted_central(model=_model()) as central, running_link(central.url, events=1) as rig:
        await rig.until(lambda: rig.outbox.is_drained)
        assert central.tokens[0] not in caplog.text


async def test_bug_in_the_agent_is_not_swallowed() -> None:
    class BrokenOutbox(MemoryOutbox):
        def backlog(self) -> Any:
            raise ZeroDivisionError

    async with scripted_central(model=_model()) as central:
        with pytest.raises(ExceptionGroup) as failure:
            async with running_link(central.url, outbox=BrokenOutbox()) as rig:
                await rig.until(lambda: False)
        assert failure.group_contains(ZeroDivisionError)


async def test_frames_flooding_in_are_held_back_while_the_store_is_slow() -> None:
    outbox = MemoryOutbox()
    async with scripted_central(model=_model()) as central:

        async def flood(connection: ServerConnection) -> None:
            await central.greet(connection)
            while True:
                await connection.send(b'{"type":"future","payload":{}}', text=True)

        central.talk = flood
        outbox.gate.clear()
        async with running_link(central.url, events=3, outbox=outbox) as rig:
            await rig.until(lambda: rig.link.stats.welcomes == 1)
            await asyncio.sleep(0.3)
            assert len(rig.link._errands._waiting) <= 64
            outbox.gate.set()
