"""Bringing the directory: chunks within bounds, credit, one snapshot at a time, and no more than half of the time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.sync.delivery import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    CONFIRM_MS,
    CREDIT,
    DELTA_PAUSE_MS,
    PAUSE_MS,
    REFUSED_MS,
    STALL_MS,
    Delivery,
    cuts_of,
)
from central.sync.exchange import DirectoryLoaded, KeepDirState, LoadDirectory, Offer, Report, Send, Whole
from tests.central_link.talk import REF, at, live, sent
from wire.codec import encode
from wire.directory import DELTAS, Issue, row_text
from wire.rows import DirectoryRow
from wire.transfer import (
    BookEntry,
    DirBegin,
    DirChunk,
    DirDelta,
    DirectoryRef,
    DirEnd,
    DirGot,
    DirRefusal,
    DirResync,
    DirState,
)
from wire.vocabulary import CredentialKind, DirectoryRefusal

pytestmark = pytest.mark.unit

NEWEST = DirectoryRef("e1", 2, "d2")


def rows(count: int) -> list[bytes]:
    return [row_text(DirectoryRow(key=f"{i:032x}", kind=CredentialKind.HF_UID, member="m" * 36)) for i in range(count)]


def loaded(count: int, mono_ms: int = 0, ref: DirectoryRef = NEWEST, book: int = 0) -> DirectoryLoaded:
    issue = Issue(device="d", epoch=ref.epoch, ver=ref.ver, digest=ref.digest, issued_ms=9, feat=("rules",))
    items = tuple(BookEntry(key=f"zone/{i}", item=msgspec.Raw(b'"%s"' % (b"x" * 40_000))) for i in range(book))
    return DirectoryLoaded(at(mono_ms), Offer(Whole(issue, "sig", rows(count), items)))


def change(first: int = 1, to: int = 2, mono_ms: int = 0, *, is_last: bool = True) -> DirectoryLoaded:
    delta = DirDelta(epoch="e1", first=first, to=to, digest=f"d{to}", issued_ms=9, sig="sig")
    return DirectoryLoaded(at(mono_ms), Offer(delta, is_last=is_last))


def refused(ref: DirectoryRef = REF) -> DirState:
    refusal = DirRefusal(epoch="e1", ver=2, code=DirectoryRefusal.CANARY, detail="\x1b[2J the book")
    return msgspec.structs.replace(state_of(ref), refused=refusal)


def state_of(ref: DirectoryRef) -> DirState:
    return DirState(epoch=ref.epoch, ver=ref.ver, digest=ref.digest)


@given(st.lists(st.integers(0, 40_000), max_size=40))
def test_chunks_cover_every_row_once_within_the_bounds(sizes: list[int]) -> None:
    cuts = cuts_of(sizes)
    assert list(cuts) == sorted(set(cuts))
    assert (cuts[-1] if cuts else 0) == len(sizes)
    begin = 0
    for end in cuts:
        assert sum(sizes[begin:end]) <= CHUNK_BYTES or end - begin == 1
        begin = end


def test_chunks_hold_at_most_five_hundred_rows() -> None:
    assert cuts_of([1] * (2 * CHUNK_ROWS + 1)) == (CHUNK_ROWS, 2 * CHUNK_ROWS, 2 * CHUNK_ROWS + 1)


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
    assert effects == (LoadDirectory(NEWEST, takes_deltas=False),)


def test_slow_snapshots_leave_as_much_time_as_they_took() -> None:
    delivery, _ = Delivery().loaded(loaded(1))
    delivery, _ = delivery.settled(state_of(NEWEST), 8_000)
    delivery, _ = delivery.wanted(8_001)
    assert delivery.wake_ms == 16_000


def test_device_that_has_it_gets_nothing() -> None:
    delivery, effects = Delivery(held=REF).wanted(0)
    assert effects == (LoadDirectory(REF, takes_deltas=False),)
    delivery, effects = delivery.loaded(DirectoryLoaded(at(5), Offer(None)))
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
    assert LoadDirectory(None, takes_deltas=False) in talk.say(DirResync(why="lost my file"))


def test_heartbeat_of_a_device_that_lost_its_directory_brings_it_again() -> None:
    assert Delivery(held=REF).compared(REF, 0, 5)[1] == (LoadDirectory(None, takes_deltas=False),)


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
    assert effects == (LoadDirectory(REF, takes_deltas=False),)
    first, *_ = sent(talk.give(loaded(3, 60)))
    assert isinstance(first, DirBegin)
    talk.say(DirGot(snap=first.snap, i=0), 70)
    talk.say(state_of(NEWEST), 80)
    assert talk.state.delivery.held == NEWEST
    assert talk.state.delivery.snapshot is None


def test_book_goes_out_in_chunks_before_the_rows() -> None:
    delivery, effects = Delivery().loaded(loaded(3, book=5))
    begin, *chunks = sent(effects)
    assert isinstance(begin, DirBegin)
    assert (begin.items, begin.rows, begin.chunks) == (5, 3, 4)
    assert [(len(chunk.book), len(chunk.rows)) for chunk in chunks if isinstance(chunk, DirChunk)] == [
        (2, 0), (2, 0), (1, 0), (0, 3)
    ]  # fmt: skip
    assert all(encode(message) for message in sent(effects))
    assert delivery.snapshot is not None


# Changes

TAKING = Delivery(held=REF, takes_deltas=True)


def test_device_that_takes_changes_is_told_even_that_nothing_changed() -> None:
    talk = live(feat=[DELTAS])
    assert talk.state.delivery.is_loading
    effects = talk.give(change(1, 1, 20))
    assert [message.type for message in sent(effects)] == ["dir.delta"]
    talk.say(state_of(REF), 30)
    assert not talk.state.delivery.is_busy


def test_change_goes_out_and_is_settled_by_the_state_after_it() -> None:
    delivery, effects = TAKING.wanted(0)
    assert effects == (LoadDirectory(REF, takes_deltas=True),)
    delivery, effects = delivery.loaded(change())
    assert [message.type for message in sent(effects)] == ["dir.delta"]
    assert delivery.wanted(1)[1] == ()
    delivery, effects = delivery.settled(state_of(NEWEST), 5)
    assert (delivery.held, delivery.is_busy, effects) == (NEWEST, False, ())


def test_changes_that_are_not_the_last_go_on_after_a_short_pause() -> None:
    delivery, _ = TAKING.loaded(change(is_last=False))
    delivery, effects = delivery.settled(state_of(NEWEST), 5)
    assert effects == ()
    assert delivery.wake_ms == DELTA_PAUSE_MS
    assert delivery.ticked(DELTA_PAUSE_MS)[1] == (LoadDirectory(NEWEST, takes_deltas=True),)


def test_change_that_the_device_does_not_answer_is_given_up_and_sent_later() -> None:
    delivery, _ = TAKING.loaded(change())
    assert delivery.wake_ms == STALL_MS
    delivery, effects = delivery.ticked(STALL_MS)
    assert isinstance(effects[0], Report)
    assert delivery.wake_ms == 2 * STALL_MS
    assert delivery.ticked(2 * STALL_MS)[1] == (LoadDirectory(REF, takes_deltas=True),)


def test_state_that_shows_another_version_brings_the_newest() -> None:
    assert TAKING.settled(state_of(NEWEST), 5)[1] == (LoadDirectory(NEWEST, takes_deltas=True),)
    assert TAKING.settled(state_of(REF), 5)[1] == ()


def test_device_that_says_it_has_none_gets_the_whole() -> None:
    assert TAKING.settled(DirState(epoch="", ver=0, digest=""), 5)[1] == (LoadDirectory(None, takes_deltas=True),)


def test_what_is_refused_comes_again_ever_more_rarely() -> None:
    delivery, now_ms, pauses = TAKING, 0, []
    for _ in range(9):
        delivery, _ = delivery.loaded(change(mono_ms=now_ms))
        delivery, effects = delivery.settled(refused(), now_ms)
        assert effects == ()
        assert delivery.wanted(now_ms + 1)[1] == ()
        assert delivery.wake_ms is not None
        pauses.append(delivery.wake_ms - now_ms)
        now_ms = delivery.wake_ms
        delivery, effects = delivery.ticked(now_ms)
        assert effects == (LoadDirectory(REF, takes_deltas=True),)
    assert pauses == [min(REFUSED_MS[1], REFUSED_MS[0] << n) for n in range(9)]


def test_refusal_is_recorded_and_reported_without_control_characters() -> None:
    talk = live(feat=[DELTAS])
    effects = talk.say(refused(), 30)
    report = next(effect for effect in effects if isinstance(effect, Report))
    assert report.what == "directory_refused"
    assert "\x1b" not in report.detail
    assert KeepDirState(refused()) in effects


def test_refusal_of_a_device_without_a_directory_is_no_mistake() -> None:
    talk = live(feat=[DELTAS])
    effects = talk.say(msgspec.structs.replace(refused(), epoch="", ver=0, digest=""), 30)
    assert not any(isinstance(effect, Send) for effect in effects)


def test_directory_is_confirmed_now_and_then() -> None:
    delivery, _ = TAKING.loaded(change(1, 1))
    delivery, _ = delivery.settled(state_of(REF), 5)
    assert delivery.compared(REF, 1, CONFIRM_MS)[1] == ()
    assert delivery.compared(REF, 1, CONFIRM_MS + 5)[1] == (LoadDirectory(REF, takes_deltas=True),)
    assert Delivery(held=REF).compared(REF, 1, 9 * CONFIRM_MS)[1] == ()


def test_request_for_the_whole_drops_the_change_under_way() -> None:
    delivery, _ = TAKING.loaded(change())
    delivery, _ = delivery.given_up(5)
    assert delivery.ticked(DELTA_PAUSE_MS)[1] == (LoadDirectory(None, takes_deltas=True),)


def test_change_after_a_slow_snapshot_does_not_wait_but_another_snapshot_does() -> None:
    delivery, _ = TAKING.loaded(loaded(1))
    delivery, _ = delivery.settled(state_of(NEWEST), 8_000)
    delivery, _ = delivery.wanted(8_001)
    assert delivery.wake_ms == 8_000 + DELTA_PAUSE_MS
    delivery, effects = delivery.ticked(8_000 + DELTA_PAUSE_MS)
    assert effects == (LoadDirectory(NEWEST, takes_deltas=True),)
    assert delivery.loaded(change(2, 3, 8_200))[1] != ()
    delivery, effects = delivery.loaded(loaded(1, 8_200))
    assert effects == ()
    assert delivery.wake_ms == 16_000
