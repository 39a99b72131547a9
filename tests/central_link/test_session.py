"""Central's half-session: greeting, events, heartbeats, leases, commands, and whatever a bad device may say."""

from dataclasses import replace

import pytest

from central.sync.exchange import (
    CheckToken,
    Close,
    CommandDue,
    CommandMarked,
    CommandsLoaded,
    Connected,
    DirectoryChanged,
    Due,
    Ended,
    ExpireCommand,
    HeartbeatKept,
    Ingest,
    Ingested,
    IngestTomb,
    KeepAnchor,
    KeepHeartbeat,
    KeepReply,
    LoadCommands,
    LoadDirectory,
    MarkSent,
    Missing,
    Opened,
    OpenSession,
    ReplyKept,
    Report,
    Tick,
    TokenChecked,
    Unreadable,
    WakeAt,
)
from central.sync.session import HELLO_WITHIN_MS, MAX_COMPLAINTS, Phase
from tests.central_link.talk import HEAD, REF, RUN, Talk, at, batch, hello, live, sent
from wire.limits import HEARTBEAT_S, LEASE_S
from wire.message import Message
from wire.messages import (
    Ack,
    Anchor,
    AuthOk,
    AuthRefresh,
    Bye,
    Command,
    CommandAck,
    CommandDone,
    CommandResult,
    Error,
    Heartbeat,
    HeartbeatAck,
    Nack,
    Rejection,
    RunAck,
    RunState,
    Tomb,
    Welcome,
)
from wire.transfer import DirectoryRef
from wire.version import VersionRange
from wire.vocabulary import (
    ClockQuality,
    CloseCode,
    CommandMode,
    CommandState,
    DirectoryMode,
    ErrorCode,
    RejectCode,
    TombReason,
)

pytestmark = pytest.mark.unit

BEAT_MS = int(HEARTBEAT_S * 1000)
BEAT = Heartbeat(mono_ms=77, wall_ms=1_000_000_350, q=ClockQuality.SYNCED, backlog=0, dir_ver=1)


def closed_with(effects: tuple[object, ...]) -> CloseCode | None:
    codes = [effect.code for effect in effects if isinstance(effect, Close)]
    return codes[0] if codes else None


def due(created_ms: int, ttl_ms: int = 10_000) -> Due:
    return Due("c1", "unlock", CommandMode.ONCE, ttl_ms, created_ms, {})


# Greeting


def test_hello_asks_for_a_session_before_anything_else() -> None:
    talk = Talk()
    talk.give(Connected(at(0)))
    effects = talk.say(hello())
    assert [type(effect) for effect in effects if not isinstance(effect, WakeAt)] == [OpenSession]


def test_welcome_says_what_is_held_and_waiting_commands_follow() -> None:
    talk = Talk()
    talk.give(Connected(at(0)))
    talk.say(hello())
    waiting = due(at(0).wall_ms)
    effects = talk.give(Opened(at(10), 7, (RunAck(RUN, 3, HEAD),), RunAck(RUN, 3, HEAD), REF, (waiting,)))
    welcome = sent(effects)[0]
    assert isinstance(welcome, Welcome)
    assert (welcome.session, welcome.runs, welcome.server_ms) == (7, [RunAck(RUN, 3, HEAD)], at(10).wall_ms)
    assert welcome.dir_mode is DirectoryMode.CURRENT
    assert MarkSent(waiting) in effects


def test_device_with_another_directory_is_told_of_a_snapshot_and_gets_one() -> None:
    talk = Talk()
    talk.give(Connected(at(0)))
    talk.say(hello(dir=None))
    effects = talk.give(Opened(at(10), 7, (), None, REF))
    welcome = sent(effects)[0]
    assert isinstance(welcome, Welcome)
    assert welcome.dir_mode is DirectoryMode.SNAPSHOT
    assert LoadDirectory(None, takes_deltas=False) in effects


def test_no_common_version_closes_with_upgrade() -> None:
    talk = Talk()
    effects = talk.say(hello(proto=VersionRange(2, 3)))
    assert closed_with(effects) is CloseCode.UPGRADE
    assert isinstance(sent(effects)[0], Error)


