"""Events on their way: batches, window, acknowledgements that cannot be true, gaps, losses."""

import pytest

from agent.sync import exchange as ex
from agent.sync.errands import run_state
from agent.sync.outflow import READ_AHEAD
from tests.fakes.memory_outbox import Lost
from tests.sync.talk import Talk, of, said
from wire.chain import unsplice
from wire.events import read_stub
from wire.limits import Limits
from wire.messages import Ack, Error, Nack, Rejection, RunAck, RunState, Tomb
from wire.vocabulary import CloseCode, ErrorCode, RejectCode, TombReason

pytestmark = pytest.mark.unit


def test_backlog_goes_out_in_batches_as_far_as_the_window_goes() -> None:
    talk = Talk(100).live().answer_loads()
    assert talk.ranges == [(talk.run, 1, 10), (talk.run, 11, 20), (talk.run, 21, 30)]


def test_acknowledgement_opens_the_window_once_the_store_agrees() -> None:
    talk = Talk(100).live().answer_loads().forget()
    assert talk.ack(10) == [ex.MoveCursor(talk.run, 10, talk.outbox.current.heads[10])]
    (load,) = of(talk.moved(10), ex.Load)
    assert (load.after, load.max_events) == (30, 10)


def test_window_counts_events_of_all_runs_and_the_oldest_run_goes_first() -> None:
    talk = Talk(25, 25).live().answer_loads()
    old, new = (run.run for run in talk.outbox.memory)
    assert talk.ranges == [(old, 1, 10), (old, 11, 20), (old, 21, 25)]
    talk.ack(10, run=old)
    talk.moved(10, run=old)
    talk.answer_loads()
    assert talk.ranges[-1] == (new, 1, 10)


def test_new_event_goes_out_at_once() -> None:
    talk = Talk(0).live()
    talk.outbox.append(1)
    assert of(talk.feed(ex.Grown(talk.now_ms, talk.run, 1)), ex.Load) == [
        ex.Load(talk.run, 0, 1, READ_AHEAD * Limits().batch_bytes)
    ]


def test_window_that_central_narrows_holds_the_next_batch_back() -> None:
    talk = Talk(100).live().answer_loads().forget()
    talk.ack(10, window=15)
    assert of(talk.moved(10), ex.Load) == []


def test_window_of_zero_still_lets_one_event_through() -> None:
    talk = Talk(12).live().answer_loads()
    talk.ack(10, window=0)
    talk.moved(10)
    talk.ack(12, window=0)
    talk.moved(12)
    talk.outbox.append(5)
    assert len(of(talk.feed(ex.Grown(talk.now_ms, talk.run, 17)), ex.Load)) == 1


def test_acknowledgement_of_events_never_sent_is_refused_and_nothing_is_deleted() -> None:
    talk = Talk(100).live().answer_loads().forget()
    effects = talk.ack(31)
    assert of(effects, ex.MoveCursor) == []
    assert [error.code for error in said(effects, Error)] == [ErrorCode.ACK_AHEAD]
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.ACK_AHEAD]


def test_acknowledgement_of_an_unknown_run_is_refused() -> None:
    talk = Talk(5).live()
    effects = talk.receive(Ack(run="nonsense", upto=1, head="00" * 32, window=9))
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.UNKNOWN_RUN]


def test_old_acknowledgement_changes_nothing() -> None:
    talk = Talk(10).live().answer_loads()
    talk.ack(10)
    talk.moved(10)
    assert talk.ack(4) == []


@pytest.mark.parametrize("head", ["", "zz", "00" * 31, "é" * 64])
def test_acknowledgement_without_a_proper_head_stops_the_run(head: str) -> None:
    talk = Talk(5).live().answer_loads().forget()
    effects = talk.ack(5, head=head)
    assert of(effects, ex.MoveCursor) == []
    assert talk.troubles == [ex.Trouble.WRONG_HEAD]


def test_wrong_head_stops_that_run_alone() -> None:
    talk = Talk(5, 5).live().answer_loads().forget()
    old, new = (run.run for run in talk.outbox.memory)
    talk.feed(ex.CursorRefused(talk.now_ms, old, 5, ex.Trouble.WRONG_HEAD, "its head differs"))
    assert talk.ack(5, run=old) == []
    assert len(of(talk.ack(5, run=new), ex.MoveCursor)) == 1
    assert talk.troubles == [ex.Trouble.WRONG_HEAD]


def test_run_that_rests_frees_its_share_of_the_window() -> None:
    talk = Talk(100, 5).live().answer_loads()
    old, new = (run.run for run in talk.outbox.memory)
    talk.feed(ex.CursorRefused(talk.now_ms, old, 5, ex.Trouble.WRONG_HEAD, ""))
    talk.answer_loads()
    assert talk.ranges[-1] == (new, 1, 5)


