"""The agent's half of the conversation: greeting, deadlines, endings, and what a misbehaving central achieves."""

import pytest

from agent.sync import exchange as ex
from agent.sync.session import Phase, remembering
from tests.fakes.model_central import NO_DIRECTORY, SERVER_MS
from tests.sync.talk import START_MS, Talk, of, said, unlock
from wire.limits import MAX_RUNS_IN_HELLO, Limits, Reconnect
from wire.messages import Ack, Anchor, AuthOk, Bye, CommandDone, CommandResult, Error, HeartbeatAck, Hello, RunAck
from wire.transfer import DirectoryRef, DirResync, DirState
from wire.vocabulary import CloseCode, CommandState, DirectoryMode, ErrorCode

pytestmark = pytest.mark.unit


def test_hello_tells_unacknowledged_runs_oldest_first() -> None:
    talk = Talk(3, 2).open()
    (hello,) = talk.said(Hello)
    assert [(run.ord, run.last, run.acked) for run in hello.runs] == [(1, 3, 0), (2, 2, 0)]
    assert not hello.more


def test_hello_holds_the_oldest_runs_and_the_current_one_and_says_that_there_are_more() -> None:
    talk = Talk(*[1] * 80).open()
    (hello,) = talk.said(Hello)
    assert [run.ord for run in hello.runs] == [*range(1, MAX_RUNS_IN_HELLO), 80]
    assert hello.more


def test_no_event_is_sent_before_the_welcome() -> None:
    talk = Talk(3).open().answer_loads()
    assert talk.of(ex.SendEvents) == []
    assert talk.of(ex.Load) == []


def test_first_heartbeat_goes_out_directly_after_the_welcome() -> None:
    talk = Talk(1).open().welcome()
    assert talk.of(ex.SendHeartbeat) == [ex.SendHeartbeat(START_MS)]
    assert talk.of(ex.Welcomed) == [ex.Welcomed(1)]


def test_reconnect_values_are_kept_within_reason() -> None:
    talk = Talk(1).open().welcome(reconnect=Reconnect(min_ms=-5, spread_ms=10**12, cap_ms=0))
    assert talk.of(ex.KeepReconnect) == [ex.KeepReconnect(Reconnect(min_ms=100, spread_ms=3_600_000, cap_ms=200))]


def test_limits_of_the_welcome_hold_within_reason() -> None:
    talk = Talk(1).open().welcome(limits=Limits(frame_bytes=0, batch_events=0, batch_bytes=-1, window=0))
    assert talk.state.flow.limits == Limits(frame_bytes=4096, batch_events=1, batch_bytes=1024, window=1)


def test_missing_welcome_closes_the_connection() -> None:
    talk = Talk(1).open()
    assert talk.of(ex.WakeAt) == [ex.WakeAt(START_MS + 20_000)]
    assert of(talk.tick(19_999), ex.Close) == []
    (close,) = of(talk.tick(1), ex.Close)
    assert close.code == CloseCode.OVERDUE


def test_unknown_protocol_version_in_the_welcome_closes_for_an_upgrade() -> None:
    talk = Talk(1).open().welcome(proto=2)
    (close,) = talk.of(ex.Close)
    assert close.code == CloseCode.UPGRADE


def test_anything_but_a_welcome_after_hello_is_answered_with_an_error() -> None:
    talk = Talk(1).open()
    talk.receive(HeartbeatAck(echo_mono_ms=1, server_ms=1, dir_ver=0))
    assert [error.code for error in talk.said(Error)] == [ErrorCode.UNEXPECTED]
    assert talk.state.phase is Phase.GREETING


def test_second_welcome_is_answered_with_an_error() -> None:
    talk = Talk(1).live()
    talk.welcome()
    assert talk.troubles == [ex.Trouble.UNEXPECTED_MESSAGE]