def run_state(**changes: object) -> RunState:
    fields = {"run": RUN, "ord": 1, "last": 5, "acked": 0, "head": HEAD} | changes
    return RunState(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "another"},
        {"store": ""},
        {"boot": "with space"},
        {"store": "x" * 65},
        {"runs": [run_state(run=f"{i:016x}") for i in range(65)]},
        {"runs": [run_state(), run_state()]},
        {"runs": [run_state(run="../../etc")]},
        {"runs": [run_state(ord=0)]},
        {"runs": [run_state(acked=6)]},
        {"runs": [run_state(head="zz")]},
        {"runs": [run_state(prev_head="zz")]},
    ],
    ids=str,
)
def test_hello_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    assert closed_with(Talk().say(hello(**changes))) is CloseCode.PROTOCOL


def test_second_hello_closes() -> None:
    assert closed_with(live().say(hello())) is CloseCode.PROTOCOL


@pytest.mark.parametrize("message", [batch(1, 1), BEAT, AuthRefresh(token="t")], ids=lambda m: m.type)
def test_anything_but_hello_first_closes(message: Message) -> None:
    assert closed_with(Talk().say(message)) is CloseCode.PROTOCOL


def test_silence_instead_of_hello_closes_in_time() -> None:
    talk = Talk()
    assert talk.give(Connected(at(0))) == (WakeAt(HELLO_WITHIN_MS),)
    assert closed_with(talk.give(Tick(at(HELLO_WITHIN_MS - 1)))) is None
    assert closed_with(talk.give(Tick(at(HELLO_WITHIN_MS)))) is CloseCode.OVERDUE


def test_nothing_happens_after_close() -> None:
    talk = live()
    talk.give(Ended(at(20), CloseCode.REVOKED, "gone"))
    assert talk.state.phase is Phase.CLOSED
    assert talk.say(batch(1, 1)) == ()
    assert talk.give(Ingested(at(30), RUN, 1, b"\0" * 32)) == ()


# Events


def test_batch_is_ingested_and_acknowledged_after_the_commit() -> None:
    talk = live()
    events = batch(1, 3)
    effects = talk.say(events)
    assert [effect for effect in effects if isinstance(effect, Ingest)] == [
        Ingest(RUN, 1, [bytes(raw) for raw in events.ev])
    ]
    assert sent(effects) == []
    ack = sent(talk.give(Ingested(at(20), RUN, 3, b"\x01" * 32)))[0]
    assert ack == Ack(run=RUN, upto=3, head="01" * 32, window=1024)


def test_rejections_travel_in_the_ack_with_short_details() -> None:
    talk = live()
    talk.say(batch(1, 1))
    rejection = Rejection(1, RejectCode.MALFORMED, "x" * 999)
    ack = sent(talk.give(Ingested(at(20), RUN, 1, b"\x01" * 32, (rejection,))))[0]
    assert isinstance(ack, Ack)
    assert (ack.rej[0].n, len(ack.rej[0].detail)) == (1, 120)


def test_gap_is_answered_by_one_nack_until_it_closes() -> None:
    talk = live()
    assert sent(talk.say(batch(3, 1))) == [Nack(run=RUN, expect=1)]
    assert sent(talk.say(batch(4, 1))) == []
    talk.say(batch(1, 2))
    talk.give(Ingested(at(20), RUN, 2, b"\x01" * 32))
    assert sent(talk.say(batch(9, 1))) == [Nack(run=RUN, expect=3)]


def test_repeated_events_reach_the_ledger_that_can_compare_them() -> None:
    talk = live([RunAck(RUN, 5, HEAD)])
    assert any(isinstance(effect, Ingest) for effect in talk.say(batch(1, 5)))