def test_rejected_events_are_reported_and_count_as_acknowledged() -> None:
    talk = Talk(5).live().answer_loads()
    head = talk.outbox.current.heads[5].hex()
    rejection = Rejection(n=2, code=RejectCode.MALFORMED, detail="no door")
    effects = talk.receive(Ack(run=talk.run, upto=5, head=head, window=30, rej=[rejection]))
    assert [effect.upto for effect in of(effects, ex.MoveCursor)] == [5]
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.EVENT_REJECTED]


def test_welcome_that_holds_more_moves_the_cursor_first() -> None:
    talk = Talk(20)
    head = talk.outbox.current.heads[15]
    talk.open().welcome(runs=[RunAck(talk.run, 15, head.hex())])
    assert talk.of(ex.MoveCursor) == [ex.MoveCursor(talk.run, 15, head)]
    assert talk.answer_loads().ranges == [(talk.run, 16, 20)]


def test_welcome_beyond_the_last_event_says_that_the_storage_went_back() -> None:
    talk = Talk(20).open().welcome(runs=[RunAck("0" * 15 + "1", 25, "00" * 32)])
    assert talk.troubles == [ex.Trouble.STORAGE_WENT_BACK]
    assert "21 to 25" in talk.of(ex.Report)[0].detail
    assert talk.answer_loads().ranges == []


def test_welcome_with_another_head_at_the_same_place_stops_the_run() -> None:
    talk = Talk(5).open().welcome(runs=[RunAck("0" * 15 + "1", 0, "00" * 32)])
    assert talk.troubles == [ex.Trouble.WRONG_HEAD]


def test_welcome_about_a_run_that_hello_did_not_name_is_reported() -> None:
    talk = Talk(5).open().welcome(runs=[RunAck("f" * 16, 0, "")])
    assert talk.troubles == [ex.Trouble.UNKNOWN_RUN]


def test_gap_rewinds_to_what_central_expects() -> None:
    talk = Talk(30).live().answer_loads().forget()
    talk.receive(Nack(run=talk.run, expect=11))
    talk.answer_loads()
    assert talk.ranges == [(talk.run, 11, 20), (talk.run, 21, 30)]


def test_batches_behind_a_gap_rewind_only_once() -> None:
    talk = Talk(30).live().answer_loads()
    talk.receive(Nack(run=talk.run, expect=1))
    assert talk.receive(Nack(run=talk.run, expect=1)) == []


def test_gap_that_was_never_sent_is_refused() -> None:
    talk = Talk(30).live().answer_loads()
    for expect in (0, -4, 32):
        assert of(talk.receive(Nack(run=talk.run, expect=expect)), ex.Load) == []
    assert talk.troubles == [ex.Trouble.BAD_NACK] * 3


def test_central_that_claims_gap_after_gap_stops_the_run() -> None:
    talk = Talk(30).live().answer_loads()
    for turn in range(20):
        talk.receive(Nack(run=talk.run, expect=1 + turn % 2))
        talk.answer_loads()
    assert talk.troubles == [ex.Trouble.BAD_NACK]
    assert len(talk.ranges) < 40


def test_gap_before_what_was_acknowledged_rewinds_the_store() -> None:
    talk = Talk(20).live().answer_loads()
    talk.ack(10)
    talk.moved(10)
    talk.forget()
    assert of(talk.receive(Nack(run=talk.run, expect=4)), ex.Rewind) == [ex.Rewind(talk.run, 3)]
    talk.outbox.current.acked = 3
    state = _state_of(talk)
    talk.feed(ex.Rewound(talk.now_ms, state, 3))
    assert talk.answer_loads().ranges[-2:] == [(talk.run, 4, 13), (talk.run, 14, 20)]


def test_what_is_no_longer_kept_is_declared_lost_before_the_rest() -> None:
    talk = Talk(20).live().answer_loads()
    talk.ack(10)
    talk.moved(10)
    talk.forget()
    talk.receive(Nack(run=talk.run, expect=1))
    gone = Tomb(run=talk.run, first=1, to=8, why=TombReason.PRUNED, count=8, head="ab")
    talk.outbox.current.pruned = 8
    talk.feed(ex.Rewound(talk.now_ms, _state_of(talk), 0, gone))
    assert talk.said(Tomb) == [gone]
    assert talk.answer_loads().ranges[0] == (talk.run, 9, 18)
    assert ex.Trouble.RANGE_LOST in talk.troubles