def test_unreadable_frame_is_answered_and_the_connection_stays() -> None:
    talk = Talk(1).live()
    effects = talk.feed(ex.Unreadable(talk.now_ms, ErrorCode.UNKNOWN_TYPE, "message type 'x' is not known here"))
    assert [error.code for error in said(effects, Error)] == [ErrorCode.UNKNOWN_TYPE]
    assert talk.state.phase is Phase.LIVE


def test_heartbeats_follow_the_interval_of_the_welcome() -> None:
    talk = Talk(1).live(hb_s=5.0)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    assert of(talk.tick(4_999), ex.SendHeartbeat) == []
    assert of(talk.tick(1), ex.SendHeartbeat) == [ex.SendHeartbeat(START_MS + 5_000)]


def test_unanswered_heartbeat_closes_the_connection() -> None:
    talk = Talk(0).live()
    assert of(talk.tick(19_999), ex.Close) == []
    (close,) = of(talk.tick(1), ex.Close)
    assert (close.code, "heartbeat" in close.why) == (CloseCode.OVERDUE, True)


def test_unacknowledged_batch_closes_the_connection() -> None:
    talk = Talk(5).live().answer_loads()
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    (close,) = of(talk.tick(20_000), ex.Close)
    assert (close.code, "batch" in close.why) == (CloseCode.OVERDUE, True)


def test_session_is_woken_for_the_deadline_of_a_batch() -> None:
    talk = Talk(5).live(ack_timeout_s=5.0)
    talk.now_ms += 1_000
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    talk.answer_loads()
    assert talk.of(ex.WakeAt)[-1] == ex.WakeAt(START_MS + 6_000)


def test_nothing_happens_after_the_close() -> None:
    talk = Talk(5).live().answer_loads()
    talk.tick(20_000)
    assert talk.ack(5) == []
    assert talk.tick(100_000) == []


def test_slow_link_gets_smaller_batches_next_time_but_never_single_events() -> None:
    talk = Talk(100)
    for _ in range(10):
        talk.live(limits=Limits(batch_events=64, window=64)).answer_loads().tick(20_000)
        talk.feed(ex.Disconnected(talk.now_ms))
    assert talk.state.throttle.shrink == 4


def test_lease_is_renewed_at_eighty_percent_and_again_where_nobody_answers() -> None:
    talk = Talk(0).live(lease_s=1000, hb_s=300.0, ack_timeout_s=300.0)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    assert of(talk.tick(799_999), ex.RenewLease) == []
    talk.receive(HeartbeatAck(echo_mono_ms=talk.now_ms, server_ms=SERVER_MS, dir_ver=0))
    assert of(talk.tick(1), ex.RenewLease) == [ex.RenewLease()]
    assert of(talk.tick(50_000), ex.RenewLease) == [ex.RenewLease()]


def test_answered_renewal_begins_a_new_lease() -> None:
    talk = Talk(0).live(lease_s=1000)
    talk.now_ms += 800_000
    talk.receive(AuthOk(lease_s=500))
    assert talk.state.pulse.next_renewal_ms == talk.now_ms + 400_000


def test_echo_of_a_heartbeat_that_was_never_sent_is_reported_and_teaches_no_time() -> None:
    talk = Talk(0).live()
    effects = talk.receive(HeartbeatAck(echo_mono_ms=7, server_ms=1, dir_ver=0))
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.UNEXPECTED_MESSAGE]
    assert of(effects, ex.ServerTime) == []


def test_echo_tells_the_time_of_central() -> None:
    talk = Talk(0).live()
    talk.now_ms += 40
    effects = talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=5, dir_ver=0))
    assert of(effects, ex.ServerTime) == [ex.ServerTime(START_MS, START_MS + 40, 5, is_current=True)]


def test_bye_tells_how_to_come_back() -> None:
    talk = Talk(0).live()
    effects = talk.receive(Bye(code=4503, retry_after_ms=5_000, spread_ms=10**9))
    assert of(effects, ex.Parted) == [ex.Parted(4503, 5_000, 3_600_000)]