def test_ledger_that_holds_less_makes_the_device_go_back() -> None:
    talk = live([RunAck(RUN, 5, HEAD)])
    talk.say(batch(6, 1))
    assert sent(talk.give(Missing(at(20), RUN, 4))) == [Nack(run=RUN, expect=4)]
    assert sent(talk.say(batch(7, 1))) == []
    assert any(isinstance(effect, Ingest) for effect in talk.say(batch(4, 1)))


def test_gap_in_one_run_holds_up_no_other() -> None:
    other = "00000000000000bb"
    talk = live([RunAck(RUN, 0, HEAD), RunAck(other, 0, HEAD)])
    talk.say(batch(5, 1))
    assert any(isinstance(effect, Ingest) for effect in talk.say(batch(1, 1, other)))


def test_run_that_hello_did_not_name_is_answered_with_error_and_the_connection_stays() -> None:
    talk = live()
    effects = talk.say(batch(1, 1, "00000000000000ff"))
    error = sent(effects)[0]
    assert isinstance(error, Error)
    assert error.code is ErrorCode.UNEXPECTED
    assert closed_with(effects) is None


def test_empty_batch_closes() -> None:
    assert closed_with(live().say(type(batch(1, 1))(run=RUN, first=1, ev=[]))) is CloseCode.PROTOCOL


def test_batch_above_the_limit_closes_as_too_large() -> None:
    assert closed_with(live().say(batch(1, 201))) is CloseCode.TOO_LARGE


def test_declared_loss_is_committed_and_acknowledged() -> None:
    talk = live()
    tomb = Tomb(run=RUN, first=1, to=4, why=TombReason.CORRUPT, count=4)
    assert IngestTomb(tomb) in talk.say(tomb)
    assert isinstance(sent(talk.give(Ingested(at(20), RUN, 4, b"\x01" * 32)))[0], Ack)


def test_declared_loss_beyond_what_is_held_is_a_gap() -> None:
    tomb = Tomb(run=RUN, first=3, to=4, why=TombReason.CORRUPT, count=2)
    assert sent(live().say(tomb)) == [Nack(run=RUN, expect=1)]


def test_loss_that_ends_before_it_begins_closes() -> None:
    tomb = Tomb(run=RUN, first=4, to=3, why=TombReason.PRUNED, count=0)
    assert closed_with(live().say(tomb)) is CloseCode.PROTOCOL


def test_anchor_is_kept() -> None:
    anchor = Anchor(boot="boot-1", mono_ms=5, wall_ms=6, err_ms=7)
    assert KeepAnchor(anchor) in live().say(anchor)


@pytest.mark.parametrize(
    "anchor",
    [
        Anchor(boot="", mono_ms=5, wall_ms=6, err_ms=7),
        Anchor(boot="b" * 65, mono_ms=5, wall_ms=6, err_ms=7),
        Anchor(boot="a\0b", mono_ms=5, wall_ms=6, err_ms=7),
    ],
    ids=str,
)
def test_impossible_anchor_is_answered_with_error(anchor: Anchor) -> None:
    effects = live().say(anchor)
    assert isinstance(sent(effects)[0], Error)
    assert not any(isinstance(effect, KeepAnchor) for effect in effects)


# Heartbeats and leases


def test_heartbeat_is_kept_and_echoed_with_versions() -> None:
    talk = live()
    assert KeepHeartbeat(BEAT, 250) in talk.say(BEAT, 100)
    effects = talk.give(HeartbeatKept(at(110), 77, 1, REF))
    assert sent(effects) == [HeartbeatAck(echo_mono_ms=77, server_ms=at(110).wall_ms, dir_ver=1)]


def test_heartbeat_with_an_older_directory_brings_the_newest() -> None:
    talk = live()
    newest = DirectoryRef("e1", 2, "d2")
    assert LoadDirectory(REF, takes_deltas=False) in talk.give(HeartbeatKept(at(5_000), 77, 1, newest))


def test_heartbeat_brings_commands_whose_hint_was_lost() -> None:
    talk = live()
    command = due(at(100).wall_ms)
    effects = talk.give(HeartbeatKept(at(110), 77, 1, REF, (command,)))
    ack = sent(effects)[0]
    assert isinstance(ack, HeartbeatAck)
    assert ack.cmds_pending == 1
    assert MarkSent(command) in effects


