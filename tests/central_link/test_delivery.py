"""Bringing the directory: chunks within bounds, credit, one snapshot at a time, and no more than half of the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.sync.delivery import CHUNK_BYTES, CHUNK_ROWS, CREDIT, PAUSE_MS, STALL_MS, Delivery, cuts_of
from central.sync.exchange import DirectoryLoaded, LoadDirectory, Report
from tests.central_link.talk import REF, at, live, sent
from wire.codec import encode
from wire.directory import row_text
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirectoryRow, DirEnd, DirGot, DirResync, DirState
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

NEWEST = DirectoryRef("e1", 2, "d2")


def rows(count: int, member_chars: int = 36) -> list[DirectoryRow]:
    return [DirectoryRow(key=f"{i:032x}", kind=CredentialKind.HF_UID, member="m" * member_chars) for i in range(count)]


def loaded(count: int, mono_ms: int = 0, ref: DirectoryRef = NEWEST) -> DirectoryLoaded:
    held = rows(count)
    return DirectoryLoaded(at(mono_ms), ref, held, cuts_of(held))


def state_of(ref: DirectoryRef) -> DirState:
    return DirState(epoch=ref.epoch, ver=ref.ver, digest=ref.digest)


@given(st.lists(st.integers(0, 40_000), max_size=40))
def test_chunks_cover_every_row_once_within_the_bounds(sizes: list[int]) -> None:
    held = [row for size in sizes for row in rows(1, size)]
    cuts = cuts_of(held)
    assert list(cuts) == sorted(set(cuts))
    assert (cuts[-1] if cuts else 0) == len(held)
    begin = 0
    for end in cuts:
        size = sum(len(row_text(row)) + 1 for row in held[begin:end])
        assert size <= CHUNK_BYTES or end - begin == 1
        begin = end


def test_chunks_hold_at_most_five_hundred_rows() -> None:
    assert cuts_of(rows(2 * CHUNK_ROWS + 1)) == (CHUNK_ROWS, 2 * CHUNK_ROWS, 2 * CHUNK_ROWS + 1)


def test_full_chunk_fits_a_frame() -> None:
    _, effects = Delivery().loaded(loaded(5_000))
    assert all(encode(message) for message in sent(effects))


def test_snapshot_runs_ahead_by_its_credit_and_ends_behind_the_last_chunk() -> None:
    total = CREDIT + 2
    delivery, effects = Delivery().loaded(loaded(total * CHUNK_ROWS))
    messages = sent(effects)
    begin = messages[0]
    assert isinstance(begin, DirBegin)
    assert (begin.chunks, begin.rows, begin.ver) == (total, total * CHUNK_ROWS, 2)
    assert [message.i for message in messages[1:] if isinstance(message, DirChunk)] == list(range(CREDIT))
    delivery, effects = delivery.got(DirGot(snap=begin.snap, i=0), 5)
    assert [type(message) for message in sent(effects)] == [DirChunk]
    delivery, effects = delivery.got(DirGot(snap=begin.snap, i=1), 6)
    assert [type(message) for message in sent(effects)] == [DirChunk, DirEnd]


def test_empty_directory_is_a_snapshot_without_chunks() -> None:
    _, effects = Delivery().loaded(loaded(0))
    assert [type(message) for message in sent(effects)] == [DirBegin, DirEnd]


@pytest.mark.parametrize(("snap", "i"), [("other", 0), ("2-1", 99), ("2-1", -1)])
def test_credit_that_was_not_earned_counts_for_nothing(snap: str, i: int) -> None:
    delivery, _ = Delivery().loaded(loaded(9 * CHUNK_ROWS))
    assert delivery.got(DirGot(snap=snap, i=i), 5) == (delivery, ())


def test_credit_counts_once() -> None:
    delivery, _ = Delivery().loaded(loaded(9 * CHUNK_ROWS))
    delivery, _ = delivery.got(DirGot(snap="2-1", i=0), 5)
    assert delivery.got(DirGot(snap="2-1", i=0), 6)[1] == ()


def test_change_during_a_snapshot_is_fetched_after_it() -> None:
    delivery, _ = Delivery().loaded(loaded(1))
    delivery, effects = delivery.wanted(10)
    assert effects == ()
    delivery, effects = delivery.settled(state_of(NEWEST), 20)
    assert effects == ()
    assert delivery.wake_ms == PAUSE_MS
    _, effects = delivery.ticked(PAUSE_MS)
    assert effects == (LoadDirectory(NEWEST),)


def test_slow_snapshots_leave_as_much_time_as_they_took() -> None:
    delivery, _ = Delivery().loaded(loaded(1))
    delivery, _ = delivery.settled(state_of(NEWEST), 8_000)
    delivery, _ = delivery.wanted(8_001)
    assert delivery.wake_ms == 16_000


def test_device_that_has_it_gets_nothing() -> None:
    delivery, effects = Delivery(held=REF).wanted(0)
    assert effects == (LoadDirectory(REF),)
    delivery, effects = delivery.loaded(DirectoryLoaded(at(5), REF))
    assert effects == ()
    assert delivery.snapshot is None


def test_snapshot_that_stalls_is_given_up_and_its_rows_with_it() -> None:
    delivery, _ = Delivery().loaded(loaded(9 * CHUNK_ROWS))
    assert delivery.wake_ms == STALL_MS
    delivery, effects = delivery.ticked(STALL_MS)
    assert isinstance(effects[0], Report)
    assert delivery.snapshot is None
    assert delivery.compared(NEWEST, 1, STALL_MS + 1)[1] == ()


def test_request_for_a_snapshot_replaces_the_one_under_way_after_a_pause() -> None:
    talk = live(directory=NEWEST)
    talk.give(loaded(9 * CHUNK_ROWS, 20))
    effects = talk.say(DirResync(why="\x1bchunk 3 is torn"), 30)
    assert isinstance(effects[0], Report)
    assert "\x1b" not in effects[0].detail
    assert talk.state.delivery.snapshot is None
    assert talk.state.delivery.wake_ms == 20 + PAUSE_MS


def test_request_for_a_snapshot_is_met_even_where_the_version_is_the_same() -> None:
    talk = live()
    assert LoadDirectory(None) in talk.say(DirResync(why="lost my file"))


def test_heartbeat_of_a_device_that_lost_its_directory_brings_it_again() -> None:
    assert Delivery(held=REF).compared(REF, 0, 5)[1] == (LoadDirectory(None),)


def test_heartbeat_during_a_snapshot_changes_nothing() -> None:
    delivery, _ = Delivery().loaded(loaded(9 * CHUNK_ROWS))
    assert delivery.compared(NEWEST, 1, 5) == (delivery, ())


@pytest.mark.parametrize(
    "state", [DirState(epoch="e" * 65, ver=1, digest="d"), DirState(epoch="e\0", ver=1, digest="")]
)
def test_impossible_directory_state_is_answered_with_error(state: DirState) -> None:
    assert [message.type for message in sent(live().say(state))] == ["error"]


def test_conversation_delivers_a_directory_from_hint_to_state() -> None:
    talk = live()
    talk.give()
    _, effects = talk.state.delivery.wanted(50)
    assert effects == (LoadDirectory(REF),)
    first, *_ = sent(talk.give(loaded(3, 60)))
    assert isinstance(first, DirBegin)
    talk.say(DirGot(snap=first.snap, i=0), 70)
    talk.say(state_of(NEWEST), 80)
    assert talk.state.delivery.held == NEWEST
    assert talk.state.delivery.snapshot is None