def test_bye_is_understood_before_the_welcome() -> None:
    talk = Talk(0).open()
    assert of(talk.receive(Bye(code=4429)), ex.Parted) == [ex.Parted(4429, 0, 0)]


def test_complaint_of_central_is_reported() -> None:
    talk = Talk(0).live()
    talk.receive(Error(code=ErrorCode.INTERNAL, detail="no"))
    assert talk.troubles == [ex.Trouble.CENTRAL_COMPLAINS]


def test_run_whose_chain_central_refuses_rests_and_does_not_go_overdue() -> None:
    talk = Talk(5).live().answer_loads()
    talk.receive(Error(code=ErrorCode.CHAIN_BROKEN, detail="at 3", ref=talk.run))
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    assert of(talk.tick(20_000), ex.Close) == []


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - {ErrorCode.CHAIN_BROKEN, ErrorCode.UNEXPECTED}))
def test_complaint_of_another_kind_stops_no_run(code: ErrorCode) -> None:
    talk = Talk(3).live()
    talk.receive(Error(code=code, ref=talk.run))
    assert talk.answer_loads().ranges == [(talk.run, 1, 3)]


def test_anchor_is_told_at_once_and_again_on_every_connection() -> None:
    talk = Talk(0).live()
    anchor = Anchor(boot="b" * 32, mono_ms=1, wall_ms=2, err_ms=3)
    assert said(talk.feed(ex.AnchorKnown(talk.now_ms, anchor)), Anchor) == [anchor]
    talk.feed(ex.Disconnected(talk.now_ms))
    assert talk.open().welcome().said(Anchor)[-1] == anchor


def test_newer_anchor_of_a_boot_replaces_the_older() -> None:
    talk = Talk(0)
    for err_ms in (50, 5):
        talk.feed(ex.AnchorKnown(talk.now_ms, Anchor(boot="b", mono_ms=1, wall_ms=2, err_ms=err_ms)))
    assert talk.open().welcome().said(Anchor) == [Anchor(boot="b", mono_ms=1, wall_ms=2, err_ms=5)]


def test_results_that_central_has_not_confirmed_are_told_after_the_welcome() -> None:
    result = CommandResult(id="c0", state=CommandState.UNKNOWN)
    talk = Talk(0, state=remembering((result,))).open()
    assert [(ref.id, ref.state) for ref in talk.said(Hello)[0].cmds] == [("c0", CommandState.UNKNOWN)]
    assert talk.welcome().said(CommandResult) == [result]
    assert of(talk.receive(CommandDone(id="c0")), ex.ForgetCommand) == [ex.ForgetCommand("c0")]


def test_command_that_ends_while_the_link_is_down_is_told_on_the_next_connection() -> None:
    talk = Talk(0).live()
    talk.receive(unlock())
    talk.feed(ex.Disconnected(talk.now_ms))
    result = CommandResult(id="c1", state=CommandState.DONE)
    assert talk.feed(ex.CommandFinished(talk.now_ms, result)) == []
    assert talk.open().welcome().said(CommandResult) == [result]


def test_other_directory_than_the_welcome_says_is_asked_for() -> None:
    talk = Talk(0).open().welcome(dir=DirectoryRef("epoch", 3, "aa"))
    assert len(talk.said(DirResync)) == 1


def test_announced_snapshot_is_not_asked_for_again() -> None:
    ref = DirectoryRef("epoch", 3, "aa")
    talk = Talk(0).open().welcome(dir=ref, dir_mode=DirectoryMode.SNAPSHOT)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=3))
    assert talk.said(DirResync) == []


def test_newer_directory_in_a_heartbeat_is_asked_for() -> None:
    talk = Talk(0).live()
    effects = talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=NO_DIRECTORY.ver + 1))
    assert len(said(effects, DirState)) == 1


def test_central_that_lost_acknowledged_runs_gets_a_new_greeting() -> None:
    talk = Talk(0).open().welcome(last_run=None)
    assert talk.of(ex.Reconcile) == [ex.Reconcile(None, frozenset({talk.run}))]
    effects = talk.feed(ex.Reconciled(talk.now_ms, 2))
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.CENTRAL_WENT_BACK]
    assert [close.code for close in of(effects, ex.Close)] == [1000]