def test_silence_for_three_heartbeats_closes() -> None:
    talk = live()
    talk.say(BEAT, 1_000)
    assert closed_with(talk.give(Tick(at(999 + 3 * BEAT_MS)))) is None
    assert closed_with(talk.give(Tick(at(1_000 + 3 * BEAT_MS)))) is CloseCode.OVERDUE


def test_lease_ends_the_connection_unless_a_new_token_comes() -> None:
    talk = live()
    ends_ms = 10 + LEASE_S * 1000
    talk.say(BEAT, ends_ms - 1)
    assert closed_with(talk.give(Tick(at(ends_ms)))) is CloseCode.TOKEN


def test_new_token_renews_the_lease() -> None:
    talk = live()
    ends_ms = 10 + LEASE_S * 1000
    assert CheckToken("t") in talk.say(AuthRefresh(token="t"), ends_ms - 20)
    assert sent(talk.give(TokenChecked(at(ends_ms - 10)))) == [AuthOk(lease_s=LEASE_S)]
    assert closed_with(talk.give(Tick(at(ends_ms)))) is None


def test_refused_token_closes() -> None:
    assert closed_with(live().give(TokenChecked(at(20), CloseCode.REVOKED))) is CloseCode.REVOKED


def test_lost_database_sends_the_device_away_with_word_when_to_return() -> None:
    effects = live().give(Ended(at(20), CloseCode.UNAVAILABLE, "no database", 2_000))
    assert sent(effects) == [Bye(code=CloseCode.UNAVAILABLE, retry_after_ms=2_000, spread_ms=0)]
    assert closed_with(effects) is CloseCode.UNAVAILABLE


# Commands


def test_command_goes_out_with_its_age_once_it_is_marked() -> None:
    talk = live()
    command = due(at(0).wall_ms)
    assert talk.give(CommandsLoaded(at(100), (command,))) == (MarkSent(command),)
    message = sent(talk.give(CommandMarked(at(150), command)))[0]
    assert isinstance(message, Command)
    assert (message.age_ms, message.server_ms, message.ttl_ms) == (150, at(150).wall_ms, 10_000)


def test_command_from_a_clock_ahead_of_ours_has_no_negative_age() -> None:
    command = due(at(5_000).wall_ms)
    message = sent(live().give(CommandMarked(at(100), command)))[0]
    assert isinstance(message, Command)
    assert message.age_ms == 0


def test_command_from_after_now_cannot_be_dated_and_is_never_sent() -> None:
    command = due(at(5_001).wall_ms)
    assert live().give(CommandsLoaded(at(0), (command,))) == (ExpireCommand("c1"),)


def test_command_as_old_as_its_life_is_never_sent() -> None:
    command = due(at(0).wall_ms)
    assert live().give(CommandsLoaded(at(10_000), (command,))) == (ExpireCommand("c1"),)


def test_command_that_grew_too_old_while_it_was_marked_is_not_sent() -> None:
    assert live().give(CommandMarked(at(10_000), due(at(0).wall_ms))) == (ExpireCommand("c1"),)


def test_command_does_not_outlive_itself_where_the_wall_clock_was_set_back_by_as_long_as_it_waited() -> None:
    moment = at(65_000)
    made = replace(due(moment.wall_ms), made_mono_ms=at(0).mono_ms)
    assert live().give(CommandsLoaded(moment, (made,))) == (ExpireCommand("c1"),)


def test_command_from_after_now_by_the_monotonic_clock_is_not_sent() -> None:
    made = replace(due(at(0).wall_ms), made_mono_ms=at(0).mono_ms + 5_001)
    assert live().give(CommandsLoaded(at(0), (made,))) == (ExpireCommand("c1"),)


def test_command_says_the_greater_of_its_ages() -> None:
    made = replace(due(at(3_000).wall_ms), made_mono_ms=at(1_000).mono_ms)
    said = sent(live().give(CommandMarked(at(4_000), made)))[0]
    assert isinstance(said, Command)
    assert said.age_ms == 3_000