def test_acknowledgement_during_a_rewind_is_not_taken() -> None:
    talk = Talk(20).live().answer_loads()
    talk.ack(10)
    talk.moved(10)
    talk.receive(Nack(run=talk.run, expect=4))
    assert talk.ack(20) == []
    talk.moved(20)
    assert talk.state.flow.lanes[0].window.acked == 10


def test_declared_loss_goes_out_in_its_place() -> None:
    talk = Talk(20)
    talk.outbox.lost = [Lost(talk.run, 5, 8, TombReason.CORRUPT, None)]
    talk.live().answer_loads()
    assert talk.ranges == [(talk.run, 1, 4), (talk.run, 9, 18), (talk.run, 19, 20)]
    (tomb,) = talk.said(Tomb)
    assert (tomb.first, tomb.to, tomb.count, tomb.head) == (5, 8, 4, None)


def test_loss_that_central_holds_in_part_is_told_from_there() -> None:
    talk = Talk(10)
    talk.outbox.current.acked = 6
    talk.outbox.lost = [Lost(talk.run, 5, 8, TombReason.CORRUPT, None)]
    talk.live()
    assert [(tomb.first, tomb.to, tomb.count) for tomb in talk.open().welcome().said(Tomb)][-1] == (7, 8, 2)


def test_rows_that_are_not_there_stop_the_run_and_are_reported() -> None:
    talk = Talk(5).live()
    (load,) = talk.of(ex.Load)
    talk.feed(ex.Loaded(talk.now_ms, load.run, load.after, ()))
    assert talk.troubles == [ex.Trouble.ROWS_MISSING]
    assert talk.answer_loads().ranges == []


def test_answer_of_the_store_after_a_rewind_is_dropped() -> None:
    talk = Talk(20).live()
    talk.outbox.append(1)
    items = talk.outbox.read_now(talk.run, 5, 10, 10_000)
    assert talk.feed(ex.Loaded(talk.now_ms, talk.run, 5, items)) == []


def test_event_beyond_the_frame_limit_goes_as_a_stub() -> None:
    talk = Talk(0)
    talk.outbox.append(1, size=6_000)
    talk.live(limits=Limits(frame_bytes=4096, batch_bytes=4096)).answer_loads()
    (sent,) = talk.of(ex.SendEvents)
    parts = unsplice(sent.spliced[0])
    assert parts is not None
    assert read_stub(parts[1]) is not None


def test_batches_keep_the_limit_of_bytes() -> None:
    talk = Talk(0)
    talk.outbox.append(7, size=1_500)
    talk.live(limits=Limits(frame_bytes=8192, batch_bytes=4096)).answer_loads()
    assert [last - first + 1 for _, first, last in talk.ranges] == [2, 2, 2, 1]
    assert all(sent.size <= 4096 for sent in talk.of(ex.SendEvents))


def test_batch_that_central_finds_too_large_is_halved_next_time() -> None:
    talk = Talk(64)
    sizes = []
    for _ in range(4):
        talk.effects.clear()
        talk.live(limits=Limits(batch_events=16, window=16)).answer_loads()
        sizes.append(talk.ranges[-1][2] - talk.ranges[-1][1] + 1)
        talk.feed(ex.Disconnected(talk.now_ms, CloseCode.TOO_LARGE))
    assert sizes == [16, 8, 4, 2]


def test_single_event_that_central_finds_too_large_becomes_a_stub() -> None:
    talk = Talk(3)
    for _ in range(8):
        talk.effects.clear()
        talk.live(limits=Limits(batch_events=4, window=4)).answer_loads()
        (sent, *_) = talk.of(ex.SendEvents)
        parts = unsplice(sent.spliced[0])
        assert parts is not None
        if read_stub(parts[1]) is not None:
            break
        talk.feed(ex.Disconnected(talk.now_ms, CloseCode.TOO_LARGE))
    assert (sent.first, len(sent.spliced)) == (1, 1)
    assert talk.state.throttle.refused == {(talk.run, 1)}


def test_long_calm_doubles_the_batches_again() -> None:
    talk = Talk(400).live(limits=Limits(batch_events=16, window=16)).answer_loads()
    talk.feed(ex.Disconnected(talk.now_ms, CloseCode.TOO_LARGE))
    talk.live(limits=Limits(batch_events=16, window=16)).answer_loads()
    for upto in range(1, 64):
        talk.moved(upto)
    assert talk.state.flow.throttle.shrink == 1
    talk.moved(64)
    assert talk.state.flow.throttle.shrink == 0


def _state_of(talk: Talk) -> RunState:
    return run_state(talk.outbox.current.facts)