def test_events_wait_until_it_is_clear_what_central_lost() -> None:
    talk = Talk(3).open().welcome(last_run=None)
    assert talk.of(ex.Load) == []
    assert len(of(talk.feed(ex.Reconciled(talk.now_ms, 0)), ex.Load)) == 1


def test_central_that_knows_the_current_run_has_lost_nothing() -> None:
    assert Talk(3, 2).open().welcome().of(ex.Reconcile) == []


def test_run_that_only_central_knows_is_reported() -> None:
    talk = Talk(0).open().welcome(last_run=RunAck("f" * 16, 9, ""))
    effects = talk.feed(ex.Reconciled(talk.now_ms, 0, "central knows run ffff"))
    assert of(effects, ex.Report) == [ex.Report(ex.Trouble.STORAGE_WENT_BACK, "central knows run ffff")]


def test_run_for_which_the_store_had_no_room_is_tried_again_on_another_connection() -> None:
    talk = Talk(3).live(ack_timeout_s=300.0)
    effects = talk.feed(ex.CursorRefused(talk.now_ms, talk.run, 0, ex.Trouble.NO_ROOM, "no room"))
    assert (of(effects, ex.Close), talk.tick(59_999)[-1]) == ([], ex.WakeAt(START_MS + 60_000))
    talk.tick(1)
    assert [close.code for close in talk.of(ex.Close)] == [1000]
    talk.feed(ex.Disconnected(talk.now_ms))
    assert talk.live().answer_loads().ranges == [(talk.run, 1, 3)]


def test_run_whose_head_is_wrong_rests_for_as_long_as_the_connection_stands() -> None:
    talk = Talk(3).live(ack_timeout_s=300.0)
    talk.feed(ex.CursorRefused(talk.now_ms, talk.run, 0, ex.Trouble.WRONG_HEAD, "differs"))
    talk.tick(60_000)
    assert talk.of(ex.Close) == []


def test_more_runs_than_one_hello_holds_are_greeted_again_once_these_are_through() -> None:
    talk = Talk(*[1] * 65).live(limits=Limits(batch_events=10, window=1000))
    talk.answer_loads()
    sent = {run for run, _, _ in talk.ranges}
    for run in sorted(sent):
        talk.ack(1, run=run, window=1000)
        assert talk.of(ex.Close) == []
        talk.moved(1, run=run)
    assert [close.code for close in talk.of(ex.Close)] == [1000]


def test_runs_that_rest_give_way_to_others_in_the_next_hello() -> None:
    talk = Talk(*[1] * 70).live()
    first = talk.outbox.memory[0].run
    talk.receive(Error(code=ErrorCode.CHAIN_BROKEN, ref=first))
    talk.feed(ex.Disconnected(talk.now_ms))
    talk.forget().open()
    (hello,) = talk.said(Hello)
    assert first not in [run.run for run in hello.runs]
    assert hello.more


def test_inputs_between_connections_are_ignored() -> None:
    talk = Talk(3)
    assert talk.feed(ex.Grown(talk.now_ms, talk.run, 9)) == []
    assert talk.receive(Ack(run=talk.run, upto=1, head="", window=1)) == []
    assert talk.tick(10**9) == []


def test_timer_is_set_only_when_it_changes() -> None:
    talk = Talk(0).live()
    assert talk.feed(ex.Grown(talk.now_ms, "0" * 16, 1)) == []


@pytest.mark.parametrize(("told", "kept"), [("Europe/Berlin", 1), ("Etc/GMT+5", 1), ("", 0), ("x" * 65, 0), ("a b", 0)])
def test_time_zone_of_the_welcome_is_kept_where_it_may_be_one(told: str, kept: int) -> None:
    assert Talk(1).open().welcome(tz=told).of(ex.KeepZone) == [ex.KeepZone(told)] * kept