def test_hint_fetches_commands() -> None:
    assert live().give(CommandDue(at(20))) == (LoadCommands(),)


def test_welcome_names_the_time_zone_of_the_site() -> None:
    talk = Talk()
    talk.give(Connected(at(0)))
    talk.say(hello())
    (welcome,) = sent(talk.give(Opened(at(10), 7, (), None, REF, time_zone="Europe/Berlin")))[:1]
    assert isinstance(welcome, Welcome)
    assert welcome.tz == "Europe/Berlin"


def test_hints_before_the_welcome_are_ignored() -> None:
    talk = Talk()
    talk.give(Connected(at(0)))
    assert talk.give(CommandDue(at(1)), DirectoryChanged(at(2))) == ()


def test_hint_of_a_changed_directory_fetches_it_unless_the_device_has_it() -> None:
    assert LoadDirectory(REF, takes_deltas=False) in live().give(DirectoryChanged(at(20)))


def test_receipt_is_kept_without_confirmation() -> None:
    talk = live()
    effects = talk.say(CommandAck(id="c1", state=CommandState.QUEUED))
    assert KeepReply("c1", CommandState.QUEUED, is_result=False) in effects
    assert sent(talk.give(ReplyKept(at(30), "c1", is_result=False, is_known=True))) == []


def test_result_is_confirmed_once_it_is_recorded() -> None:
    talk = live()
    effects = talk.say(CommandResult(id="c1", state=CommandState.DONE, code="ok", out="relay 3 s"))
    assert KeepReply("c1", CommandState.DONE, is_result=True, code="ok", out="relay 3 s") in effects
    assert sent(talk.give(ReplyKept(at(30), "c1", is_result=True, is_known=True))) == [CommandDone(id="c1")]


def test_result_of_an_unknown_command_is_confirmed_so_that_the_device_can_forget_it() -> None:
    messages = sent(live().give(ReplyKept(at(30), "c9", is_result=True, is_known=False)))
    assert messages[0] == CommandDone(id="c9")
    assert isinstance(messages[1], Error)


@pytest.mark.parametrize(
    "message",
    [CommandAck(id="c1", state=CommandState.DONE), CommandResult(id="c1", state=CommandState.QUEUED)],
    ids=lambda m: m.type,
)
def test_state_that_does_not_belong_is_answered_with_error(message: Message) -> None:
    effects = live().say(message)
    assert isinstance(sent(effects)[0], Error)
    assert not any(isinstance(effect, KeepReply) for effect in effects)


# Byzantine input


def test_unreadable_frame_is_answered_and_the_connection_stays() -> None:
    effects = live().give(Unreadable(at(20), ErrorCode.UNKNOWN_TYPE, "what?"))
    assert sent(effects) == [Error(code=ErrorCode.UNKNOWN_TYPE, detail="what?")]
    assert closed_with(effects) is None


def test_unreadable_frame_that_must_close_does() -> None:
    effects = live().give(Unreadable(at(20), ErrorCode.TOO_LARGE, "big", CloseCode.TOO_LARGE))
    assert closed_with(effects) is CloseCode.TOO_LARGE


def test_endless_errors_end_the_connection() -> None:
    talk = live()
    for _ in range(MAX_COMPLAINTS - 1):
        assert closed_with(talk.give(Unreadable(at(20), ErrorCode.MALFORMED, "no"))) is None
    assert closed_with(talk.give(Unreadable(at(20), ErrorCode.MALFORMED, "no"))) is CloseCode.PROTOCOL


@pytest.mark.parametrize("message", [Error(code=ErrorCode.INTERNAL, detail="\x1b[2J"), Bye(code=1000)])
def test_complaints_of_the_device_are_logged_escaped_and_not_answered(message: Message) -> None:
    effects = live().say(message)
    reports = [effect for effect in effects if isinstance(effect, Report)]
    assert len(reports) == 1
    assert "\x1b" not in reports[0].detail
    assert sent(effects) == []
